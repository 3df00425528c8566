package authorizations

import (
	"context"
	"errors"
	"fmt"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// The bounds of tokens that are made for a time.
const (
	// MaxLease is how long one lasts at most, with all its renewals.
	MaxLease = 768 * time.Hour
	// maxDepth is how many a token may hang on: each is looked up with it.
	maxDepth = 8
	// maxChildren is how many may hang on one.
	maxChildren = 1000
	// maxMeta bounds, in bytes, what is kept for the client with one.
	maxMeta = 4096
)

var errNotRenewable = errs.New(errs.Invalid, "lease is not renewable")

// Child is a wish for a token that hangs on the caller's.
type Child struct {
	Permissions []access.Permission
	TTL, MaxTTL time.Duration // MaxLease where 0, and at most that
	Renewable   bool
	Display     string
	Path        string
	Meta        map[string]string
}

// Self is the authorization of the caller's own token. Whoever has a token may ask.
func (s *Service) Self(ctx context.Context, c *access.Caller) (identity.Authorization, error) {
	act := access.Act{Action: "token.lookup", Target: c.AuthorizationID.String()}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return identity.Authorization{}, err
	}
	a, _, err := s.self(ctx, c)
	return a, s.guard.Done(ctx, c, act, err)
}

func (s *Service) self(ctx context.Context, c *access.Caller) (identity.Authorization, kv.Record, error) {
	return record.Load[identity.Authorization](ctx, s.kv, record.Key("auth", c.AuthorizationID), authn.ErrUnauthorized)
}

// CreateChild makes a token that hangs on the caller's: it has no permission that the caller lacks, and ends with the
// caller's token at the latest.
func (s *Service) CreateChild(ctx context.Context, c *access.Caller, n Child) (identity.Authorization, string, error) {
	act := access.Act{Action: "token.create", Target: errs.Clip(n.Display),
		Detail: fmt.Sprintf("ttl=%v max_ttl=%v: %s", n.TTL, n.MaxTTL,
			access.Describe(n.Permissions[:min(len(n.Permissions), MaxPermissions)]))}
	for _, p := range n.Permissions {
		if !c.May(p) {
			return identity.Authorization{}, "",
				s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized", p))
		}
	}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return identity.Authorization{}, "", err
	}
	a, token, err := s.createChild(ctx, c, n)
	return a, token, s.guard.Done(ctx, c, act, err)
}

func (s *Service) createChild(ctx context.Context, c *access.Caller, n Child) (identity.Authorization, string, error) {
	if err := n.valid(); err != nil {
		return identity.Authorization{}, "", err
	}
	token := authn.NewToken()
	var a identity.Authorization
	err := record.Update(ctx, func() error {
		parent, r, err := s.self(ctx, c)
		if err != nil {
			return err
		}
		now := s.now().UTC()
		lease := &identity.Lease{Parent: parent.ID, TTL: Bounded(n.TTL), Until: now.Add(Bounded(n.MaxTTL)),
			Max: n.MaxTTL, Renewable: n.Renewable, Display: n.Display, Path: n.Path, Meta: n.Meta}
		if parent.Lease != nil {
			lease.Depth = parent.Lease.Depth + 1
		}
		if lease.Depth >= maxDepth {
			return errs.New(errs.Invalid, "a token that was made by a token that was made by a token … makes no "+
				"other (%d at most)", maxDepth)
		}
		if at := parent.ExpiresAt; at != nil && at.Before(lease.Until) {
			lease.Until = *at
		}
		children, err := s.kv.List(ctx, identity.Children(parent.ID), "", maxChildren)
		if err != nil {
			return err
		}
		if len(children) >= maxChildren {
			return errs.New(errs.Unavailable, "a token may have made %d others that have not ended; revoke some, or "+
				"let them end sooner", maxChildren)
		}
		ends := Earlier(now.Add(lease.TTL), lease.Until)
		h := identity.HashOf(token)
		a = identity.Authorization{ID: s.ids.Next(), Hash: h[:], Status: identity.Active, OrgID: parent.OrgID,
			UserID: parent.UserID, Description: "made by a token: " + n.Display, Permissions: n.Permissions,
			CreatedAt: now, UpdatedAt: now, ExpiresAt: &ends, Lease: lease}
		conds, ops := a.Creation()
		_, err = s.kv.Txn(ctx, append(conds, kv.Unchanged(r)), ops)
		return err
	})
	return a, token, err
}

