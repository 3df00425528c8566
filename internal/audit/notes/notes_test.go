package notes

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/audit"
)

type trail struct {
	entries []audit.Entry
	err     error
}

func (t *trail) Record(_ context.Context, e audit.Entry) error {
	if t.err == nil {
		t.entries = append(t.entries, e)
	}
	return t.err
}

func TestNotes(t *testing.T) {
	path, key := filepath.Join(t.TempDir(), "notes"), make([]byte, 32)
	var log bytes.Buffer
	to, logger := &trail{err: errors.New("the disk is full")}, slog.New(slog.NewTextHandler(&log, nil))
	take := func() error { return Take(t.Context(), path, key, to, logger) }
	if err := take(); err != nil {
		t.Errorf("without a file: %v", err)
	}
	for _, action := range []string{"one", "two"} {
		if err := Add(path, key, audit.Entry{Action: action, Outcome: audit.Allowed}); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// What the log does not take stays.
	if err := take(); err == nil {
		t.Error("taken by a log that takes nothing")
	}
	to.err = nil
	if err := take(); err != nil || len(to.entries) != 2 || to.entries[1].Action != "two" {
		t.Errorf("taken: %v, %v", to.entries, err)
	}
	if err := take(); err != nil || len(to.entries) != 2 {
		t.Errorf("taken again: %v, %v", to.entries, err)
	}

	// What somebody has written without the key, or what was cut off, is told and not believed.
	if err := Add(path, bytes.Repeat([]byte{1}, 32), audit.Entry{Action: "forged"}); err != nil {
		t.Fatal(err)
	}
	if err := Add(path, key, audit.Entry{Action: "three"}); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`abc {"action":`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := take(); err != nil || len(to.entries) != 3 || strings.Count(log.String(), "not genuine") != 2 {
		t.Errorf("taken: %v, %v; the log has\n%s", to.entries, err, log.String())
	}
	if b, err := os.ReadFile(path); err != nil || len(b) > 0 {
		t.Errorf("%d bytes are left, %v", len(b), err)
	}

	if err := os.WriteFile(path, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Add(path, key, audit.Entry{Action: "four"}); err == nil ||
		!strings.Contains(err.Error(), "start the server") {
		t.Errorf("a full file: %v", err)
	}
}
