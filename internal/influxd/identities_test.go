package influxd

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// The tokens in the frozen data, and their organisation.
const (
	frozenOperator = "a-frozen-token-of-the-operator"
	frozenAnn      = "a-frozen-token-of-ann-00"
	frozenSecrets  = "/api/v2/orgs/11b35121e2184001/secrets"
)

// frozenIdentities are data of an influxd that kept the records of users and tokens in clear.
func frozenIdentities(t *testing.T) string {
	t.Helper()
	return unpackFrozen(t, "testdata/identities-v1")
}

// TestUpgradeSealsIdentities starts on data whose records of users and tokens are in clear. They are sealed, once, on
// record, and all is as it was.
func TestUpgradeSealsIdentities(t *testing.T) {
	dir := frozenIdentities(t)
	const clear = "records of users and tokens are those of an older influxd"
	if out, _, err := influxdOn(t, dir, "check"); err != nil || !strings.Contains(out, clear) {
		t.Errorf("before: %v\n%s", err, out)
	}
	s := start(t, dir)
	if got := s.keys(t, frozenOperator, frozenSecrets); !strings.Contains(got, "foo") {
		t.Errorf("the operator's token lists %s", got)
	}
	s.keys(t, frozenAnn, frozenSecrets)
	s.call(t, "PATCH", "/api/v2/users/11b351220bd84000", frozenOperator, `{"status":"active"}`, 200, nil)
	s.end(t)
	if log := s.stderr.String() + s.stdout.String(); !strings.Contains(log, "sealed from now on") {
		t.Errorf("the log does not tell:\n%s", log)
	}
	if trail := string(readFile(t, filepath.Join(dir, "audit.log"))); !strings.Contains(trail, "identities.seal") {
		t.Errorf("it is not on record:\n%s", trail)
	}
	if out, _, err := influxdOn(t, dir, "check"); err != nil || strings.Contains(out, clear) {
		t.Errorf("after: %v\n%s", err, out)
	}
	for _, inClear := range []string{"$2a$", "ann: a name", `"permissions"`} {
		if eachRecord(t, dir, func(key, value string) bool { return strings.Contains(value, inClear) }) {
			t.Errorf("%q is in a value in clear", inClear)
		}
	}
	s = start(t, dir)
	s.keys(t, frozenOperator, frozenSecrets)
	s.end(t)
	if log := s.stderr.String() + s.stdout.String(); strings.Contains(log, "sealed from now on") {
		t.Error("the next start seals them again")
	}
	// A rotation seals them under the new term, and the old one goes.
	if out, _, err := influxdOn(t, dir, "seal", "rotate"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s = start(t, dir)
	s.keys(t, frozenOperator, frozenSecrets)
}

func eachRecord(t *testing.T, dir string, f func(key, value string) bool) (any bool) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "influxd.bolt"), 0o600, &bbolt.Options{ReadOnly: true})
	must(t, err)
	defer db.Close()
	must(t, db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("strongroom-data")).ForEach(func(k, v []byte) error {
			any = any || f(string(k), string(v[8:]))
			return nil
		})
	}))
	return any
}

// forge writes records as somebody can who has the file and no key.
func forge(t *testing.T, dir string, records map[string]any) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "influxd.bolt"), 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		for k, v := range records {
			b, err := json.Marshal(v)
			if err != nil {
				return err
			}
			raw := append(binary.BigEndian.AppendUint64(nil, 1), b...)
			if err := tx.Bucket([]byte("strongroom-data")).Put([]byte(k), raw); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, db.Close())
}

