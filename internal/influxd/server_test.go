package influxd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"strongroom/internal/influxd/command"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
)

// output collects what a server under test writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// running is the real program, started in this process.
type running struct {
	client         *http.Client // nil: http.DefaultClient
	url            string
	stdout, stderr output
	faults         int // the answers 500 that tried has seen
	// stop asks it to end, as SIGTERM does; wait gives what it ended with.
	stop func()
	wait func() error
}

// launch starts the program with its data in dir and waits until it listens, or gives the error it ended with.
// Where the machine is busy, an etcd may be silent for longer than a server would wait for it.
func launch(t testing.TB, dir string, flags ...string) (*running, error) {
	t.Helper()
	return launchAs(t, command.Process{EtcdPatience: time.Minute}, dir, flags...)
}

// launchAs is launch with what else the process has.
func launchAs(t testing.TB, p command.Process, dir string, flags ...string) (*running, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{stop: cancel}
	listening := make(chan string, 1)
	ended := make(chan error, 1)
	p.Args = append([]string{"--http-bind-address", "127.0.0.1:0", "--bolt-path", filepath.Join(dir, "influxd.bolt")},
		flags...)
	p.Env = []string{"HOME=/nowhere"}
	p.Stdout, p.Stderr = &r.stdout, &r.stderr
	p.Listening = func(url string) { listening <- url }
	go func() { ended <- Run(ctx, p) }()
	r.wait = sync.OnceValue(func() error { return <-ended })
	select {
	case r.url = <-listening:
		t.Cleanup(func() {
			cancel()
			if err := r.wait(); err != nil {
				t.Errorf("the server ended with: %v", err)
			}
		})
		return r, nil
	case err := <-ended:
		cancel()
		if err == nil {
			t.Fatal("the server ended before it listened, without an error")
		}
		return nil, err
	}
}

func start(t testing.TB, dir string, flags ...string) *running {
	t.Helper()
	r, err := launch(t, dir, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// end stops the server and waits.
func (r *running) end(t testing.TB) {
	t.Helper()
	r.stop()
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
}

// call makes one request and decodes the answer into out, where it is not nil.
func (r *running) call(t testing.TB, method, path, token, body string, status int, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Token "+token)
	}
	res, err := r.do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status {
		t.Fatalf("%s %s: %s, want %d: %s", method, path, res.Status, status, b)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
}

// do makes a request as the server's client does.
func (r *running) do(req *http.Request) (*http.Response, error) {
	if r.client != nil {
		return r.client.Do(req)
	}
	return http.DefaultClient.Do(req)
}

// onboard sets the server up and gives the operator's token and the path of the organisation's secrets.
func (r *running) onboard(t testing.TB) (token, secrets string) {
	t.Helper()
	var made struct {
		Org  struct{ ID string }
		Auth struct{ Token string }
	}
	r.call(t, "POST", "/api/v2/setup", "",
		`{"username":"ada","password":"correct horse","org":"acme","bucket":"b"}`, 201, &made)
	if made.Auth.Token == "" || made.Org.ID == "" {
		t.Fatalf("setup gave no token or organisation: %+v", made)
	}
	return made.Auth.Token, "/api/v2/orgs/" + made.Org.ID + "/secrets"
}

func (r *running) keys(t *testing.T, token, secrets string) string {
	t.Helper()
	var list struct{ Secrets []string }
	r.call(t, "GET", secrets, token, "", 200, &list)
	return fmt.Sprint(list.Secrets)
}

// TestStartsThatAreRefused checks that a start which must not happen fails with one message that says what to do, and
// changes nothing.
func TestStartsThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		// prepare changes a folder in which a server has run.
		prepare func(t *testing.T, dir string)
		flags   []string
		want    []string
	}{
		{"key file missing", func(t *testing.T, dir string) {
			must(t, os.Rename(filepath.Join(dir, "seal.key"), filepath.Join(dir, "moved")))
		}, nil, []string{"DIR/seal.key"}},
		{"another server's key file", func(t *testing.T, dir string) {
			other := t.TempDir()
			start(t, other).end(t)
			must(t, os.Rename(filepath.Join(other, "seal.key"), filepath.Join(dir, "seal.key")))
		}, nil, []string{"DIR/seal.key"}},
		{"no key in the key file", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "seal.key"), []byte("sesame\n"), 0o600))
		}, nil, []string{"DIR/seal.key"}},
		{"key file elsewhere", nil, []string{"--seal-key-file", "DIR/other.key"}, []string{"DIR/other.key"}},
		{"InfluxDB's file", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "influxd.bolt")))
			db, err := bbolt.Open(filepath.Join(dir, "influxd.bolt"), 0o600, nil)
			must(t, err)
			must(t, db.Update(func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("secretsv1"))
				return err
			}))
			must(t, db.Close())
		}, nil, []string{"DIR/influxd.bolt", "InfluxDB"}},
		{"not a database", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "influxd.bolt"), []byte(strings.Repeat("sesame ", 4096)), 0o600))
		}, nil, []string{"DIR/influxd.bolt"}},
		{"a folder as data file", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "influxd.bolt")))
			must(t, os.Mkdir(filepath.Join(dir, "influxd.bolt"), 0o700))
		}, nil, []string{"DIR/influxd.bolt"}},
		{"an audit record that cannot be written", nil, []string{"--audit-sinks=/dev/null/audit.log"},
			[]string{"flag --audit-sinks"}},
		{"a pid file that is there", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "pid"), []byte("1\n"), 0o600))
		}, []string{"--pid-file=DIR/pid"}, []string{"flag --pid-file", "--overwrite-pid-file"}},
		{"no certificate", nil, []string{"--tls-cert=DIR/c.pem", "--tls-key=DIR/k.pem"},
			[]string{"flag --tls-cert", "DIR/c.pem"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			start(t, dir).end(t)
			if tt.prepare != nil {
				tt.prepare(t, dir)
			}
			before := snapshot(t, dir)
			var flags []string
			for _, f := range tt.flags {
				flags = append(flags, strings.ReplaceAll(f, "DIR", dir))
			}
			_, err := launch(t, dir, flags...)
			if err == nil {
				t.Fatal("it started")
			}
			for _, want := range tt.want {
				if want = strings.ReplaceAll(want, "DIR", dir); !strings.Contains(err.Error(), want) {
					t.Errorf("the message does not name %q: %v", want, err)
				}
			}
			if strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "sesame") {
				t.Errorf("the message is not one line, or shows what is in a file: %v", err)
			}
			if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
				t.Errorf("files were changed (-before +after):\n%s", diff)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// snapshot is what the files in the folder hold, as hashes: the data file is long.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := make(map[string]string)
	for _, e := range entries {
		if e.Type().IsRegular() {
			name := filepath.Join(dir, e.Name())
			content, err := os.ReadFile(name)
			must(t, err)
			all[name] = fmt.Sprintf("%x", sha256.Sum256(content))
		}
	}
	return all
}

