package influxd

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"strongroom/client"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// backupOf copies the data of a server that runs.
func backupOf(t testing.TB, s *running, token string) string {
	t.Helper()
	c, err := client.New(client.Config{Host: s.url, Token: token})
	must(t, err)
	path := filepath.Join(t.TempDir(), "backup.bolt")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	n, err := c.Backup(t.Context(), f)
	must(t, errors.Join(err, f.Close()))
	if info, err := os.Stat(path); err != nil || info.Size() != n || n == 0 {
		t.Fatalf("a copy of %d bytes: %v", n, err)
	}
	return path
}

func TestBackupRefuses(t *testing.T) {
	s := start(t, t.TempDir())
	token, secrets := s.onboard(t)
	s.call(t, "GET", "/api/v2/backup/kv", "", "", 401, nil)
	s.call(t, "POST", "/api/v2/backup/kv", token, "", 405, nil)
	org := strings.Split(secrets, "/")[4]
	var made struct{ Token string }
	s.call(t, "POST", "/api/v2/authorizations", token,
		`{"orgID":"`+org+
			`","permissions":[{"action":"read","resource":{"type":"orgs"}},{"action":"write","resource":{"type":"secrets","orgID":"`+org+`"}}]}`, 201, &made)
	s.call(t, "GET", "/api/v2/backup/kv", made.Token, "", 401, nil)
}