func (n Child) valid() error {
	size := 0
	for k, v := range n.Meta {
		size += len(k) + len(v)
	}
	if size > maxMeta {
		return errs.New(errs.Invalid, "the meta of a token is at most %d bytes", maxMeta)
	}
	if n.TTL < 0 || n.MaxTTL < 0 {
		return errs.New(errs.Invalid, "a token's time must not be negative")
	}
	if len(n.Permissions) == 0 {
		return errs.New(errs.Invalid, "authorization must include permissions")
	}
	if len(n.Display) > maxDisplay {
		return errs.New(errs.Invalid, "the display_name of a token is at most %d bytes", maxDisplay)
	}
	return errors.Join(identity.ValidPermissions(n.Permissions), identity.ValidDescription(n.Display))
}

// maxDisplay bounds the name that a client gives a token, in bytes.
const maxDisplay = 256

// Bounded is how long a token may last of which the time is wanted, or none where it is 0.
func Bounded(d time.Duration) time.Duration {
	if d == 0 || d > MaxLease {
		return MaxLease
	}
	return d
}

// Earlier is the first of the two.
func Earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// RenewSelf gives the caller's token more time from now on: the increment, or as much as at first where it is 0. It
// tells whether that was more than it may have. A token without a lease is errs.Invalid.
func (s *Service) RenewSelf(ctx context.Context, c *access.Caller,
	increment time.Duration) (a identity.Authorization, capped bool, err error) {
	act := access.Act{Action: "token.renew", Target: c.AuthorizationID.String()}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return a, false, err
	}
	if a, _, err = s.self(ctx, c); err == nil {
		err = s.changeToken(ctx, a, func(ctx context.Context) error {
			var r kv.Record
			if a, r, err = s.self(ctx, c); err != nil {
				return err
			}
			if a.Lease == nil || !a.Lease.Renewable || increment < 0 {
				return errNotRenewable
			}
			now := s.now().UTC()
			if increment == 0 {
				increment = a.Lease.TTL
			}
			ends := Earlier(now.Add(min(increment, MaxLease)), a.Lease.Until)
			capped = ends.Before(now.Add(increment))
			lease := *a.Lease
			lease.RenewedAt = now
			a.Lease, a.ExpiresAt, a.UpdatedAt = &lease, &ends, now
			_, err := s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, []kv.Op{record.Put(r.Key, a)})
			return err
		})
	}
	return a, capped, s.guard.Done(ctx, c, act, err)
}

// RevokeSelf ends the caller's token, and with it what hangs on it.
func (s *Service) RevokeSelf(ctx context.Context, c *access.Caller) error {
	act := access.Act{Action: "token.revoke", Target: c.AuthorizationID.String()}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return err
	}
	a, _, err := s.self(ctx, c)
	if err == nil {
		err = s.changeToken(ctx, a, func(ctx context.Context) error {
			_, err := s.kv.Txn(ctx, nil, a.Deletion())
			return err
		})
	}
	return s.guard.Done(ctx, c, act, err)
}

// changeToken carries out a change of one token (see authn.Service.ChangeToken). What hangs on the token must see it at
// its next request, too: where anything does, all who are known are forgotten. Nothing can begin to hang on it in
// between, since its record has changed.
func (s *Service) changeToken(ctx context.Context, a identity.Authorization, f func(context.Context) error) error {
	err := s.authn.ChangeToken(ctx, a.TokenHash(), f)
	children, listErr := s.kv.List(context.WithoutCancel(ctx), identity.Children(a.ID), "", 1)
	if listErr != nil || len(children) > 0 {
		s.authn.Forget()
	}
	return err
}
