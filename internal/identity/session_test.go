package identity

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
)

func TestSignInRefuses(t *testing.T) {
	f := onboarded(t)
	ctx := t.Context()
	f.user(t, "ann")
	sleeper := f.user(t, "sleeper")
	inactive := Inactive
	if _, err := f.UpdateUser(ctx, f.root, sleeper.ID, nil, &inactive); err != nil {
		t.Fatal(err)
	}
	if _, err := f.NewUser(ctx, f.root, "no password", ""); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string][2]string{
		"wrong password": {"ann", "not the password"},
		"unknown user":   {"nobody", userPassword},
		"inactive user":  {"sleeper", userPassword},
		"no password":    {"no password", ""},
		"empty":          {"", ""},
		"too long":       {"ann", userPassword + strings.Repeat("x", 100)},
		"huge name":      {strings.Repeat("x", 100_000), userPassword},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.SignIn(ctx, nobody(), try[0], try[1])
			if err != error(ErrUnauthorized) {
				t.Errorf("got %v, want the one refusal that tells nothing", err)
			}
			if e := f.trail.last(); e.Outcome != audit.Denied || e.Action != "signin" {
				t.Errorf("the refusal is not on record: %+v", e)
			}
		})
	}
}

// An unknown user must cost what a known one does: the hash compared with has the same cost.
func TestUnknownUsersCostTheSame(t *testing.T) {
	for _, cost := range []int{bcrypt.MinCost, bcryptCost} {
		p, err := newPasswords(cost)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := bcrypt.Cost(p.dummy); err != nil || got != cost {
			t.Errorf("the stand-in's cost is %d (%v), want %d", got, err, cost)
		}
	}
}

func TestSessionSlides(t *testing.T) {
	f := onboarded(t)
	ctx := t.Context()
	token := f.signIn(t, "admin", adminPassword)
	for range 5 { // five times 50 minutes, with an hour's length
		f.clock.add(50 * time.Minute)
		if _, err := f.BySession(ctx, token); err != nil {
			t.Fatalf("a session in use ended: %v", err)
		}
	}
	f.cache.flush() // the renewal must be in the store
	if _, err := f.BySession(ctx, token); err != nil {
		t.Fatalf("the renewal was kept in memory only: %v", err)
	}
	f.clock.add(61 * time.Minute)
	_, err := f.BySession(ctx, token)
	wantCode(t, err, errs.Unauthorized)
}