// TestBackupUnderLoad copies while writers write: each copy is sound, and restored it has what was acknowledged before
// the copy began.
func TestBackupUnderLoad(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"before":"sesame"}`, 204, nil)
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				req, err := http.NewRequest("PATCH", s.url+secrets,
					strings.NewReader(`{"a":"x","b":"`+strings.Repeat("y", n%5000)+`"}`))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Authorization", "Token "+token)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	var backups []string
	for range 3 {
		backups = append(backups, backupOf(t, s, token))
	}
	close(stop)
	writers.Wait()
	s.end(t)
	for _, backup := range backups {
		if bytes.Contains(readFile(t, backup), []byte("sesame")) {
			t.Error("the backup holds a value in clear")
		}
		elsewhere := t.TempDir()
		must(t, os.WriteFile(filepath.Join(elsewhere, "seal.key"), readFile(t, filepath.Join(dir, "seal.key")), 0o600))
		if out, _, err := influxdOn(t, elsewhere, "restore", "--from", backup); err != nil {
			t.Fatalf("restore: %v\n%s", err, out)
		}
		restored := start(t, elsewhere)
		if keys := restored.keys(t, token, secrets); !strings.Contains(keys, "before") {
			t.Errorf("restored, it has the secrets %s", keys)
		}
		restored.end(t)
	}
}

func TestRestoreRefuses(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"a":"sesame"}`, 204, nil)
	backup := backupOf(t, s, token)
	_, _, err := influxdOn(t, dir, "restore", "--from", backup)
	if err == nil || !strings.Contains(err.Error(), "in use by another influxd (process ") {
		t.Errorf("under a running server: %v", err)
	}
	s.end(t)

	whole := readFile(t, backup)
	write := func(b []byte) string {
		path := filepath.Join(t.TempDir(), "b")
		must(t, os.WriteFile(path, b, 0o600))
		return path
	}
	damagedRecord := write(whole)
	db, err := bbolt.Open(damagedRecord, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		data := tx.Bucket([]byte("strongroom-data"))
		c := data.Cursor()
		k, v := c.Seek([]byte("secrets/"))
		broken := bytes.Clone(v)
		broken[len(broken)-1] ^= 1
		return data.Put(bytes.Clone(k), broken)
	}))
	must(t, db.Close())
	otherKey := t.TempDir()
	start(t, otherKey).end(t)
	influx, _ := sampleDB(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	for _, tt := range []struct{ name, in, from, want string }{
		{"a named pipe", dir, pipe, "it is not a file"},
		{"no flag", dir, "", "--from"},
		{"nothing there", dir, filepath.Join(t.TempDir(), "none"), "no such file"},
		{"the data itself", dir, filepath.Join(dir, "influxd.bolt"), "the data file itself"},
		{"text", dir, write(bytes.Repeat([]byte("text"), 5000)), "not a database of bbolt"},
		{"empty", dir, write(nil), "not a database of bbolt"},
		{"cut off", dir, write(whole[:len(whole)/2]), "cut off"},
		{"a real InfluxDB's", dir, influx, "a real InfluxDB"},
		{"a damaged record", dir, damagedRecord, "1 problems"},
		{"of another key", otherKey, backup, "wrong one"},
	} {
		before := snapshot(t, tt.in)
		args := []string{"restore"}
		if tt.from != "" {
			args = append(args, "--from", tt.from)
		}
		if _, _, err := influxdOn(t, tt.in, args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		after := snapshot(t, tt.in)
		if len(before) != len(after) {
			t.Errorf("%s: files came or went: %v", tt.name, after)
		}
		for name, sum := range before {
			if after[name] != sum {
				t.Errorf("%s: %s was changed", tt.name, name)
			}
		}
	}
}

// TestRestore goes back to a backup, and keeps what was there aside.
func TestRestore(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"a":"1"}`, 204, nil)
	backup := backupOf(t, s, token)
	s.call(t, "PATCH", secrets, token, `{"later":"2"}`, 204, nil)
	s.end(t)
	before := readFile(t, filepath.Join(dir, "influxd.bolt"))

	if out, _, err := influxdOn(t, dir, "restore", "--from", backup, "--dry-run"); err != nil ||
		!strings.Contains(out, "nothing was changed") {
		t.Errorf("dry run: %v\n%s", err, out)
	}
	if !bytes.Equal(before, readFile(t, filepath.Join(dir, "influxd.bolt"))) {
		t.Error("a dry run changed the data")
	}
	out, _, err := influxdOn(t, dir, "restore", "--from", backup)
	must(t, err)
	aside, err := filepath.Glob(filepath.Join(dir, "influxd.bolt.before-restore-*"))
	must(t, err)
	if len(aside) != 1 || !strings.Contains(out, aside[0]) || !bytes.Equal(before, readFile(t, aside[0])) {
		t.Errorf("what was there is not aside: %v\n%s", aside, out)
	}
	if info, err := os.Stat(filepath.Join(dir, "influxd.bolt")); err != nil || info.Mode() != 0o600 {
		t.Errorf("the restored file: %v, %v", info.Mode(), err)
	}
	// What the deleted changes made of the organisation's version does not come again.
	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	org, err := id.Parse(strings.Split(secrets, "/")[4])
	must(t, err)
	rec, err := data.Get(t.Context(), records.Head(org))
	must(t, errors.Join(err, data.Close()))
	if head, err := commitlog.ParseHead(rec); err != nil || head.Version < 1_000_000 {
		t.Errorf("restored, the organisation is at version %d: %v", head.Version, err)
	}
	if log := string(readFile(t, filepath.Join(dir, "audit.log"))); strings.Count(log, `"action":"restore"`) != 1 {
		t.Errorf("it is not on record, or the dry run is:\n%s", log)
	}
	if out, _, err := influxdOn(t, dir, "audit", "verify"); err != nil {
		t.Errorf("the audit log: %v\n%s", err, out)
	}
	s = start(t, dir)
	if keys := s.keys(t, token, secrets); strings.Contains(keys, "later") || !strings.Contains(keys, "a") {
		t.Errorf("restored, it has the secrets %s", keys)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := influxdOn(t, dir, "check"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without data: %v", err)
	}
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"a":"sesame"}`, 204, nil)
	if out, _, err := influxdOn(t, dir, "check"); err != nil || !strings.Contains(out, "is sound") {
		t.Errorf("while the server runs: %v\n%s", err, out)
	}
	s.end(t)
	db, err := bbolt.Open(filepath.Join(dir, "influxd.bolt"), 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		data := tx.Bucket([]byte("strongroom-data"))
		_, err := data.CreateBucket([]byte("in"))
		return errors.Join(err,
			data.Put([]byte("strange"), make([]byte, 9)),
			data.Put([]byte("username/nobody"), []byte("\x00\x00\x00\x00\x00\x00\x00\x01\"00000000000000ff\"")),
			data.Put([]byte("secrets/00000000000000ff/names"), []byte{0, 0, 0, 0, 0, 0, 0, 1, 0}))
	}))
	must(t, db.Close())
	out, _, err := influxdOn(t, dir, "check")
	if err == nil || !strings.Contains(err.Error(), "5 problems") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, line := range []string{
		`there is a bucket "strongroom-data/in", which no influxd makes`, `record "strange" has revision 0`,
		`"strange": it is of a kind that this influxd does not know`,
		`"username/nobody": the record was not written by this server`,
		`"secrets/00000000000000ff/": the organisation is not there`,
	} {
		if !strings.Contains(out, line) {
			t.Errorf("no line %s in\n%s", line, out)
		}
	}
	must(t, os.Rename(filepath.Join(dir, "seal.key"), filepath.Join(dir, "elsewhere")))
	if _, _, err := influxdOn(t, dir, "check"); err == nil || !strings.Contains(err.Error(), "seal.key is missing") {
		t.Errorf("without the key: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "seal.key")); err == nil {
		t.Error("a check made a key")
	}
}

