package client_test

import (
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/client"
)

const (
	orgID = "11ae17892e304000"
	token = "token-that-must-not-show"
	value = "value-that-must-not-show"
)

// serve answers every request with h, and gives a client that has a token.
func serve(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return newClient(t, client.Config{Host: srv.URL, Token: token})
}

func newClient(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestNewRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  client.Config
		want string
	}{
		"no host":         {client.Config{}, "not a URL"},
		"no scheme":       {client.Config{Host: "localhost:9999"}, "scheme of http or https"},
		"other scheme":    {client.Config{Host: "ftp://localhost"}, "scheme of http or https"},
		"no address":      {client.Config{Host: "http://"}, "not a server's address"},
		"query":           {client.Config{Host: "http://localhost?x=1"}, "not a server's address"},
		"credentials":     {client.Config{Host: "http://u:" + value + "@localhost"}, "must not hold"},
		"unparsable":      {client.Config{Host: "http://u:" + value + "@%zz"}, "not a URL"},
		"both identities": {client.Config{Host: "http://localhost", Token: "t", Username: "u"}, "not both"},
		"token with line": {client.Config{Host: "http://localhost", Token: value + "\n"}, "control character"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.New(tc.cfg)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want an error with %q", err, tc.want)
			}
			if strings.Contains(err.Error(), value) {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// TestSecrets also pins the requests on the wire: method, escaped path, body and authorization.
func TestSecrets(t *testing.T) {
	var got []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		line := strings.TrimSpace(
			strings.Join([]string{r.Method, r.URL.EscapedPath(), r.Header.Get("Authorization"), string(body)}, " "),
		)
		for _, condition := range []string{"If-None-Match", "If-Match"} {
			if v := r.Header.Get(condition); v != "" {
				line += " " + condition + ": " + v
			}
		}
		got = append(got, line)
		if r.Method == http.MethodGet {
			answer(w, 200, `{"links":{"org":"o","self":"s"},"secrets":["foo","hello"]}`)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	ctx := t.Context()
	keys, err := c.SecretKeys(ctx, orgID)
	if diff := cmp.Diff([]string{"foo", "hello"}, keys); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, err := range []error{
		c.SetSecrets(ctx, orgID, map[string]string{"foo": "bar\n"}),
		c.CreateSecrets(ctx, orgID, map[string]string{"foo": "1"}),
		c.ReplaceSecrets(ctx, orgID, map[string]string{"foo": "2"}),
		c.DeleteSecrets(ctx, orgID, "a", "b"),
		c.DeleteSecret(ctx, orgID, "a/b c"),
		c.DeleteSecret(ctx, orgID, ".."),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	at := "/api/v2/orgs/" + orgID + "/secrets"
	auth := " Token " + token
	want := []string{
		"GET " + at + auth,
		"PATCH " + at + auth + ` {"foo":"bar\n"}`,
		"PATCH " + at + auth + ` {"foo":"1"} If-None-Match: *`,
		"PATCH " + at + auth + ` {"foo":"2"} If-Match: *`,
		"POST " + at + "/delete" + auth + ` {"secrets":["a","b"]}`,
		"DELETE " + at + "/a%2Fb%20c" + auth,
		"DELETE " + at + "/%2E%2E" + auth,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestSecretsOfOtherBytes: JSON would put other characters in place of what is not UTF-8, and the
// server could not tell.
func TestSecretsOfOtherBytes(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("sent: %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusNoContent)
	})
	for name, err := range map[string]error{
		"set, key":   c.SetSecrets(t.Context(), orgID, map[string]string{"k\xff": "v"}),
		"set, value": c.SetSecrets(t.Context(), orgID, map[string]string{"k": value + "\xff"}),
		"delete":     c.DeleteSecrets(t.Context(), orgID, "good", "k\xff"),
	} {
		if err == nil || !strings.Contains(err.Error(), "not text in UTF-8") || strings.Contains(err.Error(), value) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSetupAndHealthSendNoToken(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("%s %s is authenticated", r.Method, r.URL.Path)
		}
		switch {
		case r.URL.Path == "/health":
			answer(
				w,
				503,
				`{"name":"influxdb","message":"the secret store is unavailable","status":"fail","checks":[{"name":"secrets","status":"fail"}]}`,
			)
		case r.Method == http.MethodGet:
			answer(w, 200, `{"allowed": true}`)
		default:
			var req client.SetupRequest
			if err := json.NewDecoder(r.Body).Decode(&req); err != nil || req.Username != "admin" {
				answer(w, 201, `{}`)
				return
			}
			answer(
				w,
				201,
				`{"user":{"id":"1","name":"admin"},"bucket":{"id":"2","name":"b"},"org":{"links":null,"id":"3","name":"o"},"auth":{"id":"4","token":"made"}}`,
			)
		}
	})
	h, err := c.Health(t.Context())
	var refused *client.Error
	if !errors.As(err, &refused) || refused.StatusCode != 503 || h == nil || h.Status != "fail" || len(h.Checks) != 1 {
		t.Errorf("health: %+v, %v", h, err)
	}
	if allowed, err := c.SetupAllowed(t.Context()); err != nil || !allowed {
		t.Errorf("allowed: %v, %v", allowed, err)
	}
	if _, err := c.Setup(t.Context(), client.SetupRequest{Username: "nobody"}); err == nil ||
		!strings.Contains(err.Error(), "without a token") {
		t.Errorf("set-up without a token: %v", err)
	}
	res, err := c.Setup(t.Context(), client.SetupRequest{Username: "admin", Password: "p", Org: "o", Bucket: "b"})
	if err != nil || res.Auth.Token != "made" || res.Org.Name != "o" {
		t.Errorf("setup: %+v, %v", res, err)
	}
}

// TestSession signs in once for many requests, again when the session is gone, and reports a wrong password as such.
func TestSession(t *testing.T) {
	var live atomic.Pointer[string]
	var signIns atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v2/signin":
			if name, pass, _ := r.BasicAuth(); name != "admin" || pass != "right" {
				answer(w, 401, `{"code":"unauthorized","message":"unauthorized access"}`)
				return
			}
			s := "session-" + strconv.Itoa(int(signIns.Add(1)))
			live.Store(&s)
			http.SetCookie(w, &http.Cookie{Name: "influxdb-oss-session", Value: s, Path: "/api/", HttpOnly: true})
			w.WriteHeader(http.StatusNoContent)
		case "/api/v2/signout":
			live.Store(nil)
			w.WriteHeader(http.StatusNoContent)
		default:
			cookie, err := r.Cookie("influxdb-oss-session")
			if s := live.Load(); err != nil || s == nil || cookie.Value != *s {
				answer(w, 401, `{"code":"unauthorized","message":"unauthorized access"}`)
				return
			}
			answer(w, 200, `{"id":"1","name":"admin"}`)
		}
	}))
	defer srv.Close()
	ctx := t.Context()

	wrong := newClient(t, client.Config{Host: srv.URL, Username: "admin", Password: "wrong"})
	var refused *client.Error
	if _, err := wrong.Me(ctx); !errors.As(err, &refused) || refused.StatusCode != 401 {
		t.Errorf("wrong password: %v", err)
	}
	c := newClient(t, client.Config{Host: srv.URL, Username: "admin", Password: "right"})
	for range 3 {
		if _, err := c.Me(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n := signIns.Load(); n != 1 {
		t.Errorf("signed in %d times, want 1", n)
	}
	gone := "gone"
	live.Store(&gone)
	if _, err := c.Me(ctx); err != nil {
		t.Errorf("after the session expired: %v", err)
	}
	if err := c.SignOut(ctx); err != nil || live.Load() != nil {
		t.Errorf("sign-out: %v", err)
	}
}

func TestPages(t *testing.T) {
	const total = 250
	for _, tc := range []struct {
		name   string
		paging bool
		calls  int
	}{{"paging server", true, 3}, {"server that ignores paging", false, 2}} {
		t.Run(tc.name, func(t *testing.T) {
			calls := 0
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls++
				from, to := 0, total
				if tc.paging {
					from, _ = strconv.Atoi(r.URL.Query().Get("offset"))
					limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
					to = min(total, from+limit)
				}
				orgs := []client.Org{}
				for i := from; i < to; i++ {
					orgs = append(orgs, client.Org{ID: strconv.Itoa(i), Name: "n" + strconv.Itoa(i)})
				}
				body, _ := json.Marshal(map[string]any{"orgs": orgs})
				answer(w, 200, string(body))
			})
			orgs, err := c.Orgs(t.Context(), client.OrgFilter{})
			if err != nil || len(orgs) != total || calls != tc.calls {
				t.Errorf("%d orgs in %d calls, %v", len(orgs), calls, err)
			}
		})
	}
}

