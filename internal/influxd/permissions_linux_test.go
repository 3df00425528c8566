package influxd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFilesOfOthers starts, as a user whom the modes of files stop, on files and folders that somebody else owns or can
// write to and that cannot be set right: it is refused, with the setting, the path and what to do.
func TestFilesOfOthers(t *testing.T) {
	if os.Getuid() != 0 { // only root can give files to others
		if os.Getenv("CI") != "" {
			t.Fatal("only root can try all of it: have CI run as root")
		}
		placesOfOthers(t)
		return
	}
	const other, nobody = 1, 65534
	type made struct {
		what  string // of "data", "audit", "data folder", "audit folder", "far folder"
		owner int
		mode  os.FileMode
		want  string // with the path after it
	}
	for _, m := range []made{
		{"data", other, 0o600, "run `chown 65534 "}, {"data", other, 0o660, "run `chown 65534 "},
		{"data", other, 0o666, "run `chmod o-w "}, {"data", 0, 0o666, "run `chmod o-w "},
		{"audit", other, 0o640, "run `chown 65534 "}, {"audit", other, 0o662, "run `chmod o-w "},
		{"data folder", other, 0o755, "run `chown 65534 "}, {"data folder", other, 0o777, "run `chmod o-w "},
		{"data folder", other, 0o777 | os.ModeSticky, "run `chown 65534 "},
		{"data folder", 0, 0o777, "run `chmod o-w "},
		{"audit folder", other, 0o755, "run `chown 65534 "}, {"audit folder", other, 0o777, "run `chmod o-w "},
		{"audit folder", 0, 0o777, "run `chmod o-w "},
		{"far folder", other, 0o755, "run `chown 65534 "}, {"far folder", other, 0o777, "run `chmod o-w "},
	} {
		t.Run(m.what+" "+m.mode.String(), func(t *testing.T) {
			dir := t.TempDir()
			far, trail := filepath.Join(dir, "far"), filepath.Join(dir, "trail")
			home := filepath.Join(dir, "home")
			for _, d := range []string{home, far, trail} {
				must(t, os.Mkdir(d, 0o755))
			}
			data, audit := filepath.Join(home, "influxd.bolt"), filepath.Join(trail, "audit.log")
			start(t, home, "--audit-sinks=file:"+audit).end(t)
			if m.what == "far folder" {
				must(t, os.Rename(data, filepath.Join(far, "influxd.bolt")))
				must(t, os.Symlink(filepath.Join(far, "influxd.bolt"), data))
				must(t, os.Chown(filepath.Join(far, "influxd.bolt"), nobody, nobody))
			}
			child := unprivileged(t, home)
			child.Env = append(child.Env, flagEnv+"=--audit-sinks=file:"+audit)
			for _, d := range []string{far, trail, audit} {
				must(t, os.Chown(d, nobody, nobody))
			}
			path, setting := data, "bolt-path"
			switch m.what {
			case "audit":
				path, setting = audit, "audit-sinks"
			case "data folder":
				path = home
			case "audit folder":
				path, setting = trail, "audit-sinks"
			case "far folder":
				path = far
			}
			must(t, os.Chown(path, m.owner, m.owner))
			must(t, os.Chmod(path, m.mode))

			var said bytes.Buffer
			child.Stdout, child.Stderr = &said, &said
			must(t, child.Start())
			stop := time.AfterFunc(time.Minute, func() { child.Process.Kill() }) // one that starts never ends
			err := child.Wait()
			stop.Stop()
			for _, want := range []string{setting, m.want + path + "`"} {
				if err == nil || !strings.Contains(said.String(), want) {
					t.Errorf("%v, without %q:\n%s", err, want, said.String())
				}
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != m.mode.Perm() {
				t.Errorf("it has the mode %v, %v", info.Mode(), err)
			}
		})
	}
}

// TestAuditFolderIsSetRight starts with the audit log in a folder of its own, and data behind a link, that everybody may
// change: it starts, with a word, and nobody else may any more.
func TestAuditFolderIsSetRight(t *testing.T) {
	dir, trail, far := t.TempDir(), t.TempDir(), t.TempDir()
	sink := "--audit-sinks=file:" + filepath.Join(trail, "audit.log")
	start(t, dir, sink).end(t)
	data := filepath.Join(far, "influxd.bolt")
	must(t, os.Rename(filepath.Join(dir, "influxd.bolt"), data))
	must(t, os.Symlink(data, filepath.Join(dir, "influxd.bolt")))
	all := []string{trail, far, data, filepath.Join(trail, "audit.log")}
	for _, p := range all {
		must(t, os.Chmod(p, 0o777))
	}
	r := start(t, dir, sink)
	r.end(t)
	for _, p := range all {
		info, err := os.Stat(p)
		if err != nil || info.Mode().Perm()&0o002 != 0 {
			t.Errorf("%s: %v, %v", p, info.Mode(), err)
		}
	}
	if n := strings.Count(r.stderr.String(), "taken from them"); n != len(all) {
		t.Errorf("the log says so %d times, want %d:\n%s", n, len(all), r.stderr.String())
	}
}

// placesOfOthers starts in places that are the system's, without being root, and in a user namespace to which they are
// another user's: data and an audit log there are refused, with what to do.
func placesOfOthers(t *testing.T) {
	t.Helper()
	const me = 1000
	link := t.TempDir()
	must(t, os.Symlink("/etc/passwd", filepath.Join(link, "influxd.bolt")))
	for _, c := range []struct{ home, flags, setting, place string }{
		{"/usr", "", "bolt-path", "/usr"},
		{link, "", "bolt-path", filepath.Join(link, "influxd.bolt")},
		{t.TempDir(), "--new-data --audit-sinks=file:/usr/audit.log", "audit-sinks", "/usr"},
		{t.TempDir(), "--new-data --audit-sinks=file:/etc/passwd", "audit-sinks", "/etc/passwd"},
	} {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), killEnv+"="+c.home)
		if c.flags != "" {
			child.Env = append(child.Env, flagEnv+"="+c.flags)
		}
		child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: me, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: me, HostID: os.Getgid(), Size: 1}}}
		var said bytes.Buffer
		child.Stdout, child.Stderr = &said, &said
		if err := child.Start(); err != nil {
			t.Skipf("there are no user namespaces here: %v", err)
		}
		stop := time.AfterFunc(time.Minute, func() { child.Process.Kill() }) // one that starts never ends
		err := child.Wait()
		stop.Stop()
		for _, want := range []string{c.setting, c.place + " belongs to another user", "run `chown 1000 " + c.place + "`"} {
			if err == nil || !strings.Contains(said.String(), want) {
				t.Errorf("%s: %v, without %q:\n%s", c.place, err, want, said.String())
			}
		}
	}
}
