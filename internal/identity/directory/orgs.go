package directory

import (
	"context"
	"errors"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// NewOrg makes an organisation, of which the user becomes an owner, with its two system buckets.
func (s *Service) NewOrg(ctx context.Context, c *access.Caller, name, description string) (identity.Org, error) {
	act := access.Act{Action: "orgs.create", Target: errs.Clip(name),
		Detail: identity.Changed("description", identity.Given(description))}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Write, access.Resource{Type: access.Orgs})); err != nil {
		return identity.Org{}, err
	}
	o, err := s.newOrg(ctx, c.UserID, 0, name, description)
	s.authn.ForgetSessions(c.UserID) // also where it is not known whether it was made
	if err == nil {
		act.Org = o.ID
	}
	return o, s.guard.Done(ctx, c, act, err)
}

// AdoptOrg makes an organisation that another server knows by the ID, under a name that says so until that server's
// real one is imported. One that is there already is no error. It takes the permission of NewOrg.
func (s *Service) AdoptOrg(ctx context.Context, c *access.Caller, org id.ID) (identity.Org, error) {
	act := access.Act{Action: "orgs.create", Org: org}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Write, access.Resource{Type: access.Orgs})); err != nil {
		return identity.Org{}, err
	}
	adopted := identity.Adopted(org)
	o, err := s.newOrg(ctx, c.UserID, org, adopted.Name, adopted.Description)
	if errs.Is(err, errs.Conflict) && s.OrgExists(ctx, org) == nil {
		err = nil // somebody else was faster
	}
	s.authn.ForgetSessions(c.UserID) // also where it is not known whether it was made
	return o, s.guard.Done(ctx, c, act, err)
}

// newOrg makes an organisation with the ID, or with a new one where it is zero.
func (s *Service) newOrg(ctx context.Context, owner, as id.ID, name, description string) (identity.Org, error) {
	if err := errors.Join(identity.ValidName("organization", name),
		identity.ValidDescription(description)); err != nil {
		return identity.Org{}, err
	}
	now := s.now().UTC()
	o := identity.Org{Name: name, Description: description, CreatedAt: now, UpdatedAt: now}
	err := record.Update(ctx, func() error {
		if o.ID = as; !as.Valid() {
			o.ID = s.ids.Next()
		}
		leave, err := s.come(ctx, o.ID, name)
		if err != nil {
			return err
		}
		defer leave()
		conds, ops := o.Creation()
		if owner.Valid() {
			_, r, err := record.Load[identity.User](ctx, s.kv, record.Key("user", owner), identity.ErrUserNotFound)
			if err != nil {
				return err
			}
			conds, ops = append(conds, kv.Unchanged(r)),
				append(ops, identity.GiveRole(o.ID, owner, identity.RoleOwner)...)
		}
		system := identity.SystemBuckets(o.ID, s.now(), s.ids.Next)
		if as.Valid() {
			system = nil // they have IDs there already, and come with an import
		}
		for _, b := range system {
			bc, bo := b.Creation()
			conds, ops = append(conds, bc...), append(ops, bo...)
		}
		_, err = s.kv.Txn(ctx, conds, ops)
		if !errors.Is(err, kv.ErrConflict) {
			return err
		}
		if _, left, err := s.left(ctx, ended{"organization", o.ID}); err != nil {
			return err
		} else if left {
			return errs.New(errs.Conflict, "organization %s is just being deleted; try again in a minute", o.ID)
		}
		return s.nameTaken(ctx, name, 0)
	})
	return o, err
}

// nameTaken tells, after a conflict, whether an organisation's name is the reason.
func (s *Service) nameTaken(ctx context.Context, name string, own id.ID) error {
	switch of, _, held, err := record.Find[id.ID](ctx, s.kv, record.Key("orgplace", name)); {
	case err != nil:
		return err
	case held && of != own:
		return errNamePlace
	}
	return record.Taken(ctx, s.kv, record.Key("orgname", name), own, "organization with name %s already exists", name)
}

// OrgExists reports errs.NotFound where there is no such organisation. It asks for no permission: what it tells follows
// from the caller's permission on something in the organisation, which the caller of OrgExists has checked.
func (s *Service) OrgExists(ctx context.Context, org id.ID) error {
	return identity.OrgExists(ctx, s.kv, org)
}

// OrgName is an organisation's name for display beside something that the caller was allowed to
// see; "" where it is gone.
func (s *Service) OrgName(ctx context.Context, org id.ID) (string, error) {
	return identity.OrgName(ctx, s.kv, org)
}

// OrgByID returns one organisation.
func (s *Service) OrgByID(ctx context.Context, c *access.Caller, org id.ID) (identity.Org, error) {
	act := access.Act{Action: "orgs.read", Org: org}
	if !c.MaySee(org) {
		return identity.Org{}, s.guard.Deny(ctx, c, act, errs.New(errs.Unauthorized, "%s is unauthorized",
			access.To(access.Read, access.Resource{Type: access.Orgs, ID: org})))
	}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return identity.Org{}, err
	}
	o, _, err := record.Load[identity.Org](ctx, s.kv, record.Key("org", org), identity.ErrOrgNotFound)
	return o, s.guard.Done(ctx, c, act, err)
}