func TestSessionWithoutRenewal(t *testing.T) {
	f := onboarded(t)
	f.keepSession = true
	token := f.signIn(t, "admin", adminPassword)
	f.clock.add(50 * time.Minute)
	if _, err := f.BySession(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	f.clock.add(11 * time.Minute)
	_, err := f.BySession(t.Context(), token)
	wantCode(t, err, errs.Unauthorized)
}

func TestSessionsEnd(t *testing.T) {
	f := onboarded(t)
	ctx := t.Context()
	u := f.user(t, "ann")
	if _, err := f.AddMember(ctx, f.root, f.first.Org.ID, u.ID, RoleOwner); err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func(token string) error{
		"sign-out":     func(token string) error { return f.SignOut(ctx, f.bySession(t, token), token) },
		"own password": func(string) error { return f.ChangePassword(ctx, nobody(), "ann", userPassword, userPassword) },
		"set password": func(string) error { return f.SetPassword(ctx, f.root, u.ID, userPassword) },
	} {
		t.Run(name, func(t *testing.T) {
			token := f.signIn(t, "ann", userPassword)
			f.bySession(t, token)
			f.clock.add(time.Second)
			if err := end(token); err != nil {
				t.Fatal(err)
			}
			_, err := f.BySession(ctx, token)
			wantCode(t, err, errs.Unauthorized)
		})
	}
	t.Run("session tokens are not API tokens", func(t *testing.T) {
		token := f.signIn(t, "ann", userPassword)
		f.bySession(t, token)
		_, err := f.ByToken(ctx, token)
		wantCode(t, err, errs.Unauthorized)
		_, err = f.BySession(ctx, f.first.Token)
		wantCode(t, err, errs.Unauthorized)
	})
	t.Run("user deleted", func(t *testing.T) {
		token := f.signIn(t, "ann", userPassword)
		if err := f.DeleteUser(ctx, f.root, u.ID); err != nil {
			t.Fatal(err)
		}
		_, err := f.BySession(ctx, token)
		wantCode(t, err, errs.Unauthorized)
		if rs, err := f.kv.List(ctx, "session", "", 10); err != nil || len(rs) != 0 {
			t.Errorf("sessions are left of a deleted user: %d (%v)", len(rs), err)
		}
	})
}

func (f *fixture) bySession(t *testing.T, token string) *access.Caller {
	t.Helper()
	p, err := f.BySession(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return &access.Caller{Principal: p, Address: "127.0.0.1"}
}

// A machine whose clock was ahead when a password was set lets its user in all the same once the clock is right, and a
// password that is set then ends the sessions of the one before.
func TestClockSetBack(t *testing.T) {
	f := onboarded(t)
	f.clock.add(-48 * time.Hour)
	before := f.signIn(t, "admin", adminPassword)
	if _, err := f.BySession(t.Context(), before); err != nil {
		t.Fatalf("a session opened after the clock was set back: %v", err)
	}
	if err := f.SetPassword(t.Context(), f.root, f.first.User.ID, "another password"); err != nil {
		t.Fatal(err)
	}
	_, err := f.BySession(t.Context(), before)
	wantCode(t, err, errs.Unauthorized)
	if _, err := f.BySession(t.Context(), f.signIn(t, "admin", "another password")); err != nil {
		t.Errorf("a session of the new password: %v", err)
	}
}

func TestSweepTakesExpiredSessions(t *testing.T) {
	f := onboarded(t)
	f.signIn(t, "admin", adminPassword)
	f.clock.add(30 * time.Minute)
	young := f.signIn(t, "admin", adminPassword)
	f.clock.add(40 * time.Minute)
	if err := f.sweepSessions(t.Context()); err != nil {
		t.Fatal(err)
	}
	rs, err := f.kv.List(t.Context(), "session/", "", 10)
	if err != nil || len(rs) != 1 || rs[0].Key != sessionKey(hashOf(young)) {
		t.Errorf("after the sweep there are %d sessions (%v), want the young one", len(rs), err)
	}
}

func TestThrottle(t *testing.T) {
	c := &clock{t: time.Now()}
	th := newThrottle(c.now)
	try := func(account, address string, n int) (allowed int) {
		for range n {
			if th.allow(account, address) == nil {
				allowed++
			}
		}
		return allowed
	}
	if got := try("ann", "192.0.2.1", 50); got != 10 {
		t.Errorf("%d tries of one account at one address were allowed, want 10", got)
	}
	err := th.allow("ann", "192.0.2.1")
	wantCode(t, err, errs.TooManyRequests)
	if e, ok := err.(*errs.Error); !ok || e.RetryAfter <= 0 {
		t.Error("the refusal does not say when to try again")
	}
	if got := try("ann", "192.0.2.2", 1); got != 1 {
		t.Error("guessing at one address locks the account out at another")
	}
	c.add(10 * time.Second)
	if got := try("ann", "192.0.2.1", 5); got != 1 {
		t.Errorf("%d tries came back after ten seconds, want 1", got)
	}
	for range 1000 { // good sign-ins cost nothing
		if err := th.allow("bob", "192.0.2.3"); err != nil {
			t.Fatal(err)
		}
		th.succeeded("bob", "192.0.2.3")
	}
	many := 0
	for i := range 1000 {
		many += try("eve", "198.51.100."+string(rune('a'+i)), 1)
	}
	if many != 100 {
		t.Errorf("%d tries of one account from many addresses were allowed, want 100", many)
	}
	if a, b := network("2001:db8::1"), network("2001:db8::2"); a != b {
		t.Errorf("two addresses of one IPv6 network count apart: %s, %s", a, b)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	th := newThrottle(time.Now)
	for i := range 3 * maxBudgets {
		_ = th.allow(strings.Repeat("x", 2000)+string(rune(i)), string(rune(i)))
	}
	if n := len(th.budget); n > maxBudgets+3 {
		t.Errorf("the throttle remembers %d budgets, at most %d are allowed", n, maxBudgets+3)
	}
}

// TestSessionsAreBounded signs in more often than a user may have sessions: the oldest end, in memory and in the engine,
// and nobody else's.
func TestSessionsAreBounded(t *testing.T) {
	f := onboarded(t)
	ctx := t.Context()
	u := f.user(t, "ann")
	others := f.signIn(t, "admin", adminPassword)
	var tokens []string
	password, err := f.kv.Get(ctx, key("password", u.ID))
	if err != nil {
		t.Fatal(err)
	}
	for range maxSessions + 3 {
		token, err := f.openSession(ctx, proof{u.ID, password.Rev}) // what SignIn does once the password is right
		if err != nil {
			t.Fatal(err)
		}
		f.bySession(t, token)
		tokens = append(tokens, token)
		f.clock.add(time.Second)
	}
	for i, token := range tokens {
		_, err := f.BySession(ctx, token)
		if ended := i < 3; ended != (err != nil) {
			t.Errorf("session %d of %d: %v", i, len(tokens), err)
		} else if ended {
			wantCode(t, err, errs.Unauthorized)
		}
	}
	f.bySession(t, others)
	rs, err := f.kv.List(ctx, prefix("sessionuser", u.ID), "", 1000)
	if err != nil || len(rs) != maxSessions {
		t.Errorf("%d sessions are kept, want %d: %v", len(rs), maxSessions, err)
	}
}
