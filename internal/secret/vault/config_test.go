package vault

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/vaulttest"
)

// pretend answers as much as a start asks, and records what reaches it. It is no Vault: these tests are about what the
// settings send, and over which connection.
type pretend struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []*http.Request
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func (p *pretend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r)
	answer := p.answer
	p.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	out := map[string]any{}
	switch path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/below"), "/v1/"); {
	case path == "sys/health":
		out = map[string]any{"initialized": true, "sealed": false}
	case strings.HasPrefix(path, "sys/internal/ui/mounts/"):
		out["data"] = map[string]any{"type": "kv", "path": "secret/", "options": map[string]string{"version": "2"}}
	default:
		out["data"] = map[string]any{"ttl": 0}
	}
	_ = json.NewEncoder(w).Encode(out)
}

// requests are the paths seen, in order.
func (p *pretend) requests() (paths []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.seen {
		paths = append(paths, r.URL.Path)
	}
	return paths
}

func (p *pretend) last(t *testing.T) *http.Request {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) == 0 {
		t.Fatal("nothing reached the server")
	}
	return p.seen[len(p.seen)-1]
}

func newPretend(t *testing.T, conf *tls.Config) *pretend {
	p := new(pretend)
	p.Server = httptest.NewUnstartedServer(p)
	p.Config.ErrorLog = log.New(new(logs), "", 0) // failed handshakes
	p.EnableHTTP2 = true
	if p.TLS = conf; conf != nil {
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(p.Close)
	return p
}

// place holds the files of the TLS tests.
type place struct {
	ca, caDir, otherCA, cert, key string
	server                        *tls.Config // asks for client certificates
	named                         *tls.Config // its certificate is for the name vault.internal alone
}

func newPlace(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	authority := vaulttest.NewAuthority(t, "test")
	p := place{ca: authority.File(t, dir), otherCA: vaulttest.NewAuthority(t, "other").File(t, dir),
		caDir: filepath.Join(dir, "cas")}
	if err := os.Mkdir(p.caDir, 0o700); err != nil {
		t.Fatal(err)
	}
	authority.File(t, p.caDir)
	p.cert, p.key = authority.Issue(t, dir, "client")
	load := func(name string, hosts ...string) *tls.Config {
		cert, err := tls.LoadX509KeyPair(authority.Issue(t, dir, name, hosts...))
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(authority.PEM)
		return &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool,
			ClientAuth: tls.VerifyClientCertIfGiven}
	}
	p.server, p.named = load("server", "127.0.0.1"), load("named", "vault.internal")
	return p
}

