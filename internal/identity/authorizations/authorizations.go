// Package authorizations keeps authorizations, which are the records of API tokens: it makes, lists, changes and
// revokes them, and those that a token makes for a time.
package authorizations

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// Service is the authorizations over one KV engine. Make it with New.
type Service struct {
	kv    kv.Store
	guard *access.Guard
	authn *authn.Service
	now   func() time.Time
	ids   *id.Generator
}

// New makes the service. The authn.Service is told of whatever changes what tokens may do.
func New(store kv.Store, guard *access.Guard, logins *authn.Service, now func() time.Time,
	ids *id.Generator) *Service {
	return &Service{kv: store, guard: guard, authn: logins, now: now, ids: ids}
}

// ErrNotFound is the refusal where there is no such authorization, in InfluxDB's words.
var ErrNotFound = errs.New(errs.NotFound, "authorization not found")

// Limits of a token that is handed over instead of made, in characters: 22 of base64's have more than 128 bits, if they
// are random. Shorter ones that there are from before keep working.
const (
	minGivenToken = 22
	maxGivenToken = 1024
)

// MaxPermissions bounds those of one authorization. A token for everything in ten organisations has half as many. Every
// request looks through them, and making a token does so for each of the new one's.
const MaxPermissions = 1000

// Wanted is a wish for a token.
type Wanted struct {
	OrgID       id.ID
	UserID      id.ID // the caller's where it is zero
	Status      identity.Status
	Description string
	Permissions []access.Permission
	ExpiresAt   *time.Time
	Token       string // a given token; only callers who may write all authorizations may give one
}

// Authorize makes an authorization and returns it with its token, which is not kept and cannot be shown again. The
// caller must hold every permission that the token is to have, or may grant it all the same (see
// access.Caller.MayGrant).
func (s *Service) Authorize(ctx context.Context, c *access.Caller,
	n Wanted) (identity.Authorization, string, error) {
	act := access.Act{Action: "authorizations.create", Org: n.OrgID, Target: errs.Clip(n.Description)}
	if !n.OrgID.Valid() {
		return identity.Authorization{}, "", s.guard.Deny(ctx, c, act, errs.New(errs.Invalid, "org id required"))
	}
	need := []access.Permission{access.To(access.Write, access.Resource{Type: access.Authorizations, OrgID: n.OrgID})}
	if n.UserID.Valid() && n.UserID != c.UserID {
		need = append(need, access.To(access.Write, access.Resource{Type: access.Users, ID: n.UserID}))
	} else {
		n.UserID = c.UserID
	}
	act.Detail = "for user " + n.UserID.String() + ": " +
		access.Describe(n.Permissions[:min(len(n.Permissions), MaxPermissions)])
	if n.ExpiresAt != nil {
		act.Detail = "until " + n.ExpiresAt.UTC().Format(time.RFC3339) + " " + act.Detail
	}
	if n.Token != "" {
		need = append(need, access.To(access.Write, access.Resource{Type: access.Authorizations}))
	}
	for _, p := range need {
		if !c.May(p) {
			return identity.Authorization{}, "",
				s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized", p))
		}
	}
	if len(n.Permissions) > MaxPermissions {
		return identity.Authorization{}, "", s.guard.Deny(ctx, c, act,
			errs.New(errs.Invalid, "an authorization has at most %d permissions", MaxPermissions))
	}
	for _, p := range n.Permissions {
		if !c.MayGrant(p) {
			return identity.Authorization{}, "",
				s.guard.Deny(ctx, c, act, errs.New(errs.Forbidden, "permission %s is not allowed", p))
		}
	}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return identity.Authorization{}, "", err
	}
	a, token, err := s.authorize(ctx, c.UserID, n)
	return a, token, s.guard.Done(ctx, c, act, err)
}

func (s *Service) authorize(ctx context.Context, by id.ID, n Wanted) (identity.Authorization, string, error) {
	now := s.now().UTC()
	if n.Status == "" {
		n.Status = identity.Active
	}
	if len(n.Permissions) == 0 {
		return identity.Authorization{}, "", errs.New(errs.Invalid, "authorization must include permissions")
	}
	if err := identity.ValidPermissions(n.Permissions); err != nil {
		return identity.Authorization{}, "", err
	}
	if err := errors.Join(n.Status.Valid(), identity.ValidDescription(n.Description), checkExpiry(n.ExpiresAt, now),
		CheckGiven(n.Token)); err != nil {
		return identity.Authorization{}, "", err
	}
	token := n.Token
	if token == "" {
		token = authn.NewToken()
	}
	h := identity.HashOf(token)
	a := identity.Authorization{Hash: h[:], Status: n.Status, Description: n.Description, OrgID: n.OrgID,
		UserID: n.UserID, MadeBy: by, Permissions: n.Permissions, CreatedAt: now, UpdatedAt: now,
		ExpiresAt: n.ExpiresAt}
	err := record.Update(ctx, func() error {
		_, or, err := record.Load[identity.Org](ctx, s.kv, record.Key("org", n.OrgID), identity.ErrOrgNotFound)
		if err != nil {
			return err
		}
		_, ur, err := record.Load[identity.User](ctx, s.kv, record.Key("user", n.UserID), identity.ErrUserNotFound)
		if err != nil {
			return err
		}
		a.ID = s.ids.Next()
		conds, ops := a.Creation()
		_, err = s.kv.Txn(ctx, append(conds, kv.Unchanged(or), kv.Unchanged(ur)), ops)
		if errors.Is(err, kv.ErrConflict) {
			return record.Taken(ctx, s.kv, record.Key("authhash", h), 0,
				"this token belongs to an authorization already")
		}
		return err
	})
	if err != nil {
		return identity.Authorization{}, "", err
	}
	return a, token, nil
}

