package influxd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/porttest"
)

// TestRestoreOverEtcd restores a backup of a server over etcd into etcd. It is refused where there are data, or
// servers; one that is killed leaves nothing that a server takes for data, and the next one goes on.
func TestRestoreOverEtcd(t *testing.T) {
	c := etcdtest.Shared(t)
	client := etcdClient(t, c)
	keys, dir := t.TempDir(), t.TempDir()
	was := etcdtest.Prefix(t)
	s := start(t, dir, onEtcd(c, keys, was, "--server-name=a")...)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"a":"1"}`, 204, nil)
	backup := filepath.Join(t.TempDir(), "backup.bolt")
	s.saveBackup(t, token, backup)
	s.call(t, "PATCH", secrets, token, `{"later":"2"}`, 204, nil)

	prefix := etcdtest.Prefix(t)
	restore := func(prefix, from string, more ...string) (string, error) {
		flags := onEtcd(c, keys, prefix, "--server-name=a", "--bolt-path="+filepath.Join(dir, "influxd.bolt"))
		return run(t, append(append([]string{"restore", "--from", from}, flags...), more...)...)
	}
	refused := func(what, want, prefix, from string, more ...string) {
		t.Helper()
		before := below(t, client, prefix)
		out, err := restore(prefix, from, more...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(out, "Restored") {
			t.Errorf("%s: %v, want %q\n%s", what, err, want, out)
		}
		if after := below(t, client, prefix); fmt.Sprint(after) != fmt.Sprint(before) && prefix != was {
			t.Errorf("%s: it has changed what is in etcd: %v", what, after)
		}
	}
	refused("beside a server", "servers are at work there", was, backup)
	s.end(t)
	refused("over data", "there are data already", was, backup)
	if out, err := run(t, "restore", "--from", backup, "--store=etcd", "--etcd-wait=0s",
		"--etcd-endpoints=http://"+porttest.Address(t)); err == nil ||
		!strings.Contains(err.Error(), "etcd takes no connections") {
		t.Errorf("without etcd: %v\n%s", err, out)
	}
	refused("without a backup", "no such file", prefix, "/nowhere.bolt")
	damaged := filepath.Join(t.TempDir(), "damaged.bolt")
	whole := readFile(t, backup)
	must(t, os.WriteFile(damaged, whole[:3*os.Getpagesize()], 0o600))
	refused("of a part of a backup", "nothing was changed", prefix, damaged)
	if out, err := run(t, append([]string{"restore", "--from", backup}, onEtcd(c, t.TempDir(), prefix)...)...); err ==
		nil || len(below(t, client, prefix)) > 0 {
		t.Errorf("without its seal: %s", out)
	}
	if out, err := restore(prefix, backup, "--dry-run"); err != nil || !strings.Contains(out, "would be restored") ||
		len(below(t, client, prefix)) > 0 {
		t.Errorf("dry run: %v\n%s", err, out)
	}

	for n := range 3 { // killed earlier and later
		child := exec.CommandContext(t.Context(), os.Args[0])
		words := append([]string{"restore", "--from", backup}, onEtcd(c, keys, prefix, "--server-name=a")...)
		child.Env = append(os.Environ(), killEnv+"="+dir, commandEnv+"="+strings.Join(words, "\n"))
		must(t, child.Start())
		ended := make(chan struct{})
		go func() {
			child.Wait()
			close(ended)
		}()
		for over := false; !over && len(below(t, client, prefix+"d/")) <= 20*n; {
			select {
			case <-ended:
				over = true
			case <-time.After(time.Millisecond):
			}
		}
		child.Process.Kill()
		<-ended
		if len(below(t, client, prefix+"d/")) == 0 {
			continue
		}
		out, err := run(t, append([]string{"check"}, onEtcd(c, keys, prefix)...)...)
		if err != nil && !strings.Contains(err.Error(), "has not ended") {
			t.Errorf("after kill %d: %v\n%s", n, err, out)
		}
		if err == nil { // it had ended
			prefix = etcdtest.Prefix(t)
		}
	}
	if out, err := restore(prefix, backup); err != nil || !strings.Contains(out, "Restored") {
		t.Fatalf("%v\n%s", err, out)
	}
	// What has begun is data for no server, and goes on with a backup of the same data alone.
	half := etcdtest.Prefix(t)
	_, err := client.Put(t.Context(), half+"d/core/copying", "of others")
	must(t, err)
	if _, err := launch(t, t.TempDir(), onEtcd(c, keys, half)...); err == nil ||
		!strings.Contains(err.Error(), "has not ended") {
		t.Errorf("a server starts on half a restore: %v", err)
	}
	refused("over the beginning of another", "the beginning of a copy of other data", half, backup)
	if out, err := run(t, append([]string{"check"}, onEtcd(c, keys, prefix)...)...); err != nil {
		t.Errorf("the check after it: %v\n%s", err, out)
	}
	out, err := run(t, append([]string{"audit", "verify", "--files", filepath.Join(dir, "audit.log")},
		onEtcd(c, keys, prefix)...)...)
	if err != nil || strings.Contains(out, "older than the audit log") {
		t.Errorf("the audit log after it: %v\n%s", err, out)
	}
	if log := string(readFile(t, filepath.Join(dir, "audit.log"))); !strings.Contains(log, `"action":"restore"`) {
		t.Error("the restore is not on record")
	}
	for range 2 {
		s = start(t, dir, onEtcd(c, keys, prefix, "--server-name=a")...)
		if got := s.keys(t, token, secrets); got != "[a]" {
			t.Errorf("restored: %s", got)
		}
		s.call(t, "PATCH", secrets, token, `{"a":"2"}`, 204, nil)
		s.end(t)
	}
}
