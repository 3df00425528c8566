package vaultapi_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzPath asks for any path at all: the answer is never a fault, nor a status that clients misread.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"secret/data/acme", "secret/data/acme/a%2Fb", "secret//data", "secret/data/../x",
		"sys/health", "sys/internal/ui/mounts/secret", "auth/token/lookup-self", "secret/metadata/?list=true",
		"secret/data/%ff", "secret/data/%00", "secret/subkeys/acme/x?depth=-1&version=9", "..", "/"} {
		for _, m := range []string{"GET", "LIST", "DELETE"} {
			f.Add(m, p)
		}
	}
	p := start(f, nil)
	f.Fuzz(func(t *testing.T, method, path string) {
		u, err := url.ParseRequestURI("/v1/" + path)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		p.handler.ServeHTTP(w, &http.Request{Method: method, URL: u, Header: http.Header{"X-Vault-Token": {p.root}},
			Body: http.NoBody})
		if w.Code >= 500 || w.Code == http.StatusTooManyRequests || w.Code == http.StatusPreconditionFailed {
			t.Errorf("%s %q: %d %s", method, u, w.Code, w.Body)
		}
		if where := w.Header().Get("Location"); w.Code == http.StatusTemporaryRedirect &&
			!strings.HasPrefix(where, "/v1/") {
			t.Errorf("%s %q leads to %q", method, u, where)
		}
	})
}

// FuzzBody sends bodies to everything that takes one: none is a fault, and what is refused leaves
// the secrets as they were.
func FuzzBody(f *testing.F) {
	routes := []string{"PUT secret/data/acme", "PATCH secret/data/acme", "PUT secret/data/acme/a",
		"PATCH secret/data/acme/a", "PUT secret/metadata/acme/a", "PATCH secret/metadata/acme/a",
		"PUT secret/delete/acme/a", "PUT secret/undelete/acme/a", "PUT secret/destroy/acme/a", "PUT secret/config",
		"POST sys/capabilities-self", "POST auth/token/create", "POST auth/token/renew-self"}
	for i := range routes {
		for _, body := range []string{`{"data":{"a":"1"},"options":{"cas":"1"}}`,
			`{"data":{"a":null,"b":{"c":[1e400]}}}`, `{"versions":"1,2"}`, `{"versions":[1,"x"]}`, `null`, `{"data":`,
			`{"custom_metadata":{"a":1},"max_versions":"0"}`, `{"paths":["secret/data/acme","../x"]}`,
			`{"ttl":"99999999999999h","meta":{"a":true}}`, "{\"data\":{\"\xff\":\"\"}}"} {
			f.Add(uint8(i), []byte(body))
		}
	}
	p := start(f, nil)
	f.Fuzz(func(t *testing.T, route uint8, body []byte) {
		method, path, _ := strings.Cut(routes[int(route)%len(routes)], " ")
		before, err := p.secrets.Keys(t.Context(), p.caller(t, p.root), p.org)
		must(t, err)
		r := httptest.NewRequestWithContext(t.Context(), method, "/v1/"+path, bytes.NewReader(body))
		r.Header.Set("X-Vault-Token", p.root)
		r.Header.Set("Content-Type", "application/merge-patch+json")
		w := httptest.NewRecorder()
		p.handler.ServeHTTP(w, r)
		if w.Code >= 500 && !strings.Contains(w.Body.String(), "may have made") ||
			w.Code == http.StatusTooManyRequests || w.Code == http.StatusPreconditionFailed {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		if w.Code < 400 {
			return
		}
		after, err := p.secrets.Keys(t.Context(), p.caller(t, p.root), p.org)
		must(t, err)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("refused with %s, and changed the secrets:\n%s", w.Body, diff)
		}
	})
}
