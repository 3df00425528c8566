package authn_test

import (
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity/identitytest"
)

func TestSessionsAreListedAndEnded(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	ann, bob := f.AddUser(t, "ann"), f.AddUser(t, "bob")
	first := f.MustSignIn(t, "ann", identitytest.UserPassword)
	f.Clock.Add(time.Minute)
	second := f.MustSignIn(t, "ann", identitytest.UserPassword)
	me := f.CallerBySession(t, second)
	all, err := f.Sessions(ctx, me, ann.ID, second)
	if err != nil || len(all) != 2 || !all[0].Current || all[1].Current || !all[0].Opened.After(all[1].Opened) {
		t.Fatalf("%+v, %v", all, err)
	}

	for name, c := range map[string]*access.Caller{"another user": f.CallerBySession(t, f.MustSignIn(t, "bob",
		identitytest.UserPassword)), "nobody": identitytest.Holder()} {
		if _, err := f.Sessions(ctx, c, ann.ID, ""); !errs.Is(err, errs.Unauthorized) {
			t.Errorf("%s sees sessions: %v", name, err)
		}
		if err := f.EndSession(ctx, c, ann.ID, all[1].Name); !errs.Is(err, errs.Unauthorized) {
			t.Errorf("%s ends a session: %v", name, err)
		}
	}
	if err := f.EndSession(ctx, me, ann.ID, ""); !errs.Is(err, errs.Invalid) {
		t.Errorf("no name: %v", err)
	}
	// Whoever names another's session as their own ends nothing.
	if err := f.EndSession(ctx, f.Root, bob.ID, all[1].Name); err != nil {
		t.Error(err)
	}
	f.CallerBySession(t, first)
	if err := f.EndSession(ctx, me, ann.ID, all[1].Name); err != nil {
		t.Fatal(err)
	}
	if _, err := f.BySession(ctx, first); !errs.Is(err, errs.Unauthorized) {
		t.Errorf("a session that was ended goes on: %v", err)
	}
	if all, err = f.Sessions(ctx, f.Root, ann.ID, ""); err != nil || len(all) != 1 || all[0].Current {
		t.Errorf("left are %+v, %v", all, err)
	}
}