// TestSetUpOnce takes every user and organisation out of the file of a stopped server. Nobody
// becomes its operator by that.
func TestSetUpOnce(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"a":"sesame"}`, 204, nil)
	s.end(t)
	db, err := bbolt.Open(filepath.Join(dir, "influxd.bolt"), 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		data := tx.Bucket([]byte("strongroom-data"))
		var gone [][]byte
		must(t, data.ForEach(func(k, _ []byte) error {
			if !strings.HasPrefix(string(k), "core/") && !strings.HasPrefix(string(k), "secrets/") {
				gone = append(gone, k)
			}
			return nil
		}))
		for _, k := range gone {
			must(t, data.Delete(k))
		}
		return nil
	}))
	must(t, db.Close())
	s = start(t, dir)
	s.call(t, "POST", "/api/v2/setup", "",
		`{"username":"mallory","password":"long enough","org":"o","bucket":"b"}`, 422, nil)
	var allowed struct{ Allowed bool }
	if s.call(t, "GET", "/api/v2/setup", "", "", 200, &allowed); allowed.Allowed {
		t.Error("a set-up is offered")
	}
}

// TestForgedToken writes a token of its own into the data file, with the permission to use every secret. It is not
// believed, and check and restore tell it.
func TestForgedToken(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"a":"sesame"}`, 204, nil)
	var me struct{ ID string }
	s.call(t, "GET", "/api/v2/me", token, "", 200, &me)
	s.end(t)
	org := strings.Split(secrets, "/")[4]
	const forged = "a-token-that-somebody-has-forged"
	hash := sha256.Sum256([]byte(forged))
	const auth = "0f00000000000001"
	forge(t, dir, map[string]any{
		"auth/" + auth: map[string]any{"id": auth, "hash": hash[:], "status": "active", "orgID": org, "userID": me.ID,
			"permissions": []any{map[string]any{"action": "use", "resource": map[string]any{"type": "secrets",
				"orgID": org}}}},
		"authhash/" + hex.EncodeToString(hash[:]): auth,
	})
	s = start(t, dir)
	s.call(t, "GET", secrets+"/values", forged, "", 401, nil)
	s.keys(t, token, secrets) // the others are as they were
	s.end(t)
	if log := s.stderr.String() + s.stdout.String(); !strings.Contains(log, "a record does not open") {
		t.Errorf("the log does not tell:\n%s", log)
	}
	out, _, err := influxdOn(t, dir, "check")
	if err == nil || !strings.Contains(out, fmt.Sprintf("%q: the record was not written by this server",
		"auth/"+auth)) {
		t.Errorf("check: %v\n%s", err, out)
	}
	copied := filepath.Join(t.TempDir(), "backup")
	must(t, os.WriteFile(copied, readFile(t, filepath.Join(dir, "influxd.bolt")), 0o600))
	if out, _, err := influxdOn(t, dir, "restore", "--from", copied); err == nil || !strings.Contains(err.Error(),
		"was not restored") {
		t.Errorf("restore: %v\n%s", err, out)
	}
}

// TestTokensNotGuessedByFile looks in the data file for the hash of a token that somebody has chosen: whoever has the
// file could try guesses by it. The server finds the token all the same, after another start, and in the frozen data,
// which have plain hashes.
func TestTokensNotGuessedByFile(t *testing.T) {
	hashes := func(dir string) (plain, keyed int) {
		db, err := bbolt.Open(filepath.Join(dir, "influxd.bolt"), 0o600, &bbolt.Options{ReadOnly: true})
		must(t, err)
		defer db.Close()
		must(t, db.View(func(tx *bbolt.Tx) error {
			return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
				return b.ForEach(func(k, _ []byte) error {
					if rest, ok := strings.CutPrefix(string(k), "authhash/"); ok {
						if b, err := hex.DecodeString(rest); err == nil && len(b) == sha256.Size {
							plain++
						} else {
							keyed++
						}
					}
					return nil
				})
			})
		}))
		return plain, keyed
	}
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	const chosen = "chosen-by-somebody-else"
	org := strings.Split(secrets, "/")[4]
	given := fmt.Sprintf(`{"orgID":%q,"token":%q,"permissions":[{"action":"read","resource":{"type":"secrets","orgID":%q}}]}`,
		org, chosen, org)
	s.call(t, "POST", "/api/v2/authorizations", token, given, 201, nil)
	s.call(t, "POST", "/api/v2/authorizations", token, given, 422, nil)
	s.call(t, "GET", secrets, chosen, "", 200, nil)
	s.end(t)
	if plain, keyed := hashes(dir); plain != 0 || keyed != 2 {
		t.Errorf("%d plain hashes, %d keyed", plain, keyed)
	}
	s = start(t, dir)
	s.call(t, "GET", secrets, chosen, "", 200, nil)
	s.end(t)

	dir = frozenIdentities(t)
	before, _ := hashes(dir)
	s = start(t, dir)
	s.keys(t, frozenAnn, frozenSecrets)
	s.end(t)
	if plain, keyed := hashes(dir); before == 0 || plain != 0 || keyed != before {
		t.Errorf("of %d hashes %d are plain, %d keyed", before, plain, keyed)
	}
	if out, _, err := influxdOn(t, dir, "check"); err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}
}
