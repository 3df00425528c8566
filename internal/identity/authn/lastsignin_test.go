package authn_test

import (
	"testing"
	"time"

	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
)

// TestLastSignIn tells when a user opened a session last, of those alone who did.
func TestLastSignIn(t *testing.T) {
	f := identitytest.Onboarded(t)
	if _, err := f.NewUser(t.Context(), f.Root, "never", ""); err != nil {
		t.Fatal(err)
	}
	last := func() map[string]*time.Time {
		t.Helper()
		users, err := f.Users(t.Context(), f.Root, "", identity.Page{})
		if err != nil {
			t.Fatal(err)
		}
		m := make(map[string]*time.Time)
		for _, u := range users {
			m[u.Name] = u.SignedInAt
		}
		return m
	}
	name := f.First.User.Name
	for range 2 {
		f.Clock.Add(time.Hour)
		if _, err := f.SignIn(t.Context(), identitytest.Nobody(), name, identitytest.AdminPassword); err != nil {
			t.Fatal(err)
		}
		at := last()
		if at[name] == nil || !at[name].Equal(f.Clock.Now().UTC()) || at["never"] != nil {
			t.Errorf("signed in: %v", at)
		}
	}
	f.Clock.Add(time.Hour)
	if _, err := f.SignIn(t.Context(), identitytest.Nobody(), name, "not the password"); err == nil {
		t.Fatal("a wrong password is taken")
	}
	if at := last()[name]; f.Clock.Now().Sub(*at) != time.Hour {
		t.Errorf("a sign-in that was refused counts: %v", at)
	}
}
