package ownfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// as has the process be another user's.
func as(t *testing.T, uid int) {
	t.Helper()
	was := user
	user = func() int { return uid }
	t.Cleanup(func() { user = was })
}

// of is what is known of a file.
type of struct {
	fs.FileInfo
	mode fs.FileMode
	uid  uint32
}

func (o of) Mode() fs.FileMode { return o.mode }
func (o of) Sys() any          { return &syscall.Stat_t{Uid: o.uid} }

func TestSecret(t *testing.T) {
	const me = 1000
	for _, tt := range []struct {
		as   int
		mode fs.FileMode
		uid  uint32
		want string // "" where it may be used
	}{
		{me, 0o644, me, "chmod 600"}, {me, 0o640, me, "chmod 600"}, {me, 0o660, me, "chmod 600"},
		{me, 0o604, me, "chmod 600"}, {me, 0o600, me, ""}, {me, 0o400, me, ""},
		{me, 0o644, 0, "defaultMode: 0440"}, {me, 0o660, 0, "chmod 640"}, {me, 0o444, 0, "chmod 640"},
		{me, 0o440, 0, ""}, {me, 0o640, 0, ""}, {me, 0o400, 0, ""},
		{me, 0o600, 1001, "chown 1000"}, {me, 0o640, 1001, "chown 1000"},
		{0, 0o600, me, ""}, {0, 0o640, me, "chmod 600"}, {0, 0o640, 0, "chmod 600"}, {0, 0o600, 0, ""},
	} {
		as(t, tt.as)
		err := Secret("/x", of{mode: tt.mode, uid: tt.uid})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("user %d, a file of %d with mode %04o: %v, want %q", tt.as, tt.uid, tt.mode, err, tt.want)
		}
	}
}

func TestCloseSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[fs.FileMode]fs.FileMode{0o600: 0o600, 0o660: 0o600, 0o644: 0o600, 0o440: 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		was := CloseSecret(link)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want || (was != 0) != (mode != want) {
			t.Errorf("mode %04o became %v (%v), told as %04o", mode, info.Mode(), err, was)
		}
	}
	as(t, os.Geteuid()+1)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if was := CloseSecret(path); was != 0 {
		t.Error("another user's file was set right")
	}
}

func TestGuard(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "influxd.bolt")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	set := func(folder, file fs.FileMode) {
		t.Helper()
		for p, m := range map[string]fs.FileMode{dir: folder, path: file} {
			if err := os.Chmod(p, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	if changed, err := Guard(path); err != nil || len(changed) != 0 {
		t.Errorf("a file that is not there yet: %q, %v", changed, err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		folder, file fs.FileMode
		changed      int
	}{
		{0o700, 0o600, 0}, {0o750, 0o640, 0}, {0o770, 0o660, 0}, {0o770 | fs.ModeSetgid, 0o660, 0},
		{0o777 | fs.ModeSticky, 0o600, 0}, {0o700, 0o666, 1}, {0o777, 0o600, 1}, {0o777 | fs.ModeSetgid, 0o606, 2},
	} {
		set(tt.folder, tt.file)
		changed, err := Guard(path)
		if err != nil || len(changed) != tt.changed {
			t.Errorf("%v, %v: %q, %v", tt.folder, tt.file, changed, err)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode()&fs.ModeSetgid != tt.folder&fs.ModeSetgid {
			t.Errorf("%v became %v, %v", tt.folder, info.Mode(), err)
		}
		if again, err := Guard(path); err != nil || len(again) != 0 {
			t.Errorf("a second time: %q, %v", again, err)
		}
	}
	// it is left to those who open it
	if changed, err := Guard("/dev/null/audit.log"); err != nil || len(changed) != 0 {
		t.Errorf("below a device: %q, %v", changed, err)
	}
	as(t, os.Geteuid()+1)
	for _, tt := range []struct{ folder, file fs.FileMode }{{0o700, 0o602}, {0o707, 0o600}} {
		set(tt.folder, tt.file)
		if _, err := Guard(path); err == nil || !strings.Contains(err.Error(), "chmod o-w ") {
			t.Errorf("another user's, %v, %v: %v", tt.folder, tt.file, err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	set(0o707, 0o600)
	if _, err := Guard(link); err == nil || !strings.Contains(err.Error(), "chmod o-w "+dir+"`") {
		t.Errorf("another user's folder, to which a link leads: %v", err)
	}
	set(0o700, 0o600)
	if _, err := Guard(path); os.Geteuid() != 0 && (err == nil || !strings.Contains(err.Error(), "chown")) {
		t.Errorf("another user's file: %v", err)
	}
	as(t, 0)
	if _, err := Guard(path); err != nil {
		t.Errorf("for root: %v", err)
	}
}
