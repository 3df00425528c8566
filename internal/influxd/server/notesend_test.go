package server

import (
	"errors"
	"path/filepath"
	"testing"

	"strongroom/internal/barrier"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/vaultapi/notes"
)

// noting is a book of notes over an engine in which somebody comes before a transaction, and the organisation's record.
func noting(t *testing.T, quota secret.Quota) (m *meddled, homes *barrier.Store, book *notes.Book) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	m = &meddled{Store: db}
	ring, err := keyring.OpenOrInit(t.Context(), m, keyring.Config{Seal: seal.KeyFile(filepath.Join(t.TempDir(), "key"))})
	if err != nil {
		t.Fatal(err)
	}
	homes = barrier.New(m, ring, identity.Sealed)
	if _, err := homes.Txn(t.Context(), nil, []kv.Op{record.Put(identity.OrgKey(someOrg),
		identity.Org{ID: someOrg, Name: "acme"})}); err != nil {
		t.Fatal(err)
	}
	s := embedded.New(embedded.Config{KV: m, Keyring: ring, Quota: quota, Beside: notesIn(m), Homes: homes,
		Home: identity.OrgKey, Gone: identity.ErrOrgNotFound})
	t.Cleanup(s.Close)
	if book, err = newNotes(m, ring, quota, s, homes); err != nil {
		t.Fatal(err)
	}
	return m, homes, book
}

func left(t *testing.T, data kv.Store) (keys []string) {
	t.Helper()
	for r, err := range kv.Each(t.Context(), data, notes.Prefix, 100) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, r.Key)
	}
	return keys
}

func noted(text string) func(*notes.Note) error {
	return func(n *notes.Note) error {
		n.Custom = map[string]string{"k": text}
		return nil
	}
}

// TestNoteOfEnded has an organisation end, and all that is noted of it be removed, between the moment at which a note
// is made and its transaction. Nothing is left: nobody would remove it.
func TestNoteOfEnded(t *testing.T) {
	t.Parallel()
	for name, quota := range map[string]secret.Quota{"without a quota": {}, "with a quota": {Bytes: 10_000}} {
		for _, there := range []bool{false, true} {
			m, homes, book := noting(t, quota)
			if there {
				if err := book.Change(t.Context(), someOrg, "a", noted("1")); err != nil {
					t.Fatal(err)
				}
			}
			var ended error
			m.before = func() {
				_, err := homes.Txn(t.Context(), nil, []kv.Op{kv.Delete(identity.OrgKey(someOrg))})
				ended = errors.Join(err, book.Purge(t.Context(), someOrg))
			}
			err := book.Change(t.Context(), someOrg, "a", noted("22"))
			if ended != nil || !errs.Is(err, errs.NotFound) {
				t.Errorf("%s: %v, %v", name, ended, err)
			}
			if keys := left(t, m); len(keys) != 0 {
				t.Errorf("%s, a note there %t: left is %q", name, there, keys)
			}
		}
	}
}

// TestNoteWhilePurged has a note come while all of them are removed, after the last was. Whoever has counted none before
// must find that one has come.
func TestNoteWhilePurged(t *testing.T) {
	t.Parallel()
	m, _, book := noting(t, secret.Quota{Bytes: 10_000})
	if err := errors.Join(book.Change(t.Context(), someOrg, "a", noted("1")),
		book.Remove(t.Context(), someOrg, "a")); err != nil {
		t.Fatal(err)
	}
	var between error
	m.before = func() { between = book.Change(t.Context(), someOrg, "b", noted("1")) }
	if err := errors.Join(book.Purge(t.Context(), someOrg), between); err != nil {
		t.Fatal(err)
	}
	if keys := left(t, m); len(keys) != 2 {
		t.Errorf("left is %q, want the note that came and the record that says so", keys)
	}
	if _, still, err := notes.Bytes(t.Context(), m, someOrg); err != nil || still.Rev == 0 {
		t.Errorf("who counts now goes by %+v, %v", still, err)
	}
	if err := book.Purge(t.Context(), someOrg); err != nil || len(left(t, m)) != 0 {
		t.Errorf("in the end there is %q, %v", left(t, m), err)
	}
}
