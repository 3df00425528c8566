package influxd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/etcd"
	"strongroom/internal/kv/etcd/etcdtest"
)

// tokens are what a server's data know of tokens: one that lives, one that was revoked, and one that somebody forges
// who can write the data and has no key.
type tokens struct {
	secrets          string // the path that they are tried at
	good, goodID     string
	revoked, forged  string
	revokedAt, entry string // the key under which the revoked one was found, and the key of the good one
}

// indexes are the keys of the records by which tokens are found.
func indexes(t *testing.T, data kv.Store) (keys []string) {
	t.Helper()
	rs, err := data.List(t.Context(), "authhash/", "", 1000)
	must(t, err)
	for _, r := range rs {
		keys = append(keys, r.Key)
	}
	return keys
}

// newTokens makes the tokens. look gives the data themselves.
func newTokens(t *testing.T, s *running, operator, secrets string, look func(func(kv.Store))) tokens {
	t.Helper()
	ts := tokens{secrets: secrets, good: "good-and-chosen-by-somebody", revoked: "revoked-and-chosen-by-somebody",
		forged: "forged-and-chosen-by-somebody"}
	org := strings.Split(secrets, "/")[4]
	made := func(token string) (id, at string) {
		t.Helper()
		var before, after []string
		look(func(data kv.Store) { before = indexes(t, data) })
		var a struct{ ID string }
		s.call(t, "POST", "/api/v2/authorizations", operator, fmt.Sprintf(`{"orgID":%q,"token":%q,"permissions":[`+
			`{"action":"read","resource":{"type":"secrets","orgID":%[1]q}}]}`, org, token), 201, &a)
		look(func(data kv.Store) { after = indexes(t, data) })
		for _, key := range after {
			if !slices.Contains(before, key) {
				at = key
			}
		}
		s.call(t, "GET", secrets, token, "", 200, nil)
		return a.ID, at
	}
	ts.goodID, ts.entry = made(ts.good)
	revoked, at := made(ts.revoked)
	ts.revokedAt = at
	s.call(t, "DELETE", "/api/v2/authorizations/"+revoked, operator, "", 204, nil)
	if ts.entry == "" || at == "" || ts.entry == at {
		t.Fatalf("found by %q and %q", ts.entry, at)
	}
	return ts
}

// forgeIndexes writes indexes as somebody can who has the data and no key: one that leads from a forged token to a token
// that there is, in the form of an older influxd; and, under the key by which a revoked token was found, what leads to
// another one.
func (ts tokens) forgeIndexes(t *testing.T, data kv.Store) {
	t.Helper()
	good, err := data.Get(t.Context(), ts.entry)
	must(t, err)
	id, err := json.Marshal(ts.goodID)
	must(t, err)
	_, err = data.Txn(t.Context(), nil, []kv.Op{kv.Put(plainIndexOf(ts.forged), id), kv.Put(ts.revokedAt, good.Value)})
	must(t, err)
}

func plainIndexOf(token string) string {
	h := sha256.Sum256([]byte(token))
	return "authhash/" + hex.EncodeToString(h[:])
}

// try uses the tokens. An index that is forged opens nothing, and is as none.
func (ts tokens) try(t *testing.T, when string, s *running) {
	t.Helper()
	if got := s.status(t, "GET", ts.secrets, ts.good, ""); got != 200 {
		t.Errorf("%s: a good token is answered %d", when, got)
	}
	if got := s.status(t, "GET", ts.secrets, ts.revoked, ""); got != 401 {
		t.Errorf("%s: a revoked token is answered %d", when, got)
	}
	if got := s.status(t, "GET", ts.secrets, ts.forged, ""); got != 401 {
		t.Errorf("%s: a forged token is answered %d", when, got)
	}
}

// told fails where a command over data with forged indexes ended well, or does not name them.
func (ts tokens) told(t *testing.T, what, out string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s takes forged indexes: %s", what, out)
	}
	for _, key := range []string{ts.revokedAt, plainIndexOf(ts.forged)} {
		if said := fmt.Sprint(out, err); !strings.Contains(said, key) {
			t.Errorf("%s does not name %s: %s", what, key, said)
		}
	}
}

// inFile looks into the data file of a server that does not run.
func inFile(t *testing.T, path string, look func(kv.Store)) {
	t.Helper()
	db, err := bolt.Open(path, bolt.Options{})
	must(t, err)
	look(db)
	must(t, db.Close())
}

// madeTokens makes tokens on a server over a file, which is stopped for each look into it.
func madeTokens(t *testing.T, dir, operator, secrets string) tokens {
	t.Helper()
	s := start(t, dir)
	ts := newTokens(t, s, operator, secrets, func(look func(kv.Store)) {
		s.end(t)
		inFile(t, filepath.Join(dir, "influxd.bolt"), look)
		again := start(t, dir)
		s.url, s.stop, s.wait = again.url, again.stop, again.wait
	})
	s.end(t)
	return ts
}

// TestTokensAfterRestore brings a backup back, and one with forged indexes.
func TestTokensAfterRestore(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	operator, secrets := s.onboard(t)
	s.end(t)
	ts := madeTokens(t, dir, operator, secrets)
	s = start(t, dir)
	backup := backupOf(t, s, operator)
	ts.try(t, "before", s)
	s.call(t, "DELETE", "/api/v2/authorizations/"+ts.goodID, operator, "", 204, nil)
	s.end(t)
	if out, _, err := influxdOn(t, dir, "restore", "--from", backup); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s = start(t, dir)
	ts.try(t, "restored", s)
	s.end(t)
	inFile(t, backup, func(data kv.Store) { ts.forgeIndexes(t, data) })
	out, _, err := influxdOn(t, dir, "restore", "--from", backup)
	ts.told(t, "restore", out, err)
	inFile(t, filepath.Join(dir, "influxd.bolt"), func(data kv.Store) { ts.forgeIndexes(t, data) })
	out, _, err = influxdOn(t, dir, "check")
	ts.told(t, "check", out, err)
	ts.try(t, "forged", start(t, dir))
}

