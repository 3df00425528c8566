package influxd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/clock"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/kvtest"
	"strongroom/internal/seal"
	"strongroom/internal/secret/due"
	"strongroom/internal/secret/embedded/rewrite"
	"strongroom/internal/secret/lastuse"
	"strongroom/internal/servers"
	"strongroom/internal/vaultapi/notes"
)

// besideKinds are the kinds of records beside those of secrets and identities, and which damage check names them for.
// Of the others nothing is lost but what a server finds again, or tells at its start.
var besideKinds = map[string][]string{
	notes.Prefix:           {"a bit flipped", "cut", "emptied", "swapped"},
	servers.Folder:         {"a bit flipped", "cut", "emptied", "swapped"},
	parts.AuditMark:        {"a bit flipped", "cut", "emptied"},
	lastuse.Prefix:         {"emptied"},
	due.Prefix:             nil, // its key is all that it says
	rewrite.Record:         nil, // without it a rewriting begins anew
	keyring.HandoverRecord: nil, // a single server removes it
	clock.Record:           nil, // what is old waits for a day then
	"core/servers":         nil, // it is there to change
}

// besideData has a record of each kind, two of those of which there may be more, and what they were earlier.
type besideData struct {
	dir, token, operator, secrets string
	whole, older                  map[string][]byte
}

func newBeside(t *testing.T) *besideData {
	t.Helper()
	b := &besideData{dir: t.TempDir()}
	var r *running
	r, b.token, b.operator = asVaultAt(t, b.dir)
	var orgs struct{ Orgs []struct{ ID string } }
	r.call(t, "GET", "/api/v2/orgs", b.operator, "", 200, &orgs)
	b.secrets = "/api/v2/orgs/" + orgs.Orgs[0].ID + "/secret"
	for _, owner := range []string{"then", "now"} {
		for _, name := range []string{"a", "b"} {
			if status, body := b.asVault(t, r, "POST", "data/acme/"+name,
				`{"data":{"value":"the value of `+name+`"}}`); status != 200 {
				t.Fatalf("%d %s", status, body)
			}
			if status, body := b.asVault(t, r, "POST", "metadata/acme/"+name,
				`{"custom_metadata":{"owner":"`+name+` `+owner+`"}}`); status != 204 {
				t.Fatalf("%d %s", status, body)
			}
			b.asVault(t, r, "GET", "data/acme/"+name, "")
		}
		r.end(t)
		db := b.open(t)
		keys, err := keyring.Open(t.Context(), db, keyring.Config{Seal: seal.KeyFile(filepath.Join(b.dir, "seal.key"))})
		must(t, err)
		key, err := keys.DeriveKey(servers.Label)
		must(t, err)
		for _, name := range []string{"one", "two"} {
			_, err := servers.Enter(t.Context(), servers.Config{KV: db, Key: key, Self: servers.Member{Name: name},
				Logger: slog.New(slog.DiscardHandler)})
			must(t, err)
		}
		keys.Close()
		org := orgs.Orgs[0].ID
		_, err = db.Txn(t.Context(), nil, []kv.Op{kv.Put(due.Prefix+org+"/"+strings.Repeat("0a", 32), []byte{1}),
			kv.Put(due.Prefix+org+"/"+strings.Repeat("0b", 32), []byte{1}),
			kv.Put(rewrite.Record, []byte(`{"term":1,"after":"secrets/`+owner+`"}`)),
			kv.Put(keyring.HandoverRecord, []byte(`{"format":1,"term":1,"created":"2020-01-01T00:00:00Z"}`))})
		must(t, err)
		b.older, b.whole = b.whole, kvtest.All(t, db)
		must(t, db.Close())
		if owner == "then" {
			r = start(t, b.dir, "--vault-api-new-orgs", "--log-level", "error")
		}
	}
	return b
}

func (b *besideData) open(t *testing.T) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(b.dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	return db
}

func (b *besideData) asVault(t *testing.T, r *running, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+"/v1/secret/"+path, strings.NewReader(body))
	must(t, err)
	req.Header.Set("X-Vault-Token", b.token)
	return tried(t, r, req)
}