// mounted is a folder with the file as Kubernetes mounts it: a link to a link's folder's file.
func mounted(t *testing.T, file string) string {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "..2026_01_31_12_00_00.1"), 0o700),
		os.WriteFile(filepath.Join(dir, "..2026_01_31_12_00_00.1", "ca.crt"), pem, 0o600),
		os.Symlink("..2026_01_31_12_00_00.1", filepath.Join(dir, "..data")),
		os.Symlink(filepath.Join("..data", "ca.crt"), filepath.Join(dir, "ca.crt")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestSettings proves of each setting that it reaches the client, as a field (a flag) and as a variable, and that the
// field wins. What a setting does is looked at from the server's side.
func TestSettings(t *testing.T) {
	files := newPlace(t)
	plain, secured, named := newPretend(t, nil), newPretend(t, files.server), newPretend(t, files.named)
	proxied := newPretend(t, nil) // answers for any host, as a proxy
	const unreached = "http://127.0.0.1:1"

	header := func(name, want string) func(*testing.T, *pretend) {
		return func(t *testing.T, p *pretend) {
			if got := p.last(t).Header.Get(name); got != want {
				t.Errorf("header %s is %q, want %q", name, got, want)
			}
		}
	}
	client := func(want string) func(*testing.T, *pretend) {
		return func(t *testing.T, p *pretend) {
			got := ""
			if certs := p.last(t).TLS.PeerCertificates; len(certs) > 0 {
				got = certs[0].Subject.CommonName
			}
			if got != want {
				t.Errorf("the client's certificate is of %q, want %q", got, want)
			}
		}
	}
	reached := func(t *testing.T, p *pretend) { p.last(t) }
	fails := func(part string) string { return part }

	for _, tt := range []struct {
		name   string
		server *pretend
		conf   Config
		env    []string // NAME=value
		fails  string   // part of New's error; "" where it succeeds
		check  func(*testing.T, *pretend)
	}{
		{"address, field", plain, Config{Address: plain.URL}, nil, "", reached},
		{"address, variable", plain, Config{}, []string{"VAULT_ADDR=" + plain.URL}, "", reached},
		{"address, both", plain, Config{Address: plain.URL},
			[]string{"VAULT_ADDR=" + unreached, "VAULT_AGENT_ADDR=" + unreached}, "", reached},
		{"address, agent", plain, Config{}, []string{"VAULT_ADDR=" + unreached, "VAULT_AGENT_ADDR=" + plain.URL},
			"", reached},
		{"address, none", plain, Config{}, nil, "https://127.0.0.1:8200 cannot be reached", nil},
		{"address with a path", plain, Config{Address: plain.URL + "/below"}, nil, "", func(t *testing.T, p *pretend) {
			if got := p.requests()[0]; got != "/below/v1/sys/health" {
				t.Errorf("asked for %s", got)
			}
		}},

		{"token, field", plain, Config{Address: plain.URL, Token: "sesame"}, nil, "",
			header("X-Vault-Token", "sesame")},
		{"token, variable", plain, Config{Address: plain.URL}, []string{"VAULT_TOKEN=open"}, "",
			header("X-Vault-Token", "open")},
		{"token, both", plain, Config{Address: plain.URL, Token: "sesame"}, []string{"VAULT_TOKEN=open"}, "",
			header("X-Vault-Token", "sesame")},
		{"token, none", plain, Config{Address: plain.URL}, nil, "", header("X-Vault-Token", "")},

		{"namespace, field", plain, Config{Address: plain.URL, Place: Place{Namespace: "team"}}, nil, "",
			header("X-Vault-Namespace", "team")},
		{"namespace, variable", plain, Config{Address: plain.URL}, []string{"VAULT_NAMESPACE=other"}, "",
			header("X-Vault-Namespace", "other")},
		{"namespace, both", plain, Config{Address: plain.URL, Place: Place{Namespace: "team"}},
			[]string{"VAULT_NAMESPACE=other"}, "", header("X-Vault-Namespace", "team")},

		{"cacert, none", secured, Config{Address: secured.URL}, nil, fails("--vault-cacert or VAULT_CACERT"), nil},
		{"cacert, field", secured, Config{Address: secured.URL, CACert: files.ca}, nil, "", reached},
		{"cacert, variable", secured, Config{Address: secured.URL}, []string{"VAULT_CACERT=" + files.ca}, "", reached},
		{"cacert, both", secured, Config{Address: secured.URL, CACert: files.ca},
			[]string{"VAULT_CACERT=" + files.otherCA}, "", reached},
		{"cacert, another", secured, Config{Address: secured.URL, CACert: files.otherCA},
			[]string{"VAULT_CACERT=" + files.ca}, "--vault-cacert", nil},
		{"cacert, field over the folder's variable", secured, Config{Address: secured.URL, CACert: files.ca},
			[]string{"VAULT_CAPATH=" + files.caDir}, "", reached},
		{"cacert, bytes", secured, Config{Address: secured.URL}, []string{"VAULT_CACERT_BYTES=" + read(t, files.ca)},
			"", reached},
		{"capath, field", secured, Config{Address: secured.URL, CAPath: files.caDir}, nil, "", reached},
		{"capath, as Kubernetes mounts it", secured, Config{Address: secured.URL, CAPath: mounted(t, files.ca)}, nil,
			"", reached},
		{"capath, variable", secured, Config{Address: secured.URL}, []string{"VAULT_CAPATH=" + files.caDir},
			"", reached},
		{"capath, variable, as Kubernetes mounts it", secured, Config{Address: secured.URL},
			[]string{"VAULT_CAPATH=" + mounted(t, files.ca)}, "", reached},
		{"capath, field over its variable", secured, Config{Address: secured.URL, CAPath: files.caDir},
			[]string{"VAULT_CAPATH=" + mounted(t, files.otherCA)}, "", reached},
		{"cacert, variable over the folder's", secured, Config{Address: secured.URL},
			[]string{"VAULT_CAPATH=" + mounted(t, files.otherCA), "VAULT_CACERT=" + files.ca}, "", reached},
		{"capath, field over the file's variable", secured, Config{Address: secured.URL, CAPath: files.caDir},
			[]string{"VAULT_CACERT=" + files.otherCA}, "", reached},

		{"client certificate, none", secured, Config{Address: secured.URL, CACert: files.ca}, nil, "", client("")},
		{"client certificate, fields", secured, Config{Address: secured.URL, CACert: files.ca, ClientCert: files.cert,
			ClientKey: files.key}, nil, "", client("client")},
		{"client certificate, variables", secured, Config{Address: secured.URL, CACert: files.ca},
			[]string{"VAULT_CLIENT_CERT=" + files.cert, "VAULT_CLIENT_KEY=" + files.key}, "", client("client")},

		{"skip verify, field", secured, Config{Address: secured.URL, SkipVerify: new(true)}, nil, "", reached},
		{"skip verify, variable", secured, Config{Address: secured.URL}, []string{"VAULT_SKIP_VERIFY=1"}, "", reached},
		{"skip verify, both", secured, Config{Address: secured.URL, SkipVerify: new(false)},
			[]string{"VAULT_SKIP_VERIFY=1"}, "--vault-cacert", nil},

		{"server name, none", named, Config{Address: named.URL, CACert: files.ca}, nil,
			fails("--vault-tls-server-name or VAULT_TLS_SERVER_NAME"), nil},
		{"server name, field", named, Config{Address: named.URL, CACert: files.ca, TLSServerName: "vault.internal"},
			nil, "", func(t *testing.T, p *pretend) {
				if got := p.last(t).TLS.ServerName; got != "vault.internal" {
					t.Errorf("SNI %q", got)
				}
			}},
		{"server name, variable", named, Config{Address: named.URL, CACert: files.ca},
			[]string{"VAULT_TLS_SERVER_NAME=vault.internal"}, "", reached},
		{"server name, both", named, Config{Address: named.URL, CACert: files.ca, TLSServerName: "vault.internal"},
			[]string{"VAULT_TLS_SERVER_NAME=other"}, "", reached},

		{"OpenBao's address", plain, Config{}, []string{"BAO_ADDR=" + plain.URL, "VAULT_ADDR=" + unreached},
			"", reached},
		{"OpenBao's address, field over it", plain, Config{Address: plain.URL}, []string{"BAO_ADDR=" + unreached},
			"", reached},
		{"OpenBao's token", plain, Config{Address: plain.URL}, []string{"BAO_TOKEN=bao", "VAULT_TOKEN=open"}, "",
			header("X-Vault-Token", "bao")},
		{"OpenBao's token, empty", plain, Config{Address: plain.URL}, []string{"BAO_TOKEN=", "VAULT_TOKEN=open"}, "",
			header("X-Vault-Token", "")},
		{"OpenBao's namespace", plain, Config{Address: plain.URL}, []string{"BAO_NAMESPACE=bao"}, "",
			header("X-Vault-Namespace", "bao")},
		{"OpenBao's authority", secured, Config{Address: secured.URL},
			[]string{"BAO_CACERT=" + files.ca, "VAULT_CACERT=" + files.otherCA}, "", reached},
		{"OpenBao's folder", secured, Config{Address: secured.URL}, []string{"BAO_CAPATH=" + mounted(t, files.ca)},
			"", reached},
		{"OpenBao's client certificate", secured, Config{Address: secured.URL, CACert: files.ca},
			[]string{"BAO_CLIENT_CERT=" + files.cert, "BAO_CLIENT_KEY=" + files.key}, "", client("client")},

		{"headers", plain, Config{Address: plain.URL}, []string{`VAULT_HEADERS={"X-Team":"data"}`}, "",
			header("X-Team", "data")},
		{"proxy", proxied, Config{Address: "http://vault.invalid"}, []string{"VAULT_HTTP_PROXY=" + proxied.URL},
			"", reached},
		{"proxy, newer", proxied, Config{Address: "http://vault.invalid"}, []string{"VAULT_PROXY_ADDR=" + proxied.URL,
			"VAULT_HTTP_PROXY=" + unreached}, "", reached},
		{"wrapping, refused", plain, Config{Address: plain.URL}, []string{"VAULT_WRAP_TTL=60"}, "",
			header("X-Vault-Wrap-TTL", "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.server.mu.Lock()
			tt.server.seen = nil
			tt.server.mu.Unlock()
			environment(t, tt.env...)
			s, err := New(t.Context(), quiet(tt.conf))
			if err == nil {
				defer s.Close()
			}
			if tt.fails != "" {
				wantError(t, err, tt.fails)
			} else if err != nil {
				t.Fatal(err)
			} else {
				tt.check(t, tt.server)
			}
		})
	}
}

// TestTimeout has every way to say it end a call, and nothing said be less than 5 s.
func TestTimeout(t *testing.T) {
	p := newPretend(t, nil)
	for _, tt := range []struct {
		name  string
		field *time.Duration
		env   []string
		want  time.Duration
	}{
		{"none", nil, nil, conn.DefaultTimeout},
		{"field", new(300 * time.Millisecond), []string{"VAULT_CLIENT_TIMEOUT=7"}, 300 * time.Millisecond},
		{"variable in seconds", nil, []string{"VAULT_CLIENT_TIMEOUT=7"}, 7 * time.Second},
		{"variable", nil, []string{"VAULT_CLIENT_TIMEOUT=250ms"}, 250 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			environment(t, tt.env...)
			s, err := New(t.Context(), quiet(Config{Address: p.URL, ClientTimeout: tt.field}))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := s.conn.Bound(t.Context())
			defer cancel()
			// TestSilent shows that the context ends calls.
			if d, _ := ctx.Deadline(); time.Until(d) > tt.want || s.conn.Timeout != tt.want {
				t.Errorf("the deadline is in %v, want %v", time.Until(d), tt.want)
			}
		})
	}
	if conn.DefaultTimeout >= 5*time.Second {
		t.Errorf("the default is %v; the API answers within 5 s", conn.DefaultTimeout)
	}
}

