package auditlog

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/audit/chain"
	"strongroom/internal/audit/verify"
)

// marks are kept in memory.
type marks struct{ b []byte }

func (m *marks) Load(context.Context) ([]byte, error)   { return m.b, nil }
func (m *marks) Save(_ context.Context, b []byte) error { m.b = bytes.Clone(b); return nil }
func (m *marks) expect(t *testing.T) verify.Expect {
	t.Helper()
	mark, err := chain.ParseMark(m.b, testKey)
	if err != nil {
		t.Fatal(err)
	}
	return verify.Expect{Mark: &mark}
}

// marked opens a log with marks, and gives what it says.
func marked(t *testing.T, m *marks, sinks ...string) (*Log, *strings.Builder) {
	t.Helper()
	var said strings.Builder
	l, err := Open(Config{Sinks: sinks, ChainKey: testKey, Marks: m, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, &said
}

// TestWhatIsCutOffShows: whatever is taken off the log's end while the server is down, the file itself among it, is
// missed by the next start and by those who verify before or after it.
func TestWhatIsCutOffShows(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(path string) error
		lost   string // "" where nothing is
		before string // what is found before the next start
		after  string
	}{
		"nothing":   {func(string) error { return nil }, "", "[]", "[]"},
		"the file":  {os.Remove, "lines 1 to 12 of the audit log are gone", "", "[beginning 13-13 at 1]"},
		"all lines": {func(p string) error { return os.Truncate(p, 0) }, "lines 1 to 12", "", "[beginning 13-13 at 1]"},
		"back to a close": {func(p string) error {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			l := bytes.SplitAfter(b, []byte("\n"))
			return os.WriteFile(p, bytes.Join(l[:6], nil), 0o600)
		}, "lines 7 to 12", "[cut off 7-12 at 7]", "[missing 7-12 at 7]"},
		"to a name with a date": {func(p string) error { return os.Rename(p, p+"-20261127") }, "", "", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &marks{}
			path := filepath.Join(t.TempDir(), "audit.log")
			for range 2 { // two runs of six lines
				l, said := marked(t, m, path)
				record(t, l, applied(1), applied(2), applied(3), applied(4))
				if err := l.Close(); err != nil || strings.Contains(said.String(), "lost") {
					t.Fatalf("%v\n%s", err, said)
				}
			}
			if err := tt.change(path); err != nil {
				t.Fatal(err)
			}
			if tt.before != "" {
				r, err := verify.Sources(t.Context(), testKey, m.expect(t), verify.Source{Name: "a", Reader: strings.NewReader(read(t, path))})
				if err != nil || fmt.Sprint(kinds(r)) != tt.before || r.OK() != (tt.before == "[]") {
					t.Errorf("before the next start: %+v, %v", kinds(r), err)
				}
			}
			l, said := marked(t, m, path)
			if h := l.Health(t.Context()); (len(h.Problems) > 0) != (tt.lost != "") || !h.OK {
				t.Errorf("health: %+v", h)
			}
			if !strings.Contains(said.String(), tt.lost) || tt.lost == "" && said.Len() > 0 {
				t.Errorf("the start says:\n%s", said)
			}
			record(t, l, applied(5))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			var sources []verify.Source
			for _, p := range []string{path + "-20261127", path} {
				if b, err := os.ReadFile(p); err == nil {
					sources = append(sources, verify.Source{Name: p, Reader: bytes.NewReader(b)})
				}
			}
			r, err := verify.Sources(t.Context(), testKey, m.expect(t), sources...)
			if err != nil || fmt.Sprint(kinds(r)) != tt.after {
				t.Errorf("after it: %q, %v", kinds(r), err)
			}
		})
	}
}

// TestFileIsLostWhileRunning: a file that is removed or cut is noticed, and the next lines tell.
func TestFileIsLostWhileRunning(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"removed":  os.Remove,
		"replaced": func(p string) error { return os.WriteFile(p+".new", nil, 0o600) },
		"cut":      func(p string) error { return os.Truncate(p, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			l, said := marked(t, &marks{}, path)
			record(t, l, applied(1), applied(2))
			l.watch()
			if said.Len() > 0 {
				t.Fatalf("before: %s", said)
			}
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			if name == "replaced" {
				if err := os.Rename(path+".new", path); err != nil {
					t.Fatal(err)
				}
			}
			l.watch()
			if h := l.Health(t.Context()); len(h.Problems) != 1 || !h.OK || !strings.Contains(said.String(), "lost") {
				t.Errorf("health %+v, log %s", h, said)
			}
			record(t, l, applied(3))
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			r := check(t, read(t, path))
			if fmt.Sprint(kinds(r)) != "[beginning 4-4 at 1]" || r.Lines != 3 {
				t.Errorf("%+v\n%s", r, read(t, path))
			}
		})
	}
}

// TestRenamedFileWaits: whoever rotates logs renames the file first, and nothing is lost by it.
func TestRenamedFileWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, said := marked(t, &marks{}, path)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.watch()
	record(t, l, applied(1))
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.watch()
	if err := l.Close(); err != nil || said.Len() > 0 {
		t.Errorf("%v\n%s", err, said)
	}
	whole(t, 4, path+".1", path)
}

// TestMarksCannotBeMade: a mark that somebody else wrote is no mark.
func TestMarksCannotBeMade(t *testing.T) {
	m := &marks{}
	path := filepath.Join(t.TempDir(), "audit.log")
	l, _ := marked(t, m, path)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	good := bytes.Clone(m.b)
	for i := range good {
		altered := bytes.Clone(good)
		altered[i] ^= 1
		if _, err := chain.ParseMark(altered, testKey); err == nil {
			t.Fatalf("byte %d altered, and taken: %s", i, altered)
		}
	}
	m.b = bytes.Replace(good, []byte(`"seq":2`), []byte(`"seq":1`), 1)
	l, said := marked(t, m, path)
	if !strings.Contains(said.String(), "altered") || len(l.Health(t.Context()).Problems) != 1 {
		t.Errorf("a mark that was altered: %s", said)
	}
}

// TestDataOlderThanTheLog puts back what the data knew of the log before: a start and a check say so, once, and neither
// does after a crash.
func TestDataOlderThanTheLog(t *testing.T) {
	for _, tt := range []struct {
		name  string
		end   func(l *Log, m *marks, before []byte) []byte // what the data know then
		older bool
	}{
		{"as it ended", func(l *Log, m *marks, _ []byte) []byte { l.Close(); return m.b }, false},
		{"put back", func(l *Log, _ *marks, before []byte) []byte { l.Close(); return before }, true},
		{"a crash", func(_ *Log, _ *marks, before []byte) []byte { return before }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			m := &marks{}
			l, _ := marked(t, m, "file:"+path)
			l.Close()
			before := bytes.Clone(m.b)
			l, said := marked(t, m, "file:"+path)
			if strings.Contains(said.String(), "older") {
				t.Errorf("a start in order: %s", said)
			}
			record(t, l, applied(1))
			m.b = tt.end(l, m, before)
			var told strings.Builder
			if err := verify.Files(t.Context(), []string{path}, testKey, m.expect(t), &told); err != nil {
				t.Error(err)
			}
			if strings.Contains(told.String(), "the data are older than the audit log") != tt.older {
				t.Errorf("verify says:\n%s", &told)
			}
			if tt.name == "a crash" {
				return // the first one has the file still
			}
			if _, said = marked(t, m, "file:"+path); strings.Contains(said.String(),
				"the data are older than the audit log") != tt.older {
				t.Errorf("the start says:\n%s", said)
			}
		})
	}
}
