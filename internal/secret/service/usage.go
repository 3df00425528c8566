package service

import (
	"context"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// Usage tells how much the organisation has of what it may have, to whoever may list all its secrets.
func (s *Service) Usage(ctx context.Context, c *access.Caller, org id.ID) (secret.Usage, error) {
	act := access.Act{Action: "secrets.list", Org: org}
	if err := s.guard.Allow(ctx, c, act, need(access.Read, org, "")); err != nil {
		return secret.Usage{}, err
	}
	u, err := s.usage(ctx, org)
	return u, s.guard.Done(ctx, c, act, err)
}

func (s *Service) usage(ctx context.Context, org id.ID) (secret.Usage, error) {
	if err := s.orgs.OrgExists(ctx, org); err != nil {
		return secret.Usage{}, err
	}
	counted, ok := secret.As[secret.Counted](s.store)
	if !ok {
		return secret.Usage{}, errs.New(errs.NotImplemented, "the secret store does not count what there is")
	}
	return counted.Usage(ctx, org)
}