func TestMaxRetries(t *testing.T) {
	for _, tt := range []struct {
		name  string
		field *int
		env   []string
		want  int
	}{
		{"none", nil, nil, 2},
		{"field 0", new(0), []string{"VAULT_MAX_RETRIES=3"}, 0},
		{"field", new(1), []string{"VAULT_MAX_RETRIES=3"}, 1},
		{"variable", nil, []string{"VAULT_MAX_RETRIES=3"}, 3},
		{"variable 0", nil, []string{"VAULT_MAX_RETRIES=0"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			environment(t, tt.env...)
			p := newPretend(t, nil)
			s, err := New(t.Context(), quiet(Config{Address: p.URL, MaxRetries: tt.field,
				ClientTimeout: new(time.Minute)}))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			// What is asked for to find out whether Vault is there is no retry.
			asked := func() (n int) {
				for _, path := range p.requests() {
					if path != "/v1/sys/health" {
						n++
					}
				}
				return n
			}
			before := asked()
			p.mu.Lock()
			p.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			p.mu.Unlock()
			if _, err := s.Keys(t.Context(), org); err == nil {
				t.Error("Keys succeeded")
			}
			if got := asked() - before - 1; got != tt.want {
				t.Errorf("%d retries, want %d", got, tt.want)
			}
		})
	}
}

