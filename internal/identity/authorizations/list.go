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
	each, skip, err := s.source(ctx, c, f, page)
	if err != nil {
		return err
	}
	found := 0
	var some []identity.Authorization // whose last uses are not read yet
	var failed error
	pass := func() bool {
		if failed = s.fillLastUses(ctx, some); failed != nil {
			return false
		}
		for _, a := range some {
			if failed = yield(a); failed != nil {
				return false
			}
		}
		some = some[:0]
		return true
	}
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
		found++
		if some = append(some, a); len(some) == record.Together && !pass() {
			return false
		}
		return page.Limit == 0 || found < page.Limit
	})
	if err == nil && failed == nil {
		pass()
	}
	switch {
	case failed != nil:
		return failed
	case err == nil && found == 0:
		return hides(c, f)
	}
	return err
}

// source gives what yields the authorizations that may be in the list, in its order: from the records, from the one
// index that has them, or from the IDs of several, 8 bytes of each. skip is how many of them that are in the list come
// before the page.
func (s *Service) source(ctx context.Context, c *access.Caller, f Filter,
	page identity.Page) (each func(yield func(identity.Authorization) bool) error, skip int, err error) {
	src, one := source(c, f)
	if one {
		from, skip, ended, err := src.From(ctx, s.kv, page)
		return func(yield func(identity.Authorization) bool) error {
			if ended {
				return nil
			}
			return identity.Each(ctx, s.kv, src, page, from, yield)
		}, skip, err
	}
	ids, err := s.candidates(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	if page.Descending {
		slices.Reverse(ids)
	}
	return func(yield func(identity.Authorization) bool) error {
		return record.Each(ctx, s.kv, "auth", slices.Values(ids), record.AtATime(page.Limit), yield)
	}, page.Offset, nil
}

// source is the folder that has all that the filter and the caller's permissions leave; ok is false where it takes
// several.
func source(c *access.Caller, f Filter) (src identity.Source, ok bool) {
	all := c.May(access.To(access.Read, access.Resource{Type: access.Authorizations}))
	switch {
	case all && f.UserID.Valid():
		return identity.Source{Folder: record.Folder("authuser", f.UserID), Kind: "auth", Whole: !f.OrgID.Valid()}, true
	case f.OrgID.Valid() && c.May(access.To(access.Read, access.Resource{Type: access.Authorizations, OrgID: f.OrgID})):
		return identity.Source{Folder: record.Folder("authorg", f.OrgID), Kind: "auth", Whole: !f.UserID.Valid()}, true
	}
	return identity.Source{Folder: "auth/", Whole: true}, all
}

// byKey is the ID at the end of a record's key.
func byKey(r kv.Record) (id.ID, error) { return id.Parse(record.Last(r.Key)) }

// candidates gives the IDs that the caller's permissions leave, in order, from the indexes: a caller who may see little
// must not cost the reading of every authorization there is.
func (s *Service) candidates(ctx context.Context, c *access.Caller) ([]id.ID, error) {
	ids, orgs := identity.Readable(c, access.Authorizations)
	var folders []string
	for _, org := range orgs {
		folders = append(folders, record.Folder("authorg", org))
	}
	return identity.Collect(ctx, s.kv, ids, folders, byKey)
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
