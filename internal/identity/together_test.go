package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
	"strongroom/internal/kv/kvtest"
)

// TestListsReadTogether makes the lists whose records are looked up one by one, from an engine that answers none of these
// before as many have been asked for as there can be at a time.
func TestListsReadTogether(t *testing.T) {
	engine := new(kvtest.Gathering)
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	ctx, org := t.Context(), f.First.Org.ID
	const together = record.Together
	ann := f.AddUser(t, "ann")
	for i := range 3 * together {

		u := f.AddUser(t, fmt.Sprintf("user %d", i))
		if _, err := f.AddMember(ctx, f.Root, org, u.ID, identity.RoleMember); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Authorize(ctx, f.Root, authorizations.Wanted{OrgID: org, UserID: ann.ID,
			Permissions: []access.Permission{access.To(access.Read, access.Resource{Type: access.Buckets, OrgID: org})},
		}); err != nil {
			t.Fatal(err)
		}
	}
	for range together {
		f.MustSignIn(t, "ann", identitytest.UserPassword)
	}
	of := authorizations.Filter{UserID: ann.ID}
	for _, list := range []struct {
		name, folder string
		many         int
		made         func() (int, error)
		want         int
	}{
		{"tokens", "auth/", together, func() (int, error) {
			as, err := f.Authorizations(ctx, f.Root, of, identity.Page{})
			return len(as), err
		}, 3 * together},
		{"a page of tokens", "auth/", 5, func() (int, error) {
			as, err := f.Authorizations(ctx, f.Root, of, identity.Page{Limit: 5, Descending: true})
			return len(as), err
		}, 5},
		{"a token among others'", "auth/", together, func() (int, error) {
			asked := 0
			engine.Want(together, func(key string) bool { // the first few, of which not enough are in the list, come alone
				if strings.HasPrefix(key, "auth/") {
					asked++
				}
				return asked > 1+4 && asked <= 1+4+2*together
			})
			as, err := f.Authorizations(ctx, identitytest.Holder(access.To(access.Read,
				access.Resource{Type: access.Authorizations, OrgID: org})),
				authorizations.Filter{OrgID: org, UserID: f.First.User.ID}, identity.Page{Limit: 1, Descending: true})
			return len(as), err
		}, 1},
		{"when tokens were used", "authused/", together, func() (int, error) {
			as, err := f.Authorizations(ctx, f.Root, of, identity.Page{})
			return len(as), err
		}, 3 * together},
		{"members", "user/", together, func() (n int, err error) {
			err = f.EachMember(ctx, f.Root, org, identity.RoleMember, func(identity.User) (bool, error) {
				n++
				return true, nil
			})
			return n, err
		}, 3 * together},
		{"people", "signedin/", together, func() (int, error) {
			people, err := f.Users(ctx, f.Root, "", identity.Page{Limit: 2 * together})
			return len(people), err
		}, 2 * together},
		{"people by name", "user/", together, func() (int, error) {
			people, _, err := f.UsersByName(ctx, f.Root, identity.Part{Limit: 2 * together})
			return len(people), err
		}, 2 * together},
		{"who is no member", "member/", 2, func() (int, error) {
			others, err := f.NotMembers(ctx, f.Root, org, 1000)
			return len(others), err
		}, 1},
		{"sessions", "session/", together, func() (int, error) {
			all, err := f.Sessions(ctx, f.Root, ann.ID, "")
			return len(all), err
		}, together},
	} {
		engine.Want(list.many, func(key string) bool { return strings.HasPrefix(key, list.folder) })
		if n, err := list.made(); n != list.want || err != nil {
			t.Errorf("%s: %d, %v; %d are wanted", list.name, n, err, list.want)
		}
		engine.Want(0, nil)
		engine.Fail(kv.ErrUnavailable)
		if n, err := list.made(); n != 0 || !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("%s of an engine that cannot serve: %d, %v", list.name, n, err)
		}
		engine.Fail(nil)
	}
}
