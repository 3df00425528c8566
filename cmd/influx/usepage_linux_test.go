package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUsePage types what docs/use.md says to type on an empty machine, word for word, with the real programs.
func TestUsePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/use.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## From an empty machine\n")
	block := regexp.MustCompile("(?s)```sh\n(.*?)```").FindStringSubmatch(section)
	if block == nil || strings.Count(block[1], "\n") < 10 {
		t.Fatal("the page has no lines to type")
	}
	bin, home := t.TempDir(), t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "strongroom/cmd/influxd",
		"strongroom/cmd/influx")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// What it has left running ends with the group.
	shell := exec.CommandContext(ctx, "bash", "-c", "set -emo pipefail\n"+block[1])
	shell.Dir = home
	shell.Env = []string{"HOME=" + home, "PATH=" + bin + ":" + os.Getenv("PATH"), "INFLUX_HOST=http://" + address,
		"INFLUXD_HTTP_BIND_ADDRESS=" + address}
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	shell.WaitDelay = time.Second
	out, err := shell.CombinedOutput()
	for _, pid := range children(t, bin, home) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil && err != exec.ErrWaitDelay {
		t.Fatalf("%v\n%s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(home, "app.log")); err != nil ||
		string(text) != "a password of 32 characters\na password of 40 characters\n" {
		t.Errorf("the program has seen %q, %v", text, err)
	}
	if text, err := os.ReadFile(filepath.Join(home, ".env")); err != nil ||
		!regexp.MustCompile(`^DB_PASSWORD="[a-zA-Z0-9]{40}"\n$`).Match(text) {
		t.Errorf("the file has %d bytes, %v", len(text), err)
	}
}

// TestUsePageUnits runs the command of the unit on docs/use.md as systemd would, with the socket that its socket unit
// names, and asks it for what the page's telegraf.service asks for. systemd's own checker reads the units, where it is.
func TestUsePageUnits(t *testing.T) {
	raw, err := os.ReadFile("../../docs/use.md")
	if err != nil {
		t.Fatal(err)
	}
	u := newUser(t, map[string]string{"units/telegraf/db": "hunter2"})
	variable := func(name string) string {
		for _, e := range u.env {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		t.Fatalf("there is no %s", name)
		return ""
	}
	page := strings.NewReplacer("http://localhost:9999", variable("INFLUX_HOST"), "<org-id>", u.org).Replace(string(raw))
	dir, units := t.TempDir(), map[string]string{}
	files := regexp.MustCompile("(?s)```ini\n# /etc/systemd/system/(\\S+)\n(.*?)```").FindAllStringSubmatch(page, -1)
	for _, f := range files {
		units[f[1]] = f[2]
		path := filepath.Join(dir, "units", f[1])
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(f[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	setting := func(unit, name string) string {
		t.Helper()
		m := regexp.MustCompile("(?m)^" + name + "=(.+)$").FindStringSubmatch(units[unit])
		if m == nil {
			t.Fatalf("%s has no %s: it is %q", unit, name, units[unit])
		}
		return m[1]
	}
	listens := setting("influx-credentials.socket", "ListenStream")
	credential, from, _ := strings.Cut(setting("telegraf.service.d/secrets.conf", "LoadCredential"), ":")
	token, file, _ := strings.Cut(setting("influx-credentials.service", "LoadCredential"), ":")
	if listens != from || !strings.Contains(page, "> "+file+"\n") {
		t.Errorf("the socket is %s, and telegraf.service asks %s; the token is in %s", listens, from, file)
	}
	if err := os.WriteFile(filepath.Join(dir, token), []byte(variable("INFLUX_TOKEN")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	script, ok := strings.CutPrefix(setting("influx-credentials.service", "ExecStart"), "/bin/sh -c '")
	script, ended := strings.CutSuffix(script, "'")
	if !ok || !ended {
		t.Fatalf("the unit's command is %q", script)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec /bin/sh -c "$1"`, "sh", script)
	cmd.Env = append(strings.Fields(setting("influx-credentials.service", "Environment")), "CREDENTIALS_DIRECTORY="+dir,
		"HOME="+dir, "PATH="+programDir(t)+":"+os.Getenv("PATH"))
	cmd.ExtraFiles, cmd.Stderr = []*os.File{socket}, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got, err := ask(t, filepath.Join(dir, "s"), fmt.Sprintf("@%x/unit/telegraf.service/%s", os.Getpid(), credential))
	if err != nil || got != "hunter2" {
		t.Errorf("telegraf.service is given %q, %v", got, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("told to end: %v", err)
	}

	checker, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("no systemd-analyze here: the units are not read by systemd's own checker")
		return
	}
	service := filepath.Join(dir, "units", "telegraf.service")
	if err := os.WriteFile(service, []byte("[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), checker, "verify", "--man=no", "--recursive-errors=no",
		filepath.Join(dir, "units", "influx-credentials.socket"), filepath.Join(dir, "units", "influx-credentials.service"),
		service).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd says of the units: %v\n%s", err, out)
	}
}

// children are the processes of the programs in a folder, or that work in another.
func children(t *testing.T, bin, dir string) []int {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, p := range processes {
		exe, _ := os.Readlink(filepath.Join(p, "exe")) // it may have ended
		cwd, _ := os.Readlink(filepath.Join(p, "cwd"))
		if strings.HasPrefix(exe, bin+"/") || cwd == dir {
			pid := 0
			for _, c := range filepath.Base(p) {
				pid = 10*pid + int(c-'0')
			}
			all = append(all, pid)
		}
	}
	return all
}
