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

// NewUser makes an active user without a password.
func (s *Service) NewUser(ctx context.Context, c *access.Caller, name string,
	status identity.Status) (identity.User, error) {
	act := access.Act{Action: "users.create", Target: errs.Clip(name), Detail: identity.Changed("status", &status)}
	if err := s.guard.Allow(ctx, c, act, access.To(access.Write, access.Resource{Type: access.Users})); err != nil {
		return identity.User{}, err
	}
	u, err := s.newUser(ctx, name, status)
	return u, s.guard.Done(ctx, c, act, err)
}

func (s *Service) newUser(ctx context.Context, name string, status identity.Status) (identity.User, error) {
	if err := identity.ValidNewUserName(name); err != nil {
		return identity.User{}, err
	}
	if status == "" {
		status = identity.Active
	}
	if err := status.Valid(); err != nil {
		return identity.User{}, err
	}
	u := identity.User{Name: name, Status: status}
	err := record.Update(ctx, func() error {
		u.ID = s.ids.Next()
		conds, ops := u.Creation()
		_, err := s.kv.Txn(ctx, conds, ops)
		if errors.Is(err, kv.ErrConflict) {
			return record.Taken(ctx, s.kv, record.Key("username", name), 0, "user with name %s already exists", name)
		}
		return err
	})
	return u, err
}

// UserByID returns one user.
func (s *Service) UserByID(ctx context.Context, c *access.Caller, user id.ID) (identity.User, error) {
	act := access.Act{Action: "users.read", Target: user.String()}
	if err := s.guard.Allow(ctx, c, act,
		access.To(access.Read, access.Resource{Type: access.Users, ID: user})); err != nil {
		return identity.User{}, err
	}
	u, _, err := record.Load[identity.User](ctx, s.kv, record.Key("user", user), identity.ErrUserNotFound)
	if err == nil {
		err = identity.FillSignIn(ctx, s.kv, &u)
	}
	return u, s.guard.Done(ctx, c, act, err)
}

// Me returns the user who calls. It tells callers only what they are, and is not put on record.
func (s *Service) Me(ctx context.Context, c *access.Caller) (identity.User, error) {
	u, _, err := record.Load[identity.User](ctx, s.kv, record.Key("user", c.UserID), identity.ErrUserNotFound)
	if err == nil {
		err = identity.FillSignIn(ctx, s.kv, &u)
	}
	return u, err
}

// UserName is a user's name for display beside something that the caller was allowed to see; "" where the user is gone.
func (s *Service) UserName(ctx context.Context, user id.ID) (string, error) {
	u, _, err := record.Load[identity.User](ctx, s.kv, record.Key("user", user), identity.ErrUserNotFound)
	if errs.Is(err, errs.NotFound) {
		return "", nil
	}
	return u.Name, err
}

// Users lists the users whom the caller may see, by ID. With a name it gives that one, or errs.NotFound.
func (s *Service) Users(ctx context.Context, c *access.Caller, name string,
	page identity.Page) ([]identity.User, error) {
	act := access.Act{Action: "users.list", Target: errs.Clip(name)}
	if err := s.guard.Allow(ctx, c, act); err != nil {
		return nil, err
	}
	if name != "" {
		u, err := identity.UserNamed(ctx, s.kv, name)
		if err == nil && !c.May(access.To(access.Read, access.Resource{Type: access.Users, ID: u.ID})) {
			err = identity.ErrUserNotFound
		}
		if err == nil {
			err = identity.FillSignIn(ctx, s.kv, &u)
		}
		if err != nil {
			return nil, err
		}
		return []identity.User{u}, nil
	}
	src := identity.Source{Folder: "user/", Whole: c.May(access.To(access.Read, access.Resource{Type: access.Users}))}
	users, err := identity.List(ctx, s.kv, src, page, func(u identity.User) (id.ID, bool) {
		return u.ID, c.May(access.To(access.Read, access.Resource{Type: access.Users, ID: u.ID}))
	})
	if err == nil {
		err = identity.FillSignIns(ctx, s.kv, users)
	}
	if err != nil {
		return nil, err
	}
	return users, nil
}

