package auditlog

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/audit/verify"
)

var testKey = bytes.Repeat([]byte{7}, 32)

// start opens a log on the sinks and closes it with the test.
func start(t testing.TB, sinks ...string) *Log {
	t.Helper()
	l, err := Open(Config{Sinks: sinks, ChainKey: testKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func record(t testing.TB, l *Log, entries ...audit.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := l.Record(context.Background(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// applied is an entry as most are; n tells it from others.
func applied(n int) audit.Entry {
	return audit.Entry{
		Time: time.Unix(1_700_000_000+int64(n), 0), RequestID: fmt.Sprint("r", n), UserID: "031c8cbefe101000",
		User: "alice", AuthorizationID: "031c8cbefe102000", Address: "127.0.0.1:5000", Action: "secrets.apply",
		OrgID: "031c8cbefe103000", Keys: []string{fmt.Sprint("key", n)}, Outcome: audit.Allowed,
	}
}

// written makes a log of the entries applied(1) to applied(n), in order ended, and returns its file. With the lines
// that open and close it, it has n+2.
func written(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	l := start(t, path)
	for i := range n {
		record(t, l, applied(i+1))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func linesOf(t testing.TB, path string) []string {
	t.Helper()
	return strings.SplitAfter(strings.TrimSuffix(read(t, path), "\n")+"\n", "\n")[:strings.Count(read(t, path), "\n")]
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// check verifies the texts as the files of a log.
func check(t testing.TB, texts ...string) verify.Report {
	t.Helper()
	var sources []verify.Source
	for i, text := range texts {
		sources = append(sources, verify.Source{Name: fmt.Sprint("file", i+1), Reader: strings.NewReader(text)})
	}
	r, err := verify.Sources(t.Context(), testKey, verify.Expect{}, sources...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// whole fails the test unless the files make a whole log of n lines.
func whole(t testing.TB, n int, paths ...string) verify.Report {
	t.Helper()
	var texts []string
	for _, p := range paths {
		texts = append(texts, read(t, p))
	}
	r := check(t, texts...)
	if !r.OK() || r.Lines != uint64(n) || r.Verified != uint64(n) {
		t.Fatalf("the log is not whole, or has not %d lines: %+v", n, r)
	}
	return r
}

// kinds are the kinds of the findings with what they are about.
func kinds(r verify.Report) []string {
	var s []string
	for _, f := range r.Findings {
		s = append(s, fmt.Sprintf("%s %d-%d at %d", f.Kind, f.Seq, f.To, f.Line))
	}
	return s
}
