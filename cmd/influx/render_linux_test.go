package main

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

// TestRenderWatch: the file follows its secrets, the command is run for each change, and again where it has failed, and
// what there is stays while the server is away or a secret is gone, also where it was away from the start.
func TestRenderWatch(t *testing.T) {
	u := newUser(t, map[string]string{"db/password": "first", "other": "x"})
	front := u.front()
	dir := t.TempDir()
	file, runs := filepath.Join(dir, "app.conf"), filepath.Join(dir, "runs")
	template := filepath.Join(dir, "app.tmpl")
	if err := os.WriteFile(template, []byte(`password={{ secret "db/password" }}`), 0o600); err != nil {
		t.Fatal(err)
	}
	holds := func(value string) func() bool {
		return func() bool {
			text, _ := os.ReadFile(file) // not there yet
			return string(text) == "password="+value
		}
	}
	start := func() (*exec.Cmd, *bytes.Buffer) {
		t.Helper()
		cmd := u.influx("secret", "render", "--host", front.URL, "--template", template, "--out", file, "--watch",
			"--exec", "test ! -e fails; code=$((3*$?)); cat app.conf >> runs; echo >> runs; exit $code")
		var said bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, &said
	}
	end := func(cmd *exec.Cmd) {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("told to end: %v", err)
		}
	}
	ran := func(want ...string) func() bool {
		return func() bool { return strings.Join(lines(runs), " ") == strings.Join(want, " ") }
	}
	fails := filepath.Join(dir, "fails")
	if err := os.WriteFile(fails, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, said := start()
	eventually(t, "the file is written", holds("first"))
	eventually(t, "the command is run", func() bool { return len(lines(runs)) > 0 })
	before := len(lines(runs))
	if err := os.Remove(fails); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the command that has failed is run again", func() bool { return len(lines(runs)) > before })
	if err := os.Remove(runs); err != nil {
		t.Fatal(err)
	}
	u.set("other", "y")
	u.set("db/password", "second")
	eventually(t, "the file is written anew", holds("second"))
	front.goAway()
	u.set("db/password", "third")
	time.Sleep(200 * time.Millisecond)
	if !holds("second")() {
		t.Error("the file has changed while the server is away")
	}
	front.away.Store(false)
	eventually(t, "the file is written after that", holds("third"))
	eventually(t, "the command is run for each", ran("password=second", "password=third"))
	if err := u.admin.DeleteSecrets(t.Context(), u.org, "db/password"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	end(cmd)
	if !holds("third")() {
		t.Error("the file has changed with the end of its secret")
	}
	if text := said.String(); strings.Count(text, "stays as it is") != 1 || !strings.Contains(text, "ended with 3; it is run again in 1s") ||
		!strings.Contains(text, "has ended with 0 now") ||
		strings.Contains(text, "third") {
		t.Errorf("it said %q", text)
	}

	front.goAway()
	cmd, said = start()
	time.Sleep(500 * time.Millisecond)
	if !holds("third")() {
		t.Error("the file has changed while the server was away from the start")
	}
	u.set("db/password", "fourth")
	if err := os.WriteFile(fails, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	front.away.Store(false)
	eventually(t, "the file is written when the server has come", holds("fourth"))
	eventually(t, "the command is run then", func() bool { return len(lines(runs)) > 2 })
	end(cmd)
	if text := said.String(); !strings.Contains(text, "stays as it is") ||
		!strings.Contains(text, "is not run again: the next start finds the file as it is") {
		t.Errorf("it said %q", text)
	}
}
