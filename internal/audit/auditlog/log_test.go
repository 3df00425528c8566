package auditlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"strongroom/internal/audit"
	"strongroom/internal/audit/chain"
	"strongroom/internal/audit/sink"
	"strongroom/internal/errs"
)

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	foreign, inFile := filepath.Join(dir, "foreign"), filepath.Join(dir, "foreign", "audit.log")
	write(t, foreign, "127.0.0.1 - GET /\n")
	held := filepath.Join(dir, "held")
	start(t, held)
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	free := filepath.Join(dir, "free")
	for _, tt := range []struct {
		name  string
		sinks []string
		want  string
	}{
		{"none", nil, "has no sink"},
		{"unknown", []string{"sdtout"}, `"sdtout" is not an audit sink: use file:/path`},
		{"empty", []string{""}, "is not an audit sink"},
		{"no path", []string{"file:"}, "is not an audit sink"},
		{"a folder", []string{dir}, "it is a folder; name a file in it"},
		{"below a file", []string{"file:" + inFile}, "not a directory"},
		{"a pipe", []string{fifo}, "not a regular file"},
		{"another file", []string{foreign}, "something else than an audit log"},
		{"held", []string{held}, "another process writes it"},
		{"twice", []string{free, "file:" + free}, "another process writes it"},
		{"stdout twice", []string{"stdout", "stdout"}, "named twice"},
		{"syslog without a port", []string{"syslog:udp://localhost"}, "is not a syslog address"},
		{"syslog over http", []string{"syslog:http://localhost:514"}, "is not a syslog address"},
		{"syslog without a daemon", []string{"syslog:unix://" + dir + "/none"}, "no syslog daemon answers"},
		{"one of two", []string{free, "sdtout"}, "is not an audit sink"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Open(Config{Sinks: tt.sinks, ChainKey: testKey, Stdout: io.Discard})
			if err == nil {
				l.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if got := read(t, foreign); got != "127.0.0.1 - GET /\n" {
		t.Errorf("the other file was changed: %q", got)
	}
	if _, err := Open(Config{Sinks: []string{free}, ChainKey: testKey[:31]}); err == nil ||
		!strings.Contains(err.Error(), "at least 32") {
		t.Errorf("a short key: %v", err)
	}
	start(t, free) // nothing above holds it
}

// failing is a writer that takes some bytes and then fails, as long as it is told to.
type failing struct {
	bytes.Buffer
	err error
}

func (f *failing) Write(b []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.Buffer.Write(b)
}

func TestRecordRefused(t *testing.T) {
	out := &failing{}
	var log strings.Builder
	l, err := Open(Config{Sinks: []string{"stdout"}, ChainKey: testKey, Stdout: out,
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	out.err = errors.New("the pipe is broken")
	for range 3 {
		err := l.Record(t.Context(), applied(1))
		if !errs.Is(err, errs.Unavailable) ||
			errs.Message(err) != "the audit log cannot be written; see the server's log" {
			t.Fatalf("got %v", err)
		}
	}
	if n := strings.Count(log.String(), "the pipe is broken"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	if s := l.Stats(); s.Refused != 3 || s.Written != 1 || s.Seq != 1 ||
		s.Sinks[0] != (sink.Stats{Name: "stdout", Failures: 3, Failing: true}) {
		t.Errorf("stats %+v", s)
	}
	out.err = nil
	record(t, l, applied(2))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r := check(t, out.String()); !r.OK() || r.Verified != 3 {
		t.Errorf("after the recovery: %+v", r)
	}
	if err := l.Record(t.Context(), applied(3)); !errs.Is(err, errs.Unavailable) {
		t.Errorf("after Close: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
}

// TestOneOfTwoFails: the act goes on, the failure is logged and counted, and what the sink lacks shows.
func TestOneOfTwoFails(t *testing.T) {
	out := &failing{}
	var log strings.Builder
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(Config{Sinks: []string{path, "stdout"}, ChainKey: testKey, Stdout: out,
		Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	out.err = errors.New("the pipe is broken")
	record(t, l, applied(1), applied(2))
	out.err = nil
	record(t, l, applied(3))
	if s := l.Stats(); s.Sinks[1].Failures != 2 || s.Sinks[1].Failing || s.Refused != 0 {
		t.Errorf("stats %+v", s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole(t, 5, path)
	if got := fmt.Sprint(kinds(check(t, out.String()))); got != "[missing 2-3 at 2]" {
		t.Errorf("the sink that failed: %s", got)
	}
	if !strings.Contains(log.String(), "works again") || !strings.Contains(log.String(), "lines=2") {
		t.Errorf("log:\n%s", log.String())
	}
}

func TestRecordAfterContextEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := start(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Record(ctx, applied(1)); err != nil {
		t.Error(err)
	}
	if s := l.Stats(); s.Seq != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestFileModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "audit.log")
	start(t, path)
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir} {
		if info, err := os.Stat(p); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", p, info.Mode(), err, want)
		}
	}
}

func TestSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l := start(t, "syslog:unix://"+path)
	record(t, l, applied(1))
	var text strings.Builder
	for range 2 {
		buf := make([]byte, chain.MaxLine)
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		head, line, ok := strings.Cut(string(buf[:n]), ": {")
		if !ok || !strings.HasPrefix(head, "<86>") ||
			!strings.HasSuffix(head, fmt.Sprintf(" influxd[%d]", os.Getpid())) {
			t.Fatalf("message %q", buf[:n])
		}
		text.WriteString("{" + line)
	}
	if r := check(t, text.String()); !r.OK() || r.Verified != 2 {
		t.Errorf("%+v\n%s", r, text.String())
	}
	// Without the daemon the line is refused; with a new one it is taken.
	conn.Close()
	os.Remove(path)
	if err := l.Record(t.Context(), applied(2)); !errs.Is(err, errs.Unavailable) {
		t.Errorf("without the daemon: %v", err)
	}
	again, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	record(t, l, applied(2))
}

// TestConcurrent: whatever the order in which entries come, the file is one chain, also while it
// is rotated and searched.
func TestConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := start(t, path)
	const writers, each = 8, 200
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				if err := l.Record(t.Context(), applied(w*each+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		if _, err := l.Query(t.Context(), audit.Filter{OrgID: "031c8cbefe103000", Key: "key1"}); err != nil {
			t.Error(err)
		}
		l.Stats()
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Error(err)
	}
	if err := l.Reopen(); err != nil {
		t.Error(err)
	}
	group.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	whole(t, writers*each+3, path+".1", path)
}
