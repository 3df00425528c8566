package vault

import (
	"context"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/intent"
)

// Where names the place in which an organisation's secrets are, so that no other place has the name; "" for one that
// cannot have secrets, as where they are kept under its name and it has ended.
func (s *Store) Where(ctx context.Context, org id.ID) string {
	at, err := s.places.At(ctx, org)
	if err != nil {
		return ""
	}
	return strings.Join([]string{"vault", s.conn.Client.Address(), at.Namespace, at.Mount, at.Entry,
		string(at.Layout)}, "\n")
}

// Had reports whether there is something in Vault that tells of secrets which the organisation has or had.
func (s *Store) Had(ctx context.Context, org id.ID) (bool, error) {
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	at, err := s.places.At(ctx, org)
	if err != nil {
		return false, err
	}
	if at.Layout == kv2.LayoutSecret {
		at = at.Below(intent.StateEntry)
	}
	e, err := at.Read(ctx)
	return e.Version > 0, err
}
