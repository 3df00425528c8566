package ui

import (
	"context"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
	"strongroom/internal/ui/across"
)

// How many organisations a form offers, and how many a page that looks into all of them takes at a time.
const (
	orgsOffered = 500
	orgsAtOnce  = 500
)

// orgsOf finds organisations for the pages that look at several.
func orgsOf(d *directory.Service) across.Orgs {
	some := func(all []identity.Org) []across.Org {
		orgs := make([]across.Org, len(all))
		for i, o := range all {
			orgs[i] = across.Org{ID: o.ID, Name: o.Name}
		}
		return orgs
	}
	return across.Orgs{
		Offered: func(ctx context.Context, c *access.Caller) ([]across.Org, bool, error) {
			all, order, err := d.OrgsByName(ctx, c, identity.Part{Limit: orgsOffered})
			return some(all), order.More, err
		},
		Named: func(ctx context.Context, c *access.Caller, text string) (across.Org, error) {
			all, err := []identity.Org(nil), error(identity.ErrOrgNotFound)
			if who, parseErr := id.Parse(text); parseErr == nil {
				all, err = d.Orgs(ctx, c, directory.OrgFilter{ID: who}, identity.Page{})
			}
			if errs.Is(err, errs.NotFound) {
				all, err = d.Orgs(ctx, c, directory.OrgFilter{Name: text}, identity.Page{})
			}
			if err != nil {
				return across.Org{}, err
			}
			return some(all)[0], nil
		},
		After: func(ctx context.Context, c *access.Caller, after id.ID) ([]across.Org, error) {
			all, err := d.Orgs(ctx, c, directory.OrgFilter{}, identity.Page{After: after, Limit: orgsAtOnce})
			return some(all), err
		},
	}
}
