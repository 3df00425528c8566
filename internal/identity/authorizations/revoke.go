package authorizations

import (
	"context"
	"errors"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// UndoTime is for how long a revocation by RevokeAuthorization can be undone.
const UndoTime = 10 * time.Minute

// errNotRevoked is given where there is nothing to undo, whatever the reason.
var errNotRevoked = errs.New(errs.NotFound,
	"the token cannot be restored: that is possible for %d minutes after it was revoked on the page",
	int(UndoTime.Minutes()))

// DeleteAuthorization revokes a token for good. It is refused from the next request on.
func (s *Service) DeleteAuthorization(ctx context.Context, c *access.Caller, auth id.ID) error {
	_, err := s.revoke(ctx, c, auth, 0)
	return err
}

// RevokeAuthorization is DeleteAuthorization that RestoreAuthorization can undo for UndoTime. Until then what is left
// is kept apart, where no token is looked for. Kept is false where there is no room for that: it is revoked for good.
func (s *Service) RevokeAuthorization(ctx context.Context, c *access.Caller, auth id.ID) (kept bool, err error) {
	return s.revoke(ctx, c, auth, UndoTime)
}

func (s *Service) revoke(ctx context.Context, c *access.Caller, auth id.ID, undo time.Duration) (kept bool,
	err error) {
	a, _, act, err := s.authorization(ctx, c, auth, access.Write, "authorizations.delete", "")
	if err != nil {
		return false, err
	}
	if !a.ID.Valid() {
		return false, s.guard.Done(ctx, c, act, s.removeLost(ctx, auth))
	}
	err = s.changeToken(ctx, a, func(ctx context.Context) error {
		a, r, err := record.Load[identity.Authorization](ctx, s.kv, record.Key("auth", auth), ErrNotFound)
		if err != nil {
			return err
		}
		if undo > 0 {
			used, err := s.kv.Get(ctx, record.Key("authused", a.ID))
			if err != nil && !errors.Is(err, kv.ErrNotFound) {
				return kv.Coded(err)
			}
			keep := record.Put(record.Key("authgone", a.ID),
				identity.Revoked{ExpiresAt: s.now().UTC().Add(undo), Authorization: a, Used: used.Value})
			_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, append(a.Deletion(), keep))
			if kept = err == nil; !errors.Is(err, kv.ErrFull) {
				return err
			}
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, a.Deletion())
		return err
	})
	return kept && err == nil, s.guard.Done(ctx, c, act, err)
}

// removeLost removes one whose record does not open, for good: what it was allowed cannot be told any more.
func (s *Service) removeLost(ctx context.Context, auth id.ID) error {
	return s.authn.Change(ctx, func(ctx context.Context) error {
		a, r, err := record.Load[identity.Authorization](ctx, s.kv, record.Key("auth", auth), ErrNotFound)
		ops := a.Deletion()
		if errors.Is(err, kv.ErrForged) {
			ops, err = identity.LostDeletion(ctx, s.kv, auth.String())
		}
		if err != nil {
			return err
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, ops)
		return err
	})
}

// RestoreAuthorization undoes RevokeAuthorization: the token that was shown once works again, with what it was allowed.
// The caller needs what making it would take, and it gives errs.NotFound where the time is over, or where the
// organisation or the user has ended.
func (s *Service) RestoreAuthorization(ctx context.Context, c *access.Caller,
	auth id.ID) (identity.Authorization, error) {
	act := access.Act{Action: "authorizations.restore", Target: auth.String()}
	gone, _, err := record.Load[identity.Revoked](ctx, s.kv, record.Key("authgone", auth), errNotRevoked)
	if err != nil {
		return identity.Authorization{}, s.guard.Deny(ctx, c, act, err)
	}
	a := gone.Authorization
	act.Org, act.Detail = a.OrgID, "for user "+a.UserID.String()+": "+access.Describe(a.Permissions)
	need := []access.Permission{access.To(access.Write, access.Resource{Type: access.Authorizations, OrgID: a.OrgID})}
	if a.UserID != c.UserID {
		need = append(need, access.To(access.Write, access.Resource{Type: access.Users, ID: a.UserID}))
	}
	for _, p := range need {
		if !c.May(p) { // whose tokens there were is told to nobody else
			return identity.Authorization{}, s.guard.Deny(ctx, c, act, errNotRevoked)
		}
	}
	for _, p := range a.Permissions {
		if !c.MayGrant(p) {
			return identity.Authorization{}, s.guard.Deny(ctx, c, act,
				errs.New(errs.Forbidden, "permission %s is not allowed", p))
		}
	}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return identity.Authorization{}, err
	}
	err = s.changeToken(ctx, a, func(ctx context.Context) error { return s.restore(ctx, auth, &a) })
	return a, s.guard.Done(ctx, c, act, err)
}

func (s *Service) restore(ctx context.Context, auth id.ID, a *identity.Authorization) error {
	gone, r, err := record.Load[identity.Revoked](ctx, s.kv, record.Key("authgone", auth), errNotRevoked)
	if err != nil {
		return err
	}
	if !s.now().Before(gone.ExpiresAt) {
		return errNotRevoked
	}
	*a = gone.Authorization
	_, or, err := record.Load[identity.Org](ctx, s.kv, record.Key("org", a.OrgID), identity.ErrOrgNotFound)
	if err != nil {
		return err
	}
	_, ur, err := record.Load[identity.User](ctx, s.kv, record.Key("user", a.UserID), identity.ErrUserNotFound)
	if err != nil {
		return err
	}
	conds, ops := a.Creation()
	if l := a.Lease; l != nil { // without what it hangs on it would end at once
		home := record.Key("auth", l.Parent)
		if l.Role != "" {
			home = record.Key("approle", l.Role)
		}
		on, err := s.kv.Get(ctx, home)
		if errors.Is(err, kv.ErrNotFound) {
			return errNotRevoked
		}
		if err != nil {
			return kv.Coded(err)
		}
		conds = append(conds, kv.Unchanged(on))
	}
	if gone.Used != nil {
		ops = append(ops, kv.Put(record.Key("authused", a.ID), gone.Used))
	}
	_, err = s.kv.Txn(ctx, append(conds, kv.Unchanged(r), kv.Unchanged(or), kv.Unchanged(ur)),
		append(ops, kv.Delete(r.Key)))
	if errors.Is(err, kv.ErrConflict) {
		return record.Taken(ctx, s.kv, record.Key("authhash", a.TokenHash()), 0,
			"this token belongs to an authorization already")
	}
	return err
}
