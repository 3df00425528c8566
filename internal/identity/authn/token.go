package authn

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
)

// NewToken makes a token of 512 random bits in InfluxDB's form: 88 characters of URL-safe base64. (256 would do; the
// form is what clients and their tests know.)
func NewToken() string {
	var b [64]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return base64.URLEncoding.EncodeToString(b[:])
}

// ErrUnauthorized is the refusal of somebody who is nobody known, in InfluxDB's words.
var ErrUnauthorized = errs.New(errs.Unauthorized, "unauthorized access")

// The refusals of somebody who is known and not let in all the same.
var (
	errInactive     = errs.New(errs.Unauthorized, "token is inactive")
	errExpired      = errs.New(errs.Unauthorized, "token has expired")
	errUserInactive = errs.New(errs.Forbidden, "User is inactive")
)

// ByToken returns whom an API token stands for, or errs.Unauthorized. With the refusal of a token that is known and no
// good any more comes whose it is, without permissions, for the record.
func (s *Service) ByToken(ctx context.Context, token string) (*access.Principal, error) {
	h := identity.HashOf(token)
	e, known := s.cache.get(h)
	return s.byHash(ctx, h, e, known)
}

// byHash is ByToken for a token's hash, and what the cache has of it.
func (s *Service) byHash(ctx context.Context, h identity.Hash, e entry, known bool) (*access.Principal, error) {
	if !known || e.session != nil {
		gen := s.cache.generation()
		var err error
		if e, err = s.findToken(ctx, h); err != nil {
			return e.principal, err
		}
		s.cache.add(h, e, gen)
	}
	now := s.now()
	if !e.until.IsZero() && !now.Before(e.until) {
		s.cache.drop(h)
		return &access.Principal{UserID: e.principal.UserID, User: e.principal.User,
			AuthorizationID: e.principal.AuthorizationID, MakerID: e.principal.MakerID}, errExpired
	}
	s.markUse(e, now)
	return e.principal, nil
}

// made reports whether the token has the form of those that NewToken makes, InfluxDB's: nobody guesses one.
func made(token string) bool {
	b, err := base64.URLEncoding.DecodeString(token)
	return err == nil && len(b) == 64
}

// ByTokenFrom is ByToken for a client at the address. A token that somebody has chosen may be one that can be guessed:
// an address has a number of tries at tokens that are not known, then errs.TooManyRequests. Tokens that this server or
// an InfluxDB has made, and those that were used not long ago, are not affected, so that nobody can lock out a machine.
func (s *Service) ByTokenFrom(ctx context.Context, token, address string) (*access.Principal, error) {
	h := identity.HashOf(token)
	e, known := s.cache.get(h)
	if known || made(token) {
		return s.byHash(ctx, h, e, known)
	}
	if err := s.throttle.AllowToken(address); err != nil {
		return nil, err
	}
	p, err := s.byHash(ctx, h, e, false)
	if p != nil {
		s.throttle.TokenKnown(address)
	}
	return p, err
}

// findToken asks the engine. A token of which a record is forged or damaged is no better than one that is not known:
// whether it was revoked cannot be told any more.
func (s *Service) findToken(ctx context.Context, h identity.Hash) (entry, error) {
	aid, _, err := record.Proof[id.ID](ctx, s.kv, record.Key("authhash", h), ErrUnauthorized)
	if err != nil {
		return entry{}, err
	}
	a, _, err := record.Proof[identity.Authorization](ctx, s.kv, record.Key("auth", aid), ErrUnauthorized)
	if err != nil {
		return entry{}, err
	}
	if subtle.ConstantTimeCompare(a.Hash, h[:]) != 1 {
		return entry{}, ErrUnauthorized
	}
	known := entry{principal: &access.Principal{UserID: a.UserID, AuthorizationID: a.ID, MakerID: a.MadeBy}}
	if a.Status != identity.Active {
		return known, errInactive
	}
	org := make(chan error, 1) // at the same time as the user: over etcd the two are one call
	go func() { org <- identity.OrgExists(ctx, s.kv, a.OrgID) }()
	u, _, err := record.Proof[identity.User](ctx, s.kv, record.Key("user", a.UserID), ErrUnauthorized)
	orgErr := <-org
	if err != nil {
		return entry{}, err
	}
	if u.Status != identity.Active {
		return known, errUserInactive
	}
	if orgErr = record.Proven(orgErr, ErrUnauthorized); errs.Is(orgErr, errs.NotFound) { // being deleted
		return known, ErrUnauthorized
	} else if orgErr != nil {
		return entry{}, orgErr
	}
	e := entry{principal: &access.Principal{UserID: u.ID, User: u.Name, AuthorizationID: a.ID, MakerID: a.MadeBy,
		Permissions: a.Permissions}, used: &lastUse{}}
	if a.ExpiresAt != nil {
		if a, err = s.setRight(ctx, a); err != nil {
			return entry{}, err
		}
		e.until = *a.ExpiresAt
	}
	if e.until, e.parents, err = s.parentsEnd(ctx, a, e.until); err != nil {
		return known, err
	}
	return e, nil
}
