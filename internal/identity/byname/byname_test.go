package byname_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/byname"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/kv"
)

// follow has the services hear of changes until the test ends.
func follow(t *testing.T, f *identitytest.Fixture) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.FollowNames(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
}

func orgs(t *testing.T, f *identitytest.Fixture, c *access.Caller, p identity.Part) string {
	t.Helper()
	all, sorted, err := f.OrgsByName(t.Context(), c, p)
	if err != nil || !sorted {
		t.Fatalf("sorted: %v, %v", sorted, err)
	}
	var names []string
	for _, o := range all {
		names = append(names, o.Name)
	}
	return strings.Join(names, " ")
}

func users(t *testing.T, f *identitytest.Fixture, c *access.Caller, p identity.Part) string {
	t.Helper()
	all, _, err := f.UsersByName(t.Context(), c, p)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, u := range all {
		names = append(names, u.Name)
	}
	return strings.Join(names, " ")
}

func TestRefused(t *testing.T) {
	f := identitytest.Onboarded(t)
	ann := f.AddUser(t, "ann")
	hers := f.CallerBySession(t, f.MustSignIn(t, "ann", identitytest.UserPassword))
	if got := users(t, f, hers, identity.Part{}); got != "ann" {
		t.Errorf("ann sees %q", got)
	}
	if got := orgs(t, f, hers, identity.Part{}); got != "" {
		t.Errorf("ann sees %q", got)
	}
	_, _, err := f.MembersByName(t.Context(), hers, f.First.Org.ID, identity.Part{})
	identitytest.WantCode(t, err, errs.Unauthorized)
	_, _, err = f.MembersByName(t.Context(), f.Root, ann.ID, identity.Part{})
	identitytest.WantCode(t, err, errs.NotFound)
	full := errors.New("the audit log is full")
	f.Trail.Err = full
	for what, list := range map[string]func() error{
		"people":        func() error { _, _, err := f.UsersByName(t.Context(), f.Root, identity.Part{}); return err },
		"organisations": func() error { _, _, err := f.OrgsByName(t.Context(), f.Root, identity.Part{}); return err },
		"members": func() error {
			_, _, err := f.MembersByName(t.Context(), f.Root, f.First.Org.ID, identity.Part{})
			return err
		},
	} {
		if err := list(); !errors.Is(err, full) {
			t.Errorf("%s without an audit log: %v", what, err)
		}
	}
}

