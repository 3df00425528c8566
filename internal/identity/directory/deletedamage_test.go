package directory_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/barrier"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/buckets"
	"strongroom/internal/identity/directory"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/rolelogin"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/kv/kvtest"
)

// ending is an organisation and a user with a little of everything, and the records that were there before them.
func ending(t *testing.T, wrap func(kv.Store) kv.Store) (_ *identitytest.Fixture, _ identity.Org, _ identity.User,
	before map[string][]byte) {
	t.Helper()
	f := identitytest.OnboardedOver(t, wrap)
	before = kvtest.All(t, f.KV)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	o, err := f.NewOrg(ctx, f.Root, "globex", "")
	must(err)
	u := f.AddUser(t, "ann")
	_, err = f.AddMember(ctx, f.Root, o.ID, u.ID, identity.RoleOwner)
	must(err)
	for range 3 {
		_, _, err := f.Authorize(ctx, f.Root, authorizations.Wanted{OrgID: o.ID, UserID: u.ID,
			Permissions: access.Owner(o.ID)[:2]})
		must(err)
		f.MustSignIn(t, "ann", identitytest.UserPassword)
	}
	_, err = f.SetRole(ctx, f.CallerByToken(t, f.First.Token), identity.AppRole{Name: "app", OrgID: o.ID,
		Permissions: access.Owner(o.ID)[:2]})
	must(err)
	_, _, err = f.MakeSecretID(ctx, f.Root, "app", rolelogin.NewSecretID{})
	must(err)
	return f, o, u, before
}

// TestDeletionOfDamaged damages each record that hangs on an organisation and a user. Lists have the rest, and both are
// deleted all the same, with all that is left of them.
func TestDeletionOfDamaged(t *testing.T) {
	f, o, u, before := ending(t, nil)
	engine := f.KV.(*barrier.Store).Store
	whole := kvtest.All(t, engine)
	stays := map[string]string{
		"deleting/": "it is there later",
		"approle/":  "whose it is cannot be told; it lets nobody in",
	}
	tried := map[string]bool{}
	for key, value := range whole {
		kind, _, _ := strings.Cut(key, "/")
		_, was := before[key]
		if kind += "/"; was || !slices.Contains(identity.Sealed, kind) || stays[kind] != "" {
			continue
		}
		tried[kind] = true
		flipped := bytes.Clone(value)
		flipped[len(flipped)/2] ^= 4
		kvtest.Become(t, engine, whole, []kv.Op{kv.Put(key, flipped)})
		f.KV = barrier.New(engine, f.Keys, identity.Sealed)
		f.Start(t)
		f.Clock.Add(time.Millisecond)
		f.Root = f.CallerByToken(t, f.First.Token)
		if kind != "org/" { // whose members nobody is shown then
			listed(t, f, key, o.ID, u.ID)
		}

		if left, err := f.DeleteOrg(t.Context(), f.Root, o.ID); err != nil || left != "" {
			t.Errorf("%s: deleting the organisation left %q, %v", key, left, err)
		}
		if err := f.DeleteUser(t.Context(), f.Root, u.ID); err != nil {
			t.Errorf("%s: deleting the user: %v", key, err)
		}
		for _, gone := range []id.ID{o.ID, u.ID} {
			left := slices.DeleteFunc(leftovers(t, engine, gone.String()), func(k string) bool { return k == key })
			if len(left) > 0 {
				t.Errorf("%s: left of %s: %q", key, gone, left)
			}
		}
		if _, err := engine.Get(t.Context(), key); !errors.Is(err, kv.ErrNotFound) && (kind == "org/" || kind == "user/") {
			t.Errorf("%s is left: %v", key, err)
		}
		if kind == "auth/" || kind == "authorg/" || kind == "authuser/" {
			for _, folder := range []string{"auth/", "authhash/"} {
				if rs, err := engine.List(t.Context(), folder, "", 10); err != nil || len(rs) != 1 {
					t.Errorf("%s: left below %s: %v, %v", key, folder, rs, err)
				}
			}
		}
		if left, err := engine.List(t.Context(), "session/", "", 10); err != nil || len(left) > 0 {
			t.Errorf("%s: left of sessions: %v, %v", key, left, err)
		}
	}
	if len(tried) < 10 {
		t.Errorf("damaged were %v alone", tried)
	}
}