// TestOrgByNameTakesNoOther guards against a server that does not know the filter.
func TestOrgByNameTakesNoOther(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, `{"orgs":[{"id":"1","name":"first"},{"id":"2","name":"second"}]}`)
	})
	if _, err := c.OrgByName(t.Context(), "third"); err == nil || err.Error() != `organization name "third" not found` {
		t.Errorf("got %v", err)
	}
	if org, err := c.OrgByName(t.Context(), "second"); err != nil || org.ID != "2" {
		t.Errorf("got %+v, %v", org, err)
	}
}

func TestPermissionString(t *testing.T) {
	for want, p := range map[string]client.Permission{
		"read:orgs/1/secrets": {Action: "read", Resource: client.Resource{Type: "secrets", OrgID: "1", Org: "o"}},
		"write:orgs/1/secrets/db/*": {Action: "write", Resource: client.Resource{Type: "secrets", OrgID: "1",
			Name: "db/*"}},
		"read:orgs/1/buckets/2": {Action: "read", Resource: client.Resource{Type: "buckets", OrgID: "1", ID: "2",
			Name: "b"}},
		"read:orgs/1":          {Action: "read", Resource: client.Resource{Type: "orgs", ID: "1"}},
		"write:authorizations": {Action: "write", Resource: client.Resource{Type: "authorizations"}},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestServerConfigKeepsWholeNumbers(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, `{"config":{"max-body":4194304,"on":true}}`)
	})
	got, err := c.ServerConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"max-body": json.Number("4194304"), "on": true}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAuditPages(t *testing.T) {
	for name, tc := range map[string]struct {
		next string
		want string
	}{
		"circle":   {"/api/v2/audit?before=9", "do not come to an end"},
		"no start": {"/api/v2/audit", "does not say where it begins"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				answer(w, 200, `{"links":{"next":"`+tc.next+`"},"records":[]}`)
			})
			if _, err := c.Audit(t.Context(), client.AuditFilter{}); err == nil ||
				!strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	var queries []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		if r.URL.Query().Get("before") == "" {
			answer(
				w,
				200,
				`{"links":{"next":"/api/v2/audit?before=8"},"records":[{"seq":9,"action":"a"},{"seq":8,"action":"b"}]}`,
			)
			return
		}
		answer(w, 200, `{"links":{},"records":[{"seq":7,"action":"c"}]}`)
	})
	since := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	got, err := c.Audit(t.Context(), client.AuditFilter{Actor: "bob", Since: since, Limit: 3})
	if err != nil || len(got) != 3 || got[2].Action != "c" {
		t.Errorf("%+v, %v", got, err)
	}
	want := []string{
		"actor=bob&limit=3&since=2026-01-31T12%3A00%3A00Z",
		"actor=bob&before=8&limit=1&since=2026-01-31T12%3A00%3A00Z",
	}
	if diff := cmp.Diff(want, queries); diff != "" {
		t.Error(diff)
	}
}

