// Package kvold does with Vault's Go client of the release that InfluxDB 2 links what InfluxDB does with it.
package kvold

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"

	"strongroom/test/daemon"
)

// influxdb is the secret service of InfluxDB, as far as it talks to Vault: an organisation is one entry, which is read,
// changed and written with the version that was read.
type influxdb struct{ client *api.Client }

func connect(t *testing.T, d *daemon.Daemon, token string) influxdb {
	t.Helper()
	conf := api.DefaultConfig()
	conf.Address = d.URL
	c, err := api.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	c.SetToken(token)
	return influxdb{c}
}

func path(org string) string { return "secret/data/" + org }

func (i influxdb) load(org string) (map[string]string, int, error) {
	s, err := i.client.Logical().Read(path(org))
	if err != nil {
		return nil, -1, err
	}
	m := make(map[string]string)
	if s == nil {
		return m, 0, nil
	}
	data, ok := s.Data["data"].(map[string]interface{})
	if !ok {
		return nil, -1, fmt.Errorf("value found in secret data is not map[string]interface{}: %T", s.Data["data"])
	}
	for k, v := range data {
		text, ok := v.(string)
		if !ok {
			continue
		}
		m[k] = text
	}
	version, err := s.Data["metadata"].(map[string]interface{})["version"].(json.Number).Int64()
	return m, int(version), err
}

func (i influxdb) change(org string, f func(map[string]string)) error {
	m, version, err := i.load(org)
	if err != nil {
		return err
	}
	f(m)
	data := make(map[string]interface{}, len(m))
	for k, v := range m {
		data[k] = v
	}
	_, err = i.client.Logical().Write(path(org), map[string]interface{}{"data": data,
		"options": map[string]interface{}{"cas": version}})
	return err
}

// TestInfluxDB does what InfluxDB does, from an empty organisation to an empty organisation.
func TestInfluxDB(t *testing.T) {
	d := daemon.Start(t)
	i := connect(t, d, d.VaultToken(t, true))
	want := func(n, version int) {
		t.Helper()
		if m, v, err := i.load(d.OrgID); err != nil || len(m) != n || v != version {
			t.Fatalf("it reads %d secrets of version %d (%v), not %d of %d", len(m), v, err, n, version)
		}
	}
	change := func(f func(map[string]string)) {
		t.Helper()
		if err := i.change(d.OrgID, f); err != nil {
			t.Fatal(err)
		}
	}
	want(0, 0)
	change(func(m map[string]string) { m["foo"], m["hello"] = "bar", "world" })
	want(2, 1)
	change(func(m map[string]string) { m["foo"] = "bar2" })
	if m, _, err := i.load(d.OrgID); err != nil || m["foo"] != "bar2" {
		t.Errorf("foo is %q, %v", m["foo"], err)
	}
	d.Set(t, map[string]string{"elsewhere": "x"})
	want(3, 3)
	change(func(m map[string]string) { delete(m, "elsewhere") })
	change(func(m map[string]string) { delete(m, "missing") })
	want(2, 4)
	change(func(m map[string]string) { clear(m) })
	want(0, 5)
	if keys := d.Keys(t); len(keys) != 0 {
		t.Errorf("over InfluxDB's API there are %v", keys)
	}
	change(func(m map[string]string) { m["again"] = "1" })
	want(1, 6)

	// An organisation that is not here has no secrets, and takes none in silence.
	const elsewhere = "00000000000000aa"
	if m, v, err := i.load(elsewhere); err != nil || len(m) != 0 || v != 0 {
		t.Errorf("an unknown organisation: %v, %d, %v", m, v, err)
	}
	if err := i.change(elsewhere, func(m map[string]string) {
		m["a"] = "b"
	}); err == nil || !strings.Contains(err.Error(), "--vault-api-new-orgs") {
		t.Errorf("a write to an unknown organisation: %v", err)
	}
}

// TestNoRefusalLooksLikeSuccess: this client takes 429 for success, and loses the write.
func TestNoRefusalLooksLikeSuccess(t *testing.T) {
	d := daemon.Start(t)
	for name, i := range map[string]influxdb{"no token": connect(t, d, ""), "a wrong one": connect(t, d, "nonsense"),
		"the operator's, which may not use secrets": connect(t, d, d.Token)} {
		if err := i.change(d.OrgID, func(m map[string]string) {
			m["a"] = "b"
		}); err == nil || !strings.Contains(err.Error(), "Code: 403") {
			t.Errorf("%s: %v", name, err)
		}
	}
	i := connect(t, d, d.VaultToken(t, false))
	_, err := i.client.Logical().Write(path(d.OrgID), map[string]interface{}{"data": map[string]interface{}{"a": 1},
		"options": map[string]interface{}{"cas": 0}})
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
	token := d.VaultToken(t, true)
	const clients, each = 32, 3
	errs := make(chan error, clients*each)
	var wg sync.WaitGroup
	for c := range clients {
		i := connect(t, d, token)
		wg.Go(func() {
			for n := range each {
				errs <- i.change(d.OrgID, func(m map[string]string) { m[fmt.Sprintf("c%d-%d", c, n)] = "v" })
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
	if n := len(d.Keys(t)); n != clients*each {
		t.Errorf("%d secrets are there, not %d", n, clients*each)
	}
}
