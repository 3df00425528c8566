package identity

import (
	"context"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
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

// What takes rights away must hold at once, whether or not its caller waits for the answer: no token or session may live
// on in memory after the change is on disk.
func TestTakingAwayOutlivesTheCaller(t *testing.T) {
	inactive := Inactive
	for name, take := range map[string]func(f *fixture, ctx context.Context, u User, a Authorization, session string) error{
		"token deleted": func(f *fixture, ctx context.Context, _ User, a Authorization, _ string) error {
			return f.DeleteAuthorization(ctx, f.root, a.ID)
		},
		"token inactive": func(f *fixture, ctx context.Context, _ User, a Authorization, _ string) error {
			_, err := f.UpdateAuthorization(ctx, f.root, a.ID, &inactive, nil)
			return err
		},
		"user inactive": func(f *fixture, ctx context.Context, u User, _ Authorization, _ string) error {
			_, err := f.UpdateUser(ctx, f.root, u.ID, nil, &inactive)
			return err
		},
		"user deleted": func(f *fixture, ctx context.Context, u User, _ Authorization, _ string) error {
			return f.DeleteUser(ctx, f.root, u.ID)
		},
		"organization deleted": func(f *fixture, ctx context.Context, _ User, _ Authorization, _ string) error {
			return f.DeleteOrg(ctx, f.root, f.first.Org.ID)
		},
		"owner removed": func(f *fixture, ctx context.Context, u User, _ Authorization, _ string) error {
			return f.RemoveMember(ctx, f.root, f.first.Org.ID, u.ID, RoleOwner)
		},
		"new password": func(f *fixture, ctx context.Context, u User, _ Authorization, _ string) error {
			return f.SetPassword(ctx, f.root, u.ID, userPassword)
		},
		"signed out": func(f *fixture, ctx context.Context, _ User, _ Authorization, session string) error {
			return f.SignOut(ctx, &access.Caller{Principal: mustSession(f, session)}, session)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := onboarded(t)
			engine := &hasty{Store: f.kv}
			f.Service.kv = engine
			org := f.first.Org.ID
			u := f.user(t, "ann")
			if _, err := f.AddMember(t.Context(), f.root, org, u.ID, RoleOwner); err != nil {
				t.Fatal(err)
			}
			a, token := f.token(t, u.ID, nil)
			session := f.signIn(t, "ann", userPassword)
			use := func() {
				_, _ = f.ByToken(context.Background(), token)
				_, _ = f.BySession(context.Background(), session)
			}
			use()
			f.clock.add(time.Second)

			ctx, leave := context.WithCancel(t.Context())
			engine.leave, engine.late = leave, use
			if err := take(f, ctx, u, a, session); err != nil && ctx.Err() == nil {
				t.Fatal(err)
			}
			engine.leave = nil

			cached := f.rights(token, session, org)
			f.cache.flush()
			if stored := f.rights(token, session, org); cached != stored {
				t.Errorf("memory gives the token and the session these rights: %v, and the engine these: %v", cached, stored)
			} else if stored == [2]bool{true, true} {
				t.Error("nothing was taken away")
			}
		})
	}
}

func mustSession(f *fixture, session string) *access.Principal {
	p, err := f.BySession(context.Background(), session)
	if err != nil {
		panic(err)
	}
	return p
}

// rights tells whether the token is good, and whether the session may write the organisation's secrets.
func (f *fixture) rights(token, session string, org id.ID) [2]bool {
	_, err := f.ByToken(context.Background(), token)
	p, sessionErr := f.BySession(context.Background(), session)
	return [2]bool{err == nil, sessionErr == nil && (&access.Caller{Principal: p}).May(access.To(access.Write, access.Resource{Type: access.Secrets, OrgID: org}))}
}

// A session that is renewed while its user loses a role must not keep the role.
func TestRenewalKeepsNoOldRights(t *testing.T) {
	f := onboarded(t)
	ctx := t.Context()
	u := f.user(t, "ann")
	if _, err := f.AddMember(ctx, f.root, f.first.Org.ID, u.ID, RoleOwner); err != nil {
		t.Fatal(err)
	}
	session := f.signIn(t, "ann", userPassword)
	f.bySession(t, session)
	f.clock.add(30 * time.Minute)
	f.Service.now = func() time.Time { // called between the look into the cache and the renewal
		f.Service.now = f.clock.now
		if err := f.RemoveMember(ctx, f.root, f.first.Org.ID, u.ID, RoleOwner); err != nil {
			t.Error(err)
		}
		return f.clock.now()
	}
	f.bySession(t, session)
	if c := f.bySession(t, session); c.May(access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.first.Org.ID})) {
		t.Error("the user is no owner any more, and the session still may read secrets")
	}
}

// Who was let in with a password that has been replaced in the meantime must get neither a session nor a new password.
func TestOldPasswordLosesTheRace(t *testing.T) {
	f := onboarded(t)
	ctx := t.Context()
	u := f.user(t, "ann")
	const next = "another fine password"
	for name, use := range map[string]func() error{
		"signin": func() error {
			_, err := f.SignIn(ctx, nobody(), "ann", userPassword)
			return err
		},
		"users.password": func() error { return f.ChangePassword(ctx, nobody(), "ann", userPassword, "the thief's password") },
	} {
		t.Run(name, func(t *testing.T) {
			if err := f.SetPassword(ctx, f.root, u.ID, userPassword); err != nil {
				t.Fatal(err)
			}
			f.trail.during = func() { // the act is on record: the old password has been compared
				f.trail.during = nil
				if err := f.SetPassword(ctx, f.root, u.ID, next); err != nil {
					t.Error(err)
				}
			}
			wantCode(t, use(), errs.Unauthorized)
			f.signIn(t, "ann", next)
		})
	}
}