// TestRestoreOverALink restores what the link leads to: the link stays one, and the former data are beside the new.
func TestRestoreOverALink(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"a":"1"}`, 204, nil)
	backup := backupOf(t, s, token)
	s.call(t, "PATCH", secrets, token, `{"later":"2"}`, 204, nil)
	s.end(t)
	link, disk := filepath.Join(dir, "influxd.bolt"), filepath.Join(t.TempDir(), "data.bolt")
	must(t, os.Rename(link, disk))
	must(t, os.Symlink(disk, link))
	before := readFile(t, disk)

	out, _, err := influxdOn(t, dir, "restore", "--from", backup)
	must(t, err)
	if to, err := os.Readlink(link); err != nil || to != disk {
		t.Errorf("the link leads to %q (%v)", to, err)
	}
	aside, err := filepath.Glob(disk + ".before-restore-*")
	must(t, err)
	if len(aside) != 1 || !strings.Contains(out, aside[0]) || !bytes.Equal(before, readFile(t, aside[0])) {
		t.Errorf("what was there is not aside: %v\n%s", aside, out)
	}
	s = start(t, dir)
	if keys := s.keys(t, token, secrets); strings.Contains(keys, "later") {
		t.Errorf("restored, it has the secrets %s", keys)
	}
}

// TestCheckOpensNotes damages what Vault's clients have noted of secrets.
func TestCheckOpensNotes(t *testing.T) {
	dir := t.TempDir()
	r, token, _ := asVaultAt(t, dir)
	for _, name := range []string{"a", "b", "c"} {
		for path, body := range map[string]string{"data": `{"data":{"value":"1"}}`,
			"metadata": `{"custom_metadata":{"owner":"ops"}}`} {
			req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/v1/secret/"+path+"/acme/"+name,
				strings.NewReader(body))
			must(t, err)
			req.Header.Set("X-Vault-Token", token)
			res, err := http.DefaultClient.Do(req)
			must(t, err)
			res.Body.Close()
			if res.StatusCode >= 300 {
				t.Fatalf("%s of %s: %d", path, name, res.StatusCode)
			}
		}
	}
	r.end(t)
	if out, _, err := influxdOn(t, dir, "check"); err != nil {
		t.Fatalf("sound data: %v\n%s", err, out)
	}
	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	recs, err := data.List(t.Context(), "notes/", "", 10)
	must(t, err)
	recs = slices.DeleteFunc(recs, func(r kv.Record) bool { return strings.Count(r.Key, "/") != 2 })
	if len(recs) != 3 {
		t.Fatalf("%d notes, want 3", len(recs))
	}
	flipped := bytes.Clone(recs[2].Value)
	flipped[len(flipped)/2] ^= 1
	_, err = data.Txn(t.Context(), nil, []kv.Op{kv.Put(recs[0].Key, recs[1].Value), kv.Put(recs[2].Key, flipped),
		kv.Put("notes/zz/"+strings.Repeat("0", 64), []byte("x"))})
	must(t, errors.Join(err, data.Close()))
	out, _, err := influxdOn(t, dir, "check")
	if err == nil || !strings.Contains(err.Error(), "3 problems") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, key := range []string{recs[0].Key, recs[2].Key, "notes/zz/"} {
		if !strings.Contains(out, key) {
			t.Errorf("nothing of %s in\n%s", key, out)
		}
	}
}
