package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/outage"
	"strongroom/internal/refused"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/service"
	"strongroom/internal/secret/turns"
	"strongroom/internal/vaultapi"
	"strongroom/internal/vaultapi/notes"
)

// notesIn tells how much the notes of an organisation take.
func notesIn(data kv.Store) func(ctx context.Context, org id.ID) (int64, kv.Cond, error) {
	return func(ctx context.Context, org id.ID) (int64, kv.Cond, error) { return notes.Bytes(ctx, data, org) }
}

// counting is a store that counts bytes, and changes of which wait while something is done about them.
type counting interface {
	InTurn(ctx context.Context, org id.ID, do func(context.Context, secret.Usage, []kv.Cond) error) error
}

// openNotes opens what Vault's clients note of secrets, which count for an organisation's bytes.
func (s *Server) openNotes(data kv.Store, keys *keyring.Keyring, quota secret.Quota,
	store secret.Store) (*notes.Book, error) {
	book, err := newNotes(data, keys, quota, store, s.Identities)
	if err != nil {
		return nil, err
	}
	damage := outage.New(s.log)
	book.Refused = func(ctx context.Context, err error) {
		s.refused.Add(refused.Note)
		damage.Failed(ctx, slog.LevelError, err.Error(), "a note does not open, and is not believed", "error", err)
	}
	return book, nil
}

// newNotes makes the book. The records of organisations are in homes; where that is nil, each is there.
func newNotes(data kv.Store, keys *keyring.Keyring, quota secret.Quota, store secret.Store,
	homes embedded.Homes) (*notes.Book, error) {
	book, err := notes.Derived(data, keys)
	if err != nil {
		return nil, err
	}
	if homes != nil {
		book.There = func(ctx context.Context, org id.ID) (kv.Cond, error) {
			home, err := homes.Get(ctx, identity.OrgKey(org))
			if errors.Is(err, kv.ErrNotFound) {
				err = identity.ErrOrgNotFound
			}
			return kv.Unchanged(home), kv.Coded(err)
		}
	}
	if quota.Bytes == 0 {
		return book, nil
	}
	within := secret.Quota{Bytes: quota.Bytes}
	counted, ok := secret.As[counting](store)
	var alone turns.Turns
	book.Bound = func(ctx context.Context, org id.ID, more int64, write func(context.Context, []kv.Cond) error) error {
		if ok {
			return counted.InTurn(ctx, org, func(ctx context.Context, u secret.Usage, still []kv.Cond) error {
				if err := within.Allows(secret.Amount{Bytes: u.Bytes + more}, u.Amount); err != nil {
					return err
				}
				return write(ctx, still)
			})
		}
		// The store does not count bytes: the notes alone do.
		end, err := alone.Take(ctx, org)
		if err != nil {
			return err
		}
		defer end()
		bytes, still, err := notes.Bytes(ctx, data, org)
		if err != nil {
			return err
		}
		if err := within.Allows(secret.Amount{Bytes: bytes + more}, secret.Amount{Bytes: bytes}); err != nil {
			return err
		}
		return write(ctx, []kv.Cond{still})
	}
	return book, nil
}

// kept is what goes with an organisation that is deleted.
type kept struct {
	service.Remembered
	noted *notes.Book
}

// Purge removes what the store keeps for the organisation, when its secrets were used, and what was noted of them.
func (k kept) Purge(ctx context.Context, org id.ID) error {
	return errors.Join(k.Remembered.Purge(ctx, org), k.noted.Purge(ctx, org))
}

// inFront answers what is below the prefix of Vault's clients by one handler, and the rest by the other,
// which has no path there.
func inFront(own, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, vaultapi.Prefix) {
			own.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}
