package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/client"
	"strongroom/internal/influxd"
	"strongroom/internal/influxd/command"
)

// canaries are texts that must be nowhere but where they were put, in any of the forms that something might print.
type canaries map[string]string // what it is, by the form

// add looks for a text of letters and digits alone, which no escaping changes.
func (c canaries) add(what, text string) {
	c[text] = what
	c[hex.EncodeToString([]byte(text))] = what + " in hexadecimal"
	for shift := range 3 { // in the middle of anything that is encoded
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), text...))
		c[encoded[4:len(encoded)-4]] = what + " in base64"
	}
}

func (c canaries) look(t *testing.T, where string, text []byte) {
	t.Helper()
	for form, what := range c {
		if bytes.Contains(text, []byte(form)) {
			t.Errorf("%s holds %s", where, what)
		}
	}
}

// locked is a buffer that several write to.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// nest is a server with canaries in it, and all there is to look at.
type nest struct {
	t             *testing.T
	host, org     string
	operator, use string // tokens
	known         canaries
	log           *locked
	browser       *http.Client
	sent          int
}

const (
	birdValue    = "CanaryValue7Qx2Kd9Lm4Rt6Vw8Zb1Nc3Hj5"
	birdOld      = "CanaryFormerValue3Gf8Js2Wq6Xe9Ry4Tu7Io1"
	birdPassword = "CanaryPassword5Pa7Sd1Fg3Hk9Lz2Xc6Vb8Nm4"
	birdWrong    = "CanaryWrongToken1Qw3Er5Ty7Ui9Op2As4Df6Gh8"
)

