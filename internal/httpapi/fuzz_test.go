package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/audit/auditlog"
	"strongroom/internal/id"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/service"
)

// FuzzPath asks for any path at all: nothing but the API answers, and never with a redirect or a fault.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/api/v2/orgs", "//api/v2/me", "/api/v2/orgs//secrets", "/api/../health",
		"/api/v2/orgs/%2e%2e/secrets", "/x/../ping", "/api/v2/", "/..", "/", "//", "/api", "/api/v2/me/.", "/%2fapi"} {
		f.Add(p)
	}
	a, _, _ := newAPI(f)
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI("/" + strings.TrimPrefix(path, "/"))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, &http.Request{Method: "GET", URL: u, Header: http.Header{}, Body: http.NoBody})
		if w.Code >= 500 || w.Code >= 300 && w.Code < 400 {
			t.Errorf("GET %q: %d %s", u, w.Code, w.Header().Get("Location"))
		}
		if w.Code >= 400 {
			checkErrorForm(t, w)
		}
	})
}

func checkErrorForm(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var e struct{ Code, Message string }
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Code == "" || e.Message == "" ||
		w.Header().Get("X-Platform-Error-Code") != e.Code {
		t.Errorf("%d in the form %q", w.Code, w.Body)
	}
}

// FuzzBodies sends bodies to every operation that takes one, as the operator: none is a fault, and what is refused
// leaves the secrets as they were.
func FuzzBodies(f *testing.F) {
	a, token, org := newAPI(f)
	routes := []string{"POST /setup", "PUT /me/password", "POST /users", "PATCH /users/{user}",
		"POST /users/{user}/password", "POST /orgs", "PATCH /orgs/{org}", "POST /orgs/{org}/members",
		"POST /orgs/{org}/owners", "PATCH /orgs/{org}/secrets", "POST /orgs/{org}/secrets/delete",
		"POST /authorizations", "PATCH /authorizations/{auth}", "POST /buckets", "PATCH /buckets/{bucket}"}
	for i := range routes {
		for _, body := range []string{`{"name":"x","status":"active","description":"y"}`, `{"password":"12345678"}`,
			`{"id":"{org}","secrets":["a",null]}`,
			`{"orgID":"{org}","name":"x","retentionRules":[{"type":"expire","everySeconds":3600}]}`, `{"foo":"bar"}`,
			`{"foo":1}`, `null`, `{"name":`,
			`{"orgID":"{org}","permissions":[{"action":"read","resource":{"type":"secrets","id":null,"name":"a*"}}],"expiresAt":"2222-01-01T00:00:00Z","token":"given-token-of-22-or-more"}`, `{"username":"u","password":"p","org":"o","bucket":"b","retentionPeriodSeconds":1e3,"retentionPeriodHrs":-1}`} {
			f.Add(uint8(i), []byte(body))
		}
	}
	ids := strings.NewReplacer("{org}", org.String(), "{user}", "0123456789abcdef", "{auth}", "0123456789abcdef",
		"{bucket}", "0123456789abcdef")
	f.Fuzz(func(t *testing.T, route uint8, body []byte) {
		method, path, _ := strings.Cut(ids.Replace(routes[int(route)%len(routes)]), " ")
		body = []byte(ids.Replace(string(body)))
		before, err := a.store.Keys(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "/api/v2"+path, bytes.NewReader(body))
		if r.Header.Set("Authorization", "Token "+token); path == "/me/password" {
			r.SetBasicAuth("admin", "the password")
		}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		if w.Code < 400 {
			return
		}
		checkErrorForm(t, w)
		after, err := a.store.Keys(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("refused with %s, and changed the secrets:\n%s", w.Body, diff)
		}
	})
}

// api is the API over real parts.
type api struct {
	http.Handler
	store   secret.Store
	logins  *authn.Service
	users   *directory.Service
	secrets *service.Service
}

// newAPI starts the real parts, set up, with the operator's token. What is changed of their configuration comes last.
func newAPI(t testing.TB, with ...func(*Config)) (a *api, token string, org id.ID) {
	dir := t.TempDir()
	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	t.Cleanup(func() { _ = data.Close() })
	keys, err := keyring.OpenOrInit(t.Context(), data,
		keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	must(t, err)
	t.Cleanup(keys.Close)
	store := embedded.New(embedded.Config{KV: data, Keyring: keys, History: 3})
	log := slog.New(slog.DiscardHandler)
	trail, err := auditlog.Open(auditlog.Config{Sinks: []string{"stdout"}, ChainKey: bytes.Repeat([]byte("k"), 32),
		Logger: log, Stdout: io.Discard})
	must(t, err)
	guard := access.NewGuard(trail)
	logins, err := authn.New(authn.Config{KV: data, Guard: guard, Logger: log, BcryptCost: 4})
	must(t, err)
	users, err := directory.New(directory.Config{KV: data, Mark: keys, Guard: guard, Authn: logins, Secrets: store,
		Logger: log})
	must(t, err)
	secrets := service.New(store, guard, users, nil, secret.Limits{})
	config := Config{Guard: guard, Authn: logins, Directory: users, Secrets: secrets, Store: store, Logger: log,
		Version: "test"}
	for _, change := range with {
		change(&config)
	}
	handler, err := New(config)
	must(t, err)
	nobody := &access.Caller{Principal: &access.Principal{}}
	o, err := users.Onboard(t.Context(), nobody, directory.Setup{User: "admin", Password: "the password", Org: "acme",
		Bucket: "metrics"})
	must(t, err)
	return &api{handler, store, logins, users, secrets}, o.Token, o.Org.ID
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
