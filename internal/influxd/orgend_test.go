package influxd

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/secret/vault/vaulttest"
)

// TestEndOfANamedOrganisation ends an organisation whose secrets lie in a real Vault under its name, while Vault
// refuses to remove them. That is told; and over a restart nobody can have the name, so that nobody is shown its
// secrets, until they are gone.
func TestEndOfANamedOrganisation(t *testing.T) {
	v := vaulttest.Shared(t)
	at, err := url.Parse(v.Address)
	must(t, err)
	var refuses atomic.Bool
	vault := httputil.NewSingleHostReverseProxy(at)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuses.Load() && r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"errors":["permission denied"]}`))
			return
		}
		vault.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	for _, layout := range []string{"org", "secret"} {
		t.Run(layout, func(t *testing.T) {
			dir := t.TempDir()
			flags := []string{"--secret-store=vault", "--vault-addr", front.URL, "--vault-token", v.RootToken,
				"--vault-mount", v.MountKV(t),
				"--vault-path", "team/{orgName}", "--vault-layout", layout}
			r := start(t, dir, flags...)
			token, _ := r.onboard(t)
			made := func(name string, status int) (o struct{ ID string }) {
				t.Helper()
				r.call(t, "POST", "/api/v2/orgs", token, `{"name":"`+name+`"}`, status, &o)
				return o
			}
			first := made("globex", 201)
			r.call(t, "PATCH", "/api/v2/orgs/"+first.ID+"/secrets", token, `{"theirs":"1"}`, 204, nil)

			refuses.Store(true)
			var told struct{ Message string }
			r.call(t, "DELETE", "/api/v2/orgs/"+first.ID, token, "", 202, &told)
			if !strings.Contains(told.Message, "the organization has ended") ||
				!strings.Contains(told.Message, "the policy that influxd vault check prints") {
				t.Errorf("told %q", told.Message)
			}
			var health struct {
				Checks []struct{ Name, Status, Message string }
			}
			r.call(t, "GET", "/health", "", "", 200, &health)
			if b, _ := json.Marshal(health); !strings.Contains(string(b), `"deletions"`) ||
				!strings.Contains(string(b), "tried again at least once an hour") ||
				!strings.Contains(string(b), "the policy that influxd vault check prints") {
				t.Errorf("health: %s", b)
			}
			made("globex", 422)
			r.end(t)

			r = start(t, dir, flags...)
			made("globex", 422)
			r.end(t)
			refuses.Store(false)
			r = start(t, dir, flags...)
			second := made("initech", 201)
			for until := time.Now().Add(time.Minute); !renamed(t, r, token, second.ID,
				"globex"); time.Sleep(20 * time.Millisecond) {
				if time.Now().After(until) {
					t.Fatal("the name is never free")
				}
			}
			if got := r.keys(t, token, "/api/v2/orgs/"+second.ID+"/secrets"); got != "[]" {
				t.Errorf("it is shown %s", got)
			}
			r.call(t, "PATCH", "/api/v2/orgs/"+second.ID+"/secrets", token, `{"own":"1"}`, 204, nil)
			r.end(t)
			r = start(t, dir, flags...) // which finishes what was not
			if got := r.keys(t, token, "/api/v2/orgs/"+second.ID+"/secrets"); got != "[own]" {
				t.Errorf("its own secrets: %s", got)
			}
		})
	}
}

func renamed(t *testing.T, r *running, token, org, name string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "PATCH", r.url+"/api/v2/orgs/"+org,
		strings.NewReader(`{"name":"`+name+`"}`))
	must(t, err)
	req.Header.Set("Authorization", "Token "+token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// TestRoutesThatMeet starts with a route to where another organisation's secrets are by its name.
func TestRoutesThatMeet(t *testing.T) {
	v := vaulttest.Shared(t)
	dir := t.TempDir()
	flags := []string{"--secret-store=vault", "--vault-addr", v.Address, "--vault-token", v.RootToken, "--vault-mount",
		v.MountKV(t),
		"--vault-path", "team/{orgName}"}
	r := start(t, dir, flags...)
	token, _ := r.onboard(t)
	var other struct{ ID string }
	r.call(t, "POST", "/api/v2/orgs", token, `{"name":"globex"}`, 201, &other)
	r.end(t)
	_, err := launch(t, dir, append(flags, "--vault-routes", other.ID+" path=team/acme")...)
	if err == nil || !strings.Contains(err.Error(), "vault-routes") || !strings.Contains(err.Error(), `"acme"`) {
		t.Fatalf("it starts: %v", err)
	}
	r = start(t, dir, append(flags, "--vault-routes", other.ID+" path=team/fixed")...)
	r.call(t, "POST", "/api/v2/orgs", token, `{"name":"fixed"}`, 422, nil)
}

// TestImportWhereRoutesMeet brings an organisation to whose place a route leads: that is told at
// once, and not by the start.
func TestImportWhereRoutesMeet(t *testing.T) {
	v := vaulttest.Shared(t)
	sample, want := sampleDB(t)
	first, second := want.Orgs[0], want.Orgs[1]
	flags := []string{"--secret-store=vault", "--vault-addr", v.Address, "--vault-token", v.RootToken, "--vault-mount",
		v.MountKV(t),
		"--vault-path", "team/{orgName}", "--vault-routes", first.ID + " path=team/" + second.Name}
	for _, dry := range [][]string{{"--dry-run"}, nil} {
		dir := t.TempDir()
		_, _, err := influxdOn(t, dir, append(append([]string{"import", "--influxdb", sample}, flags...), dry...)...)
		if err == nil || !strings.Contains(err.Error(), "vault-routes") || !strings.Contains(err.Error(), first.ID) {
			t.Errorf("%q: %v", dry, err)
		}
	}
}
