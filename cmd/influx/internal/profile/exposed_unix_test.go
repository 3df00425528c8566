//go:build unix

package profile

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"
)

type fileInfo struct {
	mode     fs.FileMode
	uid, gid int
}

func (f fileInfo) Name() string       { return "configs" }
func (f fileInfo) Size() int64        { return 0 }
func (f fileInfo) Mode() fs.FileMode  { return f.mode }
func (f fileInfo) ModTime() time.Time { return time.Time{} }
func (f fileInfo) IsDir() bool        { return false }
func (f fileInfo) Sys() any           { return &syscall.Stat_t{Uid: uint32(f.uid), Gid: uint32(f.gid)} }

func TestExposed(t *testing.T) {
	const me, other, group = 1000, 1001, 100
	for name, tt := range map[string]struct {
		info fileInfo
		want string
	}{
		"mine alone":      {fileInfo{0o600, me, group}, ""},
		"mine, read only": {fileInfo{0o400, me, group}, ""},
		"my group reads": {fileInfo{0o640, me, group},
			"its group can read /f, and it holds tokens; run: chmod 600 /f"},
		"my group writes": {fileInfo{0o660, me, group}, "its group can change /f, "},
		"everybody reads": {fileInfo{0o644, me, group},
			"other users can read /f, and it holds tokens; run: chmod 600 /f"},
		"everybody writes":   {fileInfo{0o666, me, group}, "other users can change /f, "},
		"another user's own": {fileInfo{0o600, other, group}, ""},
		"another user's": {fileInfo{0o644, other, group}, "other users can read /f, and it holds tokens; its owner " +
			"alone"},
		"root's, my group":  {fileInfo{0o440, 0, group}, ""},
		"root's, another's": {fileInfo{0o440, 0, 200}, "its group can read /f, and it holds tokens; its owner alone"},
		"root's, writable":  {fileInfo{0o660, 0, group}, "its group can change /f, "},
	} {
		got := exposed("/f", tt.info, user{me, []int{4, group}})
		if got != tt.want && (tt.want == "" || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if got := exposed("/f", fileInfo{0o640, 0, 0}, user{0, []int{0}}); !strings.HasSuffix(got, "chmod 600 /f") {
		t.Errorf("root's own: %q", got)
	}
}
