package authn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
	"strongroom/internal/peer"
)

// Passwords are hashed with bcrypt at InfluxDB's cost, so that its hashes carry over. bcrypt reads 72 bytes.
const (
	bcryptCost  = bcrypt.DefaultCost
	minPassword = 8
	maxPassword = 72
)

// passwords hashes and compares, at most one at a time for each processor, so that a flood of sign-ins cannot take the
// whole machine. Few may wait for one account, or from one address, so that such a flood does not hold up the others.
type passwords struct {
	cost  int
	slots chan struct{}
	dummy []byte // compared with where there is no hash, so that unknown users cost the same time

	mu      sync.Mutex
	waiting map[string]int // by account and by address, those at work included
}

// How many may wait. A hash takes some 60 ms: from one address nobody makes the others wait for a second.
const (
	maxWaitingAccount = 4
	maxWaitingAddress = 12
)

// who is for whom a password is hashed or compared; an empty part does not count.
type who struct{ account, address string }

func newPasswords(cost int) (*passwords, error) {
	// A salt and a hash of nothing but zeros. To make a real one would add a hash's time to every start.
	dummy := fmt.Appendf(nil, "$2a$%02d$%s", cost, strings.Repeat(".", 22+31))
	if _, err := bcrypt.Cost(dummy); err != nil {
		return nil, fmt.Errorf("bcrypt: %w", err)
	}
	return &passwords{cost: cost, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)), dummy: dummy,
		waiting: make(map[string]int)}, nil
}

