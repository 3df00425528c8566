package influxd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFilesAreSetRight starts on files as a volume of Kubernetes has them after a restart (group-writable for the pod's
// own group), and on files that everybody may change: the server starts, with a word, and nobody else may any more.
func TestFilesAreSetRight(t *testing.T) {
	dir := t.TempDir()
	start(t, dir).end(t)
	key, data, log := filepath.Join(dir, "seal.key"), filepath.Join(dir, "influxd.bolt"),
		filepath.Join(dir, "audit.log")
	for _, tt := range []struct {
		key, data, log, folder os.FileMode
		said                   int
	}{
		{0o660, 0o660, 0o660, 0o770, 1},
		{0o644, 0o666, 0o622, 0o777, 4},
		{0o600, 0o600, 0o600, 0o700, 0},
	} {
		for p, mode := range map[string]os.FileMode{key: tt.key, data: tt.data, log: tt.log, dir: tt.folder} {
			must(t, os.Chmod(p, mode))
		}
		r := start(t, dir)
		r.end(t)
		if n := strings.Count(r.stderr.String(), "taken from them"); n != tt.said {
			t.Errorf("%04o: the log says so %d times:\n%s", tt.key, n, r.stderr.String())
		}
		for p, others := range map[string]os.FileMode{key: 0o077, data: 0o002, log: 0o002, dir: 0o002} {
			if info, err := os.Stat(p); err != nil || info.Mode().Perm()&others != 0 {
				t.Errorf("%s: %v, %v", p, info.Mode(), err)
			}
		}
	}
}
