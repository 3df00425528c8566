package vault

import (
	"context"
	"strings"

	"strongroom/internal/errs"
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

// Named reports whether the organisation's name is part of where its secrets are.
func (s *Store) Named(org id.ID) bool { return s.places.Named(org) }

// Routed reports whether single organisations have places of their own.
func (s *Store) Routed() bool { return s.places.Routed() }

// Meet reports whether the secrets of two organisations of these names would be in one place, or in each other's.
func (s *Store) Meet(a id.ID, aName string, b id.ID, bName string) bool {
	return s.places.Meet(a, aName, b, bName)
}

// Holds reports whether there is anything of the organisation where its secrets are now, or was.
func (s *Store) Holds(ctx context.Context, org id.ID) (bool, error) {
	keys, err := s.Keys(ctx, org)
	switch {
	case errs.Is(err, errs.Invalid), kv2.Theirs(err): // a name that no place can have, or another has
		return false, nil
	case err != nil || len(keys) > 0:
		return true, err
	}
	return s.Had(ctx, org)
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
	if kv2.Theirs(err) {
		return false, nil
	}
	return e.Version > 0, err
}
