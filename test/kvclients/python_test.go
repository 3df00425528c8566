package kvclients

import (
	"slices"
	"strings"
	"testing"

	"strongroom/test/daemon"
)

// python is Debian's own, for which python3-hvac is.
const python = "/usr/bin/python3"

// TestPython walks through KV version 2 with hvac, which Ansible uses, too. It needs python3-hvac, and fails
// without.
func TestPython(t *testing.T) {
	d := daemon.Start(t)
	if out, err := d.Run(t, d.VaultToken(t, false), ".", python, "walk.py", "acme"); err != nil ||
		!strings.Contains(out, "walked to the end") {
		t.Errorf("it ended before the end: %v (Debian: apt-get install python3-hvac)\n%s", err, out)
	}
	if keys := d.Keys(t); !slices.Equal(keys, []string{"other"}) {
		t.Errorf("after it there are %v", keys)
	}
}
