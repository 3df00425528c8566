package directory_test

import (
	"fmt"
	"slices"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/kv"
)

// A page of organisations reads about as many records as it has, from whichever end it is, and wherever it begins. So
// does one of somebody's.
func TestOrgPagesReadWhatTheyHave(t *testing.T) {
	engine := &identitytest.Counting{Prefix: "org/"}
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	all := []id.ID{f.First.Org.ID}
	ann := f.AddUser(t, "ann")
	var hers []id.ID
	const many, much = 700, 64
	for i := range many {
		o := identity.Org{ID: id.ID(1_000 + 7*i), Name: fmt.Sprintf("org %d", i)}
		conds, ops := o.Creation()
		if _, err := f.KV.Txn(t.Context(), conds, ops); err != nil {
			t.Fatal(err)
		}
		all = append(all, o.ID)
		if i%100 == 0 {
			if _, err := f.AddMember(t.Context(), f.Root, o.ID, ann.ID, identity.RoleMember); err != nil {
				t.Fatal(err)
			}
			hers = append(hers, o.ID)
		}
	}
	slices.Sort(all)
	for _, page := range []identity.Page{{Limit: 20}, {Limit: 20, Descending: true}, {Limit: 20, After: all[600]},
		{Limit: 20, After: all[600], Descending: true}, {Limit: 20, After: all[5], Descending: true},
		{Limit: 20, Offset: 300}, {Limit: 20, Offset: 300, Descending: true},
		{Limit: 20, After: all[100], Offset: 500}, {Limit: 20, After: all[600], Offset: 500, Descending: true},
		{Limit: 20, Offset: 690}, {Limit: 20, Offset: 10_000}, {Limit: 700, Descending: true}} {
		engine.Read.Store(0)
		got, err := f.Orgs(t.Context(), f.Root, directory.OrgFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		var want, ids []id.ID
		for _, o := range all {
			if !page.After.Valid() || (o > page.After) == !page.Descending && o != page.After {
				want = append(want, o)
			}
		}
		if page.Descending {
			slices.Reverse(want)
		}
		want = want[min(page.Offset, len(want)):]
		want = want[:min(page.Limit, len(want))]
		for _, o := range got {
			ids = append(ids, o.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%+v: %v, not %v", page, ids, want)
		}
		if n := engine.Read.Load(); page.Limit < much && n > much {
			t.Errorf("%+v: %d records were read", page, n)
		}
	}
	engine.Read.Store(0)
	got, err := f.Orgs(t.Context(), f.Root, directory.OrgFilter{User: ann.ID}, identity.Page{Limit: 3, Offset: 2,
		Descending: true})
	if err != nil || len(got) != 3 || got[0].ID != hers[4] || got[2].ID != hers[2] {
		t.Errorf("hers: %v, %v", got, err)
	}
	if n := engine.Read.Load(); n > 5 {
		t.Errorf("for 3 of somebody's organisations %d records were read", n)
	}
}
