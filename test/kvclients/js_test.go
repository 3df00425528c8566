package kvclients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/test/daemon"
)

// TestJavaScript walks through KV version 2 with clients for Node.js. It needs node and npm, and fails without them.
func TestJavaScript(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "walk.mjs"} {
		b, err := os.ReadFile(filepath.Join("js", name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	d := daemon.Start(t)
	token := d.VaultToken(t, false)
	if out, err := d.Run(t, token, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund",
		"--prefer-offline"); err != nil {
		t.Fatalf("npm ci: %v (install Node.js 20 or later, with npm)\n%s", err, out)
	}
	if out, err := d.Run(t, token, dir, "node", "walk.mjs", "acme"); err != nil ||
		!strings.Contains(out, "walked to the end") {
		t.Errorf("it ended before the end: %v\n%s", err, out)
	}
}
