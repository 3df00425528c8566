package identity_test

import (
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// badNames are names that no new user gets: one cannot sign in with them, or looks like another.
var badNames = []string{
	"a:b", " ada", "ada ", "ada\u00a0", "ad\u200ba", "a\u200dda", "\ufeffada", "ada\u2060", "a\u00adda", "ada\u3164",
	"ada\u2800", "ada\ufe0f", "ad\u202ea", "ada\u2003x", "influxd", "InfluxD", "influxd import",
}

func TestNewUserNames(t *testing.T) {
	for _, name := range badNames {
		if err := identity.ValidNewUserName(name); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"ada", "Ada Lovelace", "ada@example.com", "Ада", "李四", "o'neil", "influxdb",
		"my-influxd", "ada 👩"} {
		if err := identity.ValidNewUserName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestFormerUserNames changes a user of a name that would be refused by now: it stays, and the user works on.
func TestFormerUserNames(t *testing.T) {
	f := identitytest.Onboarded(t)
	u := f.AddUser(t, "ann")
	old := u
	old.Name = "ann: the second "
	_, err := f.KV.Txn(t.Context(), nil, []kv.Op{record.Put(record.Key("user", u.ID), old),
		kv.Delete(record.Key("username", u.Name)), record.Put(record.Key("username", old.Name), u.ID)})
	if err != nil {
		t.Fatal(err)
	}
	same, active, bad := old.Name, identity.Active, "ann:"
	if _, err := f.UpdateUser(t.Context(), f.Root, u.ID, &same, &active); err != nil {
		t.Error(err)
	}
	f.MustSignIn(t, old.Name, identitytest.UserPassword)
	_, err = f.UpdateUser(t.Context(), f.Root, u.ID, &bad, nil)
	identitytest.WantCode(t, err, errs.Invalid)
	_, err = f.NewUser(t.Context(), f.Root, bad, active)
	identitytest.WantCode(t, err, errs.Invalid)
}
