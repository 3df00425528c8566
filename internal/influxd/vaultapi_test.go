package influxd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"strongroom/internal/secret"
	"strongroom/internal/secret/secrettest"
	"strongroom/internal/secret/vault"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// asVault starts the program and makes a token for a client that has it for its Vault, with organisations of its own.
func asVault(t *testing.T, flags ...string) (r *running, token string) {
	t.Helper()
	r, token, _ = asVaultAt(t, t.TempDir(), flags...)
	return r, token
}

// asVaultAt does so on the data in a folder, and gives the operator's token, too.
func asVaultAt(t *testing.T, dir string, flags ...string) (r *running, token, operator string) {
	t.Helper()
	r = start(t, dir, append([]string{"--vault-api-new-orgs", "--log-level", "error"}, flags...)...)
	var set struct {
		Org  struct{ ID string }
		Auth struct{ Token string }
	}
	r.call(t, "POST", "/api/v2/setup", "",
		`{"username":"admin","password":"correct horse","org":"acme","bucket":"metrics"}`, http.StatusCreated, &set)
	var auth struct{ Token string }
	r.call(t, "POST", "/api/v2/authorizations", set.Auth.Token, `{"orgID":"`+set.Org.ID+`","permissions":[
		{"action":"use","resource":{"type":"secrets"}},{"action":"read","resource":{"type":"secrets"}},
		{"action":"write","resource":{"type":"secrets"}},{"action":"write","resource":{"type":"orgs"}}]}`, http.StatusCreated, &auth)
	return r, auth.Token, set.Auth.Token
}

