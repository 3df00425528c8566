package influxd

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/barrier"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
)

// TestClockWasAhead gives a server data in which a session was opened, and a token made, under a clock that was a year
// ahead: the session is refused, and the token ends when it would have.
func TestClockWasAhead(t *testing.T) {
	const year = 365 * 24 * time.Hour
	dir := t.TempDir()
	r := start(t, dir)
	token, secrets := r.onboard(t)
	var made struct{ ID, Token string }
	r.call(t, "POST", "/api/v2/authorizations", token, `{"orgID":"`+strings.Split(secrets, "/")[4]+`","expiresAt":"`+
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+
		`","permissions":[{"action":"read","resource":{"type":"orgs"}}]}`, 201, &made)
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/api/v2/signin", http.NoBody)
	must(t, err)
	req.SetBasicAuth("ada", "correct horse")
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, res.Body.Close())
	if res.StatusCode != 204 || len(res.Cookies()) != 1 {
		t.Fatalf("signing in: %s", res.Status)
	}
	session := res.Cookies()[0]
	me := func() int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/api/v2/me", http.NoBody)
		must(t, err)
		req.AddCookie(session)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		must(t, res.Body.Close())
		return res.StatusCode
	}
	if status := me(); status != 200 {
		t.Fatalf("with the session as it was opened: %d", status)
	}
	r.end(t)

	db, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	must(t, err)
	keys, err := keyring.Open(t.Context(), db, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	must(t, err)
	people := barrier.New(db, keys, identity.Sealed)
	sessions, err := people.List(t.Context(), "session/", "", 10)
	must(t, err)
	for _, r := range sessions {
		s, err := record.Decode[identity.Session](r)
		must(t, err)
		s.CreatedAt, s.ExpiresAt = s.CreatedAt.Add(year), s.ExpiresAt.Add(year)
		_, err = people.Txn(t.Context(), nil, []kv.Op{record.Put(r.Key, s)})
		must(t, err)
	}
	a, auth, err := record.Load[identity.Authorization](t.Context(), people, "auth/"+made.ID, kv.ErrNotFound)
	must(t, err)
	ends := a.ExpiresAt.Add(year)
	a.CreatedAt, a.ExpiresAt = a.CreatedAt.Add(year), &ends
	_, err = people.Txn(t.Context(), nil, []kv.Op{record.Put(auth.Key, a)})
	must(t, err)
	keys.Close()
	must(t, db.Close())

	r = start(t, dir)
	if status := me(); len(sessions) == 0 || status != 401 {
		t.Errorf("with one of %d sessions of a year ahead: %d", len(sessions), status)
	}
	r.call(t, "GET", "/api/v2/me", made.Token, "", 200, nil)
	var now struct{ ExpiresAt time.Time }
	r.call(t, "GET", "/api/v2/authorizations/"+made.ID, token, "", 200, &now)
	if left := time.Until(now.ExpiresAt); left <= 0 || left > 2*time.Hour {
		t.Errorf("the token of a year ahead ends at %v", now.ExpiresAt)
	}
}
