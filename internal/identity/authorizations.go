package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
)

var errAuthNotFound = errs.New(errs.NotFound, "authorization not found")

// newToken makes a token of 512 random bits in InfluxDB's form: 88 characters of URL-safe base64. (256 would do; the
// form is what clients and their tests know.)
func newToken() string {
	var b [64]byte
	rand.Read(b[:]) // never fails since Go 1.24
	return base64.URLEncoding.EncodeToString(b[:])
}

// Limits of a token that is handed over instead of made.
const (
	minGivenToken = 8
	maxGivenToken = 1024
)

// maxPermissions bounds those of one authorization. A token for everything in ten organisations has half as many. Every
// request looks through them, and making a token does so for each of the new one's.
const maxPermissions = 1000

// maxPermissionNames bounds those of one authorization together. Its record must fit into a transaction.
const maxPermissionNames = 128 << 10

// NewAuthorization is a wish for a token.
type NewAuthorization struct {
	OrgID       id.ID
	UserID      id.ID // the caller's where it is zero
	Status      Status
	Description string
	Permissions []access.Permission
	ExpiresAt   *time.Time
	Token       string // a given token; only callers who may write all authorizations may give one
}

// Authorize makes an authorization and returns it with its token, which is not kept and cannot be shown again. The
// caller must hold every permission that the token is to have, or may grant it all the same (see access.Caller.MayGrant).
func (s *Service) Authorize(ctx context.Context, c *access.Caller, n NewAuthorization) (Authorization, string, error) {
	act := access.Act{Action: "authorizations.create", Org: n.OrgID, Target: errs.Clip(n.Description)}
	if !n.OrgID.Valid() {
		return Authorization{}, "", s.guard.Deny(ctx, c, act, errs.New(errs.Invalid, "org id required"))
	}
	need := []access.Permission{access.To(access.Write, access.Resource{Type: access.Authorizations, OrgID: n.OrgID})}
	if n.UserID.Valid() && n.UserID != c.UserID {
		need = append(need, access.To(access.Write, access.Resource{Type: access.Users, ID: n.UserID}))
	} else {
		n.UserID = c.UserID
	}
	if n.Token != "" {
		need = append(need, access.To(access.Write, access.Resource{Type: access.Authorizations}))
	}
	for _, p := range need {
		if !c.May(p) {
			return Authorization{}, "", s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized", p))
		}
	}
	if len(n.Permissions) > maxPermissions {
		return Authorization{}, "", s.guard.Deny(ctx, c, act, errs.New(errs.Invalid, "an authorization has at most %d permissions", maxPermissions))
	}
	for _, p := range n.Permissions {
		if !c.MayGrant(p) {
			return Authorization{}, "", s.guard.Deny(ctx, c, act, errs.New(errs.Forbidden, "permission %s is not allowed", p))
		}
	}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return Authorization{}, "", err
	}
	a, token, err := s.authorize(ctx, n)
	return a, token, s.guard.Done(ctx, c, act, err)
}

func (s *Service) authorize(ctx context.Context, n NewAuthorization) (Authorization, string, error) {
	now := s.now().UTC()
	if n.Status == "" {
		n.Status = Active
	}
	if len(n.Permissions) == 0 {
		return Authorization{}, "", errs.New(errs.Invalid, "authorization must include permissions")
	}
	if err := checkPermissions(n.Permissions); err != nil {
		return Authorization{}, "", err
	}
	if err := errors.Join(n.Status.Valid(), checkDescription(n.Description), checkExpiry(n.ExpiresAt, now), checkGiven(n.Token)); err != nil {
		return Authorization{}, "", err
	}
	token := n.Token
	if token == "" {
		token = newToken()
	}
	h := hashOf(token)
	a := Authorization{Hash: h[:], Status: n.Status, Description: n.Description, OrgID: n.OrgID, UserID: n.UserID,
		Permissions: n.Permissions, CreatedAt: now, UpdatedAt: now, ExpiresAt: n.ExpiresAt}
	err := update(ctx, func() error {
		_, or, err := load[Org](ctx, s.kv, key("org", n.OrgID), errOrgNotFound)
		if err != nil {
			return err
		}
		_, ur, err := load[User](ctx, s.kv, key("user", n.UserID), errUserNotFound)
		if err != nil {
			return err
		}
		a.ID = s.ids.Next()
		conds, ops := authOps(a)
		_, err = s.kv.Txn(ctx, append(conds, kv.Unchanged(or), kv.Unchanged(ur)), ops)
		if errors.Is(err, kv.ErrConflict) {
			return s.taken(ctx, hashKey(h), "this token belongs to an authorization already")
		}
		return err
	})
	if err != nil {
		return Authorization{}, "", err
	}
	return a, token, nil
}

func checkPermissions(ps []access.Permission) error {
	names := 0
	for _, p := range ps {
		if err := p.Valid(); err != nil {
			return err
		}
		names += len(p.Resource.Name)
	}
	if names > maxPermissionNames {
		return errs.New(errs.Invalid, "the names in an authorization's permissions are %d bytes together, at most %d are allowed", names, maxPermissionNames)
	}
	return nil
}

