package identity

import (
	"context"
	"errors"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
)

var errUserNotFound = errs.New(errs.NotFound, "user not found")

// NewUser makes an active user without a password.
func (s *Service) NewUser(ctx context.Context, c *access.Caller, name string, status Status) (User, error) {
	act := access.Act{Action: "users.create", Target: errs.Clip(name)}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Write, access.Resource{Type: access.Users})); err != nil {
		return User{}, err
	}
	u, err := s.newUser(ctx, name, status)
	return u, s.guard.Done(ctx, c, act, err)
}

func (s *Service) newUser(ctx context.Context, name string, status Status) (User, error) {
	if err := checkName("user", name); err != nil {
		return User{}, err
	}
	if status == "" {
		status = Active
	}
	if err := status.Valid(); err != nil {
		return User{}, err
	}
	u := User{Name: name, Status: status}
	err := update(ctx, func() error {
		u.ID = s.ids.Next()
		conds, ops := userOps(u)
		_, err := s.kv.Txn(ctx, conds, ops)
		if errors.Is(err, kv.ErrConflict) {
			return s.taken(ctx, key("username", name), "user with name %s already exists", name)
		}
		return err
	})
	return u, err
}

// userOps is what creates a user.
func userOps(u User) ([]kv.Cond, []kv.Op) {
	home, name := key("user", u.ID), key("username", u.Name)
	return []kv.Cond{kv.Missing(home), kv.Missing(name)}, []kv.Op{put(home, u), put(name, u.ID)}
}

// taken tells, after a conflict, whether a unique name is the reason; if not, the caller tries again.
func (s *Service) taken(ctx context.Context, nameKey, format string, args ...any) error {
	if _, err := s.kv.Get(ctx, nameKey); err == nil {
		return errs.New(errs.Conflict, format, args...)
	}
	return errRetry
}

// UserByID returns one user.
func (s *Service) UserByID(ctx context.Context, c *access.Caller, user id.ID) (User, error) {
	act := access.Act{Action: "users.read", Target: user.String()}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Read, access.Resource{Type: access.Users, ID: user})); err != nil {
		return User{}, err
	}
	u, _, err := load[User](ctx, s.kv, key("user", user), errUserNotFound)
	return u, s.guard.Done(ctx, c, act, err)
}

// Me returns the user who calls. It tells callers only what they are, and is not put on record.
func (s *Service) Me(ctx context.Context, c *access.Caller) (User, error) {
	u, _, err := load[User](ctx, s.kv, key("user", c.UserID), errUserNotFound)
	return u, err
}

// UserName is a user's name for display beside something that the caller was allowed to see; "" where the user is gone.
func (s *Service) UserName(ctx context.Context, user id.ID) (string, error) {
	u, _, err := load[User](ctx, s.kv, key("user", user), errUserNotFound)
	if errs.Is(err, errs.NotFound) {
		return "", nil
	}
	return u.Name, err
}

// Users lists the users whom the caller may see, by ID. With a name it gives that one, or errs.NotFound.
func (s *Service) Users(ctx context.Context, c *access.Caller, name string, page Page) ([]User, error) {
	act := access.Act{Action: "users.list", Target: errs.Clip(name)}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return nil, err
	}
	if name != "" {
		u, err := s.userNamed(ctx, name)
		if err == nil && !c.May(access.To(access.Read, access.Resource{Type: access.Users, ID: u.ID})) {
			err = errUserNotFound
		}
		if err != nil {
			return nil, err
		}
		return []User{u}, nil
	}
	return list(ctx, s.kv, "user/", page, func(u User) (id.ID, bool) {
		return u.ID, c.May(access.To(access.Read, access.Resource{Type: access.Users, ID: u.ID}))
	})
}

func (s *Service) userNamed(ctx context.Context, name string) (User, error) {
	uid, _, err := load[id.ID](ctx, s.kv, key("username", name), errUserNotFound)
	if err != nil {
		return User{}, err
	}
	u, _, err := load[User](ctx, s.kv, key("user", uid), errUserNotFound)
	return u, err
}

// UpdateUser changes the fields that are not nil.
func (s *Service) UpdateUser(ctx context.Context, c *access.Caller, user id.ID, name *string, status *Status) (User, error) {
	act := access.Act{Action: "users.update", Target: user.String()}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Write, access.Resource{Type: access.Users, ID: user})); err != nil {
		return User{}, err
	}
	if status != nil && c.UserID == user && !c.May(access.To(access.Write, access.Resource{Type: access.Users})) {
		return User{}, s.guard.Deny(ctx, c, act, errs.New(errs.Forbidden, "users cannot change their own status"))
	}
	var u User
	err := updateCached(ctx, s.cache.flush, func(ctx context.Context) error {
		var r kv.Record
		var err error
		if u, r, err = load[User](ctx, s.kv, key("user", user), errUserNotFound); err != nil {
			return err
		}
		conds, ops := []kv.Cond{kv.Unchanged(r)}, []kv.Op{}
		if name != nil && *name != u.Name {
			if err := checkName("user", *name); err != nil {
				return err
			}
			conds = append(conds, kv.Missing(key("username", *name)))
			ops = append(ops, kv.Delete(key("username", u.Name)), put(key("username", *name), u.ID))
			u.Name = *name
		}
		if status != nil {
			if err := status.Valid(); err != nil {
				return err
			}
			if *status == Inactive && u.Operator {
				if err := s.notLastOperator(ctx, u.ID); err != nil {
					return err
				}
			}
			u.Status = *status
		}
		_, err = s.kv.Txn(ctx, conds, append(ops, put(r.Key, u)))
		if errors.Is(err, kv.ErrConflict) && len(ops) > 0 {
			return s.taken(ctx, key("username", u.Name), "user with name %s already exists", u.Name)
		}
		return err
	})
	return u, s.guard.Done(ctx, c, act, err)
}

// notLastOperator refuses what would leave the server without an active operator.
func (s *Service) notLastOperator(ctx context.Context, user id.ID) error {
	others := false
	err := scan(ctx, s.kv, "user/", "", func(r kv.Record) (bool, error) {
		u, err := decode[User](r)
		others = err == nil && u.Operator && u.Status == Active && u.ID != user
		return !others, err
	})
	if err == nil && !others {
		return errs.New(errs.Conflict, "this is the last operator; the server would be left without one")
	}
	return err
}
