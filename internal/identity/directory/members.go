package directory

import (
	"context"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

var errNotMember = errs.New(errs.NotFound, "user to resource mapping not found")

// EachMember gives the users who have the role in the organisation one after the other, by ID, until yield says that it
// wants no more. An error of yield ends it and is given back.
func (s *Service) EachMember(ctx context.Context, c *access.Caller, org id.ID, role identity.Role,
	yield func(identity.User) (more bool, err error)) error {
	return s.listMembers(ctx, c, org, func(yield func(identity.Membership) bool) error {
		return s.eachMember(ctx, org, role, yield)
	}, func(m identity.Membership) (bool, error) { return yield(m.User) })
}

// listMembers is what the lists of members have in common.
func (s *Service) listMembers(ctx context.Context, c *access.Caller, org id.ID,
	each func(yield func(identity.Membership) bool) error,
	yield func(identity.Membership) (more bool, err error)) error {
	act := access.Act{Action: "orgs.members", Org: org}
	if err := s.guard.Allow(ctx, c, act,
		access.To(access.Read, access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return err
	}
	err := s.OrgExists(ctx, org)
	var failed error // of the caller, which is no failure of the act
	if err == nil {
		err = each(func(m identity.Membership) (more bool) {
			more, failed = yield(m)
			return more && failed == nil
		})
	}
	if failed != nil {
		return failed
	}
	return s.guard.Done(ctx, c, act, err)
}

// eachMember gives the users with the role. An organisation may have 100,000: few are in memory at a time.
func (s *Service) eachMember(ctx context.Context, org id.ID, role identity.Role,
	yield func(identity.Membership) (more bool)) error {
	of := func(r kv.Record) (string, error) {
		have, err := record.Decode[identity.Role](r)
		if err != nil || have != role {
			return "", err
		}
		return record.Key("user", record.Last(r.Key)), nil
	}
	return record.Led(ctx, s.kv, record.Folder("member", org), "", false, record.Together, of,
		func(u identity.User) bool { return yield(identity.Membership{User: u, Role: role}) })
}

// MembershipOf is what a user is in the organisation; errs.NotFound where they do not belong to it.
func (s *Service) MembershipOf(ctx context.Context, c *access.Caller, org, user id.ID) (identity.Membership, error) {
	act := access.Act{Action: "orgs.members", Org: org, Target: user.String()}
	if err := s.guard.Allow(ctx, c, act,
		access.To(access.Read, access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return identity.Membership{}, err
	}
	role, _, err := record.Load[identity.Role](ctx, s.kv, record.Key("member", org, user), errNotMember)
	m := identity.Membership{Role: role}
	if err == nil {
		m.User, _, err = record.Load[identity.User](ctx, s.kv, record.Key("user", user), errNotMember)
	}
	return m, s.guard.Done(ctx, c, act, err)
}

// AddMember gives a user a role in an organisation; a member can become an owner. To have the role already is no error.
// It takes what the role gives, as making a token does: who may write the organisation's record alone must not become
// its owner, and so get at its secrets.
func (s *Service) AddMember(ctx context.Context, c *access.Caller, org, user id.ID,
	role identity.Role) (identity.User, error) {
	act := access.Act{Action: "orgs." + string(role) + "s.add", Org: org, Target: user.String()}
	writes := access.To(access.Write, access.Resource{Type: access.Orgs, ID: org})
	gives := access.Member(org)
	if role == identity.RoleOwner {
		gives = access.Owner(org)
	}
	if i := slices.IndexFunc(gives, func(p access.Permission) bool { return !c.May(p) }); i >= 0 && c.May(writes) {
		return identity.User{}, s.guard.Deny(ctx, c, act,
			errs.New(errs.Forbidden, "permission %s is not allowed: the role would give it", gives[i]))
	}
	if err := s.guard.Allow(ctx, c, act, writes); err != nil {
		return identity.User{}, err
	}
	var u identity.User
	err := s.authn.ChangeSessions(ctx, user, func(ctx context.Context) error {
		_, or, err := record.Load[identity.Org](ctx, s.kv, record.Key("org", org), identity.ErrOrgNotFound)
		if err != nil {
			return err
		}
		var ur kv.Record
		if u, ur, err = record.Load[identity.User](ctx, s.kv, record.Key("user", user),
			identity.ErrUserNotFound); err != nil {
			return err
		}
		have, mr, err := record.Load[identity.Role](ctx, s.kv, record.Key("member", org, user), errNotMember)
		conds := []kv.Cond{kv.Unchanged(or), kv.Unchanged(ur)}
		switch {
		case errs.Is(err, errs.NotFound):
			conds = append(conds, kv.Missing(record.Key("member", org, user)))
		case err != nil:
			return err
		case have == role:
			return nil
		case have == identity.RoleOwner:
			return errs.New(errs.Conflict, "the user is an owner of the organization; remove that role first")
		default:
			conds = append(conds, kv.Unchanged(mr))
		}
		_, err = s.kv.Txn(ctx, conds, identity.GiveRole(org, user, role))
		return err
	})
	return u, s.guard.Done(ctx, c, act, err)
}

// RemoveMember takes the role away; errs.NotFound where the user does not have it.
func (s *Service) RemoveMember(ctx context.Context, c *access.Caller, org, user id.ID, role identity.Role) error {
	act := access.Act{Action: "orgs." + string(role) + "s.remove", Org: org, Target: user.String()}
	if err := s.guard.Allow(ctx, c, act,
		access.To(access.Write, access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return err
	}
	err := s.authn.ChangeSessions(ctx, user, func(ctx context.Context) error {
		if err := s.OrgExists(ctx, org); err != nil {
			return err
		}
		have, r, err := record.Load[identity.Role](ctx, s.kv, record.Key("member", org, user), errNotMember)
		if err != nil {
			return err
		}
		if have != role {
			return errNotMember
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)},
			[]kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("memberof", user, org))})
		return err
	})
	return s.guard.Done(ctx, c, act, err)
}
