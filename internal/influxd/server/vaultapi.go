package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/vaultapi"
	"strongroom/internal/vaultapi/notes"
)

// notesIn tells how much the notes of an organisation take.
func notesIn(data kv.Store) func(ctx context.Context, org id.ID) (int64, error) {
	return func(ctx context.Context, org id.ID) (int64, error) { return notes.Bytes(ctx, data, org) }
}

// openNotes opens what Vault's clients note of secrets, which count for an organisation's bytes.
func openNotes(data kv.Store, keys *keyring.Keyring, quota secret.Quota, store secret.Store) (*notes.Book, error) {
	names, err := keys.DeriveKey(notes.NameLabel)
	if err != nil {
		return nil, err
	}
	content, err := keys.DeriveKey(notes.ContentLabel)
	if err != nil {
		return nil, err
	}
	book, err := notes.New(data, names, content)
	counted, ok := secret.As[secret.Counted](store)
	if err != nil || !ok || quota.Bytes == 0 {
		return book, err
	}
	book.Within = func(ctx context.Context, org id.ID, more int64) error {
		u, err := counted.Usage(ctx, org)
		if err == nil && u.Bytes < 0 { // the store does not count: the notes alone do
			u.Bytes, err = notes.Bytes(ctx, data, org)
		}
		if err != nil {
			return err
		}
		return secret.Quota{Bytes: quota.Bytes}.Allows(secret.Amount{Bytes: u.Bytes + more}, u.Amount)
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
