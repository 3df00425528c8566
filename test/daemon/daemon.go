// Package daemon starts the real influxd for tests, with data of its own and on a free port of the loopback address.
package daemon

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Daemon is a running influxd that has been set up.
type Daemon struct {
	URL   string
	Token string // the operator's
	OrgID string // of acme

	home string
	bin  string
}

// Start starts $STRONGROOM_BIN/influxd with data of its own, sets it up, and stops it at the test's end.
func Start(t testing.TB, flags ...string) *Daemon {
	t.Helper()
	d, _ := StartAt(t, t.TempDir(), flags...)
	var o struct {
		Org  struct{ ID string }
		Auth struct{ Token string }
	}
	d.Call(t, "", "POST", "/api/v2/setup",
		`{"username":"admin","password":"correct horse","org":"acme","bucket":"metrics"}`, &o)
	d.Token, d.OrgID = o.Auth.Token, o.Org.ID
	return d
}

// Bin is the folder with influxd and influx.
func Bin(t testing.TB) string {
	t.Helper()
	bin := os.Getenv("STRONGROOM_BIN")
	if bin == "" {
		t.Fatal("set STRONGROOM_BIN to the folder with influxd and influx (make test does)")
	}
	return bin
}

// StartAt starts influxd with the data in a home folder, as they are. It stops at the test's end, or by stop.
func StartAt(t testing.TB, home string, flags ...string) (d *Daemon, stop func()) {
	t.Helper()
	return StartFrom(t, Bin(t), home, flags...)
}

// StartFrom does so with the influxd of another folder.
func StartFrom(t testing.TB, bin, home string, flags ...string) (d *Daemon, stop func()) {
	t.Helper()
	d = &Daemon{bin: bin, home: home}
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "influxd"),
		append([]string{"--http-bind-address", "127.0.0.1:0", "--log-format", "json"}, flags...)...)
	cmd.Env = []string{"HOME=" + d.home, "PATH=" + os.Getenv("PATH")}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	stderr, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	found := make(chan string, 1)
	var log bytes.Buffer
	var mu sync.Mutex
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			var l struct{ Msg, URL string }
			mu.Lock()
			log.Write(append(lines.Bytes(), '\n'))
			mu.Unlock()
			if json.Unmarshal(lines.Bytes(), &l) == nil && l.Msg == "listening" {
				found <- l.URL
			}
		}
		close(found)
	}()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // after the test's context it is killed
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			mu.Lock()
			t.Logf("influxd's log:\n%s", log.Bytes())
			mu.Unlock()
		}
	})
	select {
	case d.URL = <-found:
	case <-time.After(30 * time.Second):
	}
	if d.URL == "" {
		mu.Lock()
		defer mu.Unlock()
		t.Fatalf("influxd does not listen:\n%s", log.Bytes())
	}
	return d, stop
}

// Vault makes a request of Vault's API, below /v1/, that has to succeed.
func (d *Daemon) Vault(t testing.TB, token, method, path, body string, out any) {
	t.Helper()
	d.Call(t, token, method, "/v1/"+path, body, out)
}

// Call makes a request of InfluxDB's API that has to succeed, and reads the answer where out is not nil.
func (d *Daemon) Call(t testing.TB, token, method, path, body string, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.URL+path, strings.NewReader(body))
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Token "+token)
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, b)
	}
	if out != nil && len(b) > 0 {
		must(t, json.Unmarshal(b, out))
	}
}

// VaultToken makes a token for Vault's clients: all secrets of acme, or of all organisations.
func (d *Daemon) VaultToken(t testing.TB, everywhere bool) string {
	t.Helper()
	org := `,"orgID":"` + d.OrgID + `"`
	if everywhere {
		org = ""
	}
	var ps []string
	for _, a := range []string{"use", "read", "write"} {
		ps = append(ps, `{"action":"`+a+`","resource":{"type":"secrets"`+org+`}}`)
	}
	var auth struct{ Token string }
	d.Call(t, d.Token, "POST", "/api/v2/authorizations", `{"orgID":"`+d.OrgID+`","permissions":[`+strings.Join(ps,
		",")+`]}`, &auth)
	return auth.Token
}

// Set sets secrets of acme over InfluxDB's API.
func (d *Daemon) Set(t testing.TB, secrets map[string]string) {
	t.Helper()
	b, err := json.Marshal(secrets)
	must(t, err)
	d.Call(t, d.Token, "PATCH", "/api/v2/orgs/"+d.OrgID+"/secrets", string(b), nil)
}

// Keys are the names of acme's secrets over InfluxDB's API.
func (d *Daemon) Keys(t testing.TB) []string {
	t.Helper()
	var l struct{ Secrets []string }
	d.Call(t, d.Token, "GET", "/api/v2/orgs/"+d.OrgID+"/secrets", "", &l)
	return l.Secrets
}

// Run runs a program with Vault's two variables set to the daemon and the token, and gives what it writes.
func (d *Daemon) Run(t testing.TB, token, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "VAULT_ADDR="+d.URL, "VAULT_TOKEN="+token)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
