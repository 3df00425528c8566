package transit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"strongroom/internal/seal"
	"strongroom/internal/seal/sealtest"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestMain looks for what the seals leave behind: they have no Close.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "VAULT_") {
			os.Unsetenv(name) // the tests set what they mean
		}
	}
	code := m.Run()
	vaulttest.StopShared()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "left over after the tests:", err)
		code = 1
	}
	os.Exit(code)
}

// newSource is a source with a fresh engine and key in v, for the root token.
func newSource(t *testing.T, v *vaulttest.Server) Source {
	t.Helper()
	s := Source{Vault: conn.Config{Address: v.Address, Token: v.RootToken},
		Mount: v.Mount(t, map[string]any{"type": "transit"}), Key: "strongroom"}
	act(t, v, "keys/strongroom", s, nil)
	return s
}

// act does something to the engine with the root token, and has to succeed.
func act(t *testing.T, v *vaulttest.Server, path string, s Source, body any) {
	t.Helper()
	if status, answer := v.Do(t, "POST", s.Mount+"/"+path, body); status >= 300 {
		t.Fatalf("%s: %d %s", path, status, answer)
	}
}

func load(t *testing.T, s Source) seal.Seal {
	t.Helper()
	got, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want one with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v; want %q in it", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than a line: %v", err)
	}
}

func TestSuite(t *testing.T) {
	v := vaulttest.Shared(t)
	s := newSource(t, v)
	other, missing := newSource(t, v), s
	missing.Key = "none"
	sealtest.Test(t, sealtest.Seals{
		Source: s, Other: other, Missing: missing, Key: v.RootToken, Every: 1,
		Foreign: [][]byte{append([]byte{1}, bytes.Repeat([]byte{7}, 60)...),
			append([]byte{2}, bytes.Repeat([]byte{7}, 86)...)},
	})
}

// TestLoadRefuses has the mistakes of a start, each answered with what to change.
func TestLoadRefuses(t *testing.T) {
	v := vaulttest.Shared(t)
	good := newSource(t, v)
	for name, body := range map[string]map[string]any{"rsa": {"type": "rsa-2048"}, "derived": {"derived": true},
		"hmac": {"type": "hmac", "key_size": 32}} {
		act(t, v, "keys/"+name, good, body)
	}
	revoked := v.Token(t, vaulttest.Policy("none"), time.Hour)
	v.Revoke(t, revoked)
	kv := v.MountKV(t)
	for name, tt := range map[string]struct {
		change func(*Source)
		want   []string
	}{
		"no key":           {func(s *Source) { s.Key = "" }, []string{"needs --seal-transit-key"}},
		"a path for a key": {func(s *Source) { s.Key = "../sys/seal" }, []string{"--seal-transit-key"}},
		"a strange mount":  {func(s *Source) { s.Mount = "a/../b" }, []string{"--seal-transit-mount"}},
		"a missing key": {func(s *Source) {
			s.Key = "none"
		}, []string{"there is no key none", "vault write -f " + good.Mount + "/keys/none"}},
		"nothing mounted": {func(s *Source) {
			s.Mount = "nothing"
		}, []string{"nothing is mounted at nothing/", "vault secrets enable -path=nothing transit"}},
		"another engine": {func(s *Source) { s.Mount = kv }, []string{kv + "/", "--seal-transit-mount"}},
		"an RSA key":     {func(s *Source) { s.Key = "rsa" }, []string{`"rsa-2048"`, "aes256-gcm96"}},
		"a key for HMAC": {func(s *Source) { s.Key = "hmac" }, []string{`"hmac"`}},
		"a derived key":  {func(s *Source) { s.Key = "derived" }, []string{"derived=true"}},
		"a wrong token": {func(s *Source) {
			s.Vault.Token = "nonsense"
		}, []string{"refuses the token", "--vault-token"}},
		"a revoked token": {func(s *Source) { s.Vault.Token = revoked }, []string{"refuses the token"}},
		"no token":        {func(s *Source) { s.Vault.Token = "" }, []string{"there is no token"}},
		"no token file": {func(s *Source) {
			s.Vault.Token, s.Vault.Login = "", login.Config{TokenFile: "/nowhere/token"}
		},
			[]string{"/nowhere/token"}},
		"TLS for none": {func(s *Source) {
			s.Vault.Address = strings.Replace(v.Address, "http:", "https:", 1)
		}, []string{"does not speak TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			s.Wait = time.Hour // these do not wait
			tt.change(&s)
			_, err := s.Load(t.Context())
			says(t, err, tt.want...)
			if strings.Contains(err.Error(), "nonsense") || strings.Contains(err.Error(), v.RootToken) {
				t.Errorf("the error holds the token: %v", err)
			}
		})
	}
	missing := good
	missing.Key = "none"
	if _, err := missing.Create(t.Context()); err == nil || !strings.Contains(err.Error(),
		"vault write -f "+good.Mount+"/keys/none") {
		t.Errorf("making a key in Vault: %v", err)
	}
	renamed := good
	renamed.Vault.Address, renamed.Rename = "http://127.0.0.1:1", []string{"--vault-addr or VAULT_ADDR",
		"--seal-transit-addr"}
	_, err := renamed.Load(t.Context())
	says(t, err, "cannot be reached", "correct --seal-transit-addr")
}

