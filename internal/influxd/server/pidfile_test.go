package server

import (
	"os"
	"path/filepath"
	"testing"

	"strongroom/internal/influxd/config"
)

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
