package authn_test

import (
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/identity/rolelogin"
)

// TestForgedRole forges each record on which a log-in by role rests, and what is wrapped: it is refused as what is not
// there, and so is the token of a role.
func TestForgedRole(t *testing.T) {
	f := openForgeable(t)
	ctx := t.Context()
	role, err := f.SetRole(ctx, f.Root, identity.AppRole{Name: "app", Permissions: []access.Permission{
		access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.First.Org.ID})}})
	if err != nil {
		t.Fatal(err)
	}
	_, secretID, err := f.MakeSecretID(ctx, f.Root, "app", rolelogin.NewSecretID{})
	if err != nil {
		t.Fatal(err)
	}
	_, token, _, err := f.LogIn(ctx, "192.0.2.1", role.ID.String(), secretID)
	if err != nil {
		t.Fatal(err)
	}
	wrapping, err := f.Wrap(ctx, "x", map[string]any{"a": "b"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	logIn := func() error {
		_, _, _, err := f.LogIn(ctx, "192.0.2.1", role.ID.String(), secretID)
		return err
	}
	ask := func() error {
		f.Forget()
		_, err := f.ByToken(ctx, token)
		return err
	}
	unwrap := func() error {
		_, err := f.LookUpWrapped(ctx, wrapping)
		return err
	}
	for key, shows := range map[string]map[errs.Code]func() error{
		record.Key("approleid", role.ID):                           {errs.Invalid: logIn},
		record.Key("approle", "app"):                               {errs.Invalid: logIn, errs.Unauthorized: ask},
		record.Key("secretid", role.ID, identity.HashOf(secretID)): {errs.Invalid: logIn},
		record.Key("user", f.First.User.ID):                        {errs.Invalid: logIn, errs.Unauthorized: ask},
		record.Key("wrapped", identity.HashOf(wrapping)):           {errs.Invalid: unwrap},
	} {
		was := f.raw(t, key)
		for how, value := range f.forgeries(t, was) {
			f.put(t, was.Key, value)
			for code, show := range shows {
				if err := show(); !errs.Is(err, code) {
					t.Errorf("%s %s: %v, want one with code %q", key, how, err, code)
				}
			}
		}
		f.put(t, was.Key, was.Value)
		for _, show := range shows {
			if err := show(); err != nil {
				t.Errorf("%s: whole again, and %v", key, err)
			}
		}
	}
	if _, err := f.Unwrap(ctx, wrapping); err != nil {
		t.Error(err)
	}
	identitytest.WantCode(t, unwrap(), errs.Invalid)
}