// UpdateUser changes the fields that are not nil.
func (s *Service) UpdateUser(ctx context.Context, c *access.Caller, user id.ID, name *string,
	status *identity.Status) (identity.User, error) {
	act := access.Act{Action: "users.update", Target: user.String(),
		Detail: identity.Changed("name", name, "status", status)}
	need, err := s.toChange(ctx, c, user)
	if err != nil {
		return identity.User{}, err
	}
	if err := s.guard.Allow(ctx, c, act, need...); err != nil {
		return identity.User{}, err
	}
	if status != nil && c.UserID == user && !c.May(access.To(access.Write, access.Resource{Type: access.Users})) {
		return identity.User{}, s.guard.Deny(ctx, c, act,
			errs.New(errs.Forbidden, "users cannot change their own status"))
	}
	var u identity.User
	err = s.authn.Change(ctx, func(ctx context.Context) error {
		var r kv.Record
		var err error
		if u, r, err = record.Load[identity.User](ctx, s.kv, record.Key("user", user),
			identity.ErrUserNotFound); err != nil {
			return err
		}
		conds, ops := []kv.Cond{kv.Unchanged(r)}, []kv.Op{}
		if name != nil && *name != u.Name {
			if err := identity.ValidNewUserName(*name); err != nil {
				return err
			}
			conds = append(conds, kv.Missing(record.Key("username", *name)))
			ops = append(ops, kv.Delete(record.Key("username", u.Name)),
				record.Put(record.Key("username", *name), u.ID))
			u.Name = *name
		}
		if status != nil {
			if err := status.Valid(); err != nil {
				return err
			}
			if *status == identity.Inactive && u.Operator {
				other, err := s.otherOperator(ctx, u.ID)
				if err != nil {
					return err
				}
				conds = append(conds, other)
			}
			u.Status = *status
		}
		_, err = s.kv.Txn(ctx, conds, append(ops, record.Put(r.Key, u)))
		if errors.Is(err, kv.ErrConflict) && len(ops) > 0 {
			return record.Taken(ctx, s.kv, record.Key("username", u.Name), u.ID, "user with name %s already exists",
				u.Name)
		}
		return err
	})
	if err == nil {
		_ = identity.FillSignIn(ctx, s.kv, &u) // the change stands; the caller gets it without
	}
	return u, s.guard.Done(ctx, c, act, err)
}

// toChange is what a caller needs to rename a user, to make them inactive or active, or to delete them: an operator is
// changed by operators alone, but for their own name. Who is there is told to those alone who may write users.
func (s *Service) toChange(ctx context.Context, c *access.Caller, user id.ID) ([]access.Permission, error) {
	need := []access.Permission{access.To(access.Write, access.Resource{Type: access.Users, ID: user})}
	u, _, err := record.Load[identity.User](ctx, s.kv, record.Key("user", user), identity.ErrUserNotFound)
	lost := errors.Is(err, kv.ErrForged) // it may have been an operator
	if err != nil && !lost && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	if (u.Operator || lost) && c.UserID != user {
		need = append(need, access.WriteServer)
	}
	return need, nil
}

// MakeOperator makes an active user an operator, who may do everything from the next request on. Only operators may.
func (s *Service) MakeOperator(ctx context.Context, c *access.Caller, user id.ID) (identity.User, error) {
	act := access.Act{Action: "users.operator", Target: user.String()}
	if err := s.guard.Allow(ctx, c, act, access.WriteServer); err != nil {
		return identity.User{}, err
	}
	var u identity.User
	err := s.authn.Change(ctx, func(ctx context.Context) error {
		var r kv.Record
		var err error
		if u, r, err = record.Load[identity.User](ctx, s.kv, record.Key("user", user),
			identity.ErrUserNotFound); err != nil {
			return err
		}
		if u.Status != identity.Active {
			return errs.New(errs.Conflict, "the user is inactive, and has to be made active first")
		}
		u.Operator = true
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)}, []kv.Op{record.Put(r.Key, u)})
		return err
	})
	return u, s.guard.Done(ctx, c, act, err)
}

// otherOperator refuses what would leave the server without an active operator. It gives the condition under which that
// holds: another one stays as they are.
func (s *Service) otherOperator(ctx context.Context, user id.ID) (kv.Cond, error) {
	var other kv.Cond
	err := record.ScanFound(ctx, s.kv, "user/", func(r kv.Record) (bool, error) {
		u, err := record.Decode[identity.User](r)
		if err == nil && u.Operator && u.Status == identity.Active && u.ID != user {
			other = kv.Unchanged(r)
		}
		return other.Rev == 0, err
	})
	if err == nil && other.Rev == 0 {
		err = errs.New(errs.Conflict, "this is the last operator; the server would be left without one")
	}
	return other, err
}
