package influxd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/clock"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
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

// TestStartFarAhead starts a server a year after it last ran, as a clock that is wrong has it: what was deleted 40 days
// ago, and could be brought back for 30, is still there.
func TestStartFarAhead(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.end(t)
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
	_, err = db.Txn(t.Context(), nil, []kv.Op{kv.Put(clock.Record,
		[]byte(time.Now().AddDate(-1, 0, 0).UTC().Format(time.RFC3339)))})
	must(t, err)
	store.Close()
	keys.Close()
	must(t, db.Close())

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
