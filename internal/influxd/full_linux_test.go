package influxd

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFullDisk takes the room away from a server that runs: the limit of a file's size is what a full disk looks like.
// Writes are answered 507, reads go on, the file stays sound, and writing goes on when there is room again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.end(t)
	url, child := startChild(t, dir, "")
	defer func() {
		must(t, child.Process.Kill())
		child.Wait()
	}()
	patch := func(key, value string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "PATCH", url+secrets,
			strings.NewReader(`{"`+key+`":"`+value+`"}`))
		must(t, err)
		req.Header.Set("Authorization", "Token "+token)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		res.Body.Close()
		return res.StatusCode
	}
	r := &running{url: url}
	if code := patch("before", "x"); code != 204 {
		t.Fatalf("the first write: %d", code)
	}
	info, err := os.Stat(filepath.Join(dir, "influxd.bolt"))
	must(t, err)
	var had unix.Rlimit
	must(t, unix.Prlimit(child.Process.Pid, unix.RLIMIT_FSIZE, nil, &had))
	limit := unix.Rlimit{Cur: uint64(info.Size()) + 4096, Max: had.Max}
	must(t, unix.Prlimit(child.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil))
	large := strings.Repeat("y", 1_000_000)
	code, n := 204, 0
	for ; code == 204 && n < 200; n++ {
		code = patch(fmt.Sprint("large", n), large) // each under a name of its own, so that nothing makes room
	}
	if code != 507 {
		t.Fatalf("write %d without room: %d, want 507", n, code)
	}
	for range 3 {
		if code := patch("more", large); code != 507 {
			t.Errorf("another write without room: %d", code)
		}
		if keys := r.keys(t, token, secrets); !strings.Contains(keys, "before") || strings.Contains(keys, "more") {
			t.Errorf("read without room: %s", keys)
		}
	}
	if status, message := r.dataHealth(t); status != "fail" || !strings.Contains(message, "room") {
		t.Errorf("the health without room: %s, %q", status, message)
	}
	if out, _, err := influxdOn(t, dir, "check"); err != nil {
		t.Errorf("the file without room: %v\n%s", err, out)
	}
	must(t, unix.Prlimit(child.Process.Pid, unix.RLIMIT_FSIZE, &had, nil))
	if code := patch("after", large); code != 204 {
		t.Errorf("when there is room again: %d", code)
	}
	if keys := r.keys(t, token, secrets); !strings.Contains(keys, "after") {
		t.Errorf("after it: %s", keys)
	}
	if status, message := r.dataHealth(t); status != "pass" {
		t.Errorf("the health after it: %s, %q", status, message)
	}
}

// dataHealth is what /health says of the data file.
func (r *running) dataHealth(t *testing.T) (status, message string) {
	t.Helper()
	var health struct {
		Checks []struct{ Name, Status, Message string }
	}
	r.call(t, "GET", "/health", "", "", 200, &health)
	for _, c := range health.Checks {
		if c.Name == "data" {
			return c.Status, c.Message
		}
	}
	t.Fatalf("no check of the data: %+v", health)
	return "", ""
}

// TestReadOnlyFileSystem starts where nothing can be written: what is there is read, and what cannot be done is told.
func TestReadOnlyFileSystem(t *testing.T) {
	if err := exec.CommandContext(t.Context(), "unshare", "-rm", "true").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("nothing can be mounted here: %v", err)
		}
		t.Skipf("nothing can be mounted here: %v", err)
	}
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"before":"x"}`, 204, nil)
	s.end(t)
	url, child := startCommand(t, dir, "--audit-sinks=stdout", exec.Command("unshare", "-rm", "sh", "-c",
		`mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2"`, "sh", dir, os.Args[0]))
	defer func() {
		must(t, child.Process.Kill())
		child.Wait()
	}()
	r := &running{url: url}
	if keys := r.keys(t, token, secrets); !strings.Contains(keys, "before") {
		t.Errorf("the names are %s", keys)
	}
	r.call(t, "PATCH", secrets, token, `{"after":"x"}`, 503, nil)
	if status, message := r.dataHealth(t); status != "fail" || !strings.Contains(message, "read-only") {
		t.Errorf("the health: %s, %q", status, message)
	}
}

