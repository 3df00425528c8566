package byname

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
	"strongroom/internal/natural"
)

// Service lists people and organisations over one KV engine. Make it with New, and run its FollowNames while it is
// used: without it, each list reads all names anew.
type Service struct {
	kv          kv.Store
	guard       *access.Guard
	log         *slog.Logger
	users, orgs *list
	few         int // up to how many members are read by themselves
}

// New makes the service, and the engine by which users and organisations are to be changed. With always, no name is
// believed from memory.
func New(engine kv.Store, guard *access.Guard, log *slog.Logger, always bool) (*Service, *Store) {
	s := &Service{kv: engine, guard: guard, log: log, users: newList(engine, "user/", always),
		orgs: newList(engine, identity.OrgFolder, always), few: fewMembers}
	return s, &Store{engine, []*list{s.users, s.orgs}}
}

// FollowNames hears of what other servers change, until ctx ends.
func (s *Service) FollowNames(ctx context.Context) {
	var wg sync.WaitGroup
	for _, l := range []*list{s.users, s.orgs} {
		wg.Go(func() {
			l.follow(ctx, func(err error) {
				if !errors.Is(err, kv.ErrClosed) {
					s.log.DebugContext(ctx, "following what others are called failed and will be tried again",
						"error", err)
				}
			})
		})
	}
	wg.Wait()
}

// UsersByName lists the users whom the caller may see, by their names. Where there are too many to be sorted, they come
// in the order of their IDs.
func (s *Service) UsersByName(ctx context.Context, c *access.Caller, p identity.Part) (users []identity.User,
	order identity.Order, err error) {
	if err := s.guard.Allow(ctx, c, access.Act{Action: "users.list"}); err != nil {
		return nil, order, err
	}
	may := func(user id.ID) bool {
		return c.May(access.To(access.Read, access.Resource{Type: access.Users, ID: user}))
	}
	users, order, err = some(ctx, s.kv, s.users, "user", p,
		identity.Source{Folder: "user/", Whole: c.May(access.To(access.Read, access.Resource{Type: access.Users}))},
		may, func(u identity.User) entry { return entry{u.ID, u.Name, ""} })
	for i := range users {
		if err := identity.FillSignIn(ctx, s.kv, &users[i]); err != nil {
			return nil, order, err
		}
	}
	return users, order, err
}

// OrgsByName lists the organisations that the caller may see, as UsersByName does people.
func (s *Service) OrgsByName(ctx context.Context, c *access.Caller, p identity.Part) (orgs []identity.Org,
	order identity.Order, err error) {
	if err := s.guard.Allow(ctx, c, access.Act{Action: "orgs.list"}); err != nil {
		return nil, order, err
	}
	return some(ctx, s.kv, s.orgs, "org", p, identity.Source{Folder: identity.OrgFolder,
		Whole: c.May(access.To(access.Read, access.Resource{Type: access.Orgs}))}, c.MaySee,
		func(o identity.Org) entry { return entry{o.ID, o.Name, o.Description} })
}

// some gives the part of a list: the names as they are in memory, and the records as they are.
func some[T any](ctx context.Context, store kv.Store, l *list, kind string, p identity.Part, src identity.Source,
	may func(id.ID) bool, of func(T) entry) (out []T, order identity.Order, err error) {
	all, err := l.all(ctx)
	if errors.Is(err, errTooMany) {
		src.Whole = src.Whole && p.Keeps == nil
		return identity.ListPart(ctx, store, src, p, func(v T) (id.ID, bool) {
			e := of(v)
			return e.ID, may(e.ID) && p.Takes(e.Name, e.Description)
		})
	}
	if err != nil {
		return nil, order, err
	}
	order.Sorted = true
	skip := p.Skip
	for _, e := range all {
		if !src.Whole && !may(e.ID) || !p.Takes(e.Name, e.Description) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if p.Limit > 0 && len(out) == p.Limit {
			order.More = true
			break
		}
		v, _, found, err := record.Find[T](ctx, store, record.Key(kind, e.ID))
		if err != nil && !errors.Is(err, kv.ErrForged) {
			return nil, order, err
		}
		if found && err == nil { // neither deleted since nor damaged
			out = append(out, v)
		}
	}
	return out, order, nil
}

// fewMembers is how many are found sooner by themselves than among all users.
const fewMembers = 256

// mostMembers is up to how many members of an organisation are sorted.
const mostMembers = 5000

// errManyMembers is that there are more.
var errManyMembers = errors.New("byname: too many members")

