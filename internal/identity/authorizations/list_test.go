package authorizations_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/kv"
)

// Whoever asks gets what they may see in the same order and pages, whichever index it comes from, and
// costs no more than that.
func TestAuthorizationsByIndex(t *testing.T) {
	engine := &identitytest.Counting{Prefix: "auth/"}
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	ctx := t.Context()
	acme := f.First.Org.ID
	other, err := f.NewOrg(ctx, f.Root, "other", "")
	if err != nil {
		t.Fatal(err)
	}
	ann := f.AddUser(t, "ann")
	var all []identity.Authorization
	if all, err = f.Authorizations(ctx, f.Root, authorizations.Filter{}, identity.Page{}); err != nil ||
		len(all) != 1 {
		t.Fatal(len(all), err)
	}
	for i := range 12 {
		n := authorizations.Wanted{OrgID: []id.ID{acme, other.ID}[i%2], UserID: []id.ID{ann.ID, f.First.User.ID,
			ann.ID}[i%3],
			Permissions: []access.Permission{access.To(access.Read, access.Resource{Type: access.Secrets,
				OrgID: acme})}}
		a, _, err := f.Authorize(ctx, f.Root, n)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	in := func(org id.ID) access.Permission {
		return access.To(access.Read, access.Resource{Type: access.Authorizations, OrgID: org})
	}
	for who, c := range map[string]*access.Caller{
		"operator":   f.Root,
		"of secrets": identitytest.Holder(access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: acme})),
		"of one org": identitytest.Holder(in(acme), in(acme)),
		"of both":    identitytest.Holder(in(other.ID), in(acme)),
		"of one": identitytest.Holder(access.To(access.Read, access.Resource{Type: access.Authorizations,
			ID: all[4].ID}), access.To(access.Read, access.Resource{Type: access.Authorizations, ID: 99})),
		"who writes": identitytest.Holder(access.To(access.Write, access.Resource{Type: access.Authorizations})),
	} {
		for _, filter := range []authorizations.Filter{{}, {OrgID: acme}, {OrgID: other.ID}, {UserID: ann.ID},
			{UserID: ann.ID, OrgID: acme}} {
			for _, page := range []identity.Page{{}, {Limit: 2}, {Limit: 2, Offset: 1}, {Descending: true, Limit: 3},
				{After: all[5].ID}, {After: all[5].ID, Descending: true}} {
				var want, left []id.ID
				for _, a := range all {
					if c.May(access.To(access.Read, access.Resource{Type: access.Authorizations, OrgID: a.OrgID,
						ID: a.ID})) &&
						(filter.OrgID == 0 || a.OrgID == filter.OrgID) &&
						(filter.UserID == 0 || a.UserID == filter.UserID) {
						left = append(left, a.ID)
					}
				}
				for i := range left {
					a := left[i]
					if page.Descending {
						a = left[len(left)-1-i]
					}
					if page.After == 0 || page.Descending && a < page.After || !page.Descending && a > page.After {
						want = append(want, a)
					}
				}
				want = want[min(page.Offset, len(want)):]
				if page.Limit > 0 {
					want = want[:min(page.Limit, len(want))]
				}
				engine.Read.Store(0)
				as, err := f.Authorizations(ctx, c, filter, page)
				if err != nil {
					t.Fatal(err)
				}
				var got []id.ID
				for _, a := range as {
					got = append(got, a.ID)
				}
				name := fmt.Sprintf("%s, %+v, %+v", who, filter, page)
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s:\n%s", name, diff)
				}
				if (who == "of secrets" || who == "who writes") && engine.Read.Load() > 0 {
					t.Errorf("%s: %d authorizations were read for a caller who may see none", name, engine.Read.Load())
				}
			}
		}
	}
}

// A page of tokens reads about as many records as it has, of all tokens and of one organisation's or user's, from either
// end and wherever it begins.
func TestAuthorizationPagesReadWhatTheyHave(t *testing.T) {
	engine := &identitytest.Counting{Prefix: "auth/"}
	f := identitytest.OnboardedOver(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	ctx, org, user := t.Context(), f.First.Org.ID, f.First.User.ID
	const many, much = 700, 64
	for i := range many {
		a := identity.Authorization{ID: id.ID(1_000 + 7*i), OrgID: org, UserID: user, Status: identity.Active,
			Permissions: []access.Permission{access.To(access.Read, access.Resource{Type: access.Secrets})}}
		hash := identity.HashOf(a.ID.String())
		a.Hash = hash[:]
		conds, ops := a.Creation()
		if _, err := f.KV.Txn(ctx, conds, ops); err != nil {
			t.Fatal(err)
		}
	}
	for _, filter := range []authorizations.Filter{{}, {OrgID: org}, {UserID: user}} {
		for _, page := range []identity.Page{{Limit: 20}, {Limit: 20, Descending: true}, {Limit: 20, Offset: 650},
			{Limit: 20, Offset: 650, Descending: true}, {Limit: 20, After: 1_000 + 7*300},
			{Limit: 20, After: 1_000 + 7*600, Descending: true}} {
			engine.Read.Store(0)
			as, err := f.Authorizations(ctx, f.Root, filter, page)
			if err != nil || len(as) != 20 {
				t.Fatalf("%+v, %+v: %d, %v", filter, page, len(as), err)
			}
			if n := engine.Read.Load(); n > much {
				t.Errorf("%+v, %+v: %d tokens were read", filter, page, n)
			}
		}
	}
}
