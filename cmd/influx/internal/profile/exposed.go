package profile

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// exposed says who else can get at a file with tokens in it, and what to do about it. The rule is PostgreSQL's for its
// keys: nobody but the owner, but a file of root may be readable for a group that the user is in, as secrets are that
// Kubernetes and packages put there.
func exposed(path string, info fs.FileInfo, me user) string {
	mode := info.Mode().Perm()
	if mode&0o077 == 0 || !info.Mode().IsRegular() {
		return ""
	}
	uid, gid, known := owner(info)
	mine := !known || uid == me.uid
	if !mine && uid == 0 && mode&0o037 == 0 && slices.Contains(me.groups, gid) {
		return ""
	}
	who, can := "its group", "read"
	if mode&0o007 != 0 {
		who = "other users"
	}
	if mode&0o022 != 0 {
		can = "change"
	}
	advice := "run: chmod 600 " + path
	if !mine && me.uid != 0 {
		advice = "its owner alone can mend that; keep a file of your own, and name it with --configs-path"
	}
	return fmt.Sprintf("%s can %s %s, and it holds tokens; %s", who, can, path, advice)
}

// user is whom the process runs as.
type user struct {
	uid    int
	groups []int
}

func currentUser() user {
	groups, _ := os.Getgroups() // without them there is the effective one
	return user{os.Geteuid(), append(groups, os.Getegid())}
}