func checkExpiry(at *time.Time, now time.Time) error {
	if at != nil && !at.After(now) {
		return errs.New(errs.Invalid, "expiresAt must be in the future")
	}
	return nil
}

// CheckGiven tells what is wrong with a token that is handed over instead of made; none at all is right.
func CheckGiven(token string) error {
	if token == "" {
		return nil
	}
	if len(token) < minGivenToken || len(token) > maxGivenToken {
		return errs.New(errs.Invalid, "a given token must be between %d and %d characters long, so that nobody "+
			"guesses it; leave it out and the server makes one", minGivenToken, maxGivenToken)
	}
	for _, b := range []byte(token) {
		if b <= ' ' || b > '~' {
			return errs.New(errs.Invalid, "a given token must be printable ASCII without spaces, so that it "+
				"fits a header")
		}
	}
	return nil
}

// authorization loads one for the caller, who needs the permission on it. One whose record does not open has no ID
// then, and operators alone may change it. That is for its deletion: any other change finds that it does not open.
func (s *Service) authorization(ctx context.Context, c *access.Caller, auth id.ID, do access.Action,
	action, detail string) (identity.Authorization, kv.Record, access.Act, error) {
	act := access.Act{Action: action, Target: auth.String(), Detail: detail}
	a, r, err := record.Load[identity.Authorization](ctx, s.kv, record.Key("auth", auth), ErrNotFound)
	if do == access.Write && errors.Is(err, kv.ErrForged) && c.May(access.WriteServer) {
		return a, r, act, s.guard.Allow(ctx, c, act, access.WriteServer) // whose it is cannot be told
	}
	if err != nil {
		return a, r, act, s.guard.Deny(ctx, c, act, err)
	}
	act.Org = a.OrgID
	if err := s.guard.AllowOn(ctx, c, act, do, access.Resource{Type: access.Authorizations, OrgID: a.OrgID, ID: a.ID},
		ErrNotFound); err != nil {
		return identity.Authorization{}, r, act, err
	}
	return a, r, act, s.fillLastUse(ctx, &a)
}

func (s *Service) fillLastUse(ctx context.Context, a *identity.Authorization) (err error) {
	a.LastUsedAt, err = s.authn.LastUse(ctx, a.ID)
	return err
}

// fillLastUses is fillLastUse for several, whose uses are read at the same time.
func (s *Service) fillLastUses(ctx context.Context, as []identity.Authorization) error {
	reads, ctx := errgroup.WithContext(ctx)
	for i := range as {
		reads.Go(func() error { return s.fillLastUse(ctx, &as[i]) })
	}
	return reads.Wait()
}

// AuthorizationByID returns one authorization.
func (s *Service) AuthorizationByID(ctx context.Context, c *access.Caller, auth id.ID) (identity.Authorization, error) {
	a, _, _, err := s.authorization(ctx, c, auth, access.Read, "authorizations.read", "")
	return a, err
}

// UpdateAuthorization changes the fields that are not nil.
func (s *Service) UpdateAuthorization(ctx context.Context, c *access.Caller, auth id.ID, status *identity.Status,
	description *string) (identity.Authorization, error) {
	a, r, act, err := s.authorization(ctx, c, auth, access.Write, "authorizations.update",
		identity.Changed("status", status, "description", description))
	if err != nil {
		return a, err
	}
	err = s.changeToken(ctx, a, func(ctx context.Context) error {
		if a, r, err = record.Load[identity.Authorization](ctx, s.kv, record.Key("auth", auth),
			ErrNotFound); err != nil {
			return err
		}
		if status != nil {
			if err := status.Valid(); err != nil {
				return err
			}
			// To make it active again is to give its permissions once more.
			if i := slices.IndexFunc(a.Permissions, func(p access.Permission) bool { return !c.MayGrant(p) }); i >= 0 &&
				a.Status == identity.Inactive && *status == identity.Active {
				return errs.New(errs.Forbidden, "permission %s is not allowed", a.Permissions[i])
			}
			a.Status = *status
		}
		if description != nil {
			if err := identity.ValidDescription(*description); err != nil {
				return err
			}
			a.Description = *description
		}
		a.UpdatedAt = s.now().UTC()
		_, err := s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, []kv.Op{record.Put(r.Key, a)})
		return err
	})
	if err == nil {
		_ = s.fillLastUse(ctx, &a) // the change stands; the caller gets it without
	}
	return a, s.guard.Done(ctx, c, act, err)
}
