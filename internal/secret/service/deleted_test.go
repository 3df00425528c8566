package service_test

import (
	"context"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
)

// passing knows every organisation until it is told otherwise.
type passing struct{ gone bool }

func (p *passing) OrgExists(context.Context, id.ID) error {
	if p.gone {
		return errs.New(errs.NotFound, "organization not found")
	}
	return nil
}

// slow is a store in which the organisation is deleted, its secrets too, before a change that was let in lands.
type slow struct {
	secret.Store
	orgs *passing
}

func (s slow) Apply(ctx context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	s.orgs.gone = true
	if err := s.Purge(ctx, org); err != nil {
		return secret.Outcome{}, err
	}
	return s.Store.Apply(ctx, org, c)
}

// A change that lands behind the deletion of its organisation must leave nothing in the store: nobody would remove it.
func TestApplyBehindDeletion(t *testing.T) {
	f := open(t, secret.Limits{})
	orgs := &passing{}
	s := service.New(slow{f.store, orgs}, access.NewGuard(f.trail), orgs, nil, secret.Limits{})
	_, err := s.Apply(t.Context(), caller(may(access.Write, "")), org, secret.Change{Set: values("foo", "bar")})
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("got %v, want that there is no such organization", err)
	}
	if keys, err := f.store.Keys(t.Context(), org); err != nil || len(keys) != 0 {
		t.Errorf("the store keeps %q (%v) of an organization that is deleted", keys, err)
	}
}