// TestOtherVariables has those whose effect is not in a request.
func TestOtherVariables(t *testing.T) {
	p := newPretend(t, nil)
	environment(t, "VAULT_RATE_LIMIT=7:9", "VAULT_SRV_LOOKUP=true", "VAULT_DISABLE_REDIRECTS=true")
	s, err := New(t.Context(), quiet(Config{Address: p.URL}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if l := s.conn.Client.Limiter(); l == nil || l.Limit() != 7 || l.Burst() != 9 {
		t.Errorf("the limiter is %v", l)
	}
	if conf := s.conn.Client.CloneConfig(); !conf.SRVLookup || !conf.DisableRedirects {
		t.Errorf("SRV look-up %v, no redirects %v", conf.SRVLookup, conf.DisableRedirects)
	}
}

// TestBadSettings wants each mistake to end the start, named by the flag or variable, and without what may be secret.
func TestBadSettings(t *testing.T) {
	files := newPlace(t)
	empty := t.TempDir()
	for _, tt := range []struct {
		conf Config
		env  string
		want string
	}{
		{Config{}, "VAULT_ADDR=vault.example.com", "variable VAULT_ADDR: is not the URL"},
		{Config{}, "VAULT_ADDR=https://user:sesame@vault",
			"variable VAULT_ADDR: is not the URL of a server without a user's name"},
		{Config{}, "BAO_ADDR=bao.example.com", "variable BAO_ADDR: is not the URL"},
		{Config{}, "BAO_CACERT=/nowhere.pem", "variable BAO_CACERT"},
		{Config{}, "VAULT_AGENT_ADDR=%", "variable VAULT_AGENT_ADDR"},
		{Config{}, "VAULT_MAX_RETRIES=-1", `variable VAULT_MAX_RETRIES: "-1"`},
		{Config{}, "VAULT_MAX_RETRIES=many", "variable VAULT_MAX_RETRIES"},
		{Config{}, "VAULT_CLIENT_TIMEOUT=soon", "VAULT_CLIENT_TIMEOUT"},
		{Config{}, "VAULT_CLIENT_TIMEOUT=-1s", "VAULT_CLIENT_TIMEOUT: must be more than 0"},
		{Config{}, "VAULT_CACERT=/nowhere.pem", "variable VAULT_CACERT"},
		{Config{CACert: files.ca}, "VAULT_CACERT=/nowhere.pem", "variable VAULT_CACERT"},
		{Config{}, "VAULT_CACERT=" + files.key, "variable VAULT_CACERT"},
		{Config{}, "VAULT_CACERT_BYTES=sesame", "variable VAULT_CACERT_BYTES"},
		{Config{}, "VAULT_CAPATH=/nowhere", "variable VAULT_CAPATH"},
		{Config{}, "VAULT_CAPATH=" + empty, "variable VAULT_CAPATH: there is no certificate"},
		{Config{}, "VAULT_CLIENT_CERT=" + files.cert, "variable VAULT_CLIENT_CERT"},
		{Config{}, "VAULT_CLIENT_KEY=" + files.key, "variable VAULT_CLIENT_KEY"},
		{Config{}, "VAULT_SKIP_VERIFY=perhaps", `variable VAULT_SKIP_VERIFY: "perhaps"`},
		{Config{}, "VAULT_SRV_LOOKUP=perhaps", "variable VAULT_SRV_LOOKUP"},
		{Config{}, "VAULT_DISABLE_REDIRECTS=perhaps", "variable VAULT_DISABLE_REDIRECTS"},
		{Config{}, "VAULT_RATE_LIMIT=fast", "VAULT_RATE_LIMIT"},
		{Config{}, "VAULT_HTTP_PROXY=sesame", "variable VAULT_HTTP_PROXY"},
		{Config{}, "VAULT_PROXY_ADDR=://sesame", "variable VAULT_PROXY_ADDR"},
		{Config{}, "VAULT_HEADERS=sesame", "variable VAULT_HEADERS"},
		{Config{}, `VAULT_HEADERS={"a":1}`, "variable VAULT_HEADERS"},
		{Config{}, `VAULT_HEADERS={"X-Vault-Token":"sesame"}`, "X-Vault-"},
		{Config{}, "VAULT_TOKEN=sesame\n", "variable VAULT_TOKEN: holds a line break"},
		{Config{Address: "vault"}, "", "--vault-addr: is not the URL"},
		{Config{Address: "ftp://vault"}, "", "--vault-addr: is not the URL"},
		{Config{CACert: "/nowhere.pem"}, "", "--vault-cacert: "},
		{Config{CAPath: empty}, "", "--vault-capath: there is no certificate"},
		{Config{ClientCert: files.cert}, "", "--vault-client-cert: "},
		{Config{ClientCert: files.cert, ClientKey: files.ca}, "", "--vault-client-cert: "},
		{Config{ClientTimeout: new(time.Duration)}, "", "--vault-client-timeout: must be more than 0"},
		{Config{Place: Place{Mount: "a//b"}}, "", `--vault-mount: "a//b"`},
		{Config{Place: Place{Mount: ".."}}, "", `--vault-mount`},
		{Config{Place: Place{Path: "a/../b/{org}"}}, "", "--vault-path"},
	} {
		t.Run(fmt.Sprintf("%s%s", tt.env, tt.want), func(t *testing.T) {
			if tt.env != "" {
				environment(t, tt.env)
			}
			_, err := New(t.Context(), quiet(tt.conf))
			wantError(t, err, tt.want)
			if err != nil && strings.Contains(err.Error(), "sesame") {
				t.Errorf("the error repeats the value: %v", err)
			}
		})
	}
}

func environment(t *testing.T, env ...string) {
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("New: %v, want an error with %q", err, part)
	} else if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
