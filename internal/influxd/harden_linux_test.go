package influxd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHarden runs in a process of its own, since what Harden does cannot be undone.
func TestHarden(t *testing.T) {
	if path := os.Getenv("STRONGROOM_TEST_HARDEN"); path != "" {
		if err := Harden(); err != nil {
			t.Fatal(err)
		}
		var core unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
			t.Fatal(err)
		}
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if core.Cur != 0 || core.Max != 0 || dumpable != 0 {
			t.Fatalf("core limit %+v, dumpable %d", core, dumpable)
		}
		if err := os.WriteFile(path, []byte(fmt.Sprint(os.Getpid())), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "made")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHarden$")
	child.Env = append(os.Environ(), "STRONGROOM_TEST_HARDEN="+path)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("a file made with mode 0666 has %o", mode)
	}
}
