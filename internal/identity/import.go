package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/errgroup"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
)

// Imports is what another server kept, to be taken over under the IDs it had there.
type Imports struct {
	Users          []ImportedUser
	Orgs           []Org
	Members        []ImportedMember
	Buckets        []Bucket
	Authorizations []Authorization
}

// ImportedUser is a user with the bcrypt hash of the password; nil where there is none.
type ImportedUser struct {
	User
	PasswordHash []byte
}

// ImportedMember is a user's role in an organisation.
type ImportedMember struct {
	OrgID  id.ID
	UserID id.ID
	Role   Role
}

// ImportResult is what became of one thing.
type ImportResult string

// The results. Present is what an earlier import brought, or what is the same here: it was left as it is.
const (
	Brought    ImportResult = "brought"
	Present    ImportResult = "present"
	Conflicted ImportResult = "conflict"
	Skipped    ImportResult = "skipped"
)

// ImportItem tells what became of one thing. It holds no token and no hash.
type ImportItem struct {
	Kind   string       `json:"kind"`
	ID     string       `json:"id,omitempty"`
	Name   string       `json:"name,omitempty"`
	Result ImportResult `json:"result"`
	Why    string       `json:"why,omitempty"`
}

func (i *ImportItem) is(r ImportResult, format string, args ...any) {
	i.Result, i.Why = r, fmt.Sprintf(format, args...)
}

// maxImportedCost bounds the work of a password's hash from outside: at 16 comparing takes some seconds.
const maxImportedCost = 16

// importsAtOnce is how many records are written at the same time; the engine commits them together.
const importsAtOnce = 64

