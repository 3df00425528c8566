package auditlog

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"strongroom/internal/audit/verify"
	"strongroom/internal/errs"
)

// TestTorn: whatever a crash left at the end of the file, the log goes on, and verify tells it from an altered line.
func TestTorn(t *testing.T) {
	for _, tt := range []struct {
		name string
		rest string
		want string
	}{
		{"half a line", `{"seq":6,"time":"2026-01-01T00:00:00Z","acti`, "[torn 0-0 at 6]"},
		{"a line without its end", "", "[]"},
		{"zeros", strings.Repeat("\x00", 5000), "[torn 0-0 at 6]"},
		{"two pieces", "{\"seq\":6,\n{\"se", "[torn 0-0 at 6]"},
		{"the end of a line only", "\n", "[torn 0-0 at 6]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := written(t, 3)
			text := read(t, path)
			if tt.name == "a line without its end" {
				text = strings.TrimSuffix(text, "\n")
			}
			write(t, path, text+tt.rest)
			l := start(t, path)
			record(t, l, applied(4))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			r := check(t, read(t, path))
			if got := fmt.Sprint(kinds(r)); got != tt.want || !r.OK() {
				t.Errorf("findings %s, want %s\n%s", got, tt.want, read(t, path))
			}
			// What stands for a torn line cannot be more than was torn.
			more := strings.Replace(read(t, path), "\n{", "\nsome text that was not there before\n{", 1)
			if r := check(t, more); r.OK() {
				t.Errorf("added text is taken for a torn line: %+v", r)
			}
		})
	}
}

// TestTornFirstLine: a crash while the first line was written leaves a file that is still ours.
func TestTornFirstLine(t *testing.T) {
	for _, rest := range []string{"{", `{"seq":1,"ti`, "\x00\x00\x00", "\n"} {
		path := filepath.Join(t.TempDir(), "audit.log")
		write(t, path, rest)
		l := start(t, path)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if r := check(t, read(t, path)); !r.OK() || r.Verified != 2 || r.First != 1 {
			t.Errorf("%q: %+v", rest, r)
		}
	}
}

// TestCrash: a log that was not closed goes on, with a note.
func TestCrash(t *testing.T) {
	path := written(t, 3)
	all := linesOf(t, path)
	write(t, path, strings.Join(all[:3], ""))
	if err := start(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(kinds(whole(t, 5, path))); got != "[unclean 4-4 at 4]" {
		t.Errorf("findings %s", got)
	}
}

// TestOtherKey: a log continued with another key, or after its last line was altered, says so at once.
func TestOtherKey(t *testing.T) {
	path := written(t, 3)
	var log strings.Builder
	l, err := Open(Config{Sinks: []string{path}, ChainKey: bytes.Repeat([]byte{8}, 32),
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if !strings.Contains(log.String(), "does not fit the chain key") {
		t.Errorf("log: %s", log.String())
	}
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := start(t, path)
	record(t, l, applied(1))
	if err := l.Reopen(); err != nil { // nothing was renamed
		t.Fatal(err)
	}
	if n := len(linesOf(t, path)); n != 2 {
		t.Fatalf("%d lines after a signal for nothing", n)
	}

	// A file that cannot be opened leaves the log with the one it has.
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	write(t, path, "something else\n")
	if err := l.Reopen(); err == nil || !strings.Contains(err.Error(), "something else than an audit log") {
		t.Errorf("got %v", err)
	}
	record(t, l, applied(2))
	os.Remove(path)

	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	record(t, l, applied(3))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	// While the server is down, too.
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = start(t, path)
	record(t, l, applied(4))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole(t, 9, path+".2", path+".1", path)
	if r := check(t, read(t, path+".1")); r.OK() || r.Verified != 3 || fmt.Sprint(kinds(r)) != "[beginning 4-4 at 1]" {
		t.Errorf("one file alone: %+v", r)
	}
	r, err := verify.Sources(t.Context(), testKey, verify.Expect{OlderRemoved: true},
		verify.Source{Name: "a", Reader: strings.NewReader(read(t, path+".1"))})
	if err != nil || !r.OK() || fmt.Sprint(kinds(r)) != "[continues 4-4 at 1]" {
		t.Errorf("where the older ones were put away: %+v, %v", r, err)
	}
	if err := verify.Files(t.Context(), []string{path, path + ".1", path + ".2"}, testKey, verify.Expect{},
		&strings.Builder{}); err != nil {
		t.Errorf("in the order of their names: %v", err)
	}
	if r := check(t, read(t, path+".2"), read(t, path)); r.OK() {
		t.Error("a file left out was not missed")
	}
}

// TestFileSizeLimit meets the system's own short writes: this test runs itself again with a limit on the size of files.
func TestFileSizeLimit(t *testing.T) {
	const env = "STRONGROOM_TEST_LIMITED_LOG"
	path := os.Getenv(env)
	if path == "" {
		path = filepath.Join(t.TempDir(), "audit.log")
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFileSizeLimit$")
		cmd.Env = append(os.Environ(), env+"="+path)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		whole(t, len(linesOf(t, path)), path)
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	l := start(t, path)
	before := limit.Cur
	limit.Cur = 4096
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = l.Record(t.Context(), applied(i))
	}
	if !errs.Is(err, errs.Unavailable) || !errors.Is(err, syscall.EFBIG) {
		t.Errorf("got %v", err)
	}
	limit.Cur = before
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	record(t, l, applied(100))
}
