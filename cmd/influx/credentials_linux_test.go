package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ask asks for a credential as systemd does (systemd.exec(5), LoadCredential=).
func ask(t *testing.T, socket, from string) (string, error) {
	t.Helper()
	d := net.Dialer{Timeout: time.Minute, LocalAddr: &net.UnixAddr{Name: from, Net: "unix"}}
	conn, err := d.DialContext(t.Context(), "unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	return string(text), err
}

// TestCredentials: each unit gets its own, whatever is asked for at the same time; who does not ask as systemd does gets
// nothing; what is not there keeps the unit waiting until it is.
func TestCredentials(t *testing.T) {
	u := newUser(t, map[string]string{"telegraf/db": "hunter2", "units/app/key": "line one\nline two\n"})
	socket := filepath.Join(t.TempDir(), "credentials.sock")
	var said bytes.Buffer
	start := func() *exec.Cmd {
		t.Helper()
		cmd := u.influx("secret", "credentials", "--socket", socket, "--prefix", "units/",
			"--credential", "telegraf.service/db=telegraf/db")
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the socket is there", func() bool {
			conn, err := net.Dial("unix", socket)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		return cmd
	}
	cmd := start()
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	n := 0
	from := func(rest string) string { n++; return fmt.Sprintf("@%d%x%s", os.Getpid(), n, rest) }
	for _, bad := range []string{"", "/unit/telegraf.service", "/unit/telegraf.service/db/x", "/unix/telegraf.service/db",
		"/unit//db", "/unit/telegraf.service/"} {
		if got, err := ask(t, socket, from(bad)); err != nil || got != "" {
			t.Errorf("asked from %q, got %q, %v", bad, got, err)
		}
	}
	for name, want := range map[string]string{"/unit/telegraf.service/db": "hunter2",
		"/unit/app.service/key": "line one\nline two\n"} {
		if got, err := ask(t, socket, from(name)); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	late := make(chan string, 1)
	address := from("/unit/app.service/late")
	go func() {
		got, err := ask(t, socket, address)
		late <- fmt.Sprint(got, err)
	}()
	time.Sleep(300 * time.Millisecond)
	select {
	case got := <-late:
		t.Errorf("what is not there is answered %q", got)
	default:
	}
	u.set("units/app/late", "it has come")
	if got := <-late; got != "it has come<nil>" {
		t.Errorf("set while the unit waits: %q", got)
	}
	if cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid)); err != nil ||
		bytes.Contains(cmdline, []byte("hunter2")) {
		t.Errorf("the command line is %q, %v", cmdline, err)
	}

	// A second one leaves the socket to the first; what a killed one leaves is in nobody's way.
	second := u.influx("secret", "credentials", "--socket", socket, "--prefix", "units/")
	if out, err := second.CombinedOutput(); second.ProcessState.ExitCode() != 6 {
		t.Errorf("a second one: %v, %s", err, out)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	cmd = start()
	if got, err := ask(t, socket, from("/unit/telegraf.service/db")); err != nil || got != "hunter2" {
		t.Errorf("started again: %q, %v", got, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("told to end: %v", err)
	}
	if text := said.String(); strings.Contains(text, "hunter2") || !strings.Contains(text, "waits for its credential") {
		t.Errorf("it said %q", text)
	}
}

// TestCredentialsHandedOver: the socket is systemd's, of a socket unit.
func TestCredentialsHandedOver(t *testing.T) {
	u := newUser(t, map[string]string{"telegraf/db": "hunter2"})
	socket := filepath.Join(t.TempDir(), "credentials.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// systemd says whose the socket is: the process that exec makes of the shell.
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh",
		filepath.Join(programDir(t), "influx"), "secret", "credentials", "--credential", "telegraf.service/db=telegraf/db",
		"--json")
	var out bytes.Buffer
	cmd.Env, cmd.ExtraFiles, cmd.Stdout = u.env, []*os.File{f}, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(t, socket, fmt.Sprintf("@%x/unit/telegraf.service/db", os.Getpid())); err != nil ||
		got != "hunter2" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("told to end: %v", err)
	}
	if !strings.Contains(out.String(), `"key": "telegraf/db"`) || strings.Contains(out.String(), "hunter2") {
		t.Errorf("it printed %s", &out)
	}
}
