package influxd

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/barrier"
	"strongroom/internal/clock"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	boltsnapshot "strongroom/internal/kv/bolt/snapshot"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/embedded/records"
)

// TestDataPutBack puts back the data file of before a change, past every command, as a snapshot of a disk does: the next
// check of the record, and the next start, say that the data are older. After a restore, which is on record, they do not.
func TestDataPutBack(t *testing.T) {
	const older = "the data are older than the audit log"
	dir := t.TempDir()
	path := filepath.Join(dir, "influxd.bolt")
	verify := func() string {
		t.Helper()
		out, _, err := influxdOn(t, dir, "audit", "verify")
		if err != nil {
			t.Errorf("audit verify: %v\n%s", err, out)
		}
		return out
	}
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"a":"1"}`, 204, nil)
	backup := backupOf(t, s, token)
	s.end(t)
	before := readFile(t, path)
	s = start(t, dir)
	s.call(t, "PATCH", secrets, token, `{"later":"2"}`, 204, nil)
	s.end(t)
	if out := verify(); strings.Contains(out, older) {
		t.Errorf("data as they were left:\n%s", out)
	}
	after := readFile(t, path)

	must(t, os.WriteFile(path, before, 0o600))
	if out := verify(); !strings.Contains(out, older) {
		t.Errorf("data of before a change:\n%s", out)
	}
	s = start(t, dir)
	if keys := s.keys(t, token, secrets); strings.Contains(keys, "later") {
		t.Errorf("the data put back have %s", keys)
	}
	s.end(t)
	if log := s.stderr.String(); !strings.Contains(log, older) {
		t.Errorf("the start says\n%s", log)
	}

	must(t, os.WriteFile(path, after, 0o600))
	if out, _, err := influxdOn(t, dir, "restore", "--from", backup); err != nil {
		t.Fatalf("restore: %v\n%s", err, out)
	}
	if log := string(readFile(t, filepath.Join(dir, "audit.log"))); !strings.Contains(log, `"action":"restore"`) {
		t.Error("the restore is not on record")
	}
	verify()
}

// deletedLongAgo has the data say that a secret, old, was deleted too long ago to be kept, and when a server last ran.
func deletedLongAgo(t *testing.T, dir, secrets string, ran time.Time) {
	t.Helper()
	org, err := id.Parse(strings.Split(secrets, "/")[4])
	must(t, err)
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	keys, err := keyring.Open(t.Context(), db, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	must(t, err)
	deleted := time.Now().Add(-secret.KeepDeleted - 240*time.Hour)
	store := embedded.New(embedded.Config{KV: db, Keyring: keys, History: 10,
		Now: func() time.Time { return deleted }})
	_, err = store.Apply(t.Context(), org, secret.Change{Set: map[string]secret.Value{
		"old": secret.NewValue([]byte("1"))}})
	must(t, err)
	_, err = store.Apply(t.Context(), org, secret.Change{Delete: []string{"old"}})
	must(t, err)
	_, err = db.Txn(t.Context(), nil, []kv.Op{kv.Put(clock.Record, []byte(ran.UTC().Format(time.RFC3339)))})
	must(t, err)
	store.Close()
	keys.Close()
	must(t, db.Close())
}

// TestStartFarAhead starts a server a year after it last ran, as a clock that is wrong has it: what was deleted ten days
// longer ago than it is kept is still there.
func TestStartFarAhead(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.end(t)
	deletedLongAgo(t, dir, secrets, time.Now().AddDate(-1, 0, 0))

	s = start(t, dir)
	list := func() (n int) {
		var deleted struct{ Secrets []struct{ Key string } }
		s.call(t, "GET", strings.TrimSuffix(secrets, "secrets")+"deleted-secrets", token, "", 200, &deleted)
		return len(deleted.Secrets)
	}
	for !strings.Contains(s.stderr.String(), "the clock is far ahead") && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if n := list(); n != 1 {
		t.Errorf("%d secrets can be brought back", n)
	}
	s.call(t, "POST", secrets+"/old/restore", token, `{}`, 204, nil)
	if got := s.keys(t, token, secrets); got != "[old]" {
		t.Errorf("brought back: %s", got)
	}
}

// TestStartSweeps starts a server that last ran 23 hours ago, which nobody need wonder at: what was deleted so long ago
// goes for good, and so do a session and a token that have ended.
func TestStartSweeps(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "POST", "/v1/auth/token/create", token, `{"ttl":"1h"}`, 200, nil)
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v2/signin", http.NoBody)
	must(t, err)
	req.SetBasicAuth("ada", "correct horse")
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, res.Body.Close())
	s.end(t)
	deletedLongAgo(t, dir, secrets, time.Now().Add(-23*time.Hour))
	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	keys, err := keyring.Open(t.Context(), db, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	must(t, err)
	people := barrier.New(db, keys, identity.Sealed)
	sessions, err := people.List(t.Context(), "session/", "", 10)
	must(t, err)
	for _, r := range sessions {
		ended, err := record.Decode[identity.Session](r)
		must(t, err)
		ended.ExpiresAt = time.Now().Add(-time.Hour)
		_, err = people.Txn(t.Context(), nil, []kv.Op{record.Put(r.Key, ended)})
		must(t, err)
	}
	leases, err := people.List(t.Context(), "authlease/", "", 10)
	must(t, err)
	for _, r := range leases {
		a, _, err := record.Load[identity.Authorization](t.Context(), people, record.Key("auth", record.Last(r.Key)),
			kv.ErrNotFound)
		must(t, err)
		ended := time.Now().Add(-time.Hour)
		a.ExpiresAt = &ended
		_, err = people.Txn(t.Context(), nil, []kv.Op{record.Put(record.Key("auth", a.ID), a)})
		must(t, err)
	}
	keys.Close()
	must(t, db.Close())

	path := filepath.Join(dir, "influxd.bolt")
	left := func() (kinds []string) {
		data, _, err := boltsnapshot.Read(t.Context(), path)
		must(t, err)
		defer data.Close()
		for _, folder := range []string{records.TrashRoot, "session/", "authlease/"} {
			recs, err := data.List(t.Context(), folder, "", 1)
			must(t, err)
			if len(recs) > 0 {
				kinds = append(kinds, folder)
			}
		}
		return kinds
	}
	if got := left(); len(got) != 3 {
		t.Fatalf("before the start there is something in %v alone", got)
	}
	s = start(t, dir)
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		got := left()
		if len(got) == 0 {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("after a minute there is still something in %v\n%s", got, s.stderr.String())
		}
	}
}
