package authn

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

func sessionKey(h identity.Hash) string { return record.Key("session", h.String()) }

// SignIn checks name and password, and opens a session, whose token it returns. The caller is nobody yet.
func (s *Service) SignIn(ctx context.Context, c *access.Caller, name, password string) (string, error) {
	act := access.Act{Action: "signin"}
	proof, err := s.checkPassword(ctx, c, act, name, password)
	if err != nil {
		return "", err
	}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return "", err
	}
	token, err := s.openSession(ctx, proof, c.Address)
	return token, s.guard.Done(ctx, c, act, err)
}

func (s *Service) openSession(ctx context.Context, proof proof, address string) (string, error) {
	if err := s.trimSessions(ctx, proof.user, maxSessions-1); err != nil {
		return "", err
	}
	token := NewToken()
	h := identity.HashOf(token)
	now := s.now().UTC()
	n := identity.Session{UserID: proof.user, CreatedAt: now, ExpiresAt: now.Add(s.sessionLength), Address: address}
	err := record.Update(ctx, func() error {
		u, ur, err := record.Proof[identity.User](ctx, s.kv, record.Key("user", proof.user), ErrUnauthorized)
		if err != nil {
			return err
		}
		if u.Status != identity.Active { // since the password was looked at
			return ErrUnauthorized
		}
		// A clock that was set back must not make it void from the start: it is of the password
		// that has just been proven.
		n.CreatedAt = later(now, u.PasswordAt)
		if err := s.holds(ctx, proof); err != nil {
			return err
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(ur)},
			[]kv.Op{record.Put(sessionKey(h), n), record.Put(record.Key("sessionuser", proof.user, h.String()), true),
				record.Put(record.Key("signedin", proof.user), now)})
		return err
	})
	return token, err
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// maxSessions is how many sessions a user may have at a time. Whoever signs in once more ends the oldest: a script that
// signs in for each of its calls must not fill the file until its first session expires.
const maxSessions = 100

// trimSessions ends a user's oldest sessions until so many are left.
func (s *Service) trimSessions(ctx context.Context, user id.ID, left int) error {
	type opened struct {
		hash identity.Hash
		at   time.Time
	}
	var all []opened
	err := record.ScanWhole(ctx, s.kv, record.Folder("sessionuser", user), func(r kv.Record) (bool, error) {
		var o opened
		if n, err := hex.Decode(o.hash[:], []byte(record.Last(r.Key))); err != nil || n != len(o.hash) {
			return false, fmt.Errorf("record %s: it names no session", r.Key)
		}
		all = append(all, o)
		return true, nil
	})
	if err = record.Proven(err, nil); err != nil || len(all) <= left {
		return err
	}
	keys := make([]string, len(all))
	for i := range all {
		keys[i] = sessionKey(all[i].hash)
	}
	sessions, err := record.Finds[identity.Session](ctx, s.kv, keys)
	if err != nil {
		return err
	}
	for i, n := range sessions {
		if n != nil { // one that is good no more counts as the oldest
			all[i].at = n.CreatedAt
		}
	}
	slices.SortFunc(all, func(a, b opened) int { return a.at.Compare(b.at) })
	for _, o := range all[:len(all)-left] {
		if err := s.endSession(ctx, user, o.hash); err != nil {
			return err
		}
	}
	return nil
}

// BySession returns whom a session's token stands for, or errs.Unauthorized. Use renews the session: its end moves to
// one session length from now, in steps of a sixtieth of that, so that not every request is a write.
func (s *Service) BySession(ctx context.Context, token string) (*access.Principal, error) {
	h := identity.HashOf(token)
	gen := s.cache.generation() // before anything is read: what renew keeps must not be older
	e, ok := s.cache.get(h)
	if !ok || e.session == nil {
		var err error
		if e, err = s.findSession(ctx, h); err != nil {
			return nil, err
		}
		s.cache.add(h, e, gen)
	}
	now := s.now()
	if s.over(e.until, now) {
		_ = s.endSession(ctx, e.session.UserID, h) // or else the sweep takes it
		return nil, ErrUnauthorized
	}
	if !s.keepSession && e.until.Sub(now) < s.sessionLength-s.sessionLength/60 {
		s.renew(ctx, h, e, now, gen)
	}
	return e.principal, nil
}

// SessionInMemory reports whether BySession tells whom a session's token stands for without reading anything.
func (s *Service) SessionInMemory(token string) bool {
	e, ok := s.cache.get(identity.HashOf(token))
	return ok && e.session != nil && !s.over(e.until, s.now())
}

