package authn_test

import (
	"context"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
)

func TestRevokedAtTheNextRequest(t *testing.T) {
	ctx := t.Context()
	for name, tc := range map[string]struct {
		revoke func(*identitytest.Fixture, identity.User, identity.Authorization) error
		code   errs.Code
	}{
		"deleted": {func(f *identitytest.Fixture, _ identity.User, a identity.Authorization) error {
			return f.DeleteAuthorization(ctx, f.Root, a.ID)
		}, errs.Unauthorized},
		"user deleted": {func(f *identitytest.Fixture, u identity.User, _ identity.Authorization) error {
			return f.DeleteUser(ctx, f.Root, u.ID)
		}, errs.Unauthorized},
		"org deleted": {func(f *identitytest.Fixture, _ identity.User, a identity.Authorization) error {
			_, err := f.DeleteOrg(ctx, f.Root, a.OrgID)
			return err
		}, errs.Unauthorized},
		"expired": {func(f *identitytest.Fixture, _ identity.User, _ identity.Authorization) error {
			f.Clock.Add(time.Hour)
			return nil
		}, errs.Unauthorized},
		"made inactive": {func(f *identitytest.Fixture, _ identity.User, a identity.Authorization) error {
			return deactivate(ctx, f, a)
		}, errs.Unauthorized},
		"user made inactive": {func(f *identitytest.Fixture, u identity.User, _ identity.Authorization) error {
			inactive := identity.Inactive
			_, err := f.UpdateUser(ctx, f.Root, u.ID, nil, &inactive)
			return err
		}, errs.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			f := identitytest.Onboarded(t)
			u := f.AddUser(t, "ann")
			soon := f.Clock.Now().Add(time.Minute)
			a, token := f.AddToken(t, u.ID, &soon)
			for range 2 { // the second time from memory
				if p, err := f.ByToken(ctx, token); err != nil || p.UserID != u.ID {
					t.Fatalf("a good token is refused: %v", err)
				}
			}
			if err := tc.revoke(f, u, a); err != nil {
				t.Fatal(err)
			}
			_, err := f.ByToken(ctx, token)
			identitytest.WantCode(t, err, tc.code)
		})
	}
}

func deactivate(ctx context.Context, f *identitytest.Fixture, a identity.Authorization) error {
	inactive := identity.Inactive
	_, err := f.UpdateAuthorization(ctx, f.Root, a.ID, &inactive, nil)
	return err
}

func TestLastUseIsKept(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	a, token := f.AddToken(t, f.First.User.ID, nil)
	if got, err := f.AuthorizationByID(ctx, f.Root, a.ID); err != nil || got.LastUsedAt != nil {
		t.Errorf("a new token was last used at %v (%v)", got.LastUsedAt, err)
	}
	f.Clock.Add(time.Minute)
	f.CallerByToken(t, token)
	used := f.Clock.Now()
	check := func(when string) {
		t.Helper()
		got, err := f.AuthorizationByID(ctx, f.Root, a.ID)
		if err != nil || got.LastUsedAt == nil || !got.LastUsedAt.Equal(used) {
			t.Errorf("%s: last used at %v (%v), want %v", when, got.LastUsedAt, err, used)
		}
	}
	check("before it is written")
	if err := f.WriteUsage(ctx); err != nil {
		t.Fatal(err)
	}
	check("after it is written")
}

// Who looks after users must not become the operator by giving the operator a password.
func TestOperatorsPasswordTakesAnOperator(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	ann := f.AddUser(t, "ann")
	users := identitytest.Holder(access.To(access.Read, access.Resource{Type: access.Users}),
		access.To(access.Write, access.Resource{Type: access.Users}))
	identitytest.WantCode(t, f.SetPassword(ctx, users, f.First.User.ID, identitytest.UserPassword), errs.Unauthorized)
	if e := f.Trail.Last(); e.Action != "users.password" || e.Outcome != audit.Denied {
		t.Errorf("the refusal is not on record: %+v", e)
	}
	f.MustSignIn(t, "admin", identitytest.AdminPassword)
	if err := f.SetPassword(ctx, users, ann.ID, "ann's new password"); err != nil {
		t.Errorf("another user's password: %v", err)
	}
	identitytest.WantCode(t, f.SetPassword(ctx, users, 99, identitytest.UserPassword), errs.NotFound)
	if err := f.SetPassword(ctx, f.Root, f.First.User.ID, identitytest.UserPassword); err != nil {
		t.Errorf("the operator's password, by the operator: %v", err)
	}
}

// An operator owns every organisation they make. Their session must not grow with each.
func TestOperatorsSessionStaysSmall(t *testing.T) {
	f := identitytest.Onboarded(t)
	if _, err := f.NewOrg(t.Context(), f.Root, "second", ""); err != nil {
		t.Fatal(err)
	}
	c := f.CallerBySession(t, f.MustSignIn(t, "admin", identitytest.AdminPassword))
	if got, want := len(c.Permissions), len(access.Operator()); got != want {
		t.Errorf("the session holds %d permissions, want an operator's %d", got, want)
	}
	for _, p := range append(access.Owner(f.First.Org.ID), access.Self(f.First.User.ID)...) {
		if !c.May(p) {
			t.Errorf("the operator's session lacks %s", p)
		}
	}
}
