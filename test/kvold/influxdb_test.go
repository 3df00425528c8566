// Package kvold has InfluxDB's own code keep secrets here: the service of InfluxDB 2.8 that talks to a Vault, and the
// release of Vault's Go client that it links.
package kvold

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/influxdata/influxdb/v2/kit/platform"
	"github.com/influxdata/influxdb/v2/vault"

	"strongroom/test/daemon"
)

// influxdb is the secret service of InfluxDB.
type influxdb struct{ *vault.SecretService }

// connect starts InfluxDB's service with the two variables.
func connect(t *testing.T, address, token string) influxdb {
	t.Helper()
	t.Setenv("VAULT_ADDR", address)
	t.Setenv("VAULT_TOKEN", token)
	s, err := vault.NewSecretService()
	must(t, err)
	return influxdb{s}
}

func idOf(t *testing.T, text string) platform.ID {
	t.Helper()
	id, err := platform.IDFromString(text)
	must(t, err)
	return *id
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// all are an organisation's secrets, each loaded as a Flux script loads it.
func (i influxdb) all(t *testing.T, org platform.ID) map[string]string {
	t.Helper()
	keys, err := i.GetSecretKeys(t.Context(), org)
	must(t, err)
	m := make(map[string]string)
	for _, k := range keys {
		v, err := i.LoadSecret(t.Context(), org, k)
		must(t, err)
		m[k] = v
	}
	return m
}

// TestRelease: the client is the one of InfluxDB's release, which takes 429 for success.
func TestRelease(t *testing.T) {
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer busy.Close()
	if err := connect(t, busy.URL, "t").PutSecrets(t.Context(), 1, map[string]string{"a": "b"}); err != nil {
		t.Errorf("a later release, which knows 429 for a refusal, is in its place: %v", err)
	}
}

// TestInfluxDB does what InfluxDB does, from an empty organisation to an empty organisation.
func TestInfluxDB(t *testing.T) {
	d := daemon.Start(t)
	i, org, ctx := connect(t, d.URL, d.VaultToken(t, true)), idOf(t, d.OrgID), t.Context()
	has := func(want map[string]string) {
		t.Helper()
		if m := i.all(t, org); !maps.Equal(m, want) {
			t.Fatalf("it reads %v, not %v", m, want)
		}
	}
	has(nil)
	if _, err := i.LoadSecret(ctx, org, "foo"); err == nil || err.Error() != "secret not found" {
		t.Errorf("a secret that is not there: %v", err)
	}
	must(t, i.PutSecret(ctx, org, "foo", "bar"))
	must(t, i.PatchSecrets(ctx, org, map[string]string{"foo": "bar2", "hello": "world"}))
	has(map[string]string{"foo": "bar2", "hello": "world"})
	d.Set(t, map[string]string{"elsewhere": "x"})
	has(map[string]string{"foo": "bar2", "hello": "world", "elsewhere": "x"})
	must(t, i.DeleteSecret(ctx, org, "elsewhere", "missing"))
	must(t, i.PutSecrets(ctx, org, map[string]string{"only": "this"}))
	has(map[string]string{"only": "this"})
	must(t, i.DeleteSecret(ctx, org, "only"))
	has(nil)
	if keys := d.Keys(t); len(keys) != 0 {
		t.Errorf("over InfluxDB's API there are %v", keys)
	}
	must(t, i.PutSecret(ctx, org, "again", "1"))
	has(map[string]string{"again": "1"})

	// An organisation that is not here has no secrets, and takes none in silence.
	elsewhere := idOf(t, "00000000000000aa")
	if m := i.all(t, elsewhere); len(m) != 0 {
		t.Errorf("an unknown organisation has %v", m)
	}
	if err := i.PutSecret(ctx, elsewhere, "a", "b"); err == nil || !strings.Contains(err.Error(),
		"--vault-api-new-orgs") {
		t.Errorf("a write to an unknown organisation: %v", err)
	}
}

// TestNoRefusalLooksLikeSuccess: this client takes 429 for success, and loses the write.
func TestNoRefusalLooksLikeSuccess(t *testing.T) {
	d := daemon.Start(t)
	org := idOf(t, d.OrgID)
	for name, token := range map[string]string{"no token": "", "a wrong one": "nonsense",
		"the operator's, which may not use secrets": d.Token} {
		if err := connect(t, d.URL, token).PutSecret(t.Context(), org, "a", "b"); err == nil ||
			!strings.Contains(err.Error(), "Code: 403") {
			t.Errorf("%s: %v", name, err)
		}
	}
	i := connect(t, d.URL, d.VaultToken(t, false))
	_, err := i.Client.Logical().Write("secret/data/"+d.OrgID, map[string]interface{}{
		"data": map[string]interface{}{"a": 1}, "options": map[string]interface{}{"cas": 0}})
	if err == nil || !strings.Contains(err.Error(), "must be a text") {
		t.Errorf("a number: %v", err)
	}
	if keys := d.Keys(t); len(keys) != 0 {
		t.Errorf("what was refused is there: %v", keys)
	}
}

// TestWriters has 32 write at once as InfluxDB does. With --vault-api-merge none is refused; none is lost in any case.
func TestWriters(t *testing.T) {
	d := daemon.Start(t, "--vault-api-merge")
	token, org := d.VaultToken(t, true), idOf(t, d.OrgID)
	const clients, each = 32, 3
	errs := make(chan error, clients*each)
	var wg sync.WaitGroup
	for c := range clients {
		i := connect(t, d.URL, token)
		wg.Go(func() {
			for n := range each {
				errs <- i.PutSecret(t.Context(), org, fmt.Sprintf("c%d-%d", c, n), "v")
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
	}
	if keys := slices.Compact(slices.Sorted(slices.Values(d.Keys(t)))); len(keys) != clients*each {
		t.Errorf("%d secrets are there, not %d", len(keys), clients*each)
	}
}
