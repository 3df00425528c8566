package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"strongroom/client"
)

// user is somebody who has a server with secrets, and a token that may use them.
type user struct {
	t     *testing.T
	admin *client.Client
	org   string
	env   []string
}

func newUser(t *testing.T, secrets map[string]string) *user {
	t.Helper()
	host := startServer(t, t.TempDir(), t.Cleanup).String()
	open, err := client.New(client.Config{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	made, err := open.Setup(t.Context(), client.SetupRequest{Username: "admin", Password: "a long password", Org: "o",
		Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(client.Config{Host: host, Token: made.Auth.Token})
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.SetSecrets(t.Context(), made.Org.ID, secrets); err != nil {
		t.Fatal(err)
	}
	auth, err := admin.CreateAuthorization(t.Context(), client.NewAuthorization{OrgID: made.Org.ID,
		Permissions: []client.Permission{
			{Action: "use", Resource: client.Resource{Type: "secrets", OrgID: made.Org.ID}}}})
	if err != nil {
		t.Fatal(err)
	}
	return &user{t, admin, made.Org.ID, []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"),
		"INFLUX_HOST=" + host, "INFLUX_TOKEN=" + auth.Token, "INFLUX_ORG_ID=" + made.Org.ID}}
}

func (u *user) set(key, value string) {
	u.t.Helper()
	if err := u.admin.SetSecrets(u.t.Context(), u.org, map[string]string{key: value}); err != nil {
		u.t.Fatal(err)
	}
}

// front stands before the server, and can be away.
type front struct {
	*httptest.Server
	away   atomic.Bool
	missed atomic.Int32 // requests while it was away
}

// awaits waits until somebody has asked while it was away.
func (f *front) awaits(t *testing.T) {
	t.Helper()
	eventually(t, "somebody asks the server that is away", func() bool { return f.missed.Load() > 0 })
}

func (f *front) goAway() {
	f.away.Store(true)
	f.CloseClientConnections()
}

func (u *user) front() *front {
	u.t.Helper()
	host, err := url.Parse(u.admin.Host())
	if err != nil {
		u.t.Fatal(err)
	}
	f := &front{}
	proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(host) }}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.away.Load() {
			f.missed.Add(1)
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	u.t.Cleanup(f.Close)
	return f
}

// influx is the program with arguments; what it says on standard error is the test's.
func (u *user) influx(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(u.t.Context(), filepath.Join(programDir(u.t), "influx"), args...)
	cmd.Env = u.env
	return cmd
}

// eventually waits for what must come true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came true: %s", what)
		}
	}
}

func alive(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(state, []byte(") Z "))
}

func number(t *testing.T, path string) (n int) {
	t.Helper()
	eventually(t, path+" is written", func() bool {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.HasSuffix(text, []byte("\n")) {
			return false
		}
		_, err = fmt.Sscan(string(text), &n)
		return err == nil
	})
	return n
}

// TestExecReplaces: with variables alone the program takes the place of the command, so that
// everything about it is its own.
func TestExecReplaces(t *testing.T) {
	u := newUser(t, map[string]string{"db/password": "hunter2", "other": "x"})
	out := t.TempDir()
	cmd := u.influx("secret", "exec", "--env", "db/password", "--", "sh", "-c",
		`trap 'exit 17' TERM; echo "$DB_PASSWORD/$INFLUX_TOKEN/$OTHER" > seen; echo $$ > pid; while :; do sleep 0.1; done`)
	cmd.Dir = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if pid := number(t, filepath.Join(out, "pid")); pid != cmd.Process.Pid {
		t.Errorf("the program is process %d, and the command was %d", pid, cmd.Process.Pid)
	}
	if seen, err := os.ReadFile(filepath.Join(out, "seen")); err != nil || string(seen) != "hunter2//\n" {
		t.Errorf("the program has %q, %v", seen, err)
	}
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid)); err != nil ||
		bytes.Contains(line, []byte("hunter2")) {
		t.Errorf("the command line is %q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 17 {
		t.Errorf("it ended with %v, and the program's code is 17", err)
	}
}

