package authn_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
)

func TestSignInRefuses(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	f.AddUser(t, "ann")
	sleeper := f.AddUser(t, "sleeper")
	inactive := identity.Inactive
	if _, err := f.UpdateUser(ctx, f.Root, sleeper.ID, nil, &inactive); err != nil {
		t.Fatal(err)
	}
	if _, err := f.NewUser(ctx, f.Root, "no password", ""); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string][2]string{
		"wrong password": {"ann", "not the password"},
		"unknown user":   {"nobody", identitytest.UserPassword},
		"inactive user":  {"sleeper", identitytest.UserPassword},
		"no password":    {"no password", ""},
		"empty":          {"", ""},
		"too long":       {"ann", identitytest.UserPassword + strings.Repeat("x", 100)},
		"huge name":      {strings.Repeat("x", 100_000), identitytest.UserPassword},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.SignIn(ctx, identitytest.Nobody(), try[0], try[1])
			if err != error(authn.ErrUnauthorized) {
				t.Errorf("got %v, want the one refusal that tells nothing", err)
			}
			if e := f.Trail.Last(); e.Outcome != audit.Denied || e.Action != "signin" {
				t.Errorf("the refusal is not on record: %+v", e)
			}
		})
	}
}

func TestSessionSlides(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	token := f.MustSignIn(t, "admin", identitytest.AdminPassword)
	for range 5 { // five times 50 minutes, with an hour's length
		f.Clock.Add(50 * time.Minute)
		if _, err := f.BySession(ctx, token); err != nil {
			t.Fatalf("a session in use ended: %v", err)
		}
	}
	f.Forget() // the renewal must be in the store
	if _, err := f.BySession(ctx, token); err != nil {
		t.Fatalf("the renewal was kept in memory only: %v", err)
	}
	f.Clock.Add(61 * time.Minute)
	_, err := f.BySession(ctx, token)
	identitytest.WantCode(t, err, errs.Unauthorized)
}

func TestSessionWithoutRenewal(t *testing.T) {
	f := identitytest.Onboarded(t)
	var err error
	f.Login, err = authn.New(authn.Config{KV: f.KV, Guard: f.Guard, KeepSession: true, BcryptCost: bcrypt.MinCost,
		Now: f.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	token := f.MustSignIn(t, "admin", identitytest.AdminPassword)
	f.Clock.Add(50 * time.Minute)
	if _, err := f.BySession(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	f.Clock.Add(11 * time.Minute)
	_, err = f.BySession(t.Context(), token)
	identitytest.WantCode(t, err, errs.Unauthorized)
}

func TestSessionsEnd(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	u := f.AddUser(t, "ann")
	if _, err := f.AddMember(ctx, f.Root, f.First.Org.ID, u.ID, identity.RoleOwner); err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func(token string) error{
		"sign-out": func(token string) error { return f.SignOut(ctx, f.CallerBySession(t, token), token) },
		"own password": func(string) error {
			return f.ChangePassword(ctx, identitytest.Nobody(), "ann", identitytest.UserPassword,
				identitytest.UserPassword)
		},
		"set password": func(string) error { return f.SetPassword(ctx, f.Root, u.ID, identitytest.UserPassword) },
	} {
		t.Run(name, func(t *testing.T) {
			token := f.MustSignIn(t, "ann", identitytest.UserPassword)
			f.CallerBySession(t, token)
			f.Clock.Add(time.Second)
			if err := end(token); err != nil {
				t.Fatal(err)
			}
			_, err := f.BySession(ctx, token)
			identitytest.WantCode(t, err, errs.Unauthorized)
		})
	}
	t.Run("session tokens are not API tokens", func(t *testing.T) {
		token := f.MustSignIn(t, "ann", identitytest.UserPassword)
		f.CallerBySession(t, token)
		_, err := f.ByToken(ctx, token)
		identitytest.WantCode(t, err, errs.Unauthorized)
		_, err = f.BySession(ctx, f.First.Token)
		identitytest.WantCode(t, err, errs.Unauthorized)
	})
	t.Run("user deleted", func(t *testing.T) {
		token := f.MustSignIn(t, "ann", identitytest.UserPassword)
		if err := f.DeleteUser(ctx, f.Root, u.ID); err != nil {
			t.Fatal(err)
		}
		_, err := f.BySession(ctx, token)
		identitytest.WantCode(t, err, errs.Unauthorized)
		if rs, err := f.KV.List(ctx, "session", "", 10); err != nil || len(rs) != 0 {
			t.Errorf("sessions are left of a deleted user: %d (%v)", len(rs), err)
		}
	})
}

// A machine whose clock was ahead when a password was set lets its user in all the same once the clock is right, and a
// password that is set then ends the sessions of the one before.
func TestClockSetBack(t *testing.T) {
	f := identitytest.Onboarded(t)
	f.Clock.Add(-48 * time.Hour)
	before := f.MustSignIn(t, "admin", identitytest.AdminPassword)
	if _, err := f.BySession(t.Context(), before); err != nil {
		t.Fatalf("a session opened after the clock was set back: %v", err)
	}
	if err := f.SetPassword(t.Context(), f.Root, f.First.User.ID, "another password"); err != nil {
		t.Fatal(err)
	}
	_, err := f.BySession(t.Context(), before)
	identitytest.WantCode(t, err, errs.Unauthorized)
	if _, err := f.BySession(t.Context(), f.MustSignIn(t, "admin", "another password")); err != nil {
		t.Errorf("a session of the new password: %v", err)
	}
}

func TestSweepTakesExpiredSessions(t *testing.T) {
	f := identitytest.Onboarded(t)
	f.MustSignIn(t, "admin", identitytest.AdminPassword)
	f.Clock.Add(30 * time.Minute)
	young := f.MustSignIn(t, "admin", identitytest.AdminPassword)
	f.Clock.Add(40 * time.Minute)
	if err := f.SweepSessions(t.Context()); err != nil {
		t.Fatal(err)
	}
	rs, err := f.KV.List(t.Context(), "session/", "", 10)
	if err != nil || len(rs) != 1 || rs[0].Key != record.Key("session", identity.HashOf(young).String()) {
		t.Errorf("after the sweep there are %d sessions (%v), want the young one", len(rs), err)
	}
}

// TestSessionsAreBounded signs in more often than a user may have sessions: the oldest end, in memory and in the
// engine, and nobody else's.
func TestSessionsAreBounded(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	u := f.AddUser(t, "ann")
	others := f.MustSignIn(t, "admin", identitytest.AdminPassword)
	var tokens []string
	password, err := f.KV.Get(ctx, record.Key("password", u.ID))
	if err != nil {
		t.Fatal(err)
	}
	for range authn.MaxSessions + 3 {
		token, err := f.OpenSession(ctx, u.ID, password.Value) // what SignIn does once the password is right
		if err != nil {
			t.Fatal(err)
		}
		f.CallerBySession(t, token)
		tokens = append(tokens, token)
		f.Clock.Add(time.Second)
	}
	for i, token := range tokens {
		_, err := f.BySession(ctx, token)
		if ended := i < 3; ended != (err != nil) {
			t.Errorf("session %d of %d: %v", i, len(tokens), err)
		} else if ended {
			identitytest.WantCode(t, err, errs.Unauthorized)
		}
	}
	f.CallerBySession(t, others)
	rs, err := f.KV.List(ctx, record.Folder("sessionuser", u.ID), "", 1000)
	if err != nil || len(rs) != authn.MaxSessions {
		t.Errorf("%d sessions are kept, want %d: %v", len(rs), authn.MaxSessions, err)
	}
}
