package directory

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/record"
	"strongroom/internal/identity/rolelogin"
	"strongroom/internal/kv"
)

// Deleting an organisation or a user takes many steps, in two stores. The first transaction removes the thing itself,
// which from then on does not exist for anybody, and leaves a "deleting" record; what hangs on it goes after that; the
// record goes last. A crash or an outage in between is finished by Maintain, from the record.

// DeleteOrg removes an organisation with its members, tokens, buckets and secrets, also where its own record does not
// open. Where the secret store cannot serve,
// nothing is done (errs.Unavailable). Where the organisation has ended and something of it is still to be removed, left
// says what, and why; the service goes on with that.
func (s *Service) DeleteOrg(ctx context.Context, c *access.Caller, org id.ID) (left string, err error) {
	act := access.Act{Action: "orgs.delete", Org: org}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Write,
		access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return "", err
	}
	left, err = s.deleteOrg(ctx, org)
	return left, s.guard.Done(ctx, c, act, err)
}

func (s *Service) deleteOrg(ctx context.Context, org id.ID) (left string, err error) {
	if err := s.OrgExists(ctx, org); err != nil && !errors.Is(err, kv.ErrForged) {
		return "", err
	}
	if err := s.secrets.Check(ctx); err != nil {
		return "", err
	}
	err = s.authn.Change(ctx, func(ctx context.Context) error {
		o, r, err := record.Load[identity.Org](ctx, s.kv, record.Key("org", org), identity.ErrOrgNotFound)
		names := []string{o.Name}
		if errors.Is(err, kv.ErrForged) {
			names, err = identity.LostNames(ctx, s.kv, "orgname/", org)
		}
		if err != nil {
			return err
		}
		ending := identity.Ending{At: s.now().UTC()}
		ops := []kv.Op{kv.Delete(r.Key)}
		for _, name := range names {
			ops = append(ops, kv.Delete(record.Key("orgname", name)))
		}
		if ending.Names, err = identity.FormerNames(ctx, s.kv, org); err != nil {
			return err
		}
		if s.places.named(org) {
			for _, name := range names {
				ending.Names = append(ending.Names, name)
				ops = append(ops, record.Put(record.Key("orgplace", name), org))
			}
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)},
			append(ops, record.Put(record.Key("deleting/org", org), ending)))
		return err
	})
	if err != nil {
		return "", err
	}
	switch err := s.finishSoon(ctx, ended{"organization", org}, s.finishOrg); {
	case errors.Is(err, errUnderWay):
		return "the organization has ended; what is left of it is much, and is still being removed", nil
	case err != nil:
		return "the organization has ended; what is left of it could not be removed yet, which is tried again and " +
			"shown by /health: " +
			errs.Message(err), nil
	}
	return "", nil
}

// finishOrg removes what hangs on an organisation that is gone. It is safe to repeat.
func (s *Service) finishOrg(ctx context.Context, org id.ID) error {
	defer s.authn.Forget() // what its members' sessions may do
	if err := s.secrets.Purge(ctx, org); err != nil {
		return err
	}
	if err := s.deleteAuths(ctx, record.Folder("authorg", org)); err != nil {
		return err
	}
	if err := rolelogin.Delete(ctx, s.kv, func(r identity.AppRole) bool { return r.OrgID == org }); err != nil {
		return err
	}
	err := s.inBatches(ctx, record.Folder("member", org), func(r kv.Record) ([]kv.Op, error) {
		return []kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("memberof", record.Last(r.Key), org))}, nil
	})
	if err != nil {
		return err
	}
	err = s.inBatches(ctx, record.Folder("bucketname", org), func(r kv.Record) ([]kv.Op, error) {
		if r.Value == nil { // it does not open, and tells of no bucket
			return []kv.Op{kv.Delete(r.Key)}, identity.DeleteBuckets(ctx, s.kv, org)
		}
		b, err := record.Decode[id.ID](r)
		return []kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("bucket", b))}, err
	})
	if err != nil {
		return err
	}
	names, err := identity.EndingNames(ctx, s.kv, org)
	if err != nil {
		return err
	}
	ops := []kv.Op{kv.Delete(record.Key("deleting/org", org))}
	for _, name := range names {
		ops = append(ops, kv.Delete(record.Key("orgplace", name)))
	}
	_, err = s.kv.Txn(ctx, nil, ops)
	return err
}

// DeleteUser removes a user with their password, sessions, memberships and tokens, also where their own record does not
// open.
func (s *Service) DeleteUser(ctx context.Context, c *access.Caller, user id.ID) error {
	act := access.Act{Action: "users.delete", Target: user.String()}
	need, err := s.toChange(ctx, c, user)
	if err != nil {
		return err
	}
	if err := s.guard.Allow(ctx, c, act, need...); err != nil {
		return err
	}
	return s.guard.Done(ctx, c, act, s.deleteUser(ctx, user))
}

