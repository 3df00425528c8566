package directory_test

import (
	"errors"
	"strings"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/identitytest"
)

func TestNoTokenOrPasswordIsStored(t *testing.T) {
	f := identitytest.Onboarded(t)
	u := f.AddUser(t, "ann")
	_, token := f.AddToken(t, u.ID, nil)
	session := f.MustSignIn(t, "ann", identitytest.UserPassword)
	rs, err := f.KV.List(t.Context(), "", "", 10_000)
	if err != nil || len(rs) < 20 {
		t.Fatalf("%d records, %v", len(rs), err)
	}
	for _, r := range rs {
		for what, secret := range map[string]string{"the operator's token": f.First.Token, "a token": token,
			"a session's token": session, "a password": identitytest.UserPassword} {
			if strings.Contains(r.Key+string(r.Value), secret) {
				t.Errorf("the record %s holds %s", r.Key, what)
			}
		}
	}
}

// Whatever changes something does not happen when the audit log cannot take it.
func TestNothingHappensUnrecorded(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	u := f.AddUser(t, "ann")
	a, _ := f.AddToken(t, u.ID, nil)
	before, err := f.KV.List(ctx, "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	full := errs.New(errs.Unavailable, "the audit log cannot be written")
	f.Trail.Err = full
	name, status := "other", identity.Inactive
	for what, act := range map[string]func() error{
		"NewUser":     func() error { _, err := f.NewUser(ctx, f.Root, "bob", ""); return err },
		"UpdateUser":  func() error { _, err := f.UpdateUser(ctx, f.Root, u.ID, &name, nil); return err },
		"DeleteUser":  func() error { return f.DeleteUser(ctx, f.Root, u.ID) },
		"SetPassword": func() error { return f.SetPassword(ctx, f.Root, u.ID, "another password") },
		"ChangePassword": func() error {
			return f.ChangePassword(ctx, identitytest.Nobody(), "ann", identitytest.UserPassword, "another password")
		},
		"SignIn": func() error {
			_, err := f.SignIn(ctx, identitytest.Nobody(), "ann", identitytest.UserPassword)
			return err
		},
		"NewOrg":    func() error { _, err := f.NewOrg(ctx, f.Root, "globex", ""); return err },
		"UpdateOrg": func() error { _, err := f.UpdateOrg(ctx, f.Root, f.First.Org.ID, &name, nil); return err },
		"DeleteOrg": func() error { _, err := f.DeleteOrg(ctx, f.Root, f.First.Org.ID); return err },
		"AddMember": func() error {
			_, err := f.AddMember(ctx, f.Root, f.First.Org.ID, u.ID, identity.RoleMember)
			return err
		},
		"RemoveMember": func() error {
			return f.RemoveMember(ctx, f.Root, f.First.Org.ID, f.First.User.ID, identity.RoleOwner)
		},
		"Authorize": func() error {
			_, _, err := f.Authorize(ctx, f.Root, authorizations.Wanted{OrgID: a.OrgID,
				Permissions: a.Permissions})
			return err
		},
		"UpdateAuthorization": func() error {
			_, err := f.UpdateAuthorization(ctx, f.Root, a.ID, &status, nil)
			return err
		},
		"DeleteAuthorization": func() error { return f.DeleteAuthorization(ctx, f.Root, a.ID) },
		"NewBucket": func() error {
			_, err := f.NewBucket(ctx, f.Root, identity.Bucket{OrgID: a.OrgID, Name: "x"})
			return err
		},
		"UpdateBucket": func() error {
			_, err := f.UpdateBucket(ctx, f.Root, f.First.Bucket.ID, &name, nil, nil)
			return err
		},
		"DeleteBucket":   func() error { return f.DeleteBucket(ctx, f.Root, f.First.Bucket.ID) },
		"reading a list": func() error { _, err := f.Users(ctx, f.Root, "", identity.Page{}); return err },
		"reading one":    func() error { _, err := f.OrgByID(ctx, f.Root, f.First.Org.ID); return err },
		"reading tokens": func() error {
			_, err := f.Authorizations(ctx, f.Root, authorizations.Filter{}, identity.Page{})
			return err
		},
		"reading one's bucket": func() error { _, err := f.BucketByID(ctx, f.Root, f.First.Bucket.ID); return err },
	} {
		if err := act(); !errors.Is(err, full) {
			t.Errorf("%s without an audit log: %v, want the log's error", what, err)
		}
	}
	after, err := f.KV.List(ctx, "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != len(after) {
		t.Fatalf("%d records became %d without an audit log", len(before), len(after))
	}
	for i := range before {
		if before[i].Key != after[i].Key || before[i].Rev != after[i].Rev {
			t.Errorf("%s changed without an audit log", before[i].Key)
		}
	}
}