// withFiles starts a program that has a file, and says where its folder is and which process it is.
func withFiles(t *testing.T, u *user, script string) (cmd *exec.Cmd, dir string, pid int) {
	t.Helper()
	out := t.TempDir()
	cmd = u.influx("secret", "exec", "--file", "tls/key=tls key", "--env", "P=db/password", "--", "sh", "-c",
		`cat "$SECRETS_DIRECTORY/tls/key" > value; echo "$SECRETS_DIRECTORY" > dir; echo "$P" > variable; `+
			`stat -c %a "$SECRETS_DIRECTORY" "$SECRETS_DIRECTORY/tls/key" | tr '\n' ' ' > modes; `+script)
	cmd.Dir = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid = number(t, filepath.Join(out, "pid"))
	for name, want := range map[string]string{"value": "line one\nline two\n", "variable": "hunter2\n",
		"modes": "700 600 "} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want {
			t.Errorf("the program sees %s %q, %v; want %q", name, got, err, want)
		}
	}
	text, err := os.ReadFile(filepath.Join(out, "dir"))
	if err != nil {
		t.Fatal(err)
	}
	dir = strings.TrimSpace(string(text))
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Errorf("the folder %s is on a file system of type %x, %v", dir, st.Type, err)
	}
	return cmd, dir, pid
}

func gone(path string) func() bool {
	return func() bool {
		_, err := os.Lstat(path)
		return errors.Is(err, os.ErrNotExist)
	}
}

var twoSecrets = map[string]string{"tls key": "line one\nline two\n", "db/password": "hunter2"}

// TestExecFiles: the folder is in memory and private, and goes with the program; signals and the
// exit code are passed on.
func TestExecFiles(t *testing.T) {
	u := newUser(t, twoSecrets)
	cmd, dir, pid := withFiles(t, u, `trap 'exit 18' USR1; echo $$ > pid; while :; do sleep 0.1; done`)
	group, err := unix.Getpgid(pid)
	if own, errOwn := unix.Getpgid(cmd.Process.Pid); err != nil || errOwn != nil || group != own {
		t.Errorf("the program is in group %d, and the command in %d (%v, %v)", group, own, err, errOwn)
	}
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 18 {
		t.Errorf("it ended with %v, and the program's code is 18", err)
	}
	if !gone(dir)() {
		t.Errorf("the folder %s is left", dir)
	}
}

// TestExecKilled: nothing is left behind where the command is killed: not the folder, and not the program.
func TestExecKilled(t *testing.T) {
	u := newUser(t, twoSecrets)
	cmd, dir, pid := withFiles(t, u, `trap '' TERM HUP INT; echo $$ > pid; while :; do sleep 0.1; done`)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "the folder is gone", gone(dir))
	eventually(t, "the program is gone", func() bool { return !alive(pid) })
}

// lines gives what a program has written so far.
func lines(path string) []string {
	text, _ := os.ReadFile(path) // not there yet: none
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

// TestExecWatch: a change restarts the program, and while the server is away it goes on with what it has.
func TestExecWatch(t *testing.T) {
	u := newUser(t, map[string]string{"db/password": "first", "other": "x"})
	front := u.front()
	out := filepath.Join(t.TempDir(), "out")
	cmd := u.influx("secret", "exec", "--host", front.URL, "--watch", "--env", "db/password", "--", "sh", "-c",
		`trap 'exit 0' TERM; trap 'exit 21' USR1; echo "$DB_PASSWORD" >> `+out+`; while :; do sleep 0.05; done`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := func(want ...string) func() bool {
		return func() bool { return slices.Equal(lines(out), want) }
	}
	eventually(t, "the program has begun", seen("first"))
	u.set("other", "y") // none of the program's
	u.set("db/password", "second")
	eventually(t, "the program was restarted", seen("first", "second"))
	front.goAway()
	u.set("db/password", "third")
	time.Sleep(300 * time.Millisecond)
	if !seen("first", "second")() {
		t.Errorf("while the server is away: %q", lines(out))
	}
	front.away.Store(false)
	eventually(t, "the program was restarted again", seen("first", "second", "third"))
	if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 21 {
		t.Errorf("it ended with %v, and the program's code is 21", err)
	}
}

// TestExecSignal: a change writes the file, and sends the signal: not HUP, which a shell below nohup cannot hear.
func TestExecSignal(t *testing.T) {
	u := newUser(t, map[string]string{"tls/key": "first"})
	out := filepath.Join(t.TempDir(), "out")
	cmd := u.influx("secret", "exec", "--watch", "--signal", "USR1", "--file", "key=tls/key", "--", "sh", "-c",
		// In one write, which a signal does not come between.
		`show() { text=$(cat "$SECRETS_DIRECTORY/key"); echo "$text" >> `+out+
			`; }; trap show USR1; trap 'exit 0' TERM; show; `+
			`while :; do sleep 0.05; done`)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Logf("the program wrote %q, and influx said %q", lines(out), said.String())
		}
	})
	eventually(t, "the program has begun", func() bool { return slices.Equal(lines(out), []string{"first"}) })
	if err := u.admin.SetSecrets(t.Context(), u.org, map[string]string{"tls/key": "second"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program has read it again", func() bool {
		return slices.Equal(lines(out), []string{"first", "second"})
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