func (s *Service) deleteUser(ctx context.Context, user id.ID) error {
	err := s.authn.Change(ctx, func(ctx context.Context) error {
		u, r, err := record.Load[identity.User](ctx, s.kv, record.Key("user", user), identity.ErrUserNotFound)
		names, lost := []string{u.Name}, errors.Is(err, kv.ErrForged)
		if lost {
			names, err = identity.LostNames(ctx, s.kv, "username/", user)
		}
		if err != nil {
			return err
		}
		conds := []kv.Cond{kv.Unchanged(r)}
		if u.Operator || lost { // it may have been one
			other, err := s.otherOperator(ctx, user)
			if err != nil {
				return err
			}
			conds = append(conds, other)
		}
		ops := []kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("password", user)),
			kv.Delete(record.Key("signedin", user)), record.Put(record.Key("deleting/user", user), s.now().UTC())}
		for _, name := range names {
			ops = append(ops, kv.Delete(record.Key("username", name)))
		}
		_, err = s.kv.Txn(ctx, conds, ops)
		return err
	})
	if err != nil {
		return err
	}
	// what is left is of no use to anybody, and goes soon
	_ = s.finishSoon(ctx, ended{"user", user}, s.finishUser)
	return nil
}

// finishUser removes what hangs on a user who is gone. It is safe to repeat.
func (s *Service) finishUser(ctx context.Context, user id.ID) error {
	if err := s.authn.EndSessions(ctx, user); err != nil {
		return err
	}
	if err := s.deleteAuths(ctx, record.Folder("authuser", user)); err != nil {
		return err
	}
	if err := rolelogin.Delete(ctx, s.kv, func(r identity.AppRole) bool { return r.UserID == user }); err != nil {
		return err
	}
	err := s.inBatches(ctx, record.Folder("memberof", user), func(r kv.Record) ([]kv.Op, error) {
		return []kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("member", record.Last(r.Key), user))}, nil
	})
	if err != nil {
		return err
	}
	_, err = s.kv.Txn(ctx, nil, []kv.Op{kv.Delete(record.Key("deleting/user", user))})
	return err
}

// deleteAuths removes the authorizations listed below a prefix.
func (s *Service) deleteAuths(ctx context.Context, pre string) error {
	defer s.authn.Forget()
	return s.inBatches(ctx, pre, func(r kv.Record) ([]kv.Op, error) {
		auth := record.Last(r.Key)
		a, _, err := record.Load[identity.Authorization](ctx, s.kv, record.Key("auth", auth),
			authorizations.ErrNotFound)
		switch {
		case errs.Is(err, errs.NotFound):
			return []kv.Op{kv.Delete(r.Key)}, nil
		case errors.Is(err, kv.ErrForged):
			return identity.LostDeletion(ctx, s.kv, auth)
		case err != nil:
			return nil, err
		}
		return a.Deletion(), nil
	})
}

// How many records inBatches takes for a transaction, and how many transactions it has under way, which an
// engine commits together.
const (
	batchRecords = 16
	batches      = 16
)

// inBatches runs, for every record below a prefix, the operations that ops gives, which must include the record's own
// deletion. A record that does not open has its key alone.
func (s *Service) inBatches(ctx context.Context, pre string, ops func(kv.Record) ([]kv.Op, error)) error {
	for {
		rs, err := record.Doomed(ctx, s.kv, pre, batchRecords*batches)
		if err != nil || len(rs) == 0 {
			return err
		}
		g, ctx := errgroup.WithContext(ctx)
		for some := range slices.Chunk(rs, batchRecords) {
			g.Go(func() error {
				var all []kv.Op
				for _, r := range some {
					o, err := ops(r)
					if err != nil {
						return err
					}
					all = append(all, o...)
				}
				_, err := s.kv.Txn(ctx, nil, all)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
}

// finishDeletions goes on with every deletion that was begun and whose turn it is.
func (s *Service) finishDeletions(ctx context.Context) error {
	finish := map[string]func(context.Context, id.ID) error{"org": s.finishOrg, "user": s.finishUser}
	what := map[string]string{"org": "organization", "user": "user"}
	return record.ScanWhole(ctx, s.kv, "deleting/", func(r kv.Record) (bool, error) {
		kind, which, _ := strings.Cut(strings.TrimPrefix(r.Key, "deleting/"), "/")
		f, ok := finish[kind]
		gone, err := id.Parse(which)
		if !ok || err != nil {
			s.log.Error("a record of a deletion cannot be understood and is left alone", "key", r.Key)
			return true, nil
		}
		if e := (ended{what[kind], gone}); s.endings.due(e, s.now()) {
			_ = s.finish(ctx, e, f) // which has told of it
		}
		return true, ctx.Err()
	})
}
