package directory_test

import (
	"fmt"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/buckets"
	"strongroom/internal/identity/identitytest"
)

func TestAuthorizeBoundsPermissions(t *testing.T) {
	f := identitytest.Onboarded(t)
	many := make([]access.Permission, authorizations.MaxPermissions+1)
	for i := range many {
		many[i] = access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.First.Org.ID})
	}
	n := authorizations.Wanted{OrgID: f.First.Org.ID, Permissions: many}
	_, _, err := f.Authorize(t.Context(), f.Root, n)
	identitytest.WantCode(t, err, errs.Invalid)
	n.Permissions = many[:authorizations.MaxPermissions]
	if _, _, err := f.Authorize(t.Context(), f.Root, n); err != nil {
		t.Errorf("as many as are allowed: %v", err)
	}

	// The names in them are bounded each and together, whatever they look like in the record.
	named := func(many, long int) error {
		ps := make([]access.Permission, many)
		for i := range ps {
			ps[i] = access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.First.Org.ID,
				Name: strings.Repeat("\x01", long)})
		}
		_, _, err := f.Authorize(t.Context(), f.Root, authorizations.Wanted{OrgID: f.First.Org.ID,
			Permissions: ps})
		return err
	}
	identitytest.WantCode(t, named(1, 3<<20), errs.Invalid)
	identitytest.WantCode(t, named(authorizations.MaxPermissions, identity.MaxPermissionNames/authorizations.MaxPermissions+1),
		errs.Invalid)
	if err := named(authorizations.MaxPermissions, identity.MaxPermissionNames/authorizations.MaxPermissions); err != nil {
		t.Errorf("names as long as are allowed: %v", err)
	}
}

// What somebody made up is not given back to them by the page.
func TestRefusedPermissionIsShort(t *testing.T) {
	f := identitytest.Onboarded(t)
	long := strings.Repeat("x", 1<<20)
	for _, p := range []access.Permission{access.To(access.Action(long), access.Resource{Type: access.Secrets}),
		access.To(access.Read, access.Resource{Type: access.ResourceType(long)})} {
		_, _, err := f.Authorize(t.Context(), f.Root, authorizations.Wanted{OrgID: f.First.Org.ID,
			Permissions: []access.Permission{p}})
		if err == nil || len(err.Error()) > 300 {
			t.Errorf("refused in %d bytes", len(fmt.Sprint(err)))
		}
	}
}

// A list narrowed by a name must not tell whether there is somebody or something of that name.
func TestListsTellNoNames(t *testing.T) {
	f := identitytest.Onboarded(t)
	ctx := t.Context()
	hidden, err := f.NewOrg(ctx, f.Root, "hidden", "")
	if err != nil {
		t.Fatal(err)
	}
	c := identitytest.Holder(access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.First.Org.ID}))
	for what, list := range map[string]func(c *access.Caller, name string) error{
		"authorizations by user": func(c *access.Caller, name string) error {
			_, err := f.Authorizations(ctx, c, authorizations.Filter{User: name}, identity.Page{})
			return err
		},
		"authorizations by org": func(c *access.Caller, name string) error {
			_, err := f.Authorizations(ctx, c, authorizations.Filter{Org: name}, identity.Page{})
			return err
		},
		"buckets by org": func(c *access.Caller, name string) error {
			_, err := f.Buckets(ctx, c, buckets.Filter{OrgName: name}, identity.Page{})
			return err
		},
	} {
		there := hidden.Name
		if what == "authorizations by user" {
			there = "admin"
		}
		identitytest.WantCode(t, list(c, there), errs.NotFound)
		if err := list(f.Root, there); err != nil {
			t.Errorf("%s, by the operator: %v", what, err)
		}
	}
	// Whoever may see something under the name sees it.
	c = identitytest.Holder(access.To(access.Read, access.Resource{Type: access.Authorizations, OrgID: f.First.Org.ID}))
	if as, err := f.Authorizations(ctx, c, authorizations.Filter{User: "admin", Org: "acme"},
		identity.Page{}); err != nil || len(as) != 1 {
		t.Errorf("the operator's token, by who may read the organization's: %d, %v", len(as), err)
	}
}