// TestTokensAfterImport has the tokens of an InfluxDB work, and no longer once they are revoked, also where the same is
// imported once more.
func TestTokensAfterImport(t *testing.T) {
	sample, want := sampleDB(t)
	dir := t.TempDir()
	_, _, err := influxdOn(t, dir, "import", "--influxdb", sample)
	must(t, err)
	inFile(t, filepath.Join(dir, "influxd.bolt"), func(data kv.Store) {
		for _, a := range want.Authorizations {
			if _, err := data.Get(t.Context(), plainIndexOf(a.Token)); !errors.Is(err, kv.ErrNotFound) {
				t.Errorf("a token is found by its plain hash: %v", err)
			}
		}
	})
	secrets := "/api/v2/orgs/" + want.Orgs[0].ID + "/secrets"
	ts := madeTokens(t, dir, want.OperatorToken, secrets)
	s := start(t, dir)
	ts.try(t, "imported", s)
	var gone string
	for _, a := range want.Authorizations {
		if s.status(t, "GET", "/api/v2/authorizations", a.Token, "") != 200 {
			t.Errorf("the imported token %s is not known", a.ID)
		}
		if a.Token != want.OperatorToken {
			s.call(t, "DELETE", "/api/v2/authorizations/"+a.ID, want.OperatorToken, "", 204, nil)
			gone = a.Token
		}
	}
	s.call(t, "GET", "/api/v2/authorizations", gone, "", 401, nil)
	s.end(t)
	inFile(t, filepath.Join(dir, "influxd.bolt"), func(data kv.Store) { ts.forgeIndexes(t, data) })
	s = start(t, dir)
	ts.try(t, "forged", s)
	s.call(t, "GET", "/api/v2/authorizations", gone, "", 401, nil)
	s.end(t)
}

// TestTokensOfSeveralServers has two servers over etcd: what was made or revoked at one is so at the other. Then the
// data go to a file and back, each time with a forged index that the other place does not take or does not believe.
func TestTokensOfSeveralServers(t *testing.T) {
	c := etcdtest.Shared(t)
	keys, prefix := t.TempDir(), etcdtest.Prefix(t)
	a := start(t, t.TempDir(), onEtcd(c, keys, prefix, "--server-name=a")...)
	b := start(t, t.TempDir(), onEtcd(c, keys, prefix, "--server-name=b")...)
	operator, secrets := a.onboard(t)
	inEtcd := func(prefix string) *etcd.Store {
		data, err := etcd.Open(t.Context(), etcd.Config{Endpoints: c.Endpoints(), Prefix: prefix, Patience: time.Minute})
		must(t, err)
		t.Cleanup(func() { data.Close() })
		return data
	}
	data := inEtcd(prefix)
	ts := newTokens(t, a, operator, secrets, func(look func(kv.Store)) { look(data) })
	b.eventually(t, 401, "GET", secrets, ts.revoked, "")
	ts.try(t, "at the one", a)
	ts.try(t, "at the other", b)
	a.end(t)
	b.end(t)

	engine := func(prefix string) []string {
		return []string{"--etcd-endpoints=" + strings.Join(c.Endpoints(), ","), "--etcd-prefix=" + prefix,
			"--seal-key-file=" + filepath.Join(keys, "seal.key")}
	}
	copied := func(from, to, dir, prefix string) (string, error) {
		return run(t, append([]string{"store", "copy", "--from", from, "--to", to, "--bolt-path",
			filepath.Join(dir, "influxd.bolt")}, engine(prefix)...)...)
	}
	file, forgedFile := t.TempDir(), t.TempDir()
	if out, err := copied("etcd", "bolt", file, prefix); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	key, err := os.ReadFile(filepath.Join(keys, "seal.key"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(file, "seal.key"), key, 0o600))
	s := start(t, file)
	ts.try(t, "in a file", s)
	s.end(t)
	back := etcdtest.Prefix(t)
	if out, err := copied("bolt", "etcd", file, back); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	s = start(t, t.TempDir(), onEtcd(c, keys, back)...)
	ts.try(t, "in etcd again", s)
	s.end(t)

	ts.forgeIndexes(t, data)
	s = start(t, t.TempDir(), onEtcd(c, keys, prefix, "--server-name=a")...)
	ts.try(t, "forged in etcd", s)
	s.end(t)
	if out, err := copied("etcd", "bolt", forgedFile, prefix); err == nil {
		must(t, os.WriteFile(filepath.Join(forgedFile, "seal.key"), key, 0o600))
		s = start(t, forgedFile)
		ts.try(t, "copied to a file, forged", s)
		s.end(t)
	} else {
		ts.told(t, "store copy to a file", out, err)
	}
	inFile(t, filepath.Join(file, "influxd.bolt"), func(data kv.Store) { ts.forgeIndexes(t, data) })
	forgedThere := etcdtest.Prefix(t)
	if out, err := copied("bolt", "etcd", file, forgedThere); err == nil {
		s = start(t, t.TempDir(), onEtcd(c, keys, forgedThere)...)
		ts.try(t, "copied to etcd, forged", s)
		s.end(t)
	} else {
		ts.told(t, "store copy to etcd", out, err)
	}
}