// Import takes over what is not here yet. What is here is never changed: the same thing is Present, another thing of the
// same name or ID is a conflict, and what hangs on something that was not taken over is skipped. So a second call with
// the same things changes nothing. An error ends it; what has been brought by then stays, and the next call goes on.
func (s *Service) Import(ctx context.Context, c *access.Caller, in Imports, from string) ([]ImportItem, error) {
	act := access.Act{Action: "import", Target: errs.Clip(from)}
	var need []access.Permission
	for _, t := range []access.ResourceType{access.Users, access.Orgs, access.Buckets, access.Authorizations} {
		need = append(need, access.To(access.Write, access.Resource{Type: t}))
	}
	if err := s.guard.Allow(ctx, c, act, need...); err != nil {
		return nil, err
	}
	defer s.cache.flush()
	var items []ImportItem
	for _, kind := range []struct {
		n   int
		one func(context.Context, int) (ImportItem, error)
	}{
		{len(in.Users), func(ctx context.Context, i int) (ImportItem, error) { return s.importUser(ctx, in.Users[i]) }},
		{len(in.Orgs), func(ctx context.Context, i int) (ImportItem, error) { return s.importOrg(ctx, in.Orgs[i]) }},
		{len(in.Members), func(ctx context.Context, i int) (ImportItem, error) { return s.importMember(ctx, in.Members[i]) }},
		{len(in.Buckets), func(ctx context.Context, i int) (ImportItem, error) { return s.importBucket(ctx, in.Buckets[i]) }},
		{len(in.Authorizations), func(ctx context.Context, i int) (ImportItem, error) { return s.importAuth(ctx, in.Authorizations[i]) }},
	} {
		some := make([]ImportItem, kind.n)
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(importsAtOnce)
		for i := range kind.n {
			g.Go(func() (err error) {
				some[i], err = kind.one(gctx, i)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return items, s.guard.Done(ctx, c, act, err)
		}
		items = append(items, some...)
	}
	return items, nil
}

// bring carries out what creates a thing under conditions; with ErrConflict the caller looks again.
func (s *Service) bring(ctx context.Context, item *ImportItem, conds []kv.Cond, ops []kv.Op) error {
	_, err := s.kv.Txn(ctx, conds, ops)
	if err == nil {
		item.is(Brought, "")
	}
	return err
}

// has reports whether there is a record, and decodes it.
func has[T any](ctx context.Context, s kv.Store, k string) (T, kv.Record, bool, error) {
	none := errs.New(errs.NotFound, "no record")
	v, r, err := load[T](ctx, s, k, none)
	if errors.Is(err, none) {
		return v, r, false, nil
	}
	return v, r, err == nil, err
}

func (s *Service) importUser(ctx context.Context, u ImportedUser) (ImportItem, error) {
	item := ImportItem{Kind: "user", ID: u.ID.String(), Name: errs.Clip(u.Name)}
	if err := errors.Join(checkName("user", u.Name), u.Status.Valid()); err != nil {
		item.is(Skipped, "%s", errs.Message(err))
		return item, nil
	}
	why := ""
	if cost, err := bcrypt.Cost(u.PasswordHash); u.PasswordHash != nil && (err != nil || cost > maxImportedCost) {
		u.PasswordHash, why = nil, "without a password: its hash is not one of bcrypt of a usual cost; set a new one"
	}
	err := update(ctx, func() error {
		if have, _, ok, err := has[User](ctx, s.kv, key("user", u.ID)); err != nil || ok {
			item.present("user", have.Name, u.Name)
			return err
		}
		if other, _, ok, err := has[id.ID](ctx, s.kv, key("username", u.Name)); err != nil || ok {
			item.is(Conflicted, "the name belongs to user %s here; rename one of them", other)
			return err
		}
		if _, _, ok, err := has[any](ctx, s.kv, key("deleting/user", u.ID)); err != nil || ok {
			item.is(Skipped, "it is just being deleted here; start the server, and try again in a minute")
			return err
		}
		conds, ops := userOps(u.User)
		if u.PasswordHash != nil {
			ops = append(ops, kv.Put(key("password", u.ID), u.PasswordHash))
		}
		err := s.bring(ctx, &item, append(conds, kv.Missing(key("deleting/user", u.ID))), ops)
		item.Why = why
		return err
	})
	return item, err
}

// present marks a thing that is here under its ID.
func (i *ImportItem) present(what, here, there string) {
	i.is(Present, "")
	if here != there {
		i.Why = fmt.Sprintf("the %s is called %q here by now", what, errs.Clip(here))
	}
}

func (s *Service) importOrg(ctx context.Context, o Org) (ImportItem, error) {
	item := ImportItem{Kind: "organization", ID: o.ID.String(), Name: errs.Clip(o.Name)}
	if err := errors.Join(checkName("organization", o.Name), checkDescription(o.Description)); err != nil {
		item.is(Skipped, "%s", errs.Message(err))
		return item, nil
	}
	err := update(ctx, func() error {
		if have, _, ok, err := has[Org](ctx, s.kv, key("org", o.ID)); err != nil || ok {
			item.present("organization", have.Name, o.Name)
			return err
		}
		if other, _, ok, err := has[id.ID](ctx, s.kv, key("orgname", o.Name)); err != nil || ok {
			item.is(Conflicted, "the name belongs to organization %s here; rename one of them", other)
			return err
		}
		if _, _, ok, err := has[any](ctx, s.kv, key("deleting/org", o.ID)); err != nil || ok {
			item.is(Skipped, "it is just being deleted here; start the server, and try again in a minute")
			return err
		}
		conds, ops := orgOps(o)
		return s.bring(ctx, &item, append(conds, kv.Missing(key("deleting/org", o.ID))), ops)
	})
	return item, err
}

// parents gives the conditions that the user and the organisation stay there; ok is false where one is not.
func (s *Service) parents(ctx context.Context, item *ImportItem, org, user id.ID) (conds []kv.Cond, ok bool, err error) {
	for _, p := range []struct {
		what, folder string
		id           id.ID
	}{{"organization", "org", org}, {"user", "user", user}} {
		if !p.id.Valid() {
			continue
		}
		_, r, there, err := has[any](ctx, s.kv, key(p.folder, p.id))
		if err != nil || !there {
			item.is(Skipped, "its %s %s is not here", p.what, p.id)
			return nil, false, err
		}
		conds = append(conds, kv.Unchanged(r))
	}
	return conds, true, nil
}

func (s *Service) importMember(ctx context.Context, m ImportedMember) (ImportItem, error) {
	item := ImportItem{Kind: "member", ID: m.UserID.String(), Name: string(m.Role) + " of " + m.OrgID.String()}
	err := update(ctx, func() error {
		conds, ok, err := s.parents(ctx, &item, m.OrgID, m.UserID)
		if err != nil || !ok {
			return err
		}
		home := key("member", m.OrgID, m.UserID)
		if have, _, ok, err := has[Role](ctx, s.kv, home); err != nil || ok {
			if item.is(Present, ""); have != m.Role {
				item.is(Conflicted, "the user is %s of the organization here", have)
			}
			return err
		}
		return s.bring(ctx, &item, append(conds, kv.Missing(home)), memberOps(m.OrgID, m.UserID, m.Role))
	})
	return item, err
}

func (s *Service) importBucket(ctx context.Context, b Bucket) (ImportItem, error) {
	item := ImportItem{Kind: "bucket", ID: b.ID.String(), Name: errs.Clip(b.Name)}
	if err := errors.Join(checkName("bucket", b.Name), checkDescription(b.Description)); err != nil {
		item.is(Skipped, "%s", errs.Message(err))
		return item, nil
	}
	err := update(ctx, func() error {
		if have, _, ok, err := has[Bucket](ctx, s.kv, key("bucket", b.ID)); err != nil || ok {
			item.present("bucket", have.Name, b.Name)
			return err
		}
		more, ok, err := s.parents(ctx, &item, b.OrgID, 0)
		if err != nil || !ok {
			return err
		}
		if other, _, ok, err := has[id.ID](ctx, s.kv, key("bucketname", b.OrgID, b.Name)); err != nil || ok {
			item.is(Conflicted, "the name belongs to bucket %s here", other)
			return err
		}
		conds, ops := bucketOps(b)
		return s.bring(ctx, &item, append(conds, more...), ops)
	})
	return item, err
}

func (s *Service) importAuth(ctx context.Context, a Authorization) (ImportItem, error) {
	item := ImportItem{Kind: "authorization", ID: a.ID.String(), Name: errs.Clip(a.Description)}
	err := errors.Join(checkDescription(a.Description), a.Status.Valid(), checkPermissions(a.Permissions))
	switch {
	case err != nil:
		item.is(Skipped, "%s", errs.Message(err))
		return item, nil
	case len(a.Hash) != len(hash{}):
		item.is(Skipped, "it has no token")
		return item, nil
	case len(a.Permissions) == 0:
		item.is(Skipped, "it permits nothing")
		return item, nil
	}
	h := hash(a.Hash)
	err = update(ctx, func() error {
		if have, _, ok, err := has[Authorization](ctx, s.kv, key("auth", a.ID)); err != nil || ok {
			if item.is(Present, ""); !bytes.Equal(have.Hash, a.Hash) {
				item.is(Conflicted, "an authorization with this ID has another token here")
			}
			return err
		}
		more, ok, err := s.parents(ctx, &item, a.OrgID, a.UserID)
		if err != nil || !ok {
			return err
		}
		if other, _, ok, err := has[id.ID](ctx, s.kv, hashKey(h)); err != nil || ok {
			item.is(Conflicted, "its token belongs to authorization %s here", other)
			return err
		}
		conds, ops := authOps(a)
		return s.bring(ctx, &item, append(conds, more...), ops)
	})
	return item, err
}