// TestSecretPages follows the pages of the lists of secrets, from servers that know pages and from one that does not.
func TestSecretPages(t *testing.T) {
	lists := map[string]func(*client.Client) iter.Seq2[[]client.SecretInfo, error]{
		"deleted-secrets": func(c *client.Client) iter.Seq2[[]client.SecretInfo, error] {
			return c.DeletedSecretPages(t.Context(), "1")
		},
		"secret-infos": func(c *client.Client) iter.Seq2[[]client.SecretInfo, error] {
			return c.SecretInfoPages(t.Context(), "1")
		},
	}
	for list, pages := range lists {
		for name, tc := range map[string]struct {
			answers []string
			want    string // the keys, and what the error says
		}{
			"no pages": {[]string{`{"links":{},"secrets":[{"key":"a"},{"key":"b"}]}`}, "a b "},
			"two pages": {[]string{`{"links":{"next":"x"},"secrets":[{"key":"a"},{"key":"b&"}]}`,
				`{"links":{},"secrets":[{"key":"c"}]}`}, "a b& c "},
			"an empty one at the end": {[]string{`{"links":{"next":"x"},"secrets":[{"key":"a"}]}`,
				`{"links":{},"secrets":[]}`}, "a "},
			"the same again": {[]string{`{"links":{"next":"x"},"secrets":[{"key":"a"}]}`,
				`{"links":{"next":"x"},"secrets":[{"key":"a"}]}`}, "a a the pages of secrets do not come to an end"},
			"refused": {[]string{`{"links":{"next":"x"},"secrets":[{"key":"a"}]}`, ""}, "a no"},
		} {
			t.Run(list+" "+name, func(t *testing.T) {
				var queries []string
				c := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if !strings.HasSuffix(r.URL.Path, "/orgs/1/"+list) {
						t.Errorf("asked for %s", r.URL.Path)
					}
					queries = append(queries, r.URL.Query().Get("after"))
					body := tc.answers[len(queries)-1]
					if body == "" {
						answer(w, 400, `{"code":"invalid","message":"no"}`)
						return
					}
					answer(w, 200, body)
				})
				got, last := "", []string{""}
				for page, err := range pages(c) {
					if err != nil {
						got += err.Error()
						break
					}
					for _, info := range page {
						got += info.Key + " "
					}
					if len(page) > 0 {
						last = append(last, page[len(page)-1].Key)
					}
				}
				if !strings.HasPrefix(got, tc.want) || tc.want[len(tc.want)-1] == ' ' && got != tc.want {
					t.Errorf("there is %q, want %q", got, tc.want)
				}
				if !slices.Equal(queries, last[:len(queries)]) {
					t.Errorf("asked for what is behind %q", queries)
				}
			})
		}
	}
}
