package vault

import (
	"context"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
)

var _ secret.Historian = (*Store)(nil)

// errNoHistory answers where an organisation's secrets have their versions together.
var errNoHistory = errs.New(errs.NotImplemented, "the organisation's secrets are kept in one entry of Vault, which has no history of a single one; with --vault-layout secret each has its own")

// KeepsHistory says whether the organisation's layout is one that keeps a history of each secret.
func (s *Store) KeepsHistory(org id.ID) bool { return s.places.Layout(org) == kv2.LayoutSecret }

// Info tells what Vault knows of a secret's versions.
func (s *Store) Info(ctx context.Context, org id.ID, key string) (secret.Info, error) {
	if !s.KeepsHistory(org) {
		return secret.Info{}, errNoHistory
	}
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	return s.secret.Info(ctx, org, key)
}

// Deleted lists the secrets that can be brought back.
func (s *Store) Deleted(ctx context.Context, org id.ID) ([]secret.Info, error) {
	if !s.KeepsHistory(org) {
		return nil, errNoHistory
	}
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	return s.secret.Deleted(ctx, org)
}

// Describe replaces a secret's description.
func (s *Store) Describe(ctx context.Context, org id.ID, key string, d secret.Description) error {
	if err := s.mayRewrite(org); err != nil {
		return err
	}
	return s.secret.Describe(ctx, org, key, d)
}

// Restore sets the value of an earlier version, or brings back a deleted secret.
func (s *Store) Restore(ctx context.Context, org id.ID, key string, version int, by string) error {
	if err := s.mayRewrite(org); err != nil {
		return err
	}
	return s.secret.Restore(ctx, org, key, version, by)
}

func (s *Store) mayRewrite(org id.ID) error {
	switch {
	case !s.KeepsHistory(org):
		return errNoHistory
	case s.places.ReadOnly(org):
		return kv2.ErrReadOnly
	}
	return nil
}
