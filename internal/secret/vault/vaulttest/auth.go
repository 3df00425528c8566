package vaulttest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// EnableAuth mounts an auth method of the type at a fresh path below auth/ and returns that path, without auth/.
func (s *Server) EnableAuth(t testing.TB, kind string) string {
	t.Helper()
	path := "a" + strings.ToLower(rand.Text()[:10])
	s.must(t, "POST", "sys/auth/"+path, map[string]string{"type": kind}, nil)
	return path
}

// ConfigureAuth writes what Vault's API takes to a path below an auth method's mount.
func (s *Server) ConfigureAuth(t testing.TB, mount, path string, body any) {
	t.Helper()
	s.must(t, "POST", "auth/"+mount+"/"+path, body, nil)
}

// WritePolicy stores a policy under a fresh name and returns the name.
func (s *Server) WritePolicy(t testing.TB, policy string) string {
	t.Helper()
	name := "p" + strings.ToLower(rand.Text()[:10])
	s.must(t, "PUT", "sys/policies/acl/"+name, map[string]string{"policy": policy}, nil)
	return name
}

// ConfigurePolicy gives a policy another text.
func (s *Server) ConfigurePolicy(t testing.TB, name, policy string) {
	t.Helper()
	s.must(t, "PUT", "sys/policies/acl/"+name, map[string]string{"policy": policy}, nil)
}

// AppRole makes a role from what Vault's API takes (token_policies, token_ttl and so on) and a secret ID for
// it, where it takes one.
func (s *Server) AppRole(t testing.TB, mount string, role map[string]any) (roleID, secretID string) {
	t.Helper()
	s.must(t, "POST", "auth/"+mount+"/role/r", role, nil)
	var id struct {
		Data struct {
			RoleID string `json:"role_id"`
		}
	}
	s.must(t, "GET", "auth/"+mount+"/role/r/role-id", nil, &id)
	if bind, set := role["bind_secret_id"]; set && bind == false {
		return id.Data.RoleID, ""
	}
	var secret struct {
		Data struct {
			SecretID string `json:"secret_id"`
		}
	}
	s.must(t, "POST", "auth/"+mount+"/role/r/secret-id", nil, &secret)
	return id.Data.RoleID, secret.Data.SecretID
}

// Wrap sends a request whose answer Vault wraps, and returns the wrapping token.
func (s *Server) Wrap(t testing.TB, method, path string) string {
	t.Helper()
	req, err := http.NewRequest(method, s.Address+"/v1/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", s.RootToken)
	req.Header.Set("X-Vault-Wrap-TTL", "5m")
	resp, err := s.httpClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct {
		Wrap struct{ Token string } `json:"wrap_info"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.Wrap.Token == "" {
		t.Fatalf("no wrapped answer: %v", err)
	}
	return out.Wrap.Token
}

// Signer signs JWTs.
type Signer struct{ key *ecdsa.PrivateKey }

// NewSigner makes a signer.
func NewSigner(t testing.TB) *Signer { return &Signer{newKey(t)} }

// PublicKey is the PEM against which what it signs is checked.
func (s *Signer) PublicKey(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// Sign makes a JWT (ES256) that is good for an hour.
func (s *Signer) Sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"nbf": time.Now().Add(-time.Minute).Unix()}
	for k, v := range claims {
		all[k] = v
	}
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + b64(body)
	sum := sha256.Sum256([]byte(signed))
	r, n, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	n.FillBytes(signature[32:])
	return signed + "." + b64(signature)
}

// Kubernetes serves the one call of Kubernetes that Vault makes: whose a service account's token is. It takes the
// tokens that the signer signs with the subject system:serviceaccount:<namespace>:<account>.
func Kubernetes(t testing.TB, namespace, account string, accepted func() string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct{ Spec struct{ Token string } }
		if r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" ||
			json.NewDecoder(r.Body).Decode(&review) != nil {
			http.Error(w, `{"kind":"Status","status":"Failure"}`, http.StatusNotFound)
			return
		}
		status := map[string]any{"authenticated": false}
		if review.Spec.Token == accepted() {
			status = map[string]any{"authenticated": true, "user": map[string]any{
				"username": fmt.Sprintf("system:serviceaccount:%s:%s", namespace, account), "uid": "uid-1",
				"groups": []string{"system:serviceaccounts", "system:authenticated"},
			}}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
			"status": status})
	}))
	t.Cleanup(server.Close)
	return server
}

// File writes text to a file of the name in a fresh folder, and returns its path.
func File(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
