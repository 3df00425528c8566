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
	return s.revoke(ctx, c, auth, 0)
}

// RevokeAuthorization is DeleteAuthorization that RestoreAuthorization can undo for UndoTime. Until then what is left
// is kept apart, where no token is looked for.
func (s *Service) RevokeAuthorization(ctx context.Context, c *access.Caller, auth id.ID) error {
	return s.revoke(ctx, c, auth, UndoTime)
}

func (s *Service) revoke(ctx context.Context, c *access.Caller, auth id.ID, undo time.Duration) error {
	a, _, act, err := s.authorization(ctx, c, auth, access.Write, "authorizations.delete", "")
	if err != nil {
		return err
	}
	err = s.changeToken(ctx, a, func(ctx context.Context) error {
		a, r, err := record.Load[identity.Authorization](ctx, s.kv, record.Key("auth", auth), ErrNotFound)
		if err != nil {
			return err
		}
		ops := a.Deletion()
		if undo > 0 {
			ops = append(ops, record.Put(record.Key("authgone", a.ID),
				identity.Revoked{ExpiresAt: s.now().UTC().Add(undo), Authorization: a}))
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, ops)
		return err
	})
	return s.guard.Done(ctx, c, act, err)
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
	_, err = s.kv.Txn(ctx, append(conds, kv.Unchanged(r), kv.Unchanged(or), kv.Unchanged(ur)),
		append(ops, kv.Delete(r.Key)))
	if errors.Is(err, kv.ErrConflict) {
		return record.Taken(ctx, s.kv, record.Key("authhash", identity.Hash(a.Hash)), 0,
			"this token belongs to an authorization already")
	}
	return err
}
