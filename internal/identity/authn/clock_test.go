package authn_test

import (
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/identity/identitytest"
)

// TestClockAhead opens a session and makes tokens while the clock is a year ahead. Set right, the clock lets none of
// them last for longer than it was to.
func TestClockAhead(t *testing.T) {
	const year = 365 * 24 * time.Hour
	f := identitytest.Onboarded(t)
	u := f.AddUser(t, "ann")
	f.Clock.Add(year)
	session := f.MustSignIn(t, "ann", identitytest.UserPassword)
	ends := f.Clock.Now().Add(time.Hour)
	_, used := f.AddToken(t, u.ID, &ends)
	a, unused := f.AddToken(t, u.ID, &ends)
	_, lasting := f.AddToken(t, u.ID, nil)
	f.CallerByToken(t, used)
	f.Clock.Add(-year)
	f.Start(t) // which forgets what is in memory

	_, err := f.BySession(t.Context(), session)
	identitytest.WantCode(t, err, errs.Unauthorized)
	f.CallerByToken(t, used)
	if err := f.SetAllRight(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now, err := f.AuthorizationByID(t.Context(), f.Root, a.ID); err != nil ||
		now.ExpiresAt.Sub(f.Clock.Now()) != time.Hour {
		t.Errorf("it ends at %v: %v", now.ExpiresAt, err)
	}
	f.Clock.Add(time.Hour)
	for what, token := range map[string]string{"used": used, "unused": unused} {
		if _, err := f.ByToken(t.Context(), token); !errs.Is(err, errs.Unauthorized) {
			t.Errorf("the one that was %s lasts for longer: %v", what, err)
		}
	}
	f.CallerByToken(t, lasting)
	f.CallerBySession(t, f.MustSignIn(t, "ann", identitytest.UserPassword))
}

// TestClockAheadCatchesUp opens a session while the clock is three hours ahead, and presents it when the clock, set
// right since, is there: it was over long before, and must not be good for the hour that it ends in.
func TestClockAheadCatchesUp(t *testing.T) {
	const ahead = 3 * time.Hour
	f := identitytest.Onboarded(t)
	f.AddUser(t, "ann")
	f.Clock.Add(ahead)
	session := f.MustSignIn(t, "ann", identitytest.UserPassword)
	f.Clock.Add(-ahead)
	f.Start(t)
	if err := f.SweepSessions(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.Clock.Add(ahead + time.Minute)
	_, err := f.BySession(t.Context(), session)
	identitytest.WantCode(t, err, errs.Unauthorized)
}

// TestLastUseStays uses a token, and once more under a clock that was set back.
func TestLastUseStays(t *testing.T) {
	f := identitytest.Onboarded(t)
	a, token := f.AddToken(t, f.First.User.ID, nil)
	f.CallerByToken(t, token)
	last := f.Clock.Now()
	for _, restart := range []bool{false, true} {
		if err := f.WriteUsage(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Clock.Add(-time.Hour)
		if restart {
			f.Start(t)
		}
		f.CallerByToken(t, token)
		for _, when := range []string{"in memory", "written"} {
			if at, err := f.LastUse(t.Context(), a.ID); err != nil || !at.Equal(last) {
				t.Errorf("%s: last used %v, want %v: %v", when, at, last, err)
			}
			if err := f.WriteUsage(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