// over reports whether a session that ends then is over. One that would last for longer than a session does was opened
// or renewed under a clock that was ahead.
func (s *Service) over(ends, now time.Time) bool {
	return !now.Before(ends) || ends.Sub(now) > s.sessionLength+clockSlack
}

// clockSlack is by how much clocks may differ without a word.
const clockSlack = time.Minute

// renew moves a session's end. Where that fails, the session is good for as long as it was. The generation is of before
// e was read.
func (s *Service) renew(ctx context.Context, h identity.Hash, e entry, now time.Time, gen uint64) {
	_, r, err := record.Load[identity.Session](ctx, s.kv, sessionKey(h), ErrUnauthorized)
	if err != nil {
		return
	}
	n := *e.session
	n.ExpiresAt = now.UTC().Add(s.sessionLength)
	if _, err := s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, []kv.Op{record.Put(r.Key, n)}); err != nil {
		s.cache.drop(h) // it may be another by now
		return
	}
	s.cache.add(h, entry{principal: e.principal, until: n.ExpiresAt, session: &n}, gen)
}

func (s *Service) findSession(ctx context.Context, h identity.Hash) (entry, error) {
	n, _, err := record.Proof[identity.Session](ctx, s.kv, sessionKey(h), ErrUnauthorized)
	if err != nil {
		return entry{}, err
	}
	u, _, err := record.Proof[identity.User](ctx, s.kv, record.Key("user", n.UserID), ErrUnauthorized)
	if err != nil {
		return entry{}, err
	}
	if n.CreatedAt.Before(u.PasswordAt) {
		return entry{}, ErrUnauthorized
	}
	if u.Status != identity.Active {
		return entry{}, errUserInactive
	}
	p := &access.Principal{UserID: u.ID, User: u.Name, Permissions: access.Self(u.ID)}
	if u.Operator { // what they may as owners is in it; they own every organisation they make
		p.Permissions = access.Operator()
		return entry{principal: p, until: n.ExpiresAt, session: &n}, nil
	}
	err = identity.RolesOf(ctx, s.kv, u.ID, func(org id.ID, role identity.Role) {
		if role == identity.RoleOwner {
			p.Permissions = append(p.Permissions, access.Owner(org)...)
		} else {
			p.Permissions = append(p.Permissions, access.Member(org)...)
		}
	})
	return entry{principal: p, until: n.ExpiresAt, session: &n}, err
}

// SignOut ends the caller's session.
func (s *Service) SignOut(ctx context.Context, c *access.Caller, token string) error {
	act := access.Act{Action: "signout"}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return err
	}
	return s.guard.Done(ctx, c, act, s.endSession(ctx, c.UserID, identity.HashOf(token)))
}

func (s *Service) endSession(ctx context.Context, user id.ID, h identity.Hash) error {
	return s.ChangeToken(ctx, h, func(ctx context.Context) error {
		_, err := s.kv.Txn(ctx, nil, []kv.Op{kv.Delete(sessionKey(h)),
			kv.Delete(record.Key("sessionuser", user, h.String()))})
		return err
	})
}

// EndSessions ends all of a user's sessions.
func (s *Service) EndSessions(ctx context.Context, user id.ID) error {
	defer s.cache.flush()
	for {
		rs, err := record.Doomed(ctx, s.kv, record.Folder("sessionuser", user), kv.MaxOps/2)
		if err != nil {
			return err
		}
		if len(rs) == 0 {
			return nil
		}
		var ops []kv.Op
		for _, r := range rs {
			ops = append(ops, kv.Delete(r.Key), kv.Delete(record.Key("session", record.Last(r.Key))))
		}
		if _, err := s.kv.Txn(ctx, nil, ops); err != nil && !errors.Is(err, kv.ErrConflict) {
			return kv.Coded(err)
		}
	}
}

// sweepSessions removes the sessions that have expired.
func (s *Service) sweepSessions(ctx context.Context) error {
	now := s.now()
	return record.ScanWhole(ctx, s.kv, "session/", func(r kv.Record) (bool, error) {
		n, err := record.Decode[identity.Session](r)
		if err != nil {
			return false, err
		}
		if !s.over(n.ExpiresAt, now) {
			return true, nil
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)},
			[]kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("sessionuser", n.UserID, record.Last(r.Key)))})
		if errors.Is(err, kv.ErrConflict) { // renewed meanwhile
			err = nil
		}
		return true, err
	})
}