// TestPermissions has tokens that lack something.
func TestPermissions(t *testing.T) {
	v := vaulttest.Shared(t)
	s := newSource(t, v)
	with := func(acts ...string) seal.Seal {
		policy := ""
		for _, a := range acts {
			policy += `path "` + s.Mount + "/" + a + `/strongroom" { capabilities = ["update"] }` + "\n"
		}
		s := s
		s.Vault.Token = v.Token(t, policy, time.Hour)
		return load(t, s)
	}
	_, err := with("decrypt").Wrap(t.Context(), []byte("root"), nil)
	says(t, err, "/encrypt/strongroom", `path "`+s.Mount+`/encrypt/strongroom" { capabilities = ["update"] }`)
	_, err = with("encrypt").Wrap(t.Context(), []byte("root"), nil) // which a start would find out too late
	says(t, err, "/decrypt/strongroom", `path "`+s.Mount+`/decrypt/strongroom" { capabilities = ["update"] }`)

	both := with("encrypt", "decrypt") // may not read the key, which is no need
	blob, err := both.Wrap(t.Context(), []byte("root"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := both.Unwrap(t.Context(), blob, []byte("aad")); err != nil || string(got) != "root" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := with("encrypt").Unwrap(t.Context(), blob, []byte("aad")); errors.Is(err, seal.ErrUnwrap) {
		t.Errorf("a missing permission is told as a wrong key: %v", err)
	}
}

// TestKeyChangesInVault rotates the key, forbids its first version, deletes it and makes another of its name.
func TestKeyChangesInVault(t *testing.T) {
	v := vaulttest.Shared(t)
	s := newSource(t, v)
	mine := load(t, s)
	wrap := func() []byte {
		t.Helper()
		blob, err := mine.Wrap(t.Context(), []byte("root"), []byte("aad"))
		if err != nil {
			t.Fatal(err)
		}
		return blob
	}
	opens := func(blob []byte) {
		t.Helper()
		if got, err := mine.Unwrap(t.Context(), blob, []byte("aad")); err != nil || string(got) != "root" {
			t.Errorf("%q, %v", got, err)
		}
	}
	first := wrap()
	act(t, v, "keys/strongroom/rotate", s, nil)
	opens(first)
	second := wrap()
	if !bytes.HasPrefix(first, []byte("\x03vault:v1:")) || !bytes.HasPrefix(second, []byte("\x03vault:v2:")) {
		t.Errorf("%.12q and %.12q", first, second)
	}

	act(t, v, "keys/strongroom/config", s, map[string]any{"min_decryption_version": 2})
	_, err := mine.Unwrap(t.Context(), first, []byte("aad"))
	says(t, err, "version 1", "vault write "+s.Mount+"/keys/strongroom/config min_decryption_version=1",
		"influx seal change")
	if errors.Is(err, seal.ErrUnwrap) {
		t.Errorf("a version that is forbidden is told as a wrong key: %v", err)
	}
	opens(second)
	act(t, v, "keys/strongroom/config", s, map[string]any{"min_decryption_version": 1})
	opens(first)

	act(t, v, "keys/strongroom/config", s, map[string]any{"deletion_allowed": true})
	if status, _ := v.Do(t, "DELETE", s.Mount+"/keys/strongroom", nil); status != 204 {
		t.Fatal(status)
	}
	_, err = mine.Unwrap(t.Context(), second, []byte("aad"))
	says(t, err, "there is no key strongroom", "deleted")
	if _, err := mine.Wrap(t.Context(), []byte("root"), nil); !errors.Is(err, seal.ErrNoKey) { // Vault would make one
		t.Errorf("wrapped with a deleted key: %v", err)
	}
	if status, _ := v.Do(t, "GET", s.Mount+"/keys/strongroom", nil); status != http.StatusNotFound {
		t.Errorf("the seal has made a key in Vault (%d)", status)
	}
	act(t, v, "keys/strongroom", s, nil)
	_, err = mine.Unwrap(t.Context(), first, []byte("aad"))
	if says(t, err, "did not make it", "made again"); !errors.Is(err, seal.ErrUnwrap) {
		t.Errorf("another key of the name: %v", err)
	}
}

// TestWait starts while Vault is sealed, and while it is not there.
func TestWait(t *testing.T) {
	v := vaulttest.Start(t, vaulttest.Persistent(t))
	s := newSource(t, v)
	mine := load(t, s)
	blob, err := mine.Wrap(t.Context(), []byte("root"), nil)
	if err != nil {
		t.Fatal(err)
	}
	v.Seal(t)
	_, err = s.Load(t.Context())
	says(t, err, "is sealed", "vault operator unseal")
	_, err = mine.Unwrap(t.Context(), blob, nil)
	says(t, err, "is sealed")

	var log bytes.Buffer
	s.Wait, s.Log = time.Minute, slog.New(slog.NewTextHandler(io.MultiWriter(&log, onceWritten(func() {
		v.Unseal(t)
	})), nil))
	if got, err := load(t, s).Unwrap(t.Context(), blob, nil); err != nil || string(got) != "root" {
		t.Errorf("after the unsealing: %q, %v", got, err)
	}
	if !strings.Contains(log.String(), "waiting for the Vault that opens the data") || strings.Contains(log.String(),
		v.RootToken) {
		t.Errorf("the log: %s", &log)
	}
	v.Kill()
	s.Wait = time.Nanosecond
	_, err = s.Load(t.Context())
	says(t, err, "cannot be reached", "waited 1ns")
}

// onceWritten calls itself at the first write.
type onceWritten func()

func (f onceWritten) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// TestTokenEnds takes a new token where the one of an earlier act has ended.
func TestTokenEnds(t *testing.T) {
	v := vaulttest.Shared(t)
	s := newSource(t, v)
	policy := `path "` + s.Mount + `/*" { capabilities = ["update", "read"] }`
	token := v.Token(t, policy, time.Hour)
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(token)
	s.Vault.Token, s.Vault.Login = "", login.Config{TokenFile: file}
	mine := load(t, s)
	v.Revoke(t, token)
	write(v.Token(t, policy, time.Hour))
	if _, err := mine.Wrap(t.Context(), []byte("root"), nil); err != nil {
		t.Errorf("with the file's new token: %v", err)
	}
}

// TestEngineWithoutAssociatedData stands before the real engine and takes associated_data away, which is what an engine
// from before Vault 1.13 makes of it.
func TestEngineWithoutAssociatedData(t *testing.T) {
	v := vaulttest.Shared(t)
	s := newSource(t, v)
	to, err := url.Parse(v.Address)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		body = bytes.ReplaceAll(body, []byte(`"associated_data"`), []byte(`"unknown"`))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		proxy.ServeHTTP(w, r)
	}))
	defer old.Close()
	s.Vault.Address = old.URL
	_, err = load(t, s).Wrap(t.Context(), []byte("root"), nil)
	says(t, err, "ignores associated_data", "1.13")
}
