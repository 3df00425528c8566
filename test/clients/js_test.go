package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/test/stack"
)

// TestJavaScript walks the API with @influxdata/influxdb-client-apis. It needs node and npm, and fails without them.
func TestJavaScript(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "walk.mjs"} {
		b, err := os.ReadFile(filepath.Join("../js", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) string {
		c := exec.CommandContext(t.Context(), name, args...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v (install Node.js 20 or later, with npm)\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	s := stack.Start(t, stack.Options{})
	if out := run("node", "walk.mjs", s.URL); !strings.Contains(out, "walked to the end") {
		t.Errorf("it ended before the end:\n%s", out)
	}
}