// tried gives an answer, and counts those of a fault of the server's.
func tried(t *testing.T, r *running, req *http.Request) (int, string) {
	t.Helper()
	res, err := r.do(req)
	must(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	if res.StatusCode == 500 {
		r.faults++
	}
	return res.StatusCode, string(answer)
}

// damages are the kinds of damage that is done to a record; another is one of its kind.
func (b *besideData) damages(key, another string) map[string][]kv.Op {
	was := b.whole[key]
	flipped := bytes.Clone(was)
	flipped[len(flipped)/2] ^= 1
	done := map[string][]kv.Op{"a bit flipped": {kv.Put(key, flipped)}, "cut": {kv.Put(key, was[:len(was)/2])},
		"emptied": {kv.Put(key, []byte{})}, "removed": {kv.Delete(key)}}
	if another != "" {
		done["swapped"] = []kv.Op{kv.Put(key, b.whole[another]), kv.Put(another, was)}
	}
	if older, ok := b.older[key]; ok && !bytes.Equal(older, was) {
		done["put back"] = []kv.Op{kv.Put(key, older)}
	}
	return done
}

// TestRecordsBesideDamaged damages a record of each kind beside those of secrets and identities, all in the same way at a
// time. The server starts and serves right values, what it answers with a fault of its own is in its log, and check names
// those by which something is lost.
func TestRecordsBesideDamaged(t *testing.T) {
	b := newBeside(t)
	all := map[string]map[string][]kv.Op{}
	named := map[string][]string{}
	for kind, told := range besideKinds {
		var keys []string
		for _, key := range slices.Sorted(maps.Keys(b.whole)) {
			if strings.HasPrefix(key, kind) && strings.Count(key, "/") == max(strings.Count(kind, "/"), 1)+
				map[bool]int{true: 1}[kind == notes.Prefix || kind == lastuse.Prefix || kind == due.Prefix] {
				keys = append(keys, key)
			}
		}
		if len(keys) == 0 || strings.HasSuffix(kind, "/") && len(keys) < 2 {
			t.Fatalf("of the kind %s there are the records %q", kind, keys)
		}
		for damage, ops := range b.damages(keys[0], append(keys, "")[1]) {
			if all[damage] == nil {
				all[damage] = map[string][]kv.Op{}
			}
			all[damage][keys[0]] = ops
			if slices.Contains(told, damage) {
				named[damage] = append(named[damage], keys[0])
			}
		}
	}
	for damage, by := range all {
		t.Run(damage, func(t *testing.T) {
			db := b.open(t)
			kvtest.Become(t, db, b.whole, slices.Concat(slices.Collect(maps.Values(by))...))
			must(t, db.Close())
			out, _, err := influxdOn(t, b.dir, "check")
			if (err == nil) != (len(named[damage]) == 0) {
				t.Errorf("check: %v\n%s", err, out)
			}
			for _, key := range named[damage] {
				if !strings.Contains(out, `"`+key+`": `) {
					t.Errorf("check does not name %s:\n%s", key, out)
				}
			}
			b.served(t, damage)
		})
	}
}

func (b *besideData) served(t *testing.T, damage string) {
	t.Helper()
	r := start(t, b.dir, "--vault-api-new-orgs", "--log-level", "error")
	for _, name := range []string{"a", "b"} {
		if status, got := b.asVault(t, r, "GET", "data/acme/"+name, ""); status != 200 ||
			!strings.Contains(got, `"value":"the value of `+name+`"`) {
			t.Errorf("the secret %s is read as %d %s", name, status, got)
		}
		status, got := b.asVault(t, r, "GET", "metadata/acme/"+name, "")
		for _, other := range []string{"a then", "b then", "a now", "b now"} {
			right := other == name+" now" || other == name+" then" && damage == "put back"
			if strings.Contains(got, other) && !right {
				t.Errorf("of %s is noted %d %s", name, status, got)
			}
		}
		if status != 200 && status != 500 {
			t.Errorf("of %s is noted %d %s", name, status, got)
		}
	}
	if status, got := b.asVault(t, r, "LIST", "metadata/acme/", ""); status != 200 ||
		!strings.Contains(got, `"a"`) || !strings.Contains(got, `"b"`) {
		t.Errorf("the list is %d %s", status, got)
	}
	for _, path := range []string{b.secrets + "s", b.secrets + "-infos", "/api/v2/authorizations", "/api/v2/audit"} {
		r.call(t, "GET", path, b.operator, "", 200, nil)
	}
	var health struct {
		Status string
		Checks []struct{ Name, Status, Message string }
	}
	r.call(t, "GET", "/health", "", "", 200, &health)
	told := ""
	for _, c := range health.Checks {
		if c.Name == "records" {
			told = c.Message
		}
	}
	if met := slices.Contains(besideKinds[notes.Prefix], damage); met != strings.Contains(told, "note") ||
		health.Status != "pass" {
		t.Errorf("/health tells %q", told)
	}
	r.end(t)
	if log := r.stderr.String(); strings.Contains(log, "panic") || strings.Contains(log, "the value of") ||
		strings.Count(log, "a request failed") < r.faults {
		t.Errorf("%d requests were answered 500, and the log has\n%s", r.faults, log)
	}
}

// TestFormatDamaged damages the record of the data's format. A server starts, or says why it does not.
func TestFormatDamaged(t *testing.T) {
	b := newBeside(t)
	const key = servers.FormatRecord
	for _, value := range []string{"", "{", `{"Format":0}`, `{"Format":1}`, `{"Format":3}`, "\x01"} {
		db := b.open(t)
		kvtest.Become(t, db, b.whole, []kv.Op{kv.Put(key, []byte(value))})
		must(t, db.Close())
		_, _, checked := influxdOn(t, b.dir, "check")
		if (checked == nil) != (value == `{"Format":1}`) ||
			checked != nil && !strings.Contains(checked.Error(), "format") {
			t.Errorf("%q: check gives %v", value, checked)
		}
		r, err := launch(t, b.dir, "--vault-api-new-orgs", "--log-level", "error")
		if err != nil {
			if !strings.Contains(err.Error(), "newer format") && !strings.Contains(err.Error(), key+" is damaged") {
				t.Errorf("%q: the start ends with %v", value, err)
			}
			continue
		}
		if status, got := b.asVault(t, r, "GET", "data/acme/a", ""); status != 200 ||
			!strings.Contains(got, `"value":"the value of a"`) {
			t.Errorf("%q: the secret is read as %d %s", value, status, got)
		}
		r.end(t)
	}
}

// TestHealthTellsOfDamage damages a secret, a token and a user of a server. It serves the rest, refuses whom it must, and
// tells of each kind in /health and the metrics, without a key.
func TestHealthTellsOfDamage(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	operator, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, operator, `{"a":"sesame","b":"open"}`, 204, nil)
	var made struct{ ID, Token string }
	s.call(t, "POST", "/api/v2/authorizations", operator, `{"orgID":"`+strings.Split(secrets, "/")[4]+
		`","permissions":[{"action":"use","resource":{"type":"secrets"}}]}`, 201, &made)
	health := func(s *running) string {
		t.Helper()
		var all struct {
			Status string
			Checks []json.RawMessage
		}
		if s.call(t, "GET", "/health", "", "", 200, &all); all.Status != "pass" {
			t.Errorf("/health is %s", all.Status)
		}
		for _, c := range all.Checks {
			if strings.Contains(string(c), `"records"`) {
				return string(c)
			}
		}
		return ""
	}
	s.call(t, "GET", strings.TrimSuffix(secrets, "s")+"-values/a", made.Token, "", 200, nil)
	if told := health(s); told != "" {
		t.Errorf("of whole data /health tells %s", told)
	}
	s.end(t)
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	var ops []kv.Op
	for key, value := range kvtest.All(t, db) {
		if strings.HasPrefix(key, "secrets/") && strings.HasSuffix(key, "/k/a") || key == "auth/"+made.ID {
			value[len(value)/2] ^= 1
			ops = append(ops, kv.Put(key, value))
		}
	}
	_, err = db.Txn(t.Context(), nil, ops)
	must(t, errors.Join(err, db.Close()))
	if len(ops) != 2 {
		t.Fatalf("%d records are damaged", len(ops))
	}
	s = start(t, dir)
	s.call(t, "GET", strings.TrimSuffix(secrets, "s")+"-values/a", made.Token, "", 401, nil)
	s.call(t, "PATCH", secrets, operator, `{"c":"new"}`, 204, nil)
	var user struct{ Token string }
	s.call(t, "POST", "/api/v2/authorizations", operator, `{"orgID":"`+strings.Split(secrets, "/")[4]+
		`","permissions":[{"action":"use","resource":{"type":"secrets"}}]}`, 201, &user)
	s.call(t, "GET", strings.TrimSuffix(secrets, "s")+"-values/a", user.Token, "", 500, nil)
	s.call(t, "GET", strings.TrimSuffix(secrets, "s")+"-values/b", user.Token, "", 200, nil)
	told := health(s)
	if !strings.Contains(told, "auth, secret") || !strings.Contains(told, "influxd check") {
		t.Errorf("/health tells %s", told)
	}
	res, err := http.Get(s.url + "/metrics")
	must(t, err)
	defer res.Body.Close()
	metrics, err := io.ReadAll(res.Body)
	must(t, err)
	for _, kind := range []string{"auth", "secret"} {
		if !regexp.MustCompile(`strongroom_records_refused_total\{kind="` + kind + `"\} [1-9]`).Match(metrics) {
			t.Errorf("/metrics do not count one of %s", kind)
		}
	}
	for _, not := range []string{made.ID, "sesame", "/k/"} {
		if strings.Contains(told, not) || strings.Contains(string(metrics), not) {
			t.Errorf("/health or /metrics have %s", not)
		}
	}
}
