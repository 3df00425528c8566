package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestNoCore ends our programs in the ways that leave a core file, where the system and their own settings allow it: the
// kernel makes none of them. Of a program that influx secret exec has become it does.
func TestNoCore(t *testing.T) {
	u := newUser(t, map[string]string{"db/password": "hunter2"})
	dir := t.TempDir()
	start := func(args ...string) *exec.Cmd {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `ulimit -c unlimited && exec "$@"`, "sh"},
			args...)...)
		cmd.Dir, cmd.Env = dir, append(u.env, "GOTRACEBACK=crash")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	dumped := func(cmd *exec.Cmd, by syscall.Signal) bool {
		t.Helper()
		_ = cmd.Wait() // it is to end badly
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !status.Signaled() || status.Signal() != by {
			t.Fatalf("%s ended with %v, and not by %v", cmd, cmd.ProcessState, by)
		}
		return status.CoreDump()
	}
	suicide := []string{"sh", "-c", "kill -SEGV $$"}
	if !dumped(start(suicide...), syscall.SIGSEGV) {
		if os.Getenv("CI") != "" {
			t.Fatal("nothing leaves a core file here: allow it (ulimit -c), or this cannot be looked at")
		}
		t.Skip("nothing leaves a core file here")
	}
	influx, influxd := filepath.Join(programDir(t), "influx"), filepath.Join(dir, "influxd")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", influxd, "strongroom/cmd/influxd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	socket := filepath.Join(dir, "s")
	for _, tt := range []struct {
		program []string
		begun   func() bool
	}{
		{[]string{influx, "secret", "credentials", "--socket", socket, "--prefix", "units/"}, func() bool {
			conn, err := net.Dial("unix", socket)
			if err == nil {
				conn.Close()
			}
			return err == nil
		}},
		{[]string{influxd, "--http-bind-address=127.0.0.1:0", "--bolt-path=" + filepath.Join(dir, "influxd.bolt"),
			"--pid-file=" + filepath.Join(dir, "pid")}, func() bool {
			_, err := os.Stat(filepath.Join(dir, "pid"))
			return err == nil
		}},
	} {
		cmd := start(tt.program...)
		eventually(t, tt.program[0]+" has begun", tt.begun)
		if err := cmd.Process.Signal(syscall.SIGABRT); err != nil {
			t.Fatal(err)
		}
		if dumped(cmd, syscall.SIGABRT) {
			t.Errorf("%s has left a core file", tt.program[0])
		}
	}
	program := append([]string{influx, "secret", "exec", "--env", "db/password", "--"}, suicide...)
	if !dumped(start(program...), syscall.SIGSEGV) {
		t.Error("a program that has its secrets from influx leaves no core file, and would without")
	}
}