// slot waits for a turn, or gives errs.TooManyRequests where too many wait already.
func (p *passwords) slot(ctx context.Context, w who) (release func(), err error) {
	leave, err := p.join(w)
	if err != nil {
		return nil, err
	}
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

func (p *passwords) join(w who) (leave func(), err error) {
	in := make(map[string]int, 2)
	if w.account != "" {
		in["u\x00"+w.account] = maxWaitingAccount
	}
	if w.address != "" {
		in["a\x00"+peer.Network(w.address)] = maxWaitingAddress
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, most := range in {
		if p.waiting[k] >= most {
			e := errs.New(errs.TooManyRequests, "too many sign-ins and passwords at a time; try again in a second")
			e.RetryAfter = time.Second
			return nil, e
		}
	}
	for k := range in {
		p.waiting[k]++
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for k := range in {
			if p.waiting[k]--; p.waiting[k] == 0 {
				delete(p.waiting, k)
			}
		}
	}, nil
}

// CheckPassword says what is wrong with a password that is to be set (errs.Invalid).
func CheckPassword(password string) error {
	if len(password) < minPassword || len(password) > maxPassword {
		return errs.New(errs.Invalid, "passwords must be between %d and %d bytes long", minPassword, maxPassword)
	}
	if !utf8.ValidString(password) {
		return errs.New(errs.Invalid, "passwords must be valid UTF-8")
	}
	return nil
}

func (p *passwords) hash(ctx context.Context, w who, password string) ([]byte, error) {
	if err := CheckPassword(password); err != nil {
		return nil, err
	}
	release, err := p.slot(ctx, w)
	if err != nil {
		return nil, err
	}
	defer release()
	return bcrypt.GenerateFromPassword([]byte(password), p.cost)
}

// matches compares in the same time whether or not there is a hash.
func (p *passwords) matches(ctx context.Context, w who, hash []byte, password string) (bool, error) {
	release, err := p.slot(ctx, w)
	if err != nil {
		return false, err
	}
	defer release()
	// A longer one cannot have been set here, but in an InfluxDB: bcrypt goes by its beginning.
	password = password[:min(len(password), maxPassword)]
	if hash == nil {
		_ = bcrypt.CompareHashAndPassword(p.dummy, []byte(password))
		return false, nil
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil, nil
}

// proof is that somebody knew a user's password: the one of this hash, whose record a rotation of
// the keys may write anew.
type proof struct {
	user id.ID
	hash []byte
}

// HashPassword checks a password from outside, and gives the hash that is kept of it.
func (s *Service) HashPassword(ctx context.Context, password string) ([]byte, error) {
	return s.pw.hash(ctx, who{}, password)
}

// verify reports whether the password is the user's; an invalid user ID stands for nobody.
func (s *Service) verify(ctx context.Context, w who, user id.ID, password string) (proof, bool, error) {
	var r kv.Record
	if user.Valid() {
		var err error
		r, err = s.kv.Get(ctx, record.Key("password", user))
		if err = record.Proven(err, kv.ErrNotFound); err != nil && !errors.Is(err, kv.ErrNotFound) {
			return proof{}, false, kv.Coded(err)
		}
	}
	ok, err := s.pw.matches(ctx, w, r.Value, password)
	return proof{user, r.Value}, ok, err
}

// holds refuses a proof whose password has been replaced since. A new password changes the user's record too: what is
// to happen only under the proof reads that before, and has it as a condition.
func (s *Service) holds(ctx context.Context, p proof) error {
	r, err := s.kv.Get(ctx, record.Key("password", p.user))
	err = record.Proven(err, kv.ErrNotFound)
	if errors.Is(err, kv.ErrNotFound) || err == nil && !bytes.Equal(r.Value, p.hash) {
		return ErrUnauthorized
	}
	return kv.Coded(err)
}

// SetPassword sets another user's password, and ends the user's sessions. Who sets an operator's can sign in as one:
// that takes an operator, where for others the permission on users is enough. One's own takes the old one
// (ChangePassword): a session that is left open, and what can be made in it, must not be enough to take the account
// over. Only a token that may set every user's password sets its own user's, too.
func (s *Service) SetPassword(ctx context.Context, c *access.Caller, user id.ID, password string) error {
	act := access.Act{Action: "users.password", Target: user.String()}
	need := []access.Permission{access.To(access.Write, access.Resource{Type: access.Users, ID: user})}
	u, _, err := record.Load[identity.User](ctx, s.kv, record.Key("user", user), identity.ErrUserNotFound)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	if u.Operator {
		need = append(need, access.WriteServer)
	}
	everybodys := access.To(access.Write, access.Resource{Type: access.Users})
	own := c.UserID.Valid() && c.UserID == user && (!c.AuthorizationID.Valid() || !c.May(everybodys))
	if own && !slices.ContainsFunc(need, func(p access.Permission) bool { return !c.May(p) }) {
		return s.guard.Deny(ctx, c, act, errs.New(errs.Forbidden,
			"your own password takes the old one: PUT /api/v2/me/password with it as Basic authentication, or the "+
				"page Preferences"))
	}
	if err := s.guard.Allow(ctx, c, act, need...); err != nil {
		return err
	}
	return s.guard.Done(ctx, c, act, s.setPassword(ctx, c, user, password, nil))
}

// ChangePassword sets a user's own password; who knows the old one is the user. Tries are counted like sign-ins. The
// caller is nobody yet.
func (s *Service) ChangePassword(ctx context.Context, c *access.Caller, name, old, password string) error {
	act := access.Act{Action: "users.password", Target: errs.Clip(name)}
	proof, err := s.checkPassword(ctx, c, act, name, old)
	if err != nil {
		return err
	}
	act.Target = c.UserID.String()
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return err
	}
	return s.guard.Done(ctx, c, act, s.setPassword(ctx, c, proof.user, password, &proof))
}

// checkPassword finds the active user whom name and password belong to, and makes them the caller. Whether the user
// exists, has a password or is inactive shows neither in the refusal nor in its time.
func (s *Service) checkPassword(ctx context.Context, c *access.Caller, act access.Act,
	name, password string) (proof, error) {
	c.Principal = &access.Principal{User: errs.Clip(name)}
	if err := s.throttle.Allow(name, c.Address); err != nil {
		return proof{}, s.guard.TurnAway(ctx, c, act, err)
	}
	u, err := identity.UserNamed(ctx, s.kv, name)
	if err = record.Proven(err, identity.ErrUserNotFound); err != nil && !errs.Is(err, errs.NotFound) {
		return proof{}, err
	}
	p, ok, err := s.verify(ctx, who{errs.Clip(name), c.Address}, u.ID, password)
	if errs.Is(err, errs.TooManyRequests) {
		s.throttle.Succeeded(name, c.Address) // nothing was tried
		return proof{}, s.guard.Deny(ctx, c, act, err)
	}
	if err != nil {
		return proof{}, err
	}
	if !ok || u.Status != identity.Active {
		return proof{}, s.guard.TurnAway(ctx, c, act, ErrUnauthorized)
	}
	s.throttle.Succeeded(name, c.Address)
	c.Principal = &access.Principal{UserID: u.ID, User: u.Name}
	return p, nil
}

// setPassword sets a password, under the proof of the old one where old is not nil.
func (s *Service) setPassword(ctx context.Context, c *access.Caller, user id.ID, password string, old *proof) error {
	h, err := s.pw.hash(ctx, who{"by " + c.UserID.String(), c.Address}, password)
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // for the sessions too
	err = s.Change(ctx, func(ctx context.Context) error {
		u, r, err := record.Load[identity.User](ctx, s.kv, record.Key("user", user), identity.ErrUserNotFound)
		if err != nil {
			return err
		}
		if old != nil {
			if err := s.holds(ctx, *old); err != nil {
				return err
			}
		}
		// After the one before, also where the clock was set back: the sessions of that one are void.
		u.PasswordAt = later(s.now().UTC(), u.PasswordAt.Add(1))
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)},
			[]kv.Op{record.Put(r.Key, u), kv.Put(record.Key("password", user), h)})
		return err
	})
	if err != nil {
		return err
	}
	// The password is set, and with it the user's sessions are void, also where their records cannot be removed.
	s.report(ctx, "removing the sessions of a former password", s.EndSessions(ctx, user))
	return nil
}
