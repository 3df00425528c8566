package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/sealed"
)

// FuzzDecodeSecrets holds what is taken against encoding/json, and what is refused too.
func FuzzDecodeSecrets(f *testing.F) {
	for _, body := range []string{`{"foo":"bar","hello":"world"}`, `{}`, ` { "a" : "\u00e9\ud83d\udd11\\" } `, `{"a":"1","a":"2"}`, `{"a":null}`, `{"a":1}`,
		`{"a":{"b":"c"}}`, `{"a":["b"]}`, `null`, `[]`, `{"a":"b"} x`, `{"a":"b"}{}`, `{"a":"\ud800"}`, `{"\udc00":"b"}`, "{\"\xff\":\"b\"}", `{"a"`, ``, `{"a":"b",}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeSecrets(bytes.Clone(body))
		var reference map[string]*string
		refused := json.Unmarshal(body, &reference) != nil || reference == nil || !utf8.Valid(body)
		for _, v := range reference {
			refused = refused || v == nil
		}
		if err != nil {
			if code := errs.CodeOf(err); code != errs.Invalid {
				t.Fatalf("refused as %q", code)
			}
			// What is refused beyond that is a null under a name that comes again, or half of a surrogate pair.
			if !refused && !bytes.Contains(body, []byte("null")) && !regexp.MustCompile(`(?i)\\ud[89a-f]`).Match(body) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if refused {
			t.Fatal("taken, and encoding/json refuses it")
		}
		values, want := make(map[string]string), make(map[string]string)
		for k, v := range got {
			values[k] = string(v.Bytes())
		}
		for k, v := range reference {
			want[k] = *v
		}
		if diff := cmp.Diff(want, values); diff != "" {
			t.Fatalf("encoding/json (-) and ours (+):\n%s", diff)
		}
	})
}

// escape is one escape sequence of JSON.
var escape = regexp.MustCompile(`\\(?:u([0-9a-fA-F]{4})|.)`)

// FuzzCheckText holds the check against what encoding/json does: it puts U+FFFD where text is broken.
func FuzzCheckText(f *testing.F) {
	for _, s := range []string{`a`, `\ud83d\udd11`, `\ud83d`, `\udd11`, `\ud83d\\udd11`, `\\ud83d`, `\ufffd`, "\ufffd", "\xff", `\ud800\ud800\udc00`, `\uD83D\uDD11\n`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		text := append(append([]byte{'"'}, s...), '"')
		err := checkText(text)
		var decoded string
		if json.Unmarshal(text, &decoded) != nil {
			return
		}
		meant := strings.Count(string(s), "\ufffd")
		for _, m := range escape.FindAllSubmatch(s, -1) {
			if strings.EqualFold(string(m[1]), "fffd") {
				meant++
			}
		}
		broken := !utf8.Valid(s) || strings.Count(decoded, "\ufffd") != meant
		if broken != (err != nil) {
			t.Errorf("%q reads %q: broken is %v, the check says %v", s, decoded, broken, err)
		}
	})
}

// FuzzPathKey sends keys through the routing: what a client escapes must arrive as it was.
func FuzzPathKey(f *testing.F) {
	for _, k := range []string{"a", "a/b c", ".", "..", "a/../b", "../../..", "%2F", "?#;", "/", "//", "a/", "/a", "ключ", "\x00\xff", "\x00", "\x00\x00", "delete", "{delete}", "...", ". ", "\\"} {
		f.Add(k)
	}
	var got string
	a := &API{mux: http.NewServeMux()}
	a.mux.HandleFunc("/api/v2/orgs/{orgID}/secrets/{key}", func(_ http.ResponseWriter, r *http.Request) { got = r.PathValue("orgID") + " " + pathKey(r) })
	f.Fuzz(func(t *testing.T, key string) {
		if key == "" {
			return // there is no such secret, and its path is the list's
		}
		hex := fmt.Sprintf("%x", key)
		all := regexp.MustCompile("..").ReplaceAllString(hex, "%$0")
		for _, escaped := range []string{url.PathEscape(key), all, strings.ToUpper(all)} {
			u, err := url.ParseRequestURI("/api/v2/orgs/031c8cbefe101000/secrets/" + escaped)
			if err != nil {
				t.Fatal(err)
			}
			got = ""
			w := httptest.NewRecorder()
			a.ServeHTTP(w, &http.Request{Method: "DELETE", URL: u, Header: http.Header{}})
			if got != "031c8cbefe101000 "+key {
				t.Errorf("%q, sent as %q, arrived as %q: %d %s", key, escaped, got, w.Code, w.Header().Get("Location"))
			}
		}
	})
}

// FuzzPath asks for any path at all: nothing but the API answers, and never with a redirect or a fault.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/api/v2/orgs", "//api/v2/me", "/api/v2/orgs//secrets", "/api/../health", "/api/v2/orgs/%2e%2e/secrets", "/x/../ping", "/api/v2/", "/..", "/", "//", "/api", "/api/v2/me/.", "/%2fapi"} {
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
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Code == "" || e.Message == "" || w.Header().Get("X-Platform-Error-Code") != e.Code {
		t.Errorf("%d in the form %q", w.Code, w.Body)
	}
}

// FuzzBodies sends bodies to every operation that takes one, as the operator: none is a fault, and what is refused
// leaves the secrets as they were.
func FuzzBodies(f *testing.F) {
	a, token, org := newAPI(f)
	routes := []string{"POST /setup", "PUT /me/password", "POST /users", "PATCH /users/{user}", "POST /users/{user}/password", "POST /orgs", "PATCH /orgs/{org}",
		"POST /orgs/{org}/members", "POST /orgs/{org}/owners", "PATCH /orgs/{org}/secrets", "POST /orgs/{org}/secrets/delete", "POST /authorizations",
		"PATCH /authorizations/{auth}", "POST /buckets", "PATCH /buckets/{bucket}"}
	for i := range routes {
		for _, body := range []string{`{"name":"x","status":"active","description":"y"}`, `{"password":"12345678"}`, `{"id":"{org}","secrets":["a",null]}`,
			`{"orgID":"{org}","name":"x","retentionRules":[{"type":"expire","everySeconds":3600}]}`, `{"foo":"bar"}`, `{"foo":1}`, `null`, `{"name":`,
			`{"orgID":"{org}","permissions":[{"action":"read","resource":{"type":"secrets","id":null,"name":"a*"}}],"expiresAt":"2222-01-01T00:00:00Z","token":"given-token"}`,
			`{"username":"u","password":"p","org":"o","bucket":"b","retentionPeriodSeconds":1e3,"retentionPeriodHrs":-1}`} {
			f.Add(uint8(i), []byte(body))
		}
	}
	ids := strings.NewReplacer("{org}", org.String(), "{user}", "0123456789abcdef", "{auth}", "0123456789abcdef", "{bucket}", "0123456789abcdef")
	f.Fuzz(func(t *testing.T, route uint8, body []byte) {
		method, path, _ := strings.Cut(ids.Replace(routes[int(route)%len(routes)]), " ")
		body = []byte(ids.Replace(string(body)))
		before, err := a.Store.Keys(t.Context(), org)
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
		after, err := a.Store.Keys(t.Context(), org)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("refused with %s, and changed the secrets:\n%s", w.Body, diff)
		}
	})
}

// newAPI starts the real parts, set up, with the operator's token.
func newAPI(t testing.TB) (a *API, token string, org id.ID) {
	dir := t.TempDir()
	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	t.Cleanup(func() { _ = data.Close() })
	keys, err := keyring.OpenOrInit(t.Context(), data, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	must(t, err)
	t.Cleanup(keys.Close)
	store := sealed.New(sealed.Config{KV: data, Keyring: keys, History: 3})
	log := slog.New(slog.DiscardHandler)
	trail, err := audit.Open(audit.Config{Sinks: []string{"stdout"}, ChainKey: bytes.Repeat([]byte("k"), 32), Logger: log, Stdout: io.Discard})
	must(t, err)
	guard := access.NewGuard(trail)
	logins, err := authn.New(authn.Config{KV: data, Guard: guard, Logger: log, BcryptCost: 4})
	must(t, err)
	users, err := directory.New(directory.Config{KV: data, Guard: guard, Authn: logins, Secrets: store, Logger: log})
	must(t, err)
	a, err = New(Config{Guard: guard, Authn: logins, Identity: users, Secrets: secret.NewService(store, guard, users, nil, secret.Limits{}), Store: store, Logger: log, Version: "test"})
	must(t, err)
	nobody := &access.Caller{Principal: &access.Principal{}}
	o, err := users.Onboard(t.Context(), nobody, directory.Setup{User: "admin", Password: "the password", Org: "acme", Bucket: "metrics"})
	must(t, err)
	return a, o.Token, o.Org.ID
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
