package service

import (
	"context"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// Usage tells how much the organisation has of what it may have, to whoever may list all its secrets.
func (s *Service) Usage(ctx context.Context, c *access.Caller, org id.ID) (u secret.Usage, err error) {
	act := access.Act{Action: "secrets.list", Org: org}
	if err := s.guard.Allow(ctx, c, act, need(access.Read, org, "")); err != nil {
		return u, err
	}
	if err = s.orgs.OrgExists(ctx, org); err == nil {
		u, err = secret.UsageOf(ctx, s.store, org)
	}
	return u, s.guard.Done(ctx, c, act, err)
}
