package identity

import (
	"fmt"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
)

// holder is a caller with the permissions and nothing else, who is nobody in particular.
func holder(ps ...access.Permission) *access.Caller {
	return &access.Caller{Principal: &access.Principal{UserID: 7, User: "mallory", AuthorizationID: 8, Permissions: ps}, Address: "127.0.0.1"}
}

// Who looks after users must not become the operator by giving the operator a password.
func TestOperatorsPasswordTakesAnOperator(t *testing.T) {
	f := onboarded(t)
	ctx := t.Context()
	ann := f.user(t, "ann")
	users := holder(access.To(access.Read, access.Resource{Type: access.Users}), access.To(access.Write, access.Resource{Type: access.Users}))
	wantCode(t, f.SetPassword(ctx, users, f.first.User.ID, userPassword), errs.Unauthorized)
	if e := f.trail.last(); e.Action != "users.password" || e.Outcome != audit.Denied {
		t.Errorf("the refusal is not on record: %+v", e)
	}
	f.signIn(t, "admin", adminPassword)
	if err := f.SetPassword(ctx, users, ann.ID, "ann's new password"); err != nil {
		t.Errorf("another user's password: %v", err)
	}
	wantCode(t, f.SetPassword(ctx, users, 99, userPassword), errs.NotFound)
	if err := f.SetPassword(ctx, f.root, f.first.User.ID, userPassword); err != nil {
		t.Errorf("the operator's password, by the operator: %v", err)
	}
}

func TestAuthorizeBoundsPermissions(t *testing.T) {
	f := onboarded(t)
	many := make([]access.Permission, maxPermissions+1)
	for i := range many {
		many[i] = access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.first.Org.ID})
	}
	n := NewAuthorization{OrgID: f.first.Org.ID, Permissions: many}
	_, _, err := f.Authorize(t.Context(), f.root, n)
	wantCode(t, err, errs.Invalid)
	n.Permissions = many[:maxPermissions]
	if _, _, err := f.Authorize(t.Context(), f.root, n); err != nil {
		t.Errorf("as many as are allowed: %v", err)
	}

	// The names in them are bounded each and together, whatever they look like in the record.
	named := func(many, long int) error {
		ps := make([]access.Permission, many)
		for i := range ps {
			ps[i] = access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.first.Org.ID, Name: strings.Repeat("\x01", long)})
		}
		_, _, err := f.Authorize(t.Context(), f.root, NewAuthorization{OrgID: f.first.Org.ID, Permissions: ps})
		return err
	}
	wantCode(t, named(1, 3<<20), errs.Invalid)
	wantCode(t, named(maxPermissions, maxPermissionNames/maxPermissions+1), errs.Invalid)
	if err := named(maxPermissions, maxPermissionNames/maxPermissions); err != nil {
		t.Errorf("names as long as are allowed: %v", err)
	}
}

// What somebody made up is not given back to them by the page.
func TestRefusedPermissionIsShort(t *testing.T) {
	f := onboarded(t)
	long := strings.Repeat("x", 1<<20)
	for _, p := range []access.Permission{access.To(access.Action(long), access.Resource{Type: access.Secrets}), access.To(access.Read, access.Resource{Type: access.ResourceType(long)})} {
		_, _, err := f.Authorize(t.Context(), f.root, NewAuthorization{OrgID: f.first.Org.ID, Permissions: []access.Permission{p}})
		if err == nil || len(err.Error()) > 300 {
			t.Errorf("refused in %d bytes", len(fmt.Sprint(err)))
		}
	}
}

// A list narrowed by a name must not tell whether there is somebody or something of that name.
func TestListsTellNoNames(t *testing.T) {
	f := onboarded(t)
	ctx := t.Context()
	hidden, err := f.NewOrg(ctx, f.root, "hidden", "")
	if err != nil {
		t.Fatal(err)
	}
	c := holder(access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.first.Org.ID}))
	for what, list := range map[string]func(c *access.Caller, name string) error{
		"authorizations by user": func(c *access.Caller, name string) error {
			_, err := f.Authorizations(ctx, c, AuthorizationFilter{User: name}, Page{})
			return err
		},
		"authorizations by org": func(c *access.Caller, name string) error {
			_, err := f.Authorizations(ctx, c, AuthorizationFilter{Org: name}, Page{})
			return err
		},
		"buckets by org": func(c *access.Caller, name string) error {
			_, err := f.Buckets(ctx, c, BucketFilter{OrgName: name}, Page{})
			return err
		},
	} {
		there := hidden.Name
		if what == "authorizations by user" {
			there = "admin"
		}
		wantCode(t, list(c, there), errs.NotFound)
		if err := list(f.root, there); err != nil {
			t.Errorf("%s, by the operator: %v", what, err)
		}
	}
	// Whoever may see something under the name sees it.
	c = holder(access.To(access.Read, access.Resource{Type: access.Authorizations, OrgID: f.first.Org.ID}))
	if as, err := f.Authorizations(ctx, c, AuthorizationFilter{User: "admin", Org: "acme"}, Page{}); err != nil || len(as) != 1 {
		t.Errorf("the operator's token, by who may read the organization's: %d, %v", len(as), err)
	}
}

// An operator owns every organisation they make. Their session must not grow with each.
func TestOperatorsSessionStaysSmall(t *testing.T) {
	f := onboarded(t)
	if _, err := f.NewOrg(t.Context(), f.root, "second", ""); err != nil {
		t.Fatal(err)
	}
	c := f.bySession(t, f.signIn(t, "admin", adminPassword))
	if got, want := len(c.Permissions), len(access.Operator()); got != want {
		t.Errorf("the session holds %d permissions, want an operator's %d", got, want)
	}
	for _, p := range append(access.Owner(f.first.Org.ID), access.Self(f.first.User.ID)...) {
		if !c.May(p) {
			t.Errorf("the operator's session lacks %s", p)
		}
	}
}