// TestLostDataFile takes the data file away from below a server: nothing is acknowledged any more, it is told, and a
// restore waits for its end.
func TestLostDataFile(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"before":"x"}`, 204, nil)
	backup := backupOf(t, s, token)
	file := filepath.Join(dir, "influxd.bolt")
	must(t, os.Rename(file, file+".aside"))
	must(t, os.Remove(file+".pid"))
	s.call(t, "PATCH", secrets, token, `{"after":"x"}`, 503, nil)
	if keys := s.keys(t, token, secrets); !strings.Contains(keys, "before") || strings.Contains(keys, "after") {
		t.Errorf("the names are %s", keys)
	}
	if status, message := s.dataHealth(t); status != "fail" || !strings.Contains(message, "removed") {
		t.Errorf("the health: %s, %q", status, message)
	}
	if _, _, err := influxdOn(t, dir, "restore", "--from", backup); err == nil ||
		!strings.Contains(err.Error(), "in use") {
		t.Errorf("a restore beside it: %v", err)
	}
	for range 50 {
		if strings.Contains(s.stderr.String(), "cannot be written to") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if log := s.stderr.String(); !strings.Contains(log, "the data file was removed") {
		t.Errorf("the log says\n%s", log)
	}
	s.end(t)
	if out, _, err := influxdOn(t, dir, "restore", "--from", backup); err != nil {
		t.Errorf("a restore after its end: %v\n%s", err, out)
	}
	s = start(t, dir)
	if keys := s.keys(t, token, secrets); !strings.Contains(keys, "before") {
		t.Errorf("restored, the names are %s", keys)
	}
}

// TestReadOnlyFile starts on a file that cannot be written to.
func TestReadOnlyFile(t *testing.T) {
	dir := t.TempDir()
	start(t, dir).end(t)
	path := filepath.Join(dir, "influxd.bolt")
	must(t, os.Chmod(path, 0o400))
	child := unprivileged(t, dir)
	out, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(out), path) || !strings.Contains(string(out), "permission denied") {
		t.Errorf("on a read-only file: %v\n%s", err, out)
	}
	if out, _, err := influxdOn(t, dir, "check"); err != nil {
		t.Errorf("check of a read-only file: %v\n%s", err, out)
	}
}

// unprivileged is a start of the server on the folder as somebody whom the modes of files stop.
func unprivileged(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), killEnv+"="+dir)
	if os.Getuid() == 0 { // whom a mode does not stop
		const nobody = 65534
		for at := dir; at != os.TempDir(); at = filepath.Dir(at) {
			must(t, os.Chmod(at, 0o755))
		}
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			must(t, os.Chown(filepath.Join(dir, e.Name()), nobody, nobody))
		}
		must(t, os.Chown(dir, nobody, nobody))
		binary := filepath.Join(t.TempDir(), "influxd")
		must(t, os.WriteFile(binary, readFile(t, os.Args[0]), 0o755))
		must(t, os.Chmod(filepath.Dir(binary), 0o755))
		child.Path = binary
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return child
}

// TestReadOnlyAudit starts where the audit log, its folder, or the whole file system cannot be written to: the refusal
// names the setting, the file and what to do.
func TestReadOnlyAudit(t *testing.T) {
	dir := t.TempDir()
	start(t, dir).end(t)
	log := filepath.Join(dir, "audit.log")
	refused := func(what, place string, child *exec.Cmd) {
		t.Helper()
		out, err := child.CombinedOutput()
		for _, want := range []string{"audit-sinks", place, "name another file, or the sinks stdout or syslog"} {
			if err == nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: %v, without %q\n%s", what, err, want, out)
			}
		}
	}
	must(t, os.Chmod(log, 0o400))
	refused("a file", log, unprivileged(t, dir))

	must(t, os.Chmod(log, 0o600))
	closed := filepath.Join(dir, "closed")
	must(t, os.Mkdir(closed, 0o500))
	child := unprivileged(t, dir)
	other := filepath.Join(closed, "audit.log")
	child.Env = append(child.Env, flagEnv+"=--audit-sinks=file:"+other)
	refused("a folder", other, child)

	child = unprivileged(t, dir)
	other = filepath.Join(closed, "below", "audit.log")
	child.Env = append(child.Env, flagEnv+"=--audit-sinks=file:"+other)
	refused("a folder that is to be made", other, child)

	// It starts again once it can be written to.
	start(t, dir).end(t)
}

// TestEndAfterAFaultInTheMap takes the pages away from below a server that runs: it answers with errors, and ends when
// it is asked to. No request is held.
func TestEndAfterAFaultInTheMap(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.end(t)
	url, child := startChild(t, dir, "--shutdown-timeout=1s")
	client := http.Client{Timeout: time.Minute}
	must(t, os.Truncate(filepath.Join(dir, "influxd.bolt"), 0))
	for range 3 {
		req, err := http.NewRequestWithContext(t.Context(), "PATCH", url+secrets, strings.NewReader(`{"a":"b"}`))
		must(t, err)
		req.Header.Set("Authorization", "Token "+token)
		res, err := client.Do(req)
		must(t, err)
		res.Body.Close()
		if res.StatusCode < 500 {
			t.Errorf("a write without a file: %s", res.Status)
		}
	}
	must(t, child.Process.Signal(syscall.SIGTERM))
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		must(t, child.Process.Kill())
		t.Error("it does not end")
	}
}