func checkExpiry(at *time.Time, now time.Time) error {
	if at != nil && !at.After(now) {
		return errs.New(errs.Invalid, "expiresAt must be in the future")
	}
	return nil
}

func checkGiven(token string) error {
	if token == "" {
		return nil
	}
	if len(token) < minGivenToken || len(token) > maxGivenToken {
		return errs.New(errs.Invalid, "a given token must be between %d and %d characters long", minGivenToken, maxGivenToken)
	}
	for _, b := range []byte(token) {
		if b <= ' ' || b > '~' {
			return errs.New(errs.Invalid, "a given token must be printable ASCII without spaces, so that it fits a header")
		}
	}
	return nil
}

func hashKey(h hash) string { return key("authhash", h) }

// authOps is what creates an authorization.
func authOps(a Authorization) ([]kv.Cond, []kv.Op) {
	home, byHash := key("auth", a.ID), hashKey(hash(a.Hash))
	return []kv.Cond{kv.Missing(home), kv.Missing(byHash)}, []kv.Op{put(home, a), put(byHash, a.ID),
		put(key("authuser", a.UserID, a.ID), true), put(key("authorg", a.OrgID, a.ID), true)}
}

// deleteAuthOps is what removes one, wherever it is listed.
func deleteAuthOps(a Authorization) []kv.Op {
	return []kv.Op{kv.Delete(key("auth", a.ID)), kv.Delete(hashKey(hash(a.Hash))), kv.Delete(key("authuser", a.UserID, a.ID)),
		kv.Delete(key("authorg", a.OrgID, a.ID)), kv.Delete(key("authused", a.ID))}
}

// authorization loads one for the caller, who needs the permission on it.
func (s *Service) authorization(ctx context.Context, c *access.Caller, auth id.ID, do access.Action, action string) (Authorization, kv.Record, access.Act, error) {
	act := access.Act{Action: action, Target: auth.String()}
	a, r, err := load[Authorization](ctx, s.kv, key("auth", auth), errAuthNotFound)
	if err != nil {
		return a, r, act, s.guard.Deny(ctx, c, act, err)
	}
	act.Org = a.OrgID
	if err := s.guard.Allow(ctx, c, act, access.To(do, access.Resource{Type: access.Authorizations, OrgID: a.OrgID, ID: a.ID})); err != nil {
		return Authorization{}, r, act, err
	}
	return a, r, act, s.fillLastUse(ctx, &a)
}

func (s *Service) fillLastUse(ctx context.Context, a *Authorization) error {
	at := s.used.recent(a.ID)
	if at == 0 {
		var err error
		at, _, err = load[int64](ctx, s.kv, key("authused", a.ID), errAuthNotFound)
		if errs.Is(err, errs.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	t := time.Unix(at, 0).UTC()
	a.LastUsedAt = &t
	return nil
}

// AuthorizationByID returns one authorization.
func (s *Service) AuthorizationByID(ctx context.Context, c *access.Caller, auth id.ID) (Authorization, error) {
	a, _, _, err := s.authorization(ctx, c, auth, access.Read, "authorizations.read")
	return a, err
}

// UpdateAuthorization changes the fields that are not nil.
func (s *Service) UpdateAuthorization(ctx context.Context, c *access.Caller, auth id.ID, status *Status, description *string) (Authorization, error) {
	a, r, act, err := s.authorization(ctx, c, auth, access.Write, "authorizations.update")
	if err != nil {
		return a, err
	}
	h := hash(a.Hash)
	err = updateCached(ctx, func() { s.cache.drop(h) }, func(ctx context.Context) error {
		if a, r, err = load[Authorization](ctx, s.kv, key("auth", auth), errAuthNotFound); err != nil {
			return err
		}
		if status != nil {
			if err := status.Valid(); err != nil {
				return err
			}
			a.Status = *status
		}
		if description != nil {
			if err := checkDescription(*description); err != nil {
				return err
			}
			a.Description = *description
		}
		a.UpdatedAt = s.now().UTC()
		_, err := s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, []kv.Op{put(r.Key, a)})
		return err
	})
	if err == nil {
		err = s.fillLastUse(ctx, &a)
	}
	return a, s.guard.Done(ctx, c, act, err)
}

// DeleteAuthorization revokes a token. It is refused from the next request on.
func (s *Service) DeleteAuthorization(ctx context.Context, c *access.Caller, auth id.ID) error {
	a, _, act, err := s.authorization(ctx, c, auth, access.Write, "authorizations.delete")
	if err != nil {
		return err
	}
	err = updateCached(ctx, func() { s.cache.drop(hash(a.Hash)) }, func(ctx context.Context) error {
		_, err := s.kv.Txn(ctx, nil, deleteAuthOps(a))
		return err
	})
	return s.guard.Done(ctx, c, act, err)
}