// OrgFilter narrows a list of organisations; zero fields do not.
type OrgFilter struct {
	Name string
	ID   id.ID
	User id.ID // of which this user is a member or owner
}

// Orgs lists the organisations whom the caller may see. With a name or an ID it gives that one, or errs.NotFound.
func (s *Service) Orgs(ctx context.Context, c *access.Caller, f OrgFilter, page identity.Page) ([]identity.Org, error) {
	act := access.Act{Action: "orgs.list", Org: f.ID, Target: errs.Clip(f.Name)}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return nil, err
	}
	if f.Name != "" || f.ID.Valid() {
		o, err := s.orgNamedOrID(ctx, c, f)
		if err != nil {
			return nil, err
		}
		return []identity.Org{o}, nil
	}
	if f.User.Valid() {
		return s.orgsOf(ctx, c, f.User, page)
	}
	src := identity.Source{Folder: "org/", Whole: c.May(access.To(access.Read, access.Resource{Type: access.Orgs}))}
	return identity.List(ctx, s.kv, src, page, func(o identity.Org) (id.ID, bool) { return o.ID, c.MaySee(o.ID) })
}

func (s *Service) orgNamedOrID(ctx context.Context, c *access.Caller, f OrgFilter) (identity.Org, error) {
	notFound := identity.ErrOrgNotFound
	oid := f.ID
	if f.Name != "" {
		notFound = identity.NoOrgNamed(f.Name)
		named, err := identity.OrgNamed(ctx, s.kv, f.Name)
		if err != nil {
			return identity.Org{}, err
		}
		if oid.Valid() && oid != named {
			return identity.Org{}, notFound
		}
		oid = named
	}
	if !c.MaySee(oid) {
		return identity.Org{}, notFound
	}
	o, _, err := record.Load[identity.Org](ctx, s.kv, record.Key("org", oid), notFound)
	return o, err
}

// OrgNamed is the ID of the organisation with the name, or errs.NotFound. It asks for no permission, as OrgExists.
func (s *Service) OrgNamed(ctx context.Context, name string) (id.ID, error) {
	return identity.OrgNamed(ctx, s.kv, name)
}

func (s *Service) orgsOf(ctx context.Context, c *access.Caller, user id.ID,
	page identity.Page) ([]identity.Org, error) {
	// Who is in an organisation is told to those who may read of it, and everybody where they are themself.
	src := identity.Source{Folder: record.Folder("memberof", user), Kind: "org",
		Whole: c.May(access.To(access.Read, access.Resource{Type: access.Orgs}))}
	return identity.List(ctx, s.kv, src, page, func(o identity.Org) (id.ID, bool) {
		may := c.May(access.To(access.Read, access.Resource{Type: access.Orgs, ID: o.ID}))
		return o.ID, may || user == c.UserID && c.MaySee(o.ID)
	})
}

// UpdateOrg changes the fields that are not nil.
func (s *Service) UpdateOrg(ctx context.Context, c *access.Caller, org id.ID,
	name, description *string) (identity.Org, error) {
	act := access.Act{Action: "orgs.update", Org: org,
		Detail: identity.Changed("name", name, "description", description)}
	if err := s.guard.Allow(ctx, c, act,
		access.To(access.Write, access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return identity.Org{}, err
	}
	var o identity.Org
	err := record.Update(ctx, func() error {
		var r kv.Record
		var err error
		if o, r, err = record.Load[identity.Org](ctx, s.kv, record.Key("org", org),
			identity.ErrOrgNotFound); err != nil {
			return err
		}
		conds, ops := []kv.Cond{kv.Unchanged(r)}, []kv.Op{}
		if name != nil && *name != o.Name {
			if err := identity.ValidName("organization", *name); err != nil {
				return err
			}
			leave, err := s.come(ctx, org, *name)
			if err != nil {
				return err
			}
			defer leave()
			placed, changes, err := s.rename(ctx, c, o, *name)
			if err != nil {
				return err
			}
			conds = append(append(conds, kv.Missing(record.Key("orgname", *name))), placed...)
			ops = append(append(ops, changes...), kv.Delete(record.Key("orgname", o.Name)),
				record.Put(record.Key("orgname", *name), o.ID))
			o.Name = *name
		}
		if description != nil {
			if err := identity.ValidDescription(*description); err != nil {
				return err
			}
			o.Description = *description
		}
		o.UpdatedAt = s.now().UTC()
		_, err = s.kv.Txn(ctx, conds, append(ops, record.Put(r.Key, o)))
		if errors.Is(err, kv.ErrConflict) && len(ops) > 0 {
			return s.nameTaken(ctx, o.Name, o.ID)
		}
		return err
	})
	return o, s.guard.Done(ctx, c, act, err)
}