func TestSecondServerOnTheSameData(t *testing.T) {
	dir, pid := t.TempDir(), filepath.Join(t.TempDir(), "pid")
	r := start(t, dir, "--pid-file", pid, "--overwrite-pid-file")
	_, err := launch(t, dir, "--pid-file", pid, "--overwrite-pid-file")
	if err == nil {
		t.Fatal("a second server started on the same data")
	}
	if _, err := os.Stat(pid); err != nil {
		t.Errorf("the second server took the pid file of the first: %v", err)
	}
	for _, want := range []string{"influxd.bolt", "in use", fmt.Sprint(os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q: %v", want, err)
		}
	}
	r.call(t, "GET", "/health", "", "", 200, nil)
}

// TestFailedStartLetsGo checks that a start which fails late has closed what it had opened.
func TestFailedStartLetsGo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	dir := t.TempDir()
	var out output
	err = Run(t.Context(), command.Process{
		Args:   []string{"--bolt-path", filepath.Join(dir, "influxd.bolt"), "--pid-file", filepath.Join(dir, "pid")},
		Env:    []string{"INFLUXD_HTTP_BIND_ADDRESS=" + taken.Addr().String()},
		Stdout: &out, Stderr: &out,
	})
	if err == nil || !strings.Contains(err.Error(), "variable INFLUXD_HTTP_BIND_ADDRESS") {
		t.Fatalf("error %v", err)
	}
	start(t, dir, "--pid-file", filepath.Join(dir, "pid"))
}

func TestLifeOfAServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	pid := filepath.Join(t.TempDir(), "pid")
	r := start(t, dir, "--pid-file", pid, "--engine-path", "/e")
	r.call(t, "GET", "/health", "", "", 200, nil)
	r.call(t, "GET", "/metrics", "", "", 200, nil)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"swordfish","hello":"world"}`, 204, nil)
	if got := r.keys(t, token, secrets); got != "[foo hello]" {
		t.Errorf("keys %s", got)
	}
	if b, err := os.ReadFile(pid); err != nil || string(b) != fmt.Sprintln(os.Getpid()) {
		t.Errorf("pid file: %q, %v", b, err)
	}
	r.end(t)
	if _, err := os.Stat(pid); !os.IsNotExist(err) {
		t.Errorf("the pid file is still there: %v", err)
	}
	if _, err := http.Get(r.url + "/health"); err == nil {
		t.Error("it still answers")
	}
	greeting := strings.Split(strings.TrimSuffix(r.stdout.String(), "\n"), "\n")
	if len(greeting) != 3 || !strings.Contains(greeting[0], filepath.Join(dir, "influxd.bolt")) ||
		!strings.Contains(greeting[1], "influx setup --host "+r.url+"   (or open "+r.url+" in a browser)") {
		t.Errorf("it greets with:\n%s", r.stdout.String())
	}
	if log := r.stderr.String(); !strings.Contains(log, "flag --engine-path has no meaning here and is ignored") ||
		!strings.Contains(log, `"msg":"listening"`) {
		t.Errorf("its log is:\n%s", log)
	}
	for name := range snapshot(t, dir) {
		info, err := os.Stat(name)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
	}

	again := start(t, dir)
	if got := again.keys(t, token, secrets); got != "[foo hello]" {
		t.Errorf("keys after a second start %s", got)
	}
	if !strings.Contains(again.stdout.String(), "Onboard:  done") {
		t.Errorf("the second start greets with:\n%s", again.stdout.String())
	}
	again.end(t)
	for name := range snapshot(t, dir) {
		content, err := os.ReadFile(name)
		must(t, err)
		for _, hidden := range []string{"swordfish", token, "correct horse"} {
			if bytes.Contains(content, []byte(hidden)) {
				t.Errorf("%s holds %q", name, hidden)
			}
		}
	}
	for _, hidden := range []string{"swordfish", token, "correct horse"} {
		for _, o := range []*output{&r.stdout, &r.stderr, &again.stdout, &again.stderr} {
			if strings.Contains(o.String(), hidden) {
				t.Errorf("the server wrote %q:\n%s", hidden, o.String())
			}
		}
	}
}

// TestDataLost has a key file without the data it opens, which may mean a volume that is not mounted.
func TestDataLost(t *testing.T) {
	dir := t.TempDir()
	start(t, dir).end(t)
	data := filepath.Join(dir, "influxd.bolt")
	must(t, os.Rename(data, data+".away"))
	refused := func() {
		t.Helper()
		if _, err := launch(t, dir); err == nil || !strings.Contains(err.Error(),
			"put the file back or name it with --bolt-path") || !strings.Contains(err.Error(), "--new-data") {
			t.Errorf("started without its data: %v", err)
		}
	}
	refused()
	if _, err := os.Stat(data); err == nil {
		t.Error("a start that was refused has made a data file")
	}
	must(t, os.WriteFile(data, nil, 0o600))
	refused()
	must(t, os.Rename(data+".away", data))
	start(t, dir).end(t)

	must(t, os.Remove(data))
	start(t, dir, "--new-data").end(t)
	start(t, dir).end(t)

	// Data and key gone together leave the record of what was done with them.
	must(t, os.Remove(data))
	must(t, os.Remove(filepath.Join(dir, "seal.key")))
	refused()
	start(t, dir, "--new-data").end(t)
}

// TestStopDuringARequest stops the server when it has begun to read the body of a PATCH.
func TestStopDuringARequest(t *testing.T) {
	r := start(t, t.TempDir())
	token, secrets := r.onboard(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	must(t, err)
	defer conn.Close()
	const body = `{"foo":"bar"}`
	_, err = fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token %s\r\nExpect: "+
		"100-continue\r\nContent-Length: %d\r\n\r\n",
		secrets, token, len(body))
	must(t, err)
	answer := bufio.NewReader(conn)
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("asked to go on, it said %q, %v", line, err)
	}
	_, err = answer.ReadString('\n')
	must(t, err)
	r.stop()
	for !strings.Contains(r.stderr.String(), "stopping") {
		runtime.Gosched()
	}
	_, err = io.WriteString(conn, body)
	must(t, err)
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "204 No Content") {
		t.Errorf("the request in flight ended with %q, %v", line, err)
	}
	must(t, r.wait())
}

func TestMetricsDisabled(t *testing.T) {
	r := start(t, t.TempDir(), "--metrics-disabled")
	r.call(t, "GET", "/metrics", "", "", 404, nil)
}

func TestUIDisabled(t *testing.T) {
	r := start(t, t.TempDir(), "--ui-disabled")
	for _, path := range []string{"/", "/setup", "/signin", "/orgs", "/static/app.js"} {
		var why struct{ Code, Message string }
		r.call(t, "GET", path, "", "", 404, &why)
		if why.Code != "not found" || why.Message == "" {
			t.Errorf("%s is answered %+v", path, why)
		}
	}
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	if log := r.stderr.String(); strings.Contains(log, "ignored") {
		t.Errorf("the flag is taken and ignored:\n%s", log)
	}
	if strings.Contains(r.stdout.String(), "in a browser") {
		t.Errorf("it greets with a page that is not there:\n%s", r.stdout.String())
	}
}

func TestLimitsReachTheAPI(t *testing.T) {
	r := start(t, t.TempDir(), "--max-body-size=256", "--max-secret-value-size=8", "--max-secret-key-size=4")
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"k":"`+strings.Repeat("v", 256)+`"}`, 413, nil)
	r.call(t, "PATCH", secrets, token, `{"k":"123456789"}`, 413, nil)
	r.call(t, "PATCH", secrets, token, `{"12345":"v"}`, 413, nil)
	r.call(t, "PATCH", secrets, token, `{"1234":"12345678"}`, 204, nil)
	if got := r.keys(t, token, secrets); got != "[1234]" {
		t.Errorf("keys %s", got)
	}
}
