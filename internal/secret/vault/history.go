package vault

import (
	"context"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
)

// errNoHistory answers where an organisation's secrets have their versions together.
var errNoHistory = errs.New(errs.NotImplemented, "the organization's secrets are kept in one entry of Vault, which "+
	"has no history of a single one; with --vault-layout secret each has its own")

// keepsHistory says whether the organisation's layout is one that keeps a history of each secret.
func (s *Store) keepsHistory(org id.ID) bool { return s.places.Layout(org) == kv2.LayoutSecret }

// Info tells what Vault knows of a secret's versions.
func (s *Store) Info(ctx context.Context, org id.ID, key string) (secret.Info, error) {
	if !s.keepsHistory(org) {
		return secret.Info{}, errNoHistory
	}
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	return s.secret.Info(ctx, org, key)
}

// Infos tells what Vault knows of the organisation's secrets.
func (s *Store) Infos(ctx context.Context, org id.ID, page secret.Page) ([]secret.Info, error) {
	if !s.keepsHistory(org) {
		return nil, errNoHistory
	}
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	return s.secret.Infos(ctx, org, page)
}

// Deleted lists the secrets that can be brought back.
func (s *Store) Deleted(ctx context.Context, org id.ID, page secret.Page) ([]secret.Info, error) {
	if !s.keepsHistory(org) {
		return nil, errNoHistory
	}
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	return s.secret.Deleted(ctx, org, page)
}

// Describe replaces a secret's description.
func (s *Store) Describe(ctx context.Context, org id.ID, key string, d secret.Description) error {
	if err := s.mayRewrite(org); err != nil {
		return err
	}
	return s.secret.Describe(ctx, org, key, d)
}

// Restore sets the value of an earlier version, or brings back a deleted secret.
func (s *Store) Restore(ctx context.Context, org id.ID, key string, version int, by string) (secret.Outcome, error) {
	if err := s.mayRewrite(org); err != nil {
		return secret.Outcome{}, err
	}
	return s.secret.Restore(ctx, org, key, version, by)
}

// ReadVersion reads the value of one version.
func (s *Store) ReadVersion(ctx context.Context, org id.ID, key string, version int) (secret.Secret, error) {
	if !s.keepsHistory(org) {
		return secret.Secret{}, errNoHistory
	}
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	return s.secret.ReadVersion(ctx, org, key, version)
}

// Mark deletes, brings back or destroys versions of a secret.
func (s *Store) Mark(ctx context.Context, org id.ID, key string, m secret.Marking) (secret.Outcome, error) {
	if err := s.mayRewrite(org); err != nil {
		return secret.Outcome{}, err
	}
	return s.secret.Mark(ctx, org, key, m)
}

// Remove removes a secret with its versions and metadata.
func (s *Store) Remove(ctx context.Context, org id.ID, key string, deletedOnly bool) error {
	if err := s.mayRewrite(org); err != nil {
		return err
	}
	return s.secret.Remove(ctx, org, key, deletedOnly)
}

func (s *Store) mayRewrite(org id.ID) error {
	switch {
	case !s.keepsHistory(org):
		return errNoHistory
	case s.places.ReadOnly(org):
		return kv2.ErrReadOnly
	}
	return nil
}
