package authorizations

import (
	"context"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// Filter narrows a list of authorizations; zero fields do not.
type Filter struct {
	UserID id.ID
	User   string
	OrgID  id.ID
	Org    string
}

// Authorizations lists those the caller may see, by ID. A name that does not exist is errs.NotFound.
func (s *Service) Authorizations(ctx context.Context, c *access.Caller, f Filter,
	page identity.Page) ([]identity.Authorization, error) {
	as := []identity.Authorization{}
	err := s.EachAuthorization(ctx, c, f, page, func(a identity.Authorization) error {
		as = append(as, a)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return as, nil
}

// EachAuthorization is Authorizations for lists that may be long: it yields one after the other and holds few of them
// at a time. An error of yield ends it and is given back.
func (s *Service) EachAuthorization(ctx context.Context, c *access.Caller, f Filter, page identity.Page,
	yield func(identity.Authorization) error) error {
	if err := s.guard.Allow(ctx, c, access.Act{Action: "authorizations.list", Org: f.OrgID}); err != nil {
		return err
	}
	if err := s.resolve(ctx, &f); err != nil {
		return err
	}
	each, err := s.source(ctx, c, f, page)
	if err != nil {
		return err
	}
	skip, found := page.Offset, 0
	var failed error
	err = each(func(a identity.Authorization) bool {
		switch {
		case f.UserID.Valid() && a.UserID != f.UserID, f.OrgID.Valid() && a.OrgID != f.OrgID,
			!c.May(access.To(access.Read, access.Resource{Type: access.Authorizations, OrgID: a.OrgID, ID: a.ID})),
			!page.Reaches(a.ID):
			return true
		case skip > 0:
			skip--
			return true
		}
		if failed = s.fillLastUse(ctx, &a); failed == nil {
			failed = yield(a)
		}
		found++
		return failed == nil && (page.Limit == 0 || found < page.Limit)
	})
	switch {
	case failed != nil:
		return failed
	case err == nil && found == 0:
		return hides(c, f)
	}
	return err
}

// source gives what yields the authorizations that may be in the list, in its order: from the indexes, or, where all of
// them may be in it, from their records. Backwards goes only by what the indexes have, the IDs: 8 bytes of each.
func (s *Service) source(ctx context.Context, c *access.Caller, f Filter,
	page identity.Page) (func(yield func(identity.Authorization) bool) error, error) {
	ids, some, err := s.candidates(ctx, c, f)
	if err != nil {
		return nil, err
	}
	if !some && page.Descending {
		some = true
		if ids, err = identity.Collect(ctx, s.kv, nil, []string{"auth/"}, byKey); err != nil {
			return nil, err
		}
	}
	if page.Descending {
		slices.Reverse(ids)
	}
	if some {
		return func(yield func(identity.Authorization) bool) error {
			return record.Each(ctx, s.kv, "auth", ids, yield)
		}, nil
	}
	after := ""
	if page.After.Valid() {
		after = record.Key("auth", page.After)
	}
	return func(yield func(identity.Authorization) bool) error {
		return record.Scan(ctx, s.kv, "auth/", after, func(r kv.Record) (bool, error) {
			a, err := record.Decode[identity.Authorization](r)
			return err == nil && yield(a), err
		})
	}, nil
}

// byKey is the ID at the end of a record's key.
func byKey(r kv.Record) (id.ID, error) { return id.Parse(record.Last(r.Key)) }

// candidates gives the IDs that the filter and the caller's permissions leave, in order, from the indexes: a caller who
// may see little must not cost the reading of every authorization there is. It is not ok where all of them are left.
func (s *Service) candidates(ctx context.Context, c *access.Caller,
	f Filter) (ids []id.ID, ok bool, err error) {
	var folders []string
	all := c.May(access.To(access.Read, access.Resource{Type: access.Authorizations}))
	switch {
	case all && f.UserID.Valid():
		folders = []string{record.Folder("authuser", f.UserID)}
	case f.OrgID.Valid() && c.May(access.To(access.Read, access.Resource{Type: access.Authorizations, OrgID: f.OrgID})):
		folders = []string{record.Folder("authorg", f.OrgID)}
	case all:
		return nil, false, nil
	default:
		var orgs []id.ID
		ids, orgs = identity.Readable(c, access.Authorizations)
		for _, org := range orgs {
			folders = append(folders, record.Folder("authorg", org))
		}
	}
	ids, err = identity.Collect(ctx, s.kv, ids, folders, byKey)
	return ids, err == nil, err
}

// hides gives what an empty list is answered with where the filter names what the caller may not see: the same as where
// there is no such thing, or else names could be tried out. It is nil where the caller may see it.
func hides(c *access.Caller, f Filter) error {
	switch {
	case f.User != "" && !c.May(access.To(access.Read, access.Resource{Type: access.Users, ID: f.UserID})):
		return identity.ErrUserNotFound
	case f.Org != "" && !c.MaySee(f.OrgID):
		return identity.NoOrgNamed(f.Org)
	}
	return nil
}

// resolve turns the filter's names into IDs.
func (s *Service) resolve(ctx context.Context, f *Filter) error {
	if f.User != "" {
		u, err := identity.UserNamed(ctx, s.kv, f.User)
		if err != nil {
			return err
		}
		if f.UserID.Valid() && f.UserID != u.ID {
			return identity.ErrUserNotFound
		}
		f.UserID = u.ID
	}
	if f.Org != "" {
		o, err := identity.OrgNamed(ctx, s.kv, f.Org)
		if err != nil {
			return err
		}
		if f.OrgID.Valid() && f.OrgID != o {
			return identity.ErrOrgNotFound
		}
		f.OrgID = o
	}
	return nil
}
