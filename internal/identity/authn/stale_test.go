package authn_test

import (
	"context"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/kv"
)

// hasty is an engine whose transactions are carried out after the caller has left: the caller is told that his context
// ended, as engines do, and whoever asks before the transaction lands sees what was.
type hasty struct {
	kv.Store
	leave func() // nil: transactions are ordinary ones
	late  func() // what still happens between the caller's leaving and the transaction
}

func (h *hasty) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if h.leave == nil {
		return h.Store.Txn(ctx, conds, ops)
	}
	h.leave()
	err := ctx.Err()
	h.late()
	rev, txnErr := h.Store.Txn(context.WithoutCancel(ctx), conds, ops)
	if err != nil {
		return 0, err
	}
	return rev, txnErr
}

// What takes rights away must hold at once, whether or not its caller waits for the answer: no token or session may
// live on in memory after the change is on disk.
func TestTakingAwayOutlivesTheCaller(t *testing.T) {
	inactive := identity.Inactive
	for name, take := range map[string]func(f *identitytest.Fixture, ctx context.Context, u identity.User,
		a identity.Authorization, session string) error{
		"token deleted": func(f *identitytest.Fixture, ctx context.Context, _ identity.User, a identity.Authorization,
			_ string) error {
			return f.DeleteAuthorization(ctx, f.Root, a.ID)
		},
		"token inactive": func(f *identitytest.Fixture, ctx context.Context, _ identity.User, a identity.Authorization,
			_ string) error {
			_, err := f.UpdateAuthorization(ctx, f.Root, a.ID, &inactive, nil)
			return err
		},
		"user inactive": func(f *identitytest.Fixture, ctx context.Context, u identity.User, _ identity.Authorization,
			_ string) error {
			_, err := f.UpdateUser(ctx, f.Root, u.ID, nil, &inactive)
			return err
		},
		"user deleted": func(f *identitytest.Fixture, ctx context.Context, u identity.User, _ identity.Authorization,
			_ string) error {
			return f.DeleteUser(ctx, f.Root, u.ID)
		},
		"organization deleted": func(f *identitytest.Fixture, ctx context.Context, _ identity.User,
			_ identity.Authorization, _ string) error {
			_, err := f.DeleteOrg(ctx, f.Root, f.First.Org.ID)
			return err
		},
		"owner removed": func(f *identitytest.Fixture, ctx context.Context, u identity.User, _ identity.Authorization,
			_ string) error {
			return f.RemoveMember(ctx, f.Root, f.First.Org.ID, u.ID, identity.RoleOwner)
		},
		"new password": func(f *identitytest.Fixture, ctx context.Context, u identity.User, _ identity.Authorization,
			_ string) error {
			return f.SetPassword(ctx, f.Root, u.ID, identitytest.UserPassword)
		},
		"signed out": func(f *identitytest.Fixture, ctx context.Context, _ identity.User, _ identity.Authorization,
			session string) error {
			return f.SignOut(ctx, &access.Caller{Principal: mustSession(f, session)}, session)
		},
	} {
		t.Run(name, func(t *testing.T) {
			engine := new(hasty)
			f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
			org := f.First.Org.ID
			u := f.AddUser(t, "ann")
			if _, err := f.AddMember(t.Context(), f.Root, org, u.ID, identity.RoleOwner); err != nil {
				t.Fatal(err)
			}
			a, token := f.AddToken(t, u.ID, nil)
			session := f.MustSignIn(t, "ann", identitytest.UserPassword)
			use := func() {
				_, _ = f.ByToken(context.Background(), token)
				_, _ = f.BySession(context.Background(), session)
			}
			use()
			f.Clock.Add(time.Second)

			ctx, leave := context.WithCancel(t.Context())
			engine.leave, engine.late = leave, use
			if err := take(f, ctx, u, a, session); err != nil && ctx.Err() == nil {
				t.Fatal(err)
			}
			engine.leave = nil

			cached := rights(f, token, session, org)
			f.Forget()
			if stored := rights(f, token, session, org); cached != stored {
				t.Errorf("memory gives the token and the session these rights: %v, and the engine these: %v",
					cached, stored)
			} else if stored == [2]bool{true, true} {
				t.Error("nothing was taken away")
			}
		})
	}
}

func mustSession(f *identitytest.Fixture, session string) *access.Principal {
	p, err := f.BySession(context.Background(), session)
	if err != nil {
		panic(err)
	}
	return p
}

// rights tells whether the token is good, and whether the session may write the organisation's secrets.
func rights(f *identitytest.Fixture, token, session string, org id.ID) [2]bool {
	_, err := f.ByToken(context.Background(), token)
	p, sessionErr := f.BySession(context.Background(), session)
	return [2]bool{err == nil, sessionErr == nil && (&access.Caller{Principal: p}).May(access.To(access.Write,
		access.Resource{Type: access.Secrets, OrgID: org}))}
}

// A session that is renewed while its user loses a role must not keep the role.
func TestRenewalKeepsNoOldRights(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	u := f.AddUser(t, "ann")
	if _, err := f.AddMember(ctx, f.Root, f.First.Org.ID, u.ID, identity.RoleOwner); err != nil {
		t.Fatal(err)
	}
	session := f.MustSignIn(t, "ann", identitytest.UserPassword)
	f.CallerBySession(t, session)
	f.Clock.Add(30 * time.Minute)
	f.Clock.During = func() { // between the look into the cache and the renewal
		if err := f.RemoveMember(ctx, f.Root, f.First.Org.ID, u.ID, identity.RoleOwner); err != nil {
			t.Error(err)
		}
	}
	f.CallerBySession(t, session)
	if c := f.CallerBySession(t, session); c.May(access.To(access.Read, access.Resource{Type: access.Secrets,
		OrgID: f.First.Org.ID})) {
		t.Error("the user is no owner any more, and the session still may read secrets")
	}
}

// Who was let in with a password that has been replaced in the meantime must get neither a session nor a new password.
func TestOldPasswordLosesTheRace(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	u := f.AddUser(t, "ann")
	const next = "another fine password"
	for name, use := range map[string]func() error{
		"signin": func() error {
			_, err := f.SignIn(ctx, identitytest.Nobody(), "ann", identitytest.UserPassword)
			return err
		},
		"users.password": func() error {
			return f.ChangePassword(ctx, identitytest.Nobody(), "ann", identitytest.UserPassword,
				"the thief's password")
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := f.SetPassword(ctx, f.Root, u.ID, identitytest.UserPassword); err != nil {
				t.Fatal(err)
			}
			f.Trail.During = func() { // the act is on record: the old password has been compared
				f.Trail.During = nil
				if err := f.SetPassword(ctx, f.Root, u.ID, next); err != nil {
					t.Error(err)
				}
			}
			identitytest.WantCode(t, use(), errs.Unauthorized)
			f.MustSignIn(t, "ann", next)
		})
	}
}
