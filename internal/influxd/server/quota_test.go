package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/vaultapi/notes"
)

const someOrg id.ID = 0x031c8cbefe101000

// meddled is an engine in which somebody comes before a transaction, once.
type meddled struct {
	kv.Store
	mu     sync.Mutex
	before func()
}

func (m *meddled) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	m.mu.Lock()
	before := m.before
	m.before = nil
	m.mu.Unlock()
	if before != nil {
		before()
	}
	return m.Store.Txn(ctx, conds, ops)
}

// bounded is a server's store and its book of notes, over the data of all of them.
func bounded(t *testing.T, data kv.Store, key seal.KeyFile, quota secret.Quota) (*embedded.Store, *notes.Book) {
	t.Helper()
	ring, err := keyring.OpenOrInit(t.Context(), data, keyring.Config{Seal: key})
	if err != nil {
		t.Fatal(err)
	}
	s := embedded.New(embedded.Config{KV: data, Keyring: ring, History: 10, Quota: quota, Beside: notesIn(data)})
	t.Cleanup(s.Close)
	book, err := newNotes(data, ring, quota, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, book
}

// TestQuotaOfSeveral has one server plan something that grows, and another one add something between that and its
// transaction: what both would make too much together is refused, whichever two they are.
func TestQuotaOfSeveral(t *testing.T) {
	t.Parallel()
	const most = 20_000
	text := strings.Repeat("x", 11_000)
	quota := secret.Quota{Bytes: most}
	acts := map[string]func(s *embedded.Store, b *notes.Book, n string) error{
		"a secret": func(s *embedded.Store, _ *notes.Book, n string) error {
			_, err := s.Apply(t.Context(), someOrg, secret.Change{Set: map[string]secret.Value{
				"of " + n: secret.NewValue([]byte(text))}})
			return err
		},
		"a description": func(s *embedded.Store, _ *notes.Book, n string) error {
			return s.Describe(t.Context(), someOrg, n, secret.Description{Text: text})
		},
		"a note": func(_ *embedded.Store, b *notes.Book, n string) error {
			return b.Change(t.Context(), someOrg, n, func(n *notes.Note) error {
				n.Custom = map[string]string{"k": text}
				return nil
			})
		},
	}
	for first, one := range acts {
		for second, other := range acts {
			for _, empty := range []bool{false, true} {
				if empty && (first == "a description" || second == "a description") {
					continue
				}
				t.Run(fmt.Sprintf("%s, and before it %s, empty %t", first, second, empty), func(t *testing.T) {
					db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
					if err != nil {
						t.Fatal(err)
					}
					defer db.Close()
					key := seal.KeyFile(filepath.Join(t.TempDir(), "seal.key"))
					m := &meddled{Store: db}
					s, book := bounded(t, m, key, quota)
					theirs, theirBook := bounded(t, db, key, quota)
					if !empty {
						if _, err := s.Apply(t.Context(), someOrg, secret.Change{Set: map[string]secret.Value{
							"1": secret.NewValue([]byte("1")), "2": secret.NewValue([]byte("2"))}}); err != nil {
							t.Fatal(err)
						}
					}
					var theirErr error
					m.before = func() { theirErr = other(theirs, theirBook, "2") }
					err = one(s, book, "1")
					if theirErr != nil || !errs.Is(err, errs.Unprocessable) ||
						!strings.Contains(fmt.Sprint(err), "--max-org-bytes") {
						t.Errorf("who came between: %v; who had planned before: %v", theirErr, err)
					}
					u, err := s.Usage(t.Context(), someOrg)
					if err != nil || u.Bytes > most || u.Bytes < int64(len(text)) {
						t.Errorf("there is %+v, %v", u, err)
					}
				})
			}
		}
	}
}

// TestQuotaOfAllAtOnce has many set, describe and note at once on two servers: all that there is stays within the bound,
// and whoever is refused is told that.
func TestQuotaOfAllAtOnce(t *testing.T) {
	t.Parallel()
	const most = 60_000
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	key := seal.KeyFile(filepath.Join(t.TempDir(), "seal.key"))
	text := strings.Repeat("x", 2_000)
	var all sync.WaitGroup
	for server := range 2 {
		s, book := bounded(t, db, key, secret.Quota{Bytes: most})
		for who := range 8 {
			all.Go(func() {
				for n := range 10 {
					name := fmt.Sprint(server, who, n)
					var err error
					if who%2 == 0 {
						_, err = s.Apply(t.Context(), someOrg, secret.Change{Set: map[string]secret.Value{
							name: secret.NewValue([]byte(text))}})
					} else {
						err = book.Change(t.Context(), someOrg, name, func(n *notes.Note) error {
							n.Custom = map[string]string{"k": text}
							return nil
						})
					}
					if err != nil && !errs.Is(err, errs.Unprocessable) && !errs.Is(err, errs.Conflict) {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
	s, book := bounded(t, db, key, secret.Quota{Bytes: most})
	u, err := s.Usage(t.Context(), someOrg)
	if err != nil || u.Bytes > most || u.Bytes < most/2 {
		t.Errorf("there is %+v, %v", u, err)
	}
	if err := errors.Join(s.Purge(t.Context(), someOrg), book.Purge(t.Context(), someOrg)); err != nil {
		t.Fatal(err)
	}
	if recs, err := db.List(t.Context(), notes.Prefix, "", 10); err != nil || len(recs) > 0 {
		t.Errorf("of what is purged there is %v, %v", recs, err)
	}
}
