package directory_test

import (
	"fmt"
	"slices"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// TestMembersOneByOne lists the many members of an organisation, all of them once, and reads no more users than are wanted.
func TestMembersOneByOne(t *testing.T) {
	engine := &identitytest.Counting{Prefix: "user/"}
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	ctx, org := t.Context(), f.First.Org.ID
	var owners, members []id.ID
	owners = append(owners, f.First.User.ID)
	const many = 900
	for i := range many {
		u := identity.User{ID: id.ID(1<<40 + i), Name: fmt.Sprintf("user %d", i), Status: identity.Active}
		role := identity.RoleMember
		if i%100 == 99 {
			role, owners = identity.RoleOwner, append(owners, u.ID)
		} else {
			members = append(members, u.ID)
		}
		if _, err := f.KV.Txn(ctx, nil, append(identity.GiveRole(org, u.ID, role),
			record.Put(record.Key("user", u.ID), u))); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(owners)
	gone := members[500]
	if _, err := f.KV.Txn(ctx, nil, []kv.Op{kv.Delete(record.Key("user", gone))}); err != nil {
		t.Fatal(err)
	}

	for role, want := range map[identity.Role][]id.ID{identity.RoleOwner: owners, identity.RoleMember: members} {
		want = slices.DeleteFunc(slices.Clone(want), func(u id.ID) bool { return u == gone })
		var got []id.ID
		if err := f.EachMember(ctx, f.Root, org, role, func(u identity.User) (bool, error) {
			got = append(got, u.ID)
			return true, nil
		}); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d have the role %s, want %d, in this order: %v", len(got), role, len(want), err)
		}
		n := 0
		engine.Read.Store(0)
		if err := f.EachMember(ctx, f.Root, org, role, func(identity.User) (bool, error) {
			n++
			return n < 3, nil
		}); err != nil || n != 3 || engine.Read.Load() > record.Together {
			t.Errorf("%d with the role %s are given, of %d that were read: %v", n, role, engine.Read.Load(), err)
		}
	}
	full := errs.New(errs.Conflict, "no room")
	if err := f.EachMember(ctx, f.Root, org, identity.RoleOwner, func(identity.User) (bool, error) {
		return true, full
	}); err != full {
		t.Errorf("an error of whoever lists them is given back as %v", err)
	}
	err := f.EachMember(ctx, f.Root, 1234, identity.RoleOwner, nil)
	identitytest.WantCode(t, err, errs.NotFound)
}
