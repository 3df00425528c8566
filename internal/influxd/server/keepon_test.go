package server

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/influxd/config"
)

// TestBackgroundOutlivesPanic: it is told, and begun again, until it ends by itself or is to end.
func TestBackgroundOutlivesPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		n := 0
		keepOn(t.Context(), log, func(context.Context) {
			if n++; n < 4 {
				panic("oh no")
			}
		})
		if n != 4 || strings.Count(said.String(), "oh no") != 3 || !strings.Contains(said.String(), "keepon_test.go") {
			t.Errorf("begun %d times, said:\n%s", n, said.String())
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		keepOn(ctx, log, func(context.Context) { panic("for ever") })
		if ctx.Err() == nil {
			t.Error("it ended before its time")
		}
	})
}

// TestPIDFileFollowsNoLink: a link in the place of the file is replaced, and what it leads to stays as it was.
func TestPIDFileFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	other, pid := filepath.Join(dir, "other"), filepath.Join(dir, "pid")
	if err := os.WriteFile(other, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, pid); err != nil {
		t.Fatal(err)
	}
	if _, err := writePIDFile(&config.Config{PIDFile: pid}); err == nil {
		t.Error("a link was taken for no file")
	}
	remove, err := writePIDFile(&config.Config{PIDFile: pid, OverwritePIDFile: true})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(other); err != nil || string(b) != "theirs" {
		t.Errorf("the other file has %q, %v", b, err)
	}
	if info, err := os.Lstat(pid); err != nil || info.Mode() != 0o644 {
		t.Errorf("the pid file: %v, %v", info, err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}
