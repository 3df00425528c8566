// Package directory is what callers see and change of users, organisations and their members, authorizations (API
// tokens) and bucket records. It sets a server up, and deletes what hangs on a user or an organisation that is deleted.
//
// Every method that reads or changes something for somebody takes the caller first, checks the caller's permissions
// and puts the act on record before any work (see access.Guard). Errors carry a code of package errs
// with InfluxDB's message.
package directory

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/buckets"
	"strongroom/internal/identity/byname"
	"strongroom/internal/identity/rolelogin"
	"strongroom/internal/kv"
)

// Purger removes what a store keeps for an organisation that is being deleted.
type Purger interface {
	Purge(ctx context.Context, org id.ID) error
	Check(ctx context.Context) error
}

// Places tells of a store that keeps an organisation's secrets at a place which may depend on its name.
type Places interface {
	// Named reports whether the organisation's name is part of the place, so that another name is another place.
	Named(org id.ID) bool
	// Routed reports whether single organisations have places of their own: else no two places meet.
	Routed() bool
	// Meet reports whether two organisations of these names would be kept in one place, or in each other's.
	Meet(a id.ID, aName string, b id.ID, bName string) bool
	// Holds reports whether there is anything at the organisation's place, or was.
	Holds(ctx context.Context, org id.ID) (bool, error)
}

// Mark keeps that the data have been set up apart from the records that the set-up makes: the keyring.
type Mark interface {
	SetUp() bool
	MarkSetUp(ctx context.Context) error
}

// Config is what the service needs; all but Places, Logger and Now must be set.
type Config struct {
	Mark    Mark
	KV      kv.Store
	Guard   *access.Guard
	Authn   *authn.Service // is told of whatever changes what tokens and sessions may do
	Secrets Purger
	Places  Places // nil: none depends on a name
	Logger  *slog.Logger
	Now     func() time.Time
	// AlwaysAsk has lists by name believe nothing from memory.
	AlwaysAsk bool
}

// The other rooms of the directory, of which Service has all methods.
type (
	bucketRecords = buckets.Service
	tokens        = authorizations.Service
	roles         = rolelogin.Service
	names         = byname.Service
)

// Service is the directory over one KV engine. Make it with New.
type Service struct {
	*bucketRecords
	*tokens
	*roles
	*names
	kv      kv.Store
	mark    Mark
	guard   *access.Guard
	authn   *authn.Service
	secrets Purger
	places  placesOf
	log     *slog.Logger
	now     func() time.Time
	ids     *id.Generator
	endings endings

	patience time.Duration // of those who delete something
}

// New makes the service. Run its Maintain and its FollowNames while it is used.
func New(c Config) (*Service, error) {
	if c.KV == nil || c.Mark == nil || c.Guard == nil || c.Authn == nil || c.Secrets == nil {
		return nil, errors.New("directory: KV, Mark, Guard, Authn and Secrets must be set")
	}
	log := cmp.Or(c.Logger, slog.Default())
	names, engine := byname.New(kv.Settled(c.KV), c.Guard, log, c.AlwaysAsk)
	s := &Service{
		names: names, kv: engine, mark: c.Mark, guard: c.Guard, authn: c.Authn, secrets: c.Secrets,
		places: placesOf{Places: c.Places}, log: log, now: c.Now, ids: id.NewGenerator(),
		patience: patience,
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.bucketRecords = buckets.New(s.kv, s.guard, s.now, s.ids)
	s.roles = rolelogin.New(s.kv, s.guard, s.authn, s.now, s.ids)
	s.tokens = authorizations.New(s.kv, s.guard, s.authn, s.now, s.ids)
	return s, nil
}

// Maintain finishes deletions that were cut short, at once and then again and again, until ctx ends.
func (s *Service) Maintain(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := s.markSetUp(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "noting that the server has been set up failed and will be tried again",
				"error", err)
		}
		if err := s.finishDeletions(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "finishing deletions failed and will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
