// Package authn tells who somebody is: by an API token, by a session, or by a name and password. It opens and ends
// sessions, sets passwords, slows down who guesses, and knows when tokens were last used.
//
// Whatever takes something from what tokens or sessions may do goes through Service.Change, so that it
// holds at the next request.
package authn

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn/throttle"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
	"strongroom/internal/uses"
)

// Config is what the service needs; KV and Guard must be set.
type Config struct {
	KV     kv.Store
	Guard  *access.Guard
	Logger *slog.Logger

	SessionLength time.Duration // 60 minutes where 0
	KeepSession   bool          // use does not renew a session
	CacheSize     int           // principals kept in memory; 131,072 where 0
	BcryptCost    int           // 10 where 0
	Now           func() time.Time

	// Shared says that other servers change the same data. Run Follow then. Stale is for how long memory is believed
	// after the engine has last told that nothing has changed; 0 for never.
	Shared bool
	Stale  time.Duration
}

// Service identifies callers over one KV engine. Make it with New.
type Service struct {
	kv       kv.Store
	guard    *access.Guard
	log      *slog.Logger
	now      func() time.Time
	cache    *cache
	used     *uses.Book[id.ID]
	pw       *passwords
	throttle *throttle.Throttle

	following     *following // nil where the data are this server's alone
	sessionLength time.Duration
	keepSession   bool
}

// New makes the service. Run its Maintain while it is used.
func New(c Config) (*Service, error) {
	if c.KV == nil || c.Guard == nil {
		return nil, errors.New("authn: KV and Guard must be set")
	}
	s := &Service{
		kv: kv.Settled(c.KV), guard: c.Guard, log: cmp.Or(c.Logger, slog.Default()), now: c.Now,
		sessionLength: cmp.Or(c.SessionLength, time.Hour), keepSession: c.KeepSession,
	}
	if s.now == nil {
		s.now = time.Now
	}
	pw, err := newPasswords(cmp.Or(c.BcryptCost, bcryptCost))
	if err != nil {
		return nil, err
	}
	s.pw = pw
	s.throttle = throttle.New(s.now)
	if c.Shared {
		s.following = &following{stale: c.Stale, known: make([]atomic.Pointer[time.Time], len(followed))}
	}
	s.cache = newCache(cmp.Or(c.CacheSize, 1<<17), s.following)
	s.used = newUsage(s.kv)
	return s, nil
}

// Maintain does the service's housekeeping until ctx ends: at once and then every minute it writes when
// tokens were last used, and every hour it removes sessions and leases that have expired. At the end it
// writes the last uses once more.
func (s *Service) Maintain(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	var swept time.Time
	s.report(ctx, "setting tokens right that were made while the clock was ahead", s.setAllRight(ctx))
	for {
		s.report(ctx, "writing last uses", s.writeUsage(ctx))
		if s.now().Sub(swept) >= time.Hour {
			s.report(ctx, "removing expired sessions", s.sweepSessions(ctx))
			s.report(ctx, "removing tokens that have ended", errors.Join(s.sweepLeases(ctx), s.sweepLogins(ctx)))
			swept = s.now()
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.report(last, "writing last uses", s.writeUsage(last))
			return
		case <-tick.C:
		}
	}
}

func (s *Service) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, what+" failed and will be tried again", "error", err)
	}
}

// Forget forgets who is known: for what lets tokens or sessions do more than they did.
func (s *Service) Forget() { s.cache.flush() }

// Change carries out f, a change of what many tokens or sessions may do, again while others change what it read (see
// record.Update). It goes on to its end also when the caller leaves, and who is known is forgotten whatever comes of
// it: a transaction whose context ended may be carried out all the same, at a moment that nobody waits for.
func (s *Service) Change(ctx context.Context, f func(context.Context) error) error {
	defer s.cache.flush()
	ctx = context.WithoutCancel(ctx)
	return record.Update(ctx, func() error { return f(ctx) })
}

// ForgetSessions is Forget for what lets a user's sessions do more.
func (s *Service) ForgetSessions(user id.ID) { s.cache.dropSessions(user) }

// ChangeSessions is Change for what a user's sessions may do. Somebody in very many organisations is not looked up anew
// for each change of others'.
func (s *Service) ChangeSessions(ctx context.Context, user id.ID, f func(context.Context) error) error {
	defer s.cache.dropSessions(user)
	ctx = context.WithoutCancel(ctx)
	return record.Update(ctx, func() error { return f(ctx) })
}

// ChangeToken is Change for what one token or session may do.
func (s *Service) ChangeToken(ctx context.Context, h identity.Hash, f func(context.Context) error) error {
	defer s.cache.drop(h)
	ctx = context.WithoutCancel(ctx)
	return record.Update(ctx, func() error { return f(ctx) })
}
