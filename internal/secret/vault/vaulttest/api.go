package vaulttest

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Do sends a request with the root token and returns the status and the body. body is marshalled unless it is bytes or
// nil.
func (s *Server) Do(t testing.TB, method, path string, body any) (int, []byte) {
	t.Helper()
	return s.DoAs(t, s.RootToken, method, path, body)
}

// DoAs is Do with another token.
func (s *Server) DoAs(t testing.TB, token, method, path string, body any) (int, []byte) {
	t.Helper()
	b, raw := body.([]byte)
	if body != nil && !raw {
		var err error
		if b, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, s.Address+"/v1/"+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := s.httpClient(t).Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, answer
}

// must sends a request that has to succeed, and decodes the answer where out is not nil.
func (s *Server) must(t testing.TB, method, path string, body, out any) {
	t.Helper()
	status, answer := s.Do(t, method, path, body)
	if status >= 300 {
		t.Fatalf("Vault answered %s %s with %d: %s\n%s", method, path, status, answer, s.Log())
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

func (s *Server) httpClient(t testing.TB) *http.Client {
	t.Helper()
	// Connections are not kept: a test that counts goroutines or kills the server meets none of ours.
	tr := &http.Transport{DisableKeepAlives: true}
	if s.ca != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(s.ca)
		tr.TLSClientConfig = &tls.Config{RootCAs: pool}
		if s.client != nil {
			cert, err := tls.LoadX509KeyPair(s.client.cert, s.client.key)
			if err != nil {
				t.Fatal(err)
			}
			tr.TLSClientConfig.Certificates = []tls.Certificate{cert}
		}
	}
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// MountKV mounts a fresh KV engine of version 2 and returns its path, without a slash at the end.
func (s *Server) MountKV(t testing.TB) string {
	t.Helper()
	mount := s.Mount(t, map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
	// The engine makes itself ready in the background.
	for range 500 {
		if status, _ := s.Do(t, "GET", mount+"/config", nil); status == http.StatusOK {
			return mount
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the KV engine at %s/ did not become ready", mount)
	return ""
}

// Mount mounts what Vault's API describes by body at a fresh path.
func (s *Server) Mount(t testing.TB, body any) string {
	t.Helper()
	path := "t" + strings.ToLower(rand.Text()[:10])
	s.must(t, "POST", "sys/mounts/"+path, body, nil)
	return path
}

// ConfigureMount sets one of a KV engine's own settings.
func (s *Server) ConfigureMount(t testing.TB, mount, setting, value string) {
	t.Helper()
	s.must(t, "POST", mount+"/config", map[string]string{setting: value}, nil)
}

// Unmount takes an engine away, its data with it.
func (s *Server) Unmount(t testing.TB, mount string) {
	t.Helper()
	s.must(t, "DELETE", "sys/mounts/"+mount, nil, nil)
}

// Policy is the policy that Strongroom needs on a mount, as its documentation gives it.
func Policy(mount string) string {
	return PolicyOf(mount, "create", "read", "update", "delete") + fmt.Sprintf(`
path "%s/metadata/*" { capabilities = ["delete"] }`, mount)
}

// PolicyOf gives the capabilities on the data of a mount and nothing else.
func PolicyOf(mount string, capabilities ...string) string {
	return fmt.Sprintf("path %q { capabilities = [\"%s\"] }", mount+"/data/*", strings.Join(capabilities, `", "`))
}

// Token makes a token that has the policy (and Vault's default one) for so long.
func (s *Server) Token(t testing.TB, policy string, ttl time.Duration) string {
	t.Helper()
	name := "p" + strings.ToLower(rand.Text()[:10])
	s.must(t, "PUT", "sys/policies/acl/"+name, map[string]string{"policy": policy}, nil)
	return s.NewToken(t, map[string]any{"policies": []string{name}, "ttl": ttl.String()})
}

// NewToken makes a token from what Vault's API takes.
func (s *Server) NewToken(t testing.TB, body any) string {
	t.Helper()
	var out struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	s.must(t, "POST", "auth/token/create", body, &out)
	return out.Auth.Token
}

// Revoke ends a token.
func (s *Server) Revoke(t testing.TB, token string) {
	t.Helper()
	s.must(t, "POST", "auth/token/revoke", map[string]string{"token": token}, nil)
}

// Seal seals the server.
func (s *Server) Seal(t testing.TB) {
	t.Helper()
	s.must(t, "PUT", "sys/seal", nil, nil)
}

// Unseal unseals the server and waits until it serves.
func (s *Server) Unseal(t testing.TB) {
	t.Helper()
	s.must(t, "PUT", "sys/unseal", map[string]string{"key": s.UnsealKey}, nil)
	for range 500 {
		if status, _ := s.Do(t, "GET", "sys/health", nil); status == http.StatusOK {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("Vault did not come up after its unsealing")
}

// Write puts data, the JSON object of an entry's keys and values, at a path of a KV mount of version 2, as another
// program would.
func (s *Server) Write(t testing.TB, mount, path, data string) {
	t.Helper()
	s.must(t, "PUT", mount+"/data/"+path, []byte(`{"data":`+data+`}`), nil)
}

// Entry is what a KV mount of version 2 holds at a path.
type Entry struct {
	Data     map[string]json.RawMessage
	Metadata struct {
		Version        int
		CustomMetadata map[string]string `json:"custom_metadata"`
	}
}

// Read reads an entry. It fails the test where there is none.
func (s *Server) Read(t testing.TB, mount, path string) Entry {
	t.Helper()
	var out struct{ Data Entry }
	s.must(t, "GET", mount+"/data/"+path, nil, &out)
	return out.Data
}
