package byname_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/byname"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/kv"
	"strongroom/internal/natural"
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
	all, order, err := f.OrgsByName(t.Context(), c, p)
	if err != nil || !order.Sorted {
		t.Fatalf("%+v, %v", order, err)
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
			members, order, err := f.MembersByName(t.Context(), f.Root, f.First.Org.ID, identity.Part{Skip: 1, Limit: 2})
			if err != nil || !order.Sorted || len(members) != 2 || members[0].User.Name != "Ann" ||
				members[0].Role != identity.RoleOwner || members[1].User.Name != "zoë" {
				t.Errorf("members: %v, %v, %v", members, order, err)
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
	for engine.Read.Store(0); engine.Read.Load() != 1; {
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

// While records change all the time, a list reads those, and not all of them again and again.
func TestManyChanges(t *testing.T) {
	engine := &identitytest.Counting{Prefix: "org/"}
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	for i := range 300 {
		if _, err := f.NewOrg(t.Context(), f.Root, fmt.Sprint("org-", i), ""); err != nil {
			t.Fatal(err)
		}
	}
	follow(t, f)
	for engine.Read.Store(0); engine.Read.Load() != 1; { // until it is followed
		orgs(t, f, f.Root, identity.Part{Limit: 1})
		engine.Read.Store(0)
		orgs(t, f, f.Root, identity.Part{Limit: 1})
	}
	o, err := f.OrgNamed(t.Context(), "org-7")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 30 {
		name, description := fmt.Sprint("org-7", strings.Repeat("x", n)), fmt.Sprint("change ", n)
		if _, err := f.UpdateOrg(t.Context(), f.Root, o, &name, &description); err != nil {
			t.Fatal(err)
		}
		engine.Read.Store(0)
		found := identity.Part{Limit: 10, Keeps: func(_, d string) bool { return d == description }}
		if got := orgs(t, f, f.Root, found); got != name {
			t.Fatalf("changed to %q, and the list has %q", name, got)
		}
		if read := engine.Read.Load(); read > 20 { // the watch may tell once more of each
			t.Fatalf("after change %d, %d records were read", n, read)
		}
		got := strings.Split(orgs(t, f, f.Root, identity.Part{}), " ")
		if !slices.IsSortedFunc(got, natural.ComparePeople) || len(got) != 301 {
			t.Fatalf("after change %d, %d names, or not in order", n, len(got))
		}
	}
}

// A damaged record of somebody is on no list, and keeps nobody from theirs.
func TestDamaged(t *testing.T) {
	for _, followed := range []bool{false, true} {
		engine := new(damaged)
		f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
		f.AddUser(t, "ann")
		bob := f.AddUser(t, "bob")
		if followed {
			follow(t, f)
			users(t, f, f.Root, identity.Part{})
		}
		engine.key.Store(new(fmt.Sprint("user/", bob.ID)))
		if got := users(t, f, f.Root, identity.Part{}); got != "admin ann" {
			t.Errorf("followed=%v: people are %q", followed, got)
		}
		members, order, err := f.MembersByName(t.Context(), f.Root, f.First.Org.ID, identity.Part{})
		if err != nil || !order.Sorted || len(members) != 1 {
			t.Errorf("followed=%v: members are %v, %v, %v", followed, members, order, err)
		}
	}
}

// damaged is an engine of which one record was not written by this server.
type damaged struct {
	kv.Store
	key atomic.Pointer[string]
}

func (d *damaged) Get(ctx context.Context, key string) (kv.Record, error) {
	if k := d.key.Load(); k != nil && *k == key {
		return kv.Record{}, kv.ErrForged
	}
	return d.Store.Get(ctx, key)
}

func (d *damaged) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	recs, err := d.Store.List(ctx, prefix, after, limit)
	if k := d.key.Load(); k != nil && slices.ContainsFunc(recs, func(r kv.Record) bool { return r.Key == *k }) {
		return nil, kv.ErrForged
	}
	return recs, err
}

// The members of a small organisation are in order, however many users there are.
func TestFewOfMany(t *testing.T) {
	f := identitytest.Onboarded(t)
	s, _ := byname.New(f.KV, f.Guard, slog.New(slog.DiscardHandler), false)
	s.Keep(1, 10)
	for _, name := range []string{"zoë", "Émile", "ann"} {
		u := f.AddUser(t, name)
		if _, err := f.AddMember(t.Context(), f.Root, f.First.Org.ID, u.ID, identity.RoleMember); err != nil {
			t.Fatal(err)
		}
	}
	members, order, err := s.MembersByName(t.Context(), f.Root, f.First.Org.ID, identity.Part{Skip: 1})
	if err != nil || !order.Sorted || len(members) != 3 || members[0].User.Name != "ann" || members[1].User.Name != "Émile" {
		t.Errorf("%v, %v, %v", members, order, err)
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
	s, _ := byname.New(f.KV, f.Guard, slog.New(slog.DiscardHandler), false)
	s.Keep(500, 0)
	odd := identity.Part{Keeps: func(name, _ string) bool { return strings.HasSuffix(name, "7") }, Skip: 1, Limit: 1}
	got, order, err := s.UsersByName(t.Context(), f.Root, odd)
	if err != nil || order.Sorted || len(got) != 1 || got[0].Name != "user 7" {
		t.Errorf("%v, %v, %v", got, order, err)
	}
	all, order, err := s.OrgsByName(t.Context(), f.Root, identity.Part{Skip: 2, Limit: 1})
	if err != nil || order.Sorted || len(all) != 1 || all[0].Name != "org 19" {
		t.Errorf("%v, %v, %v", all, order, err)
	}
	// An organisation's members stand as they were made, owners among them, in one act on record.
	for _, name := range []string{"user 17", "user 3"} {
		u, err := f.Users(t.Context(), f.Root, name, identity.Page{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.AddMember(t.Context(), f.Root, f.First.Org.ID, u[0].ID, identity.RoleMember); err != nil {
			t.Fatal(err)
		}
	}
	last := f.AddUser(t, "another owner")
	if _, err := f.AddMember(t.Context(), f.Root, f.First.Org.ID, last.ID, identity.RoleOwner); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[*identity.Part]string{
		{}: "admin user 17 user 3 another owner", {Skip: 1, Limit: 2}: "user 17 user 3", {Skip: 9}: "",
		{Keeps: odd.Keeps}: "user 17", {Keeps: odd.Keeps, Skip: 1}: "", {Limit: 1}: "admin",
	} {
		members, order, err := s.MembersByName(t.Context(), f.Root, f.First.Org.ID, *part)
		var got []string
		for _, m := range members {
			got = append(got, m.User.Name)
		}
		if err != nil || order.Sorted || strings.Join(got, " ") != want {
			t.Errorf("members %+v: %v, %v, %v, want %s", *part, got, order, err, want)
		}
	}
	var found []string
	for part := (identity.Part{Limit: 2}); ; {
		members, order, err := s.MembersByName(t.Context(), f.Root, f.First.Org.ID, part)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			found = append(found, m.User.Name)
		}
		if !order.More {
			break
		}
		if part.From == order.Next {
			t.Fatalf("the list of members goes on where it was: %+v", order)
		}
		if part.From == "" { // somebody who has been shown goes, and the list skips nobody for that
			err = f.RemoveMember(t.Context(), f.Root, f.First.Org.ID, members[1].User.ID, identity.RoleMember)
			if err != nil {
				t.Fatal(err)
			}
		}
		part.From = order.Next
	}
	if got := strings.Join(found, ", "); got != "admin, user 17, user 3, another owner" {
		t.Errorf("page by page the members are %s", got)
	}
	for _, from := range []string{"-1", "4", "owner-4", "guest-" + last.ID.String()} {
		_, _, err = s.MembersByName(t.Context(), f.Root, f.First.Org.ID, identity.Part{From: from})
		identitytest.WantCode(t, err, errs.Invalid)
	}
}

// A search among more names than are kept gives a page with what it has found of those that it has looked at, and says
// where to go on: no page looks at all of them.
func TestSearchAmongTooMany(t *testing.T) {
	engine := &identitytest.Counting{Prefix: "org/"}
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	made := 0
	const count = 2*identity.MostLooked + identity.MostLooked/2
	for some := range slices.Chunk(make([]int, count), 60) {
		var ops []kv.Op
		for range some {
			o := identity.Org{ID: id.ID(1000 + made), Name: fmt.Sprintf("org %05d", made)}
			_, more := o.Creation()
			ops = append(ops, more...)
			made++
		}
		if _, err := f.KV.Txn(t.Context(), nil, ops); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := byname.New(f.KV, f.Guard, slog.New(slog.DiscardHandler), false)
	s.Keep(500, 0)
	for suffix, each := range map[string]int{"0": 100, "99": 100, "12345": 1, "none": 0} {
		var found []string
		pages := 0
		for p := (identity.Part{Limit: 100}); ; pages++ {
			p.Keeps = func(name, _ string) bool { return strings.HasSuffix(name, suffix) }
			engine.Read.Store(0)
			got, order, err := s.OrgsByName(t.Context(), f.Root, p)
			if err != nil || order.Sorted || len(got) > each {
				t.Fatalf("%q: %d, %+v, %v", suffix, len(got), order, err)
			}
			if n := engine.Read.Load(); n > identity.MostLooked+1000 { // what it reads at a time
				t.Errorf("%q: for a page %d records were read", suffix, n)
			}
			for _, o := range got {
				found = append(found, o.Name)
			}
			if !order.More {
				break
			}
			if p.From == order.Next {
				t.Fatalf("the list goes on where it was: %+v", order)
			}
			p.From = order.Next
		}
		var want []string
		for n := range count {
			if name := fmt.Sprintf("org %05d", n); strings.HasSuffix(name, suffix) {
				want = append(want, name)
			}
		}
		if !slices.Equal(found, want) {
			t.Errorf("%q: %d were found on %d pages, want %d", suffix, len(found), pages, len(want))
		}
	}
	_, _, err := s.OrgsByName(t.Context(), f.Root, identity.Part{Limit: 100, From: "nowhere"})
	identitytest.WantCode(t, err, errs.Invalid)
}

// TestMembersPagesReadTheirOwn walks through more members than are sorted: each page reads as many roles, wherever it
// stands.
func TestMembersPagesReadTheirOwn(t *testing.T) {
	engine := &identitytest.Counting{Prefix: "member/"}
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	const count, limit = 6000, 50
	const at = 20 // a time
	for n := range count / at {
		var ops []kv.Op
		for i := range at {
			u := identity.User{ID: f.First.User.ID + id.ID(1000+at*n+i), Status: identity.Active}
			u.Name = "user " + u.ID.String()
			_, more := u.Creation()
			ops = append(append(ops, more...), identity.GiveRole(f.First.Org.ID, u.ID, identity.RoleMember)...)
		}
		if _, err := f.KV.Txn(t.Context(), nil, ops); err != nil {
			t.Fatal(err)
		}
	}
	shown := 0
	for part := (identity.Part{Limit: limit}); ; {
		engine.Read.Store(0)
		members, order, err := f.MembersByName(t.Context(), f.Root, f.First.Org.ID, part)
		if err != nil || order.Sorted {
			t.Fatalf("%+v, %v", order, err)
		}
		if read := engine.Read.Load(); read > 5*limit {
			t.Fatalf("the page behind %d members reads %d roles", shown, read)
		}
		if shown += len(members); !order.More {
			break
		}
		part.From = order.Next
	}
	if shown != count+1 { // and the first user
		t.Errorf("%d members are shown, want %d", shown, count+1)
	}
	// By its number, a page passes over those before it without reading their roles.
	engine.Read.Store(0)
	members, _, err := f.MembersByName(t.Context(), f.Root, f.First.Org.ID, identity.Part{Skip: 5500, Limit: limit})
	if read := engine.Read.Load(); err != nil || len(members) != limit || read > 5*limit {
		t.Errorf("page 110 has %d members and reads %d roles, %v", len(members), read, err)
	}
}
