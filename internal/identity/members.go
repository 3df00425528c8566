package identity

import (
	"context"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
)

var errNotMember = errs.New(errs.NotFound, "user to resource mapping not found")

// memberOps is what gives a user a role in an organisation: one record to list it by either side.
func memberOps(org, user id.ID, role Role) []kv.Op {
	return []kv.Op{put(key("member", org, user), role), put(key("memberof", user, org), role)}
}

// Members lists the users who have the role in the organisation, by ID.
func (s *Service) Members(ctx context.Context, c *access.Caller, org id.ID, role Role) ([]User, error) {
	act := access.Act{Action: "orgs.members", Org: org}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Read, access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return nil, err
	}
	users, err := s.members(ctx, org, role)
	return users, s.guard.Done(ctx, c, act, err)
}

func (s *Service) members(ctx context.Context, org id.ID, role Role) ([]User, error) {
	if err := s.OrgExists(ctx, org); err != nil {
		return nil, err
	}
	users := []User{}
	err := scan(ctx, s.kv, prefix("member", org), "", func(r kv.Record) (bool, error) {
		have, err := decode[Role](r)
		if err != nil || have != role {
			return true, err
		}
		u, _, err := load[User](ctx, s.kv, key("user", lastPart(r.Key)), errUserNotFound)
		if errs.Is(err, errs.NotFound) { // deleted since
			return true, nil
		}
		users = append(users, u)
		return true, err
	})
	return users, err
}

// lastPart is what follows the last slash of a key.
func lastPart(k string) string { return k[strings.LastIndexByte(k, '/')+1:] }

func (s *Service) eachMembershipOf(ctx context.Context, user id.ID, f func(id.ID, Role)) error {
	return scan(ctx, s.kv, prefix("memberof", user), "", func(r kv.Record) (bool, error) {
		role, err := decode[Role](r)
		if err != nil {
			return false, err
		}
		org, err := id.Parse(lastPart(r.Key))
		if err != nil {
			return false, err
		}
		f(org, role)
		return true, nil
	})
}

// AddMember gives a user a role in an organisation; a member can become an owner. To have the role already is no error.
func (s *Service) AddMember(ctx context.Context, c *access.Caller, org, user id.ID, role Role) (User, error) {
	act := access.Act{Action: "orgs." + string(role) + "s.add", Org: org, Target: user.String()}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Write, access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return User{}, err
	}
	var u User
	err := updateCached(ctx, s.cache.flush, func(ctx context.Context) error {
		_, or, err := load[Org](ctx, s.kv, key("org", org), errOrgNotFound)
		if err != nil {
			return err
		}
		var ur kv.Record
		if u, ur, err = load[User](ctx, s.kv, key("user", user), errUserNotFound); err != nil {
			return err
		}
		have, mr, err := load[Role](ctx, s.kv, key("member", org, user), errNotMember)
		conds := []kv.Cond{kv.Unchanged(or), kv.Unchanged(ur)}
		switch {
		case errs.Is(err, errs.NotFound):
			conds = append(conds, kv.Missing(key("member", org, user)))
		case err != nil:
			return err
		case have == role:
			return nil
		case have == RoleOwner:
			return errs.New(errs.Conflict, "the user is an owner of the organization; remove that role first")
		default:
			conds = append(conds, kv.Unchanged(mr))
		}
		_, err = s.kv.Txn(ctx, conds, memberOps(org, user, role))
		return err
	})
	return u, s.guard.Done(ctx, c, act, err)
}

// RemoveMember takes the role away; errs.NotFound where the user does not have it.
func (s *Service) RemoveMember(ctx context.Context, c *access.Caller, org, user id.ID, role Role) error {
	act := access.Act{Action: "orgs." + string(role) + "s.remove", Org: org, Target: user.String()}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Write, access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return err
	}
	err := updateCached(ctx, s.cache.flush, func(ctx context.Context) error {
		if err := s.OrgExists(ctx, org); err != nil {
			return err
		}
		have, r, err := load[Role](ctx, s.kv, key("member", org, user), errNotMember)
		if err != nil {
			return err
		}
		if have != role {
			return errNotMember
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)},
			[]kv.Op{kv.Delete(r.Key), kv.Delete(key("memberof", user, org))})
		return err
	})
	return s.guard.Done(ctx, c, act, err)
}