// What this server changes shows at once, whether the lists are followed or not.
func TestChangesShowAtOnce(t *testing.T) {
	for _, followed := range []bool{false, true} {
		t.Run(fmt.Sprint("followed=", followed), func(t *testing.T) {
			f := identitytest.Onboarded(t)
			if followed {
				follow(t, f)
			}
			want := func(what, got, want string) {
				t.Helper()
				if got != want {
					t.Errorf("%s: %q, want %q", what, got, want)
				}
			}
			all := func() string { return orgs(t, f, f.Root, identity.Part{}) }
			want("the first", all(), "acme")
			for _, name := range []string{"Team-10", "team-2", "Ärzte", "azure", "Zoo"} {
				if _, err := f.NewOrg(t.Context(), f.Root, name, "of "+name); err != nil {
					t.Fatal(err)
				}
			}
			want("made", all(), "acme Ärzte azure team-2 Team-10 Zoo")
			want("a part", orgs(t, f, f.Root, identity.Part{Skip: 2, Limit: 2}), "azure team-2")
			want("the end", orgs(t, f, f.Root, identity.Part{Skip: 5, Limit: 2}), "Zoo")
			want("none", orgs(t, f, f.Root, identity.Part{Skip: 6, Limit: 2}), "")
			found := identity.Part{Keeps: func(_, d string) bool { return strings.Contains(d, "eam") }, Skip: 1}
			want("found", orgs(t, f, f.Root, found), "Team-10")
			zoo, err := f.OrgNamed(t.Context(), "Zoo")
			if err != nil {
				t.Fatal(err)
			}
			name := "Bronx"
			if _, err := f.UpdateOrg(t.Context(), f.Root, zoo, &name, nil); err != nil {
				t.Fatal(err)
			}
			want("renamed", all(), "acme Ärzte azure Bronx team-2 Team-10")
			if _, err := f.DeleteOrg(t.Context(), f.Root, zoo); err != nil {
				t.Fatal(err)
			}
			want("deleted", all(), "acme Ärzte azure team-2 Team-10")
			f.AddUser(t, "zoë")
			ann := f.AddUser(t, "Ann")
			want("people", users(t, f, f.Root, identity.Part{}), "admin Ann zoë")
			for _, u := range []string{"zoë", "Ann"} {
				who, err := f.Users(t.Context(), f.Root, u, identity.Page{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.AddMember(t.Context(), f.Root, f.First.Org.ID, who[0].ID, identity.RoleMember); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := f.AddMember(t.Context(), f.Root, f.First.Org.ID, ann.ID, identity.RoleOwner); err != nil {
				t.Fatal(err)
			}
			members, sorted, err := f.MembersByName(t.Context(), f.Root, f.First.Org.ID, identity.Part{Skip: 1, Limit: 2})
			if err != nil || !sorted || len(members) != 2 || members[0].User.Name != "Ann" ||
				members[0].Role != identity.RoleOwner || members[1].User.Name != "zoë" {
				t.Errorf("members: %v, %v, %v", members, sorted, err)
			}
			hers := f.CallerBySession(t, f.MustSignIn(t, "Ann", identitytest.UserPassword))
			want("hers", orgs(t, f, hers, identity.Part{}), "acme")
		})
	}
}

// A part of a list reads what it has, and what another server changes is seen.
func TestPartsReadWhatTheyHave(t *testing.T) {
	engine := &identitytest.Counting{Prefix: "org/"}
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	another := func(name string) {
		t.Helper()
		o := identity.Org{ID: f.First.Org.ID + 1 + identity.Org{}.ID, Name: name}
		for identity.OrgExists(t.Context(), f.KV, o.ID) == nil {
			o.ID++
		}
		conds, ops := o.Creation()
		if _, err := f.KV.Txn(t.Context(), conds, ops); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		another(fmt.Sprint("org ", i))
	}
	follow(t, f)
	list := func(p identity.Part) []identity.Org {
		t.Helper()
		all, _, err := f.OrgsByName(t.Context(), f.Root, p)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	// It is not followed at once.
	for engine.Read.Load() != 1 {
		list(identity.Part{Limit: 1})
		engine.Read.Store(0)
		list(identity.Part{Limit: 1})
	}
	for skip := range 30 {
		engine.Read.Store(0)
		got := list(identity.Part{Skip: 10 * skip, Limit: 10})
		if n := engine.Read.Load(); n > 10 || len(got) != 10 {
			t.Errorf("for a part of %d, %d records were read", len(got), n)
		}
	}
	another("another")
	for !slices.ContainsFunc(list(identity.Part{Limit: 3}), func(o identity.Org) bool { return o.Name == "another" }) {
		time.Sleep(time.Millisecond)
	}
}

// More names than are kept come in the order of their IDs.
func TestTooMany(t *testing.T) {
	f := identitytest.Onboarded(t)
	for i := range 20 {
		f.AddUser(t, fmt.Sprint("user ", 20-i))
		if _, err := f.NewOrg(t.Context(), f.Root, fmt.Sprint("org ", 20-i), ""); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := byname.New(f.KV, f.Guard, slog.New(slog.DiscardHandler))
	s.Keep(500)
	odd := identity.Part{Keeps: func(name, _ string) bool { return strings.HasSuffix(name, "7") }, Skip: 1, Limit: 1}
	got, sorted, err := s.UsersByName(t.Context(), f.Root, odd)
	if err != nil || sorted || len(got) != 1 || got[0].Name != "user 7" {
		t.Errorf("%v, %v, %v", got, sorted, err)
	}
	all, sorted, err := s.OrgsByName(t.Context(), f.Root, identity.Part{Skip: 2, Limit: 1})
	if err != nil || sorted || len(all) != 1 || all[0].Name != "org 19" {
		t.Errorf("%v, %v, %v", all, sorted, err)
	}
	members, sorted, err := s.MembersByName(t.Context(), f.Root, f.First.Org.ID, identity.Part{})
	if err != nil || sorted || members != nil {
		t.Errorf("%v, %v, %v", members, sorted, err)
	}
}
