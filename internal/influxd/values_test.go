package influxd

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"strongroom/internal/secret/vault/vaulttest"
)

// agent makes a token that uses the organisation's secrets, and gives the path at which it gets them.
func (r *running) agent(t *testing.T, token, secrets string) (agent, values string) {
	t.Helper()
	org := strings.Split(secrets, "/")[4]
	var made struct{ Token string }
	r.call(t, "POST", "/api/v2/authorizations", token,
		`{"orgID":"`+org+`","permissions":[{"action":"use","resource":{"type":"secrets","orgID":"`+org+
			`"}}]}`, 201, &made)
	return made.Token, "/api/v2/orgs/" + org + "/secret-values"
}

// The last use is in the file when the server has stopped, and goes with the organisation.
func TestLastUseIsKept(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"db":"sesame","unused":"sesame"}`, 204, nil)
	agent, values := r.agent(t, token, secrets)
	var value struct{ Value string }
	if r.call(t, "GET", values+"/db", agent, "", 200, &value); value.Value != "sesame" {
		t.Errorf("the value is %q", value.Value)
	}
	r.end(t)

	r = start(t, dir)
	type info struct{ LastUsedAt string }
	var used, unused info
	r.call(t, "GET", secrets+"/db", token, "", 200, &used)
	r.call(t, "GET", secrets+"/unused", token, "", 200, &unused)
	if used.LastUsedAt == "" || unused.LastUsedAt != "" {
		t.Errorf("after a restart db was used %q and unused %q", used.LastUsedAt, unused.LastUsedAt)
	}
	if out, _, err := influxdOn(t, dir, "check"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	r.call(t, "DELETE", strings.TrimSuffix(secrets, "/secrets"), token, "", 204, nil)
	r.end(t)
	db, err := bbolt.Open(filepath.Join(dir, "influxd.bolt"), 0o600, nil)
	must(t, err)
	defer db.Close()
	must(t, db.View(func(tx *bbolt.Tx) error {
		if k, _ := tx.Bucket([]byte("strongroom-data")).Cursor().Seek([]byte("used/")); strings.HasPrefix(string(k),
			"used/") {
			t.Errorf("the organisation is gone, and %s is there", k)
		}
		return nil
	}))
	for _, o := range []*output{&r.stdout, &r.stderr} {
		if strings.Contains(o.String(), "sesame") {
			t.Errorf("it wrote a value:\n%s", o.String())
		}
	}
}

// While Vault is away, agents are given what is kept, where --vault-cache-stale says so.
func TestAgentsDuringAnOutageOfVault(t *testing.T) {
	v := vaulttest.Shared(t)
	n := vaulttest.Network(t, v)
	r := start(t, t.TempDir(), "--secret-store=vault", "--vault-addr="+n.Address, "--vault-token="+v.RootToken,
		"--vault-max-retries=0", "--vault-cache-ttl=1ms", "--vault-cache-stale=1h")
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar","hello":"world"}`, 204, nil)
	agent, values := r.agent(t, token, secrets)
	want := map[string]string{"foo": "bar", "hello": "world"}
	var got map[string]string
	if r.call(t, "GET", values, agent, "", 200, &got); !maps.Equal(got, want) {
		t.Errorf("the values are %v", got)
	}
	n.Cut()
	got = nil
	if r.call(t, "GET", values, agent, "", 200, &got); !maps.Equal(got, want) {
		t.Errorf("in the outage the values are %v", got)
	}
	r.call(t, "GET", values+"/hello", agent, "", 200, nil)
	r.call(t, "GET", values+"?key=foo&key=missing", agent, "", 404, nil)
	r.call(t, "GET", secrets, token, "", 503, nil)
	n.Pass()
}

// A value that a client of the Vault API has set as an object is one text, whether it is asked for alone or with all.
func TestObjectsAreShownAsTexts(t *testing.T) {
	r, token := asVault(t)
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/v1/secret/data/acme/db",
		strings.NewReader(`{"data":{"user":"ann","host":"db"}}`))
	must(t, err)
	req.Header.Set("X-Vault-Token", token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	said, err := io.ReadAll(res.Body)
	must(t, errors.Join(err, res.Body.Close()))
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", res.Status, said)
	}
	var orgs struct{ Orgs []struct{ ID, Name string } }
	r.call(t, "GET", "/api/v2/orgs?org=acme", token, "", http.StatusOK, &orgs)
	values := "/api/v2/orgs/" + orgs.Orgs[0].ID + "/secret-values"
	var all map[string]string
	r.call(t, "GET", values, token, "", http.StatusOK, &all)
	var one struct{ Value string }
	r.call(t, "GET", values+"/db", token, "", http.StatusOK, &one)
	if want := `{"host":"db","user":"ann"}`; one.Value != want || all["db"] != want {
		t.Errorf("alone it is %q, with all %q", one.Value, all["db"])
	}
}
