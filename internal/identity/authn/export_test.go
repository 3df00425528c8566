package authn

import (
	"context"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
)

// MaxSessions is how many sessions a user may have.
const MaxSessions = maxSessions

// Know keeps a token in memory as its first use would.
func (s *Service) Know(token string, p *access.Principal) {
	s.cache.add(identity.HashOf(token), entry{principal: p, used: &lastUse{}}, s.cache.generation())
}

// OpenSession does what SignIn does once the password, of this hash, is right.
func (s *Service) OpenSession(ctx context.Context, user id.ID, hash []byte) (string, error) {
	return s.openSession(ctx, proof{user, hash}, "")
}

// Occupy takes every turn to hash, until release is called.
func (s *Service) Occupy() (release func()) {
	for range cap(s.pw.slots) {
		s.pw.slots <- struct{}{}
	}
	return func() {
		for range cap(s.pw.slots) {
			<-s.pw.slots
		}
	}
}

// SetAllRight is what Maintain does at first.
func (s *Service) SetAllRight(ctx context.Context) error { return s.setAllRight(ctx) }

// SweepSessions is what Maintain does every hour.
func (s *Service) SweepSessions(ctx context.Context) error { return s.sweepSessions(ctx) }

// WriteUsage is what Maintain does every minute.
func (s *Service) WriteUsage(ctx context.Context) error { return s.writeUsage(ctx) }

// SweepLogins is what Maintain does every hour with what is kept of logins.
func (s *Service) SweepLogins(ctx context.Context) error { return s.sweepLogins(ctx) }