// listed asks for each list, of which one record at most may be missing.
func listed(t *testing.T, f *identitytest.Fixture, damaged string, org, user id.ID) {
	t.Helper()
	ctx := t.Context()
	want := func(what string, n, got int, err error) {
		t.Helper()
		if err != nil || got < n-1 || got > n {
			t.Errorf("%s is damaged: of %d %s there are %d, %v", damaged, n, what, got, err)
		}
	}
	for _, page := range []identity.Page{{}, {Descending: true}, {Limit: 100, After: 1}} {
		orgs, err := f.Orgs(ctx, f.Root, directory.OrgFilter{}, page)
		want("organisations", 2, len(orgs), err)
		users, err := f.Users(ctx, f.Root, "", page)
		want("users", 2, len(users), err)
		for _, filter := range []authorizations.Filter{{OrgID: org}, {UserID: user}} {
			as, err := f.Authorizations(ctx, f.Root, filter, page)
			want("tokens", 3, len(as), err)
		}
		bs, err := f.Buckets(ctx, f.Root, buckets.Filter{Org: org}, page)
		want("buckets", 2, len(bs), err)
	}
	members := 0
	err := f.EachMember(ctx, f.Root, org, identity.RoleOwner, func(identity.User) (bool, error) {
		members++
		return true, nil
	})
	want("owners", 2, members, err)
	named, _, err := f.MembersByName(ctx, f.Root, org, identity.Part{})
	want("owners by name", 2, len(named), err)
	sessions, err := f.Sessions(ctx, f.Root, user, "")
	want("sessions", 3, len(sessions), err)
	roles, err := f.Roles(ctx, f.Root)
	want("roles", 1, len(roles), err)
}

// unaware is a server that stands still in its deletion, and does not hear that it holds nothing any more.
type unaware struct{ *clustertest.Server }

func (unaware) Hold(ctx context.Context, _ string) (context.Context, func(), error) {
	return ctx, func() {}, nil
}

// TestDeletionStandsStill has a server stand still before each transaction of a deletion. Meanwhile another finishes it,
// and the organisation and the user come back with members and tokens: nothing of them is removed by the first.
func TestDeletionStandsStill(t *testing.T) {
	for n := 1; ; n++ {
		cluster := clustertest.New()
		first := cluster.Server()
		f, o, u, _ := ending(t, func(kv.Store) kv.Store { return unaware{first} })
		ctx := t.Context()
		second := *f
		second.KV = barrier.New(cluster.Server(), f.Keys, identity.Sealed)
		second.Secrets = &identitytest.Purger{}
		second.Start(t)
		second.Root = second.CallerByToken(t, f.First.Token)
		came := false
		var whole map[string][]byte
		stands := func() {
			if err := second.FinishDeletions(ctx); err != nil {
				t.Error(err)
			}
			conds, ops := o.Creation()
			userConds, userOps := u.Creation()
			_, err := second.KV.Txn(ctx, append(conds, userConds...), append(ops, userOps...))
			if came = err == nil; !came {
				return // the deletion has not begun, or not of both
			}
			if _, err := second.AddMember(ctx, second.Root, o.ID, u.ID, identity.RoleOwner); err != nil {
				t.Error(err)
			}
			if _, _, err := second.Authorize(ctx, second.Root, authorizations.Wanted{OrgID: o.ID, UserID: u.ID,
				Permissions: access.Owner(o.ID)[:2]}); err != nil {
				t.Error(err)
			}
			if _, err := second.SetRole(ctx, second.Root, identity.AppRole{Name: "app", OrgID: o.ID,
				Permissions: access.Owner(o.ID)[:2]}); err != nil {
				t.Error(err)
			}
			whole = kvtest.All(t, cluster.Server())
		}
		// Both have ended, and nothing that hangs on them is removed.
		f.SetPatience(0)
		if _, err := f.DeleteOrg(ctx, f.Root, o.ID); err != nil {
			t.Fatal(err)
		}
		if err := f.DeleteUser(ctx, f.Root, u.ID); err != nil {
			t.Fatal(err)
		}
		reached := false
		first.Before(n, func() { reached = true; stands() })
		if err := f.FinishDeletions(ctx); err != nil {
			t.Errorf("standing still before transaction %d: %v", n, err)
		}
		if !reached {
			if n < 5 {
				t.Errorf("the deletions took %d transactions", n)
			}
			return
		}
		if !came {
			t.Fatalf("before transaction %d nothing comes back", n)
		}
		now := kvtest.All(t, first)
		for key, value := range whole {
			if !bytes.Equal(now[key], value) {
				t.Errorf("standing still before transaction %d has changed %s", n, key)
			}
		}
	}
}