// TestOwnVaultStore runs the suite of all stores on the store for Vault, with our own server for the Vault: in the
// layout of an entry for each organisation, and, where STRONGROOM_SOAK is set (make soak), in that of an entry for each
// secret, too. There each of the suite's tens of thousands of requests is a transaction on disk, which takes minutes.
func TestOwnVaultStore(t *testing.T) {
	layouts := []kv2.Layout{kv2.LayoutOrg}
	if os.Getenv("STRONGROOM_SOAK") != "" {
		layouts = append(layouts, kv2.LayoutSecret)
	}
	for _, layout := range layouts {
		t.Run(string(layout), func(t *testing.T) {
			secrettest.Test(t, func(t *testing.T) secret.Store {
				r, token := asVault(t, "--secret-history", "100", "--max-secret-key-size", "8KiB")
				s, err := vault.New(t.Context(), vault.Config{Address: r.url, Token: token,
					Place: vault.Place{Mount: "secret", Layout: layout}, ClientTimeout: new(time.Minute),
					Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(s.Close)
				return s
			})
		})
	}
}

// TestOwnVaultCheck has `influxd vault check` look at our own server.
func TestOwnVaultCheck(t *testing.T) {
	r, token := asVault(t)
	for _, layout := range []vault.Layout{kv2.LayoutOrg, kv2.LayoutSecret} {
		var out bytes.Buffer
		err := vault.Examine(t.Context(), vault.Config{Address: r.url, Token: token,
			Place: vault.Place{Mount: "secret", Layout: layout}}, &out)
		if err != nil || strings.Contains(out.String(), "MISSING") {
			t.Errorf("layout %s: %v\n%s", layout, err, out.String())
		}
	}
}

// TestVaultAPISettings: where it is answered, under which name, and that it can be taken away.
func TestVaultAPISettings(t *testing.T) {
	status := func(url, path string) int {
		t.Helper()
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	off := start(t, t.TempDir(), "--vault-api-disabled")
	if got := status(off.url, "/v1/sys/init"); got != http.StatusNotFound {
		t.Errorf("disabled, it answers %d", got)
	}
	r := start(t, t.TempDir(), "--vault-api-bind-address", "127.0.0.1:0", "--vault-api-mount", "team/kv",
		"--log-format", "json")
	own := ""
	for line := range strings.SplitSeq(r.stderr.String(), "\n") {
		var l struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &l) == nil && strings.HasPrefix(l.Msg, "listening for") {
			own = l.URL
		}
	}
	if own == "" {
		t.Fatalf("it does not say where Vault's clients are answered:\n%s", r.stderr.String())
	}
	for url, want := range map[string]map[string]int{
		r.url: {"/v1/sys/init": 200, "/api/v2/setup": 200, "/v1/team/kv/data/x": 403},
		own:   {"/v1/sys/init": 200, "/api/v2/setup": 404, "/v1/team/kv/data/x": 403, "/": 404},
	} {
		for path, code := range want {
			if got := status(url, path); got != code {
				t.Errorf("%s%s: %d, not %d", url, path, got, code)
			}
		}
	}
}

// TestInFrontOfVault has Vault's clients answered by a server that keeps its secrets in a real Vault.
func TestInFrontOfVault(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, layout := range []string{"org", "secret"} {
		t.Run(layout, func(t *testing.T) {
			mount := v.MountKV(t)
			r, token, operator := asVaultAt(t, t.TempDir(), "--secret-store", "vault", "--vault-addr", v.Address, "--vault-token", v.RootToken,
				"--vault-mount", mount, "--vault-layout", layout)
			var acme struct{ Orgs []struct{ ID string } }
			r.call(t, "GET", "/api/v2/orgs?org=acme", operator, "", http.StatusOK, &acme)
			var narrow struct{ Token string }
			of := `{"type":"secrets","orgID":"` + acme.Orgs[0].ID + `","name":"db/*"}}`
			r.call(t, "POST", "/api/v2/authorizations", operator, `{"orgID":"`+acme.Orgs[0].ID+`","permissions":[
				{"action":"use","resource":`+of+`,{"action":"read","resource":`+of+`,{"action":"write","resource":`+of+`]}`,
				http.StatusCreated, &narrow)
			all := token
			call := func(method, path, body string, status int) string {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), method, r.url+"/v1/secret/"+path,
					strings.NewReader(body))
				must(t, err)
				req.Header.Set("X-Vault-Token", token)
				req.Header.Set("Content-Type", "application/merge-patch+json")
				res, err := http.DefaultClient.Do(req)
				must(t, err)
				defer res.Body.Close()
				b, err := io.ReadAll(res.Body)
				must(t, err)
				if res.StatusCode != status {
					t.Fatalf("%s %s: %d, not %d: %s", method, path, res.StatusCode, status, b)
				}
				return string(b)
			}
			holds := func(answer, want string) {
				t.Helper()
				if !strings.Contains(answer, want) {
					t.Errorf("%s does not hold %s", answer, want)
				}
			}
			holds(call("GET", "data/acme", "", 200), `"data":{}`)
			call("PUT", "data/acme/db/one", `{"data":{"value":"1"}}`, 200)
			call("PUT", "data/acme/object", `{"data":{"user":"u","n":1}}`, 200)
			holds(call("GET", "data/acme/object", "", 200), `"data":{"n":1,"user":"u"}`)
			call("PATCH", "data/acme/object", `{"data":{"n":2}}`, 200)
			holds(call("GET", "data/acme/object", "", 200), `"data":{"n":2,"user":"u"}`)
			holds(call("GET", "data/acme", "", 200), `"db/one":"1"`)
			holds(call("LIST", "metadata/acme", "", 200), `"keys":["db/","object"]`)
			call("PATCH", "data/acme", `{"data":{"two":"2","object":null}}`, 200)
			if layout == "org" {
				var whole struct {
					Data struct{ Metadata struct{ Version int } }
				}
				must(t, json.Unmarshal([]byte(call("GET", "data/acme", "", 200)), &whole))
				cas := fmt.Sprintf(`{"options":{"cas":%d},"data":{"three":"3"}}`, whole.Data.Metadata.Version)
				call("PUT", "data/acme", cas, 200)
				holds(call("PUT", "data/acme", cas, 400), "check-and-set parameter did not match")
			} else {
				holds(call("PUT", "data/acme", `{"options":{"cas":1},"data":{"three":"3"}}`, 400),
					"--vault-layout secret")
				call("PUT", "data/acme", `{"data":{"three":"3"}}`, 200)
			}
			holds(call("GET", "data/acme", "", 200), `"data":{"three":"3"}`)

			// A token that is narrowed to names reads those, and a PUT of it replaces those alone.
			call("PATCH", "data/acme", `{"data":{"db/a":"1","db/b":"2"}}`, 200)
			call("GET", "data/acme", "", 200) // which is in memory now
			token = narrow.Token
			holds(call("GET", "data/acme", "", 200), `"data":{"db/a":"1","db/b":"2"}`)
			holds(call("LIST", "metadata/acme", "", 200), `"keys":["db/"]`)
			call("GET", "data/acme/three", "", 403)
			call("PUT", "data/acme", `{"data":{"db/a":"1","three":"taken"}}`, 403)
			call("PATCH", "data/acme", `{"data":{"three":null}}`, 403)
			call("PUT", "data/acme", `{"data":{"db/c":"new"}}`, 200)
			token = all
			holds(call("GET", "data/acme", "", 200), `"data":{"db/c":"new","three":"3"}`)
			call("DELETE", "data/acme/db/c", "", 204)
			call("DELETE", "data/acme/three", "", 204)
			holds(call("GET", "data/acme", "", 200), `"data":{}`)

			// What another program keeps there stays: to ask again does not help, and clients do so for a 503.
			if at := acme.Orgs[0].ID; layout == "org" {
				v.Write(t, mount, at, `{"theirs":{"n":1}}`)
				holds(call("PUT", "data/acme/theirs", `{"data":{"value":"ours"}}`, 400), "another program keeps")
				holds(call("PATCH", "data/acme", `{"data":{"theirs":"ours"}}`, 400), "another program keeps")
			}
		})
	}
}
