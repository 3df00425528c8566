package sink

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"strongroom/internal/audit"
)

// lacks leaves a test out where the machine has not what it takes; in CI that is a failure.
func lacks(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("this needs %s: %v", what, err)
	}
	t.Skipf("this needs %s: %v", what, err)
}

// onSmallDisk runs the test once more in a child that has a file system of its own at the folder it is given.
func onSmallDisk(t *testing.T, run func(t *testing.T, dir string)) {
	const env = "STRONGROOM_TEST_SMALL_DISK"
	dir := os.Getenv(env)
	if dir != "" {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
			lacks(t, "a file system of one's own", err)
		}
		run(t, dir)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), env+"="+t.TempDir())
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	out, err := child.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "operation not permitted") {
		lacks(t, "a namespace of one's own", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestReserveOutlivesTheServer: a start on a full disk has what was left of the reserve.
func TestReserveOutlivesTheServer(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string) {
		path := filepath.Join(dir, "audit.log")
		if _, err := openFile(path); err != nil { // the process ends without closing it, so to speak
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(dir, "fill"))
		if err != nil {
			t.Fatal(err)
		}
		for chunk := make([]byte, 4096); err == nil; _, err = f.Write(chunk) {
		}
		next, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		s := &fileSink{path: path, f: next, room: new(room)}
		s.room.begin(next, 0)
		if err := s.write(make([]byte, 1000), audit.ReserveAll); err != nil {
			t.Errorf("the reserve is gone: %v", err)
		}
	})
}
