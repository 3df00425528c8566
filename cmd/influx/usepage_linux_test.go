package main

import (
	"context"
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