// MembersByName lists those who belong to the organisation: its owners first, each by their names. Where they are too
// many to be sorted, they stand in the order of their IDs.
func (s *Service) MembersByName(ctx context.Context, c *access.Caller, org id.ID, p identity.Part) (
	members []identity.Membership, order identity.Order, err error) {
	act := access.Act{Action: "orgs.members", Org: org}
	if err := s.guard.Allow(ctx, c, act,
		access.To(access.Read, access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return nil, order, err
	}
	members, order.More, err = s.members(ctx, org, p)
	order.Sorted = true
	if errors.Is(err, errManyMembers) || errors.Is(err, errTooMany) {
		members, order, err = s.membersByID(ctx, org, p)
	}
	return members, order, s.guard.Done(ctx, c, act, err)
}

// membersByID reads those of the part one after the other. Of those who are passed over without a search only the role
// is read. The list goes on behind so many memberships.
func (s *Service) membersByID(ctx context.Context, org id.ID, p identity.Part) (out []identity.Membership,
	order identity.Order, err error) {
	begin, skip := 0, p.Skip
	switch {
	case p.From != "":
		if begin, err = strconv.Atoi(p.From); err != nil || begin < 0 {
			return nil, order, errs.New(errs.Invalid, "there is no place %q in the list of members", errs.Clip(p.From))
		}
		skip = 0
	case p.Keeps == nil:
		begin, skip = skip, 0
	}
	at := 0
	for _, role := range []identity.Role{identity.RoleOwner, identity.RoleMember} {
		err := record.ScanSome(ctx, s.kv, record.Folder("member", org), "", false, func(r kv.Record) (bool, error) {
			have, err := record.Decode[identity.Role](r)
			if err != nil || have != role {
				return true, err
			}
			if at < begin {
				at++
				return true, nil
			}
			if at-begin == identity.MostLooked || p.Limit > 0 && len(out) == p.Limit {
				order = identity.Order{More: true, Next: strconv.Itoa(at)}
				return false, nil
			}
			at++
			u, _, there, err := record.Find[identity.User](ctx, s.kv, record.Key("user", record.Last(r.Key)))
			switch {
			case errors.Is(err, kv.ErrForged): // as in the list by name
			case err != nil:
				return false, err
			case !there || !p.Takes(u.Name, ""): // or deleted since
			case skip > 0:
				skip--
			default:
				out = append(out, identity.Membership{User: u, Role: role})
			}
			return true, nil
		})
		if err != nil || order.More {
			return out, order, err
		}
	}
	return out, order, nil
}

func (s *Service) members(ctx context.Context, org id.ID, p identity.Part) (out []identity.Membership, more bool,
	err error) {
	if err := identity.OrgExists(ctx, s.kv, org); err != nil {
		return nil, false, err
	}
	roles := make(map[id.ID]identity.Role)
	if err := record.ScanFound(ctx, s.kv, record.Folder("member", org), func(r kv.Record) (bool, error) {
		who, err := id.Parse(record.Last(r.Key))
		if err != nil {
			return false, err
		}
		if len(roles) == mostMembers {
			return false, errManyMembers
		}
		roles[who], err = record.Decode[identity.Role](r)
		return err == nil, err
	}); err != nil {
		return nil, false, err
	}
	all, err := s.named(ctx, roles)
	if err != nil {
		return nil, false, err
	}
	skip := p.Skip
	for _, role := range []identity.Role{identity.RoleOwner, identity.RoleMember} {
		for _, e := range all {
			if roles[e.ID] != role || !p.Takes(e.Name, e.Description) {
				continue
			}
			if skip > 0 {
				skip--
				continue
			}
			if p.Limit > 0 && len(out) == p.Limit {
				return out, true, nil
			}
			u, _, found, err := record.Find[identity.User](ctx, s.kv, record.Key("user", e.ID))
			if err != nil && !errors.Is(err, kv.ErrForged) {
				return nil, false, err
			}
			if found && err == nil {
				out = append(out, identity.Membership{User: u, Role: role})
			}
		}
	}
	return out, false, nil
}

// named gives the names of those who have a role, in order, and perhaps others: a few are read by themselves.
func (s *Service) named(ctx context.Context, roles map[id.ID]identity.Role) ([]entry, error) {
	if len(roles) > s.few {
		return s.users.all(ctx)
	}
	var all []entry
	for who := range roles {
		e, _, found, err := record.Find[entry](ctx, s.kv, record.Key("user", who))
		switch {
		case errors.Is(err, kv.ErrForged):
		case err != nil:
			return nil, err
		case found:
			all = append(all, e)
		}
	}
	natural.SortPeople(all, entry.name)
	return all, nil
}
