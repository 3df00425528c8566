package directory

import (
	"context"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// Deleting an organisation or a user takes many steps, in two stores. The first transaction removes the thing itself,
// which from then on does not exist for anybody, and leaves a "deleting" record; what hangs on it goes after that; the
// record goes last. A crash or an outage in between is finished by Maintain, from the record.

// DeleteOrg removes an organisation with its members, tokens, buckets and secrets. Where the secret store cannot serve,
// nothing is done (errs.Unavailable).
func (s *Service) DeleteOrg(ctx context.Context, c *access.Caller, org id.ID) error {
	act := access.Act{Action: "orgs.delete", Org: org}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Write, access.Resource{Type: access.Orgs, ID: org})); err != nil {
		return err
	}
	return s.guard.Done(ctx, c, act, s.deleteOrg(ctx, org))
}

func (s *Service) deleteOrg(ctx context.Context, org id.ID) error {
	if err := s.OrgExists(ctx, org); err != nil {
		return err
	}
	if err := s.secrets.Check(ctx); err != nil {
		return err
	}
	err := s.authn.Change(ctx, func(ctx context.Context) error {
		o, r, err := record.Load[identity.Org](ctx, s.kv, record.Key("org", org), identity.ErrOrgNotFound)
		if err != nil {
			return err
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)},
			[]kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("orgname", o.Name)), record.Put(record.Key("deleting/org", org), s.now().UTC())})
		return err
	})
	if err != nil {
		return err
	}
	return s.later(ctx, "organization", org, s.finishOrg(ctx, org))
}

// later tells the caller that the deletion stands, though some of it has yet to be finished.
func (s *Service) later(ctx context.Context, what string, which id.ID, err error) error {
	if err != nil {
		s.log.WarnContext(ctx, "deleting is not finished and will be tried again every minute", "what", what, "id", which, "error", err)
	}
	return nil
}

// finishOrg removes what hangs on an organisation that is gone. It is safe to repeat.
func (s *Service) finishOrg(ctx context.Context, org id.ID) error {
	if err := s.secrets.Purge(ctx, org); err != nil {
		return err
	}
	if err := s.deleteAuths(ctx, record.Folder("authorg", org)); err != nil {
		return err
	}
	err := s.inBatches(ctx, record.Folder("member", org), func(r kv.Record) ([]kv.Op, error) {
		return []kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("memberof", record.Last(r.Key), org))}, nil
	})
	if err != nil {
		return err
	}
	err = s.inBatches(ctx, record.Folder("bucketname", org), func(r kv.Record) ([]kv.Op, error) {
		b, err := record.Decode[id.ID](r)
		return []kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("bucket", b))}, err
	})
	if err != nil {
		return err
	}
	_, err = s.kv.Txn(ctx, nil, []kv.Op{kv.Delete(record.Key("deleting/org", org))})
	return err
}

// DeleteUser removes a user with their password, sessions, memberships and tokens.
func (s *Service) DeleteUser(ctx context.Context, c *access.Caller, user id.ID) error {
	act := access.Act{Action: "users.delete", Target: user.String()}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Write, access.Resource{Type: access.Users, ID: user})); err != nil {
		return err
	}
	return s.guard.Done(ctx, c, act, s.deleteUser(ctx, user))
}

func (s *Service) deleteUser(ctx context.Context, user id.ID) error {
	err := s.authn.Change(ctx, func(ctx context.Context) error {
		u, r, err := record.Load[identity.User](ctx, s.kv, record.Key("user", user), identity.ErrUserNotFound)
		if err != nil {
			return err
		}
		conds := []kv.Cond{kv.Unchanged(r)}
		if u.Operator {
			other, err := s.otherOperator(ctx, user)
			if err != nil {
				return err
			}
			conds = append(conds, other)
		}
		_, err = s.kv.Txn(ctx, conds, []kv.Op{kv.Delete(r.Key), kv.Delete(record.Key("username", u.Name)),
			kv.Delete(record.Key("password", user)), record.Put(record.Key("deleting/user", user), s.now().UTC())})
		return err
	})
	if err != nil {
		return err
	}
	return s.later(ctx, "user", user, s.finishUser(ctx, user))
}

// finishUser removes what hangs on a user who is gone. It is safe to repeat.
func (s *Service) finishUser(ctx context.Context, user id.ID) error {
	if err := s.authn.EndSessions(ctx, user); err != nil {
		return err
	}
	if err := s.deleteAuths(ctx, record.Folder("authuser", user)); err != nil {
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
		a, _, err := record.Load[identity.Authorization](ctx, s.kv, record.Key("auth", record.Last(r.Key)), errAuthNotFound)
		if errs.Is(err, errs.NotFound) {
			return []kv.Op{kv.Delete(r.Key)}, nil
		}
		return a.Deletion(), err
	})
}

// inBatches runs, for every record below a prefix, the operations that ops gives, which must include the record's own
// deletion.
func (s *Service) inBatches(ctx context.Context, pre string, ops func(kv.Record) ([]kv.Op, error)) error {
	for {
		rs, err := s.kv.List(ctx, pre, "", 16)
		if err != nil || len(rs) == 0 {
			return err
		}
		var all []kv.Op
		for _, r := range rs {
			o, err := ops(r)
			if err != nil {
				return err
			}
			all = append(all, o...)
		}
		if _, err := s.kv.Txn(ctx, nil, all); err != nil {
			return err
		}
	}
}

// finishDeletions goes on with every deletion that was begun.
func (s *Service) finishDeletions(ctx context.Context) error {
	finish := map[string]func(context.Context, id.ID) error{"org": s.finishOrg, "user": s.finishUser}
	return record.Scan(ctx, s.kv, "deleting/", "", func(r kv.Record) (bool, error) {
		kind, which, _ := strings.Cut(strings.TrimPrefix(r.Key, "deleting/"), "/")
		f, ok := finish[kind]
		gone, err := id.Parse(which)
		if !ok || err != nil {
			s.log.Error("a record of a deletion cannot be understood and is left alone", "key", r.Key)
			return true, nil
		}
		return true, s.later(ctx, kind, gone, f(ctx, gone))
	})
}
