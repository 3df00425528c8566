package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/service"
	"strongroom/internal/vaultapi"
	"strongroom/internal/vaultapi/notes"
)

// openNotes opens what Vault's clients note of secrets.
func openNotes(data kv.Store, keys *keyring.Keyring) (*notes.Book, error) {
	names, err := keys.DeriveKey(notes.NameLabel)
	if err != nil {
		return nil, err
	}
	content, err := keys.DeriveKey(notes.ContentLabel)
	if err != nil {
		return nil, err
	}
	return notes.New(data, names, content)
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
