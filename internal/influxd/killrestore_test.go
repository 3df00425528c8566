package influxd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKillRestore kills a restore when its copy of the backup has come, and later and later after that. The data are
// the former ones or the backup's, each whole; nothing of the killed one stays, and the next restore works.
func TestKillRestore(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"a":"1"}`, 204, nil)
	backup := backupOf(t, s, token)
	s.call(t, "PATCH", secrets, token, `{"later":"2"}`, 204, nil)
	s.end(t)
	candidates := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "influxd.bolt.restore-*"))
		must(t, err)
		return found
	}
	restored := false
	const kills = 12
	for n := range kills {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), killEnv+"="+dir, commandEnv+"=restore\n--from\n"+backup)
		var said output
		child.Stdout, child.Stderr = &said, &said
		must(t, child.Start())
		ended := make(chan struct{})
		go func() {
			child.Wait()
			close(ended)
		}()
		for over := false; !over && len(candidates()) == 0; {
			select {
			case <-ended:
				over = true
			case <-time.After(time.Millisecond):
			}
		}
		select {
		case <-ended:
		case <-time.After(time.Duration(n*n) * 2 * time.Millisecond): // whenever it is, what is there is whole
		}
		child.Process.Kill()
		<-ended
		if out, _, err := influxdOn(t, dir, "check"); err != nil {
			t.Fatalf("after kill %d: %v\n%s\n%s", n, err, out, said.String())
		}
		s := start(t, dir)
		keys := s.keys(t, token, secrets)
		s.end(t)
		if later := strings.Contains(keys, "later"); !strings.Contains(keys, "a") || restored && later {
			t.Fatalf("after kill %d, restored before: %t, it has the secrets %s", n, restored, keys)
		} else {
			restored = !later
		}
		if left := candidates(); len(left) > 0 {
			t.Errorf("after kill %d and a start there are %q", n, left)
		}
	}
	if out, _, err := influxdOn(t, dir, "restore", "--from", backup); err != nil {
		t.Fatalf("after %d kills: %v\n%s", kills, err, out)
	}
	if out, _, err := influxdOn(t, dir, "audit", "verify"); err != nil {
		t.Errorf("the audit log after %d kills: %v\n%s", kills, err, out)
	}
	s = start(t, dir)
	if keys := s.keys(t, token, secrets); strings.Contains(keys, "later") || !strings.Contains(keys, "a") {
		t.Errorf("restored after %d kills, it has the secrets %s", kills, keys)
	}
	s.end(t)
}
