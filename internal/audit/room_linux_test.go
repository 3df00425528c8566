package audit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"strongroom/internal/errs"
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

// TestReserveOnFullDisk: when the disk is full, changes are refused at once, reading goes on for a while, and operators
// can act after that. Health tells it. When there is room again, all goes on.
func TestReserveOnFullDisk(t *testing.T) {
	onSmallDisk(t, func(t *testing.T, dir string) {
		path := filepath.Join(dir, "audit.log")
		l := start(t, path)
		fill := filepath.Join(dir, "fill")
		f, err := os.Create(fill)
		if err != nil {
			t.Fatal(err)
		}
		for chunk := make([]byte, 4096); err == nil; _, err = f.Write(chunk) {
		}
		f.Close()
		entry := func(r Reserve) Entry {
			e := applied(1)
			e.Keys = []string{strings.Repeat("k", 1000)}
			e.Reserve = r
			return e
		}
		refused := func(e Entry) bool {
			t.Helper()
			err := l.Record(t.Context(), e)
			if err != nil && !errs.Is(err, errs.Unavailable) {
				t.Fatal(err)
			}
			return err != nil
		}
		n := 0
		for ; !refused(entry(ReserveNone)); n++ { // the step ahead of the reserve
			if n > reserveStep/1000 {
				t.Fatal("a change may use the reserve")
			}
		}
		if h := l.Health(t.Context()); !h.OK || len(h.Problems) != 1 || !strings.Contains(h.Problems[0], "full") {
			t.Errorf("health: %+v", h)
		}
		reads := 0
		for ; !refused(entry(ReserveReads)); reads++ {
		}
		if reads < reserveSize/2/1500 {
			t.Errorf("%d lines about reading were written", reads)
		}
		for range 1000 {
			if refused(entry(ReserveAll)) {
				t.Fatal("an operator's act is refused")
			}
		}
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if h := l.Health(t.Context()); !h.OK || len(h.Problems) != 0 {
			t.Errorf("health with room again: %+v", h)
		}
		for range 1000 {
			if refused(entry(ReserveNone)) {
				t.Fatal("a change is refused though there is room again")
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil || st.Blocks*512 > st.Size+leastStep {
			t.Errorf("after the end, the file of %d bytes takes %d: %v", st.Size, st.Blocks*512, err)
		}
		if r := check(t, read(t, path)); !r.OK() {
			t.Errorf("%+v", r)
		}
	})
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
		if err := s.write(make([]byte, 1000), ReserveAll); err != nil {
			t.Errorf("the reserve is gone: %v", err)
		}
	})
}