func newNest(t *testing.T, dir string) *nest {
	t.Helper()
	n := &nest{t: t, known: canaries{}, log: &locked{}}
	ctx, stop := context.WithCancel(context.Background())
	listening, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- influxd.Run(ctx, command.Process{
			Args: []string{"--http-bind-address=127.0.0.1:0", "--bolt-path=" + filepath.Join(dir, "influxd.bolt"),
				"--log-level=debug", "--secret-due-check=1s"},
			Env: []string{"HOME=" + dir}, Stdout: n.log, Stderr: n.log,
			Listening: func(url string) { listening <- url },
		})
	}()
	select {
	case n.host = <-listening:
	case err := <-done:
		stop()
		t.Fatalf("%v\n%s", err, n.log.Bytes())
	}
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	open, err := client.New(client.Config{Host: n.host})
	if err != nil {
		t.Fatal(err)
	}
	made, err := open.Setup(t.Context(), client.SetupRequest{Username: "admin", Password: birdPassword, Org: "o",
		Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	n.operator, n.org = made.Auth.Token, made.Org.ID
	admin, err := client.New(client.Config{Host: n.host, Token: n.operator})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{birdOld, birdValue} {
		if err := admin.SetSecrets(t.Context(), n.org, map[string]string{"db/password": v, "other": v}); err != nil {
			t.Fatal(err)
		}
	}
	if err := admin.DescribeSecret(t.Context(), n.org, "other", "words", time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	auth, err := admin.CreateAuthorization(t.Context(), client.NewAuthorization{OrgID: n.org,
		Permissions: []client.Permission{{Action: "use", Resource: client.Resource{Type: "secrets", OrgID: n.org}}}})
	if err != nil {
		t.Fatal(err)
	}
	n.use = auth.Token
	n.known.add("a value", birdValue)
	n.known.add("a former value", birdOld)
	n.known.add("a password", birdPassword)
	n.known.add("a token that is none", birdWrong)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	n.browser = &http.Client{Jar: jar, Timeout: time.Minute}
	return n
}

// send makes a request and looks at the answer, unless it may hold values.
func (n *nest) send(c *http.Client, method, path, token, body string, holds bool) string {
	n.t.Helper()
	n.sent++
	req, err := http.NewRequestWithContext(n.t.Context(), method, n.host+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Token "+token)
		req.Header.Set("X-Vault-Token", token)
	}
	if body != "" && !strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := c.Do(req)
	if err != nil {
		n.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		n.t.Fatalf("%s %s: %v", method, path, err)
	}
	if !holds {
		n.known.look(n.t, method+" "+path+" answers, and", answer)
		n.known.look(n.t, method+" "+path+" answers in its header, and", fmt.Append(nil, resp.Header))
	}
	return string(answer)
}

// routes asks for each path of the API, as everybody, with bodies that are wrong.
func (n *nest) routes() {
	raw, err := os.ReadFile("../../internal/httpapi/openapi.json")
	if err != nil {
		n.t.Fatal(err)
	}
	var api struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &api); err != nil {
		n.t.Fatal(err)
	}
	if len(api.Paths) < 40 {
		n.t.Fatalf("the API has only %d paths", len(api.Paths))
	}
	parameter := regexp.MustCompile(`\{\w+\}`)
	tokens := map[string]string{"operator": n.operator, "use": n.use, "wrong": birdWrong, "nobody": ""}
	for path, methods := range api.Paths {
		there := strings.NewReplacer("{orgID}", n.org, "{key}", "db%2Fpassword").Replace(path)
		for method := range methods {
			method = strings.ToUpper(method)
			if method == "PARAMETERS" {
				continue
			}
			for who, token := range tokens {
				holds := strings.Contains(path, "/secret-values") && who == "use"
				// What would end something is asked of what is not there.
				at := parameter.ReplaceAllString(there, "0123456789abcdef")
				if method == "DELETE" {
					at = parameter.ReplaceAllString(path, "0123456789abcdef")
				}
				if method == "GET" || method == "HEAD" || method == "DELETE" {
					if strings.HasSuffix(path, "/backup") || strings.Contains(path, "profile") {
						continue
					}
					n.send(http.DefaultClient, method, at, token, "", holds)
					n.send(http.DefaultClient, method, at+"?"+url.Values{"limit": {"x"}, "versions": {"x"},
						"expiringBefore": {"x"}}.Encode(), token, "", holds)
					continue
				}
				for _, body := range []string{
					`{"db/password": "` + birdValue, `{"db/password": ` + birdValue + `}`,
					`{"password": ["` + birdPassword + `"]}`, `{"db/password": "` + birdValue + `", "x": 7}`,
					"password=" + birdPassword,
				} {
					if who == "operator" && (strings.HasSuffix(path, "/restore") || strings.Contains(path, "seal")) {
						continue
					}
					n.send(http.DefaultClient, method, at, token, body, false)
				}
			}
		}
	}
	for _, path := range []string{"/v1/secret/data/" + n.org, "/v1/secret/metadata/" + n.org,
		"/v1/secret/data/" + n.org + "/db/password", "/v1/auth/token/lookup-self", "/v1/sys/mounts",
		"/v1/secret/data/none"} {
		for who, token := range tokens {
			n.send(http.DefaultClient, "GET", path, token, "", who == "use" && strings.Contains(path, "/data/"))
			n.send(http.DefaultClient, "POST", path, token, `{"data": {"db/password": "`+birdValue+``, false)
			n.send(http.DefaultClient, "POST", path, token, `{"data": {"db/password": `+birdValue+`}}`, false)
			n.send(http.DefaultClient, "PUT", path, token, `{"options": "`+birdValue+`"}`, false)
		}
	}
}

// kept asks for what is made of all that there is: copies of the data, and profiles of the process.
func (n *nest) kept() {
	for path, least := range map[string]int{"/api/v2/backup/kv": 4096, "/debug/pprof/heap": 500,
		"/debug/pprof/goroutine": 500, "/debug/pprof/allocs": 500, "/debug/pprof/profile?seconds=1": 100,
		"/debug/pprof/trace?seconds=1": 100} {
		if got := n.send(http.DefaultClient, "GET", path, n.operator, "", false); len(got) < least {
			n.t.Errorf("%s has only %d bytes: %.100s", path, len(got), got)
		}
	}
}

// changes asks for other seals and for former values, wrongly, as whoever may.
func (n *nest) changes() {
	secret := "/api/v2/orgs/" + n.org + "/secrets/db%2Fpassword/restore"
	for _, path := range []string{"/api/v2/seal/change", secret} {
		for _, body := range []string{`{"type": "passphrase", "passphrase": "` + birdPassword + `"}`,
			`{"version": "` + birdValue + `"}`, `{"version": 1, "` + birdValue + `": 1}`, `["` + birdValue + `"]`,
			`{"type": "key-file", "keyFile": 7, "key": "` + birdPassword + `"`, "password=" + birdPassword} {
			n.send(http.DefaultClient, "POST", path, n.operator, body, false)
		}
	}
	n.send(http.DefaultClient, "POST", secret, n.operator, `{"version": 1}`, false)
	n.send(http.DefaultClient, "POST", secret, n.operator, `{"version": 2}`, false)
	n.send(http.DefaultClient, "POST", "/api/v2/seal/change", n.operator, `{}`, false)
	n.send(http.DefaultClient, "POST", "/api/v2/seal/rotate", n.operator, birdValue, false)
}

// commands runs each command of the program, badly and well.
func (n *nest) commands(home string) {
	program := filepath.Join(programDir(n.t), "influx")
	run := func(holds bool, token, stdin string, args ...string) {
		n.t.Helper()
		ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Env = []string{"HOME=" + home, "TMPDIR=" + os.TempDir(), "PATH=" + os.Getenv("PATH"),
			"INFLUX_HOST=" + n.host, "INFLUX_TOKEN=" + token, "INFLUX_ORG_ID=" + n.org}
		cmd.Dir, cmd.Stdin = home, strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if ctx.Err() != nil {
			n.t.Errorf("influx %q does not end: %v", args, err)
		}
		if !holds {
			n.known.look(n.t, fmt.Sprintf("influx %q prints, and it", args), out)
		}
	}
	for _, l := range leaves(n.t) {
		run(false, n.use, birdValue, append(slices.Clone(l.words), "--http-debug")...)
		run(false, birdWrong, "{"+birdValue, append(slices.Clone(l.words), "--json")...)
	}
	for _, args := range [][]string{
		{"secret", "list"}, {"secret", "show", "-k", "db/password"},
		{"secret", "history", "-k", "db/password", "--json"},
		{"secret", "update", "-k", "db/password", "--http-debug"}, {"secret", "list", "--expiring", "1d"},
		{"secret", "import", "--format", "json", "--http-debug"},
		{"secret", "restore", "-k", "db/password", "--version", "1"},
		{"secret", "restore", "-k", "db/password", "--version", "2"}, {"audit"}, {"secret", "get", "db/password"},
	} {
		run(false, n.operator, birdValue, args...)
	}
	template := filepath.Join(home, "template")
	if err := os.WriteFile(template, []byte(`{{ secret "db/password" | printf "%d" }}{{ (secret "other").X }}`),
		0o600); err != nil {
		n.t.Fatal(err)
	}
	run(false, n.use, "", "secret", "render", "--template", template, "--out", "rendered")
	run(false, n.use, "", "secret", "exec", "--file", "x=db/password", "--http-debug", "--", "true")
	run(false, n.use, "", "secret", "rotate", "db/password", "--exec", "cat")
	run(false, n.use, "", "secret", "get", "none", "--http-debug")
	run(true, n.use, "", "secret", "get", "db/password", "--http-debug")
	run(true, n.use, "", "secret", "export", "--format", "json")
}

// watch looks at the processes of the program, as long as the test runs.
func (n *nest) watch(ctx context.Context, known canaries) (looked *int) {
	looked = new(int)
	for ctx.Err() == nil {
		processes, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			n.t.Error(err)
			return looked
		}
		for _, p := range processes {
			line, err := os.ReadFile(filepath.Join(p, "cmdline"))
			if err != nil || !bytes.HasPrefix(line, []byte(buildDir)) {
				continue // it has ended, or is somebody else's
			}
			*looked++
			known.look(n.t, "a command line", line)
			env, err := os.ReadFile(filepath.Join(p, "environ"))
			if err == nil && !bytes.Contains(env, []byte("INFLUX_TOKEN="+birdWrong)) { // which the test has put there
				known.look(n.t, "an environment", env)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
	return looked
}

// TestCanaries puts values, a password and tokens into a server, asks for everything it has by the API, the pages and
// the commands, rightly and wrongly, and then looks for them where they must not be: answers, the log, the metrics, the
// audit log, the data file, backups, profiles, temporary files, command lines and environments.
func TestCanaries(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of requests and commands")
	}
	temp, dir, home := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	n := newNest(t, dir)
	watching, stop := context.WithCancel(t.Context())
	watched := make(chan *int)
	known := maps.Clone(n.known) // more are added while it watches
	go func() { watched <- n.watch(watching, known) }()
	n.routes()
	pages := n.pages()
	n.commands(home)
	n.changes()
	n.kept()
	n.fill(pages)
	// Tokens were shown where they were made, and must be nowhere else.
	n.known.add("the operator's token", strings.Trim(n.operator, "=-_")[:30])
	n.known.add("a token", strings.Trim(n.use, "=-_")[:30])
	n.known.look(t, "/metrics", []byte(n.send(http.DefaultClient, "GET", "/metrics", "", "", true)))
	stop()
	if looked := <-watched; *looked < 50 {
		t.Errorf("looked at processes only %d times", *looked)
	}
	log := n.log.Bytes()
	if len(log) < 10_000 {
		t.Errorf("the log has only %d bytes", len(log))
	}
	n.known.look(t, "the log", log)
	for _, root := range []string{temp, dir} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			n.known.look(t, "the file "+strings.TrimPrefix(path, root), text)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if n.sent < 700 {
		t.Errorf("sent only %d requests", n.sent)
	}
	// What looks finds what is there.
	found := 0
	for form := range maps.Keys(n.known) {
		if strings.Contains(base64.StdEncoding.EncodeToString([]byte("xy"+birdValue+"z"))+birdValue+
			hex.EncodeToString([]byte(birdValue)), form) {
			found++
		}
	}
	if found < 3 {
		t.Errorf("of a value that is there it would find %d forms", found)
	}
}
