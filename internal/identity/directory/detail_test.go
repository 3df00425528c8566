package directory_test

import (
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/identitytest"
)

// TestRecordSaysWhatChanged: who made a token for whom and with what, who made the token that is used, and what a
// change of a user or an organisation is.
func TestRecordSaysWhatChanged(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	bob := f.AddUser(t, "bob")
	use := access.To(access.Use, access.Resource{Type: access.Secrets, OrgID: f.First.Org.ID})
	use.Resource.Name = "db/password"
	_, token, err := f.Authorize(ctx, f.Root, authorizations.Wanted{OrgID: f.First.Org.ID, UserID: bob.ID,
		Permissions: []access.Permission{use}})
	if err != nil {
		t.Fatal(err)
	}
	made := f.Trail.Last()
	for _, want := range []string{"for user " + bob.ID.String(), "use:orgs/" + f.First.Org.ID.String() + "/secrets",
		`"db/password"`} {
		if !strings.Contains(made.Detail, want) {
			t.Errorf("the making: %+v lacks %s", made, want)
		}
	}
	c := f.CallerByToken(t, token)
	if err := access.NewGuard(f.Trail).Allow(ctx, c, access.Act{Action: "secrets.use"}, use); err != nil {
		t.Fatal(err)
	}
	if e := f.Trail.Last(); e.UserID != bob.ID.String() || e.MadeBy != f.Root.UserID.String() {
		t.Errorf("a use: %+v", e)
	}

	inactive, name := identity.Inactive, "robert"
	if _, err := f.UpdateUser(ctx, f.Root, bob.ID, &name, &inactive); err != nil {
		t.Fatal(err)
	}
	if e := f.Trail.Last(); e.Detail != `name="robert" status="inactive"` {
		t.Errorf("a user's change: %+v", e)
	}
	if _, err := f.UpdateOrg(ctx, f.Root, f.First.Org.ID, &name, nil); err != nil {
		t.Fatal(err)
	}
	if e := f.Trail.Last(); e.Detail != `name="robert"` {
		t.Errorf("an organisation's change: %+v", e)
	}
}
