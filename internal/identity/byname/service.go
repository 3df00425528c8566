package byname

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"sync"

	"strongroom/internal/access"
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
	if err == nil {
		err = identity.FillSignIns(ctx, s.kv, users)
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
	these := part(all, p, func(e entry) bool { return src.Whole || may(e.ID) })
	out, order.More, err = read[T](ctx, store, kind, these, p.Limit)
	return out, order, err
}

// read gives the records of a list, up to a limit; more says that the list goes on. One that was deleted since, or is
// damaged, is passed by.
func read[T any](ctx context.Context, store kv.Store, kind string, list iter.Seq[id.ID], limit int) (out []T, more bool,
	err error) {
	next, stop := iter.Pull(list)
	defer stop()
	for {
		var keys []string
		for len(keys) < record.Together && (limit == 0 || len(out)+len(keys) < limit) {
			one, there := next()
			if !there {
				break
			}
			keys = append(keys, record.Key(kind, one))
		}
		if len(keys) == 0 {
			_, more = next()
			return out, more, nil
		}
		found, err := record.Finds[T](ctx, store, keys)
		if err != nil {
			return nil, false, err
		}
		for _, v := range found {
			if v != nil {
				out = append(out, *v)
			}
		}
	}
}

// part gives those of a list that may be in a part of it, in their order. One may be gone since.
func part(all []entry, p identity.Part, in func(entry) bool) iter.Seq[id.ID] {
	return func(yield func(id.ID) bool) {
		skip := p.Skip
		for _, e := range all {
			switch {
			case !in(e) || !p.Takes(e.Name, e.Description):
			case skip > 0:
				skip--
			case !yield(e.ID):
				return
			}
		}
	}
}

// fewMembers is how many are found sooner by themselves than among all users.
const fewMembers = 256

// mostMembers is up to how many members of an organisation are sorted.
const mostMembers = 5000

// errManyMembers is that there are more.
var errManyMembers = errors.New("byname: too many members")

// MembersByName lists those who belong to the organisation: its owners first, each by their names. Where they are too
// many to be sorted, all stand in the order of their IDs, and a part of the list reads no more than it has.
func (s *Service) MembersByName(ctx context.Context, c *access.Caller, org id.ID, p identity.Part) (
	members []identity.Membership, order identity.Order, err error) {
	act := access.Act{Action: "orgs.members", Org: org}
	if err := s.guard.Allow(ctx, c, act,
		access.To(access.Read, access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return nil, order, err
	}
	if err = identity.OrgExists(ctx, s.kv, org); err == nil && p.From == "" {
		members, order.More, err = s.members(ctx, org, p)
		order.Sorted = true
	}
	if err == nil && p.From != "" || errors.Is(err, errManyMembers) || errors.Is(err, errTooMany) {
		members, order, err = s.membersByID(ctx, org, p)
	}
	return members, order, s.guard.Done(ctx, c, act, err)
}

// NotMembers lists users whom the caller may see and who do not belong to the organisation: of those who come first by
// their names, so many.
func (s *Service) NotMembers(ctx context.Context, c *access.Caller, org id.ID, of int) ([]identity.User, error) {
	users, _, err := s.UsersByName(ctx, c, identity.Part{Limit: of})
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(users))
	for i, u := range users {
		keys[i] = record.Key("member", org, u.ID)
	}
	roles, err := record.Finds[identity.Role](ctx, s.kv, keys)
	if err != nil {
		return nil, err
	}
	others := users[:0]
	for i, u := range users {
		if roles[i] == nil {
			others = append(others, u)
		}
	}
	return others, nil
}

// membersByID reads those of the part, in the order of their IDs, and then their roles. The list goes on behind the one
// who was read last, also where that one is no member any more.
func (s *Service) membersByID(ctx context.Context, org id.ID, p identity.Part) ([]identity.Membership, identity.Order,
	error) {
	src := identity.Source{Folder: record.Folder("member", org), Kind: "user", Whole: p.Keeps == nil}
	users, order, err := identity.ListPart(ctx, s.kv, src, p, func(u identity.User) (id.ID, bool) {
		return u.ID, p.Takes(u.Name, "")
	})
	if err != nil {
		return nil, order, err
	}
	keys := make([]string, len(users))
	for i, u := range users {
		keys[i] = record.Key("member", org, u.ID)
	}
	roles, err := record.Finds[identity.Role](ctx, s.kv, keys)
	if err != nil {
		return nil, order, err
	}
	var out []identity.Membership
	for i, u := range users {
		if roles[i] != nil { // else it is damaged, or was taken away meanwhile
			out = append(out, identity.Membership{User: u, Role: *roles[i]})
		}
	}
	return out, order, nil
}

func (s *Service) members(ctx context.Context, org id.ID, p identity.Part) (out []identity.Membership, more bool,
	err error) {
	// Their keys are counted, which reads none of them.
	switch _, n, err := kv.Skip(ctx, s.kv, record.Folder("member", org), "", false, mostMembers+1); {
	case err != nil:
		return nil, false, kv.Coded(err)
	case n > mostMembers:
		return nil, false, errManyMembers
	}
	roles := make(map[id.ID]identity.Role)
	if err := record.ScanFound(ctx, s.kv, record.Folder("member", org), func(r kv.Record) (bool, error) {
		who, err := id.Parse(record.Last(r.Key))
		if err != nil {
			return false, err
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
	var owners, members []entry
	for _, e := range all {
		switch roles[e.ID] {
		case identity.RoleOwner:
			owners = append(owners, e)
		case identity.RoleMember:
			members = append(members, e)
		}
	}
	these := part(append(owners, members...), p, func(entry) bool { return true })
	users, more, err := read[identity.User](ctx, s.kv, "user", these, p.Limit)
	for _, u := range users {
		out = append(out, identity.Membership{User: u, Role: roles[u.ID]})
	}
	return out, more, err
}

// named gives the names of those who have a role, in order, and perhaps others: a few are read by themselves.
func (s *Service) named(ctx context.Context, roles map[id.ID]identity.Role) ([]entry, error) {
	if len(roles) > s.few {
		return s.users.all(ctx)
	}
	var all []entry
	err := record.Each(ctx, s.kv, "user", maps.Keys(roles), record.Together, func(e entry) bool {
		all = append(all, e)
		return true
	})
	natural.SortPeople(all, entry.name)
	return all, err
}
