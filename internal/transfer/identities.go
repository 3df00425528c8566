package transfer

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
	"strongroom/internal/identity"
	"strongroom/internal/identity/record"
	"strongroom/internal/influxdb"
	"strongroom/internal/kv"
	"strongroom/internal/transfer/report"
)

// maxImportedCost bounds the work of a password's hash from outside: at 16 comparing takes some seconds.
const maxImportedCost = 16

// importsAtOnce is how many records are written at the same time; the engine commits them together.
const importsAtOnce = 64

// someIdentities is of how many what became of them is held before it is reported.
const someIdentities = 4096

// identities takes over who is not here yet. Who and what is here is never changed, but for an organisation that has no name
// of its own yet: the same thing is Present, another
// thing of the same name or ID is a conflict, and what hangs on something that was not taken over is skipped.
// So a second call with the same changes nothing. An error ends it; what has been brought by then stays, and
// the next call goes on.
func (im *importing) identities(ctx context.Context, in influxdb.Identities) error {
	act := access.Act{Action: "import", Target: errs.Clip(im.From)}
	var need []access.Permission
	for _, t := range []access.ResourceType{access.Users, access.Orgs, access.Buckets, access.Authorizations} {
		need = append(need, access.To(access.Write, access.Resource{Type: t}))
	}
	if err := im.Guard.Allow(ctx, im.Caller, act, need...); err != nil {
		return err
	}
	for _, kind := range []struct {
		n   int
		one func(context.Context, int) (report.Item, error)
	}{
		{len(in.Users), func(ctx context.Context, i int) (report.Item, error) { return im.user(ctx, in.Users[i]) }},
		{len(in.Orgs), func(ctx context.Context, i int) (report.Item, error) { return im.org(ctx, in.Orgs[i]) }},
		{len(in.Members), func(ctx context.Context, i int) (report.Item, error) { return im.member(ctx, in.Members[i]) }},
		{len(in.Buckets), func(ctx context.Context, i int) (report.Item, error) { return im.bucket(ctx, in.Buckets[i]) }},
		{len(in.Authorizations), func(ctx context.Context, i int) (report.Item, error) {
			return im.authorization(ctx, in.Authorizations[i])
		}},
	} {
		for from := 0; from < kind.n; from += someIdentities {
			err := im.those(ctx, from, min(from+someIdentities, kind.n), kind.one)
			if err != nil {
				return im.Guard.Done(ctx, im.Caller, act, err)
			}
		}
	}
	return nil
}

// those brings the things from..to, and reports what became of each, also before an error.
func (im *importing) those(ctx context.Context, from, to int, one func(context.Context, int) (report.Item, error)) error {
	some := make([]report.Item, to-from)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(importsAtOnce)
	for i := range some {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() (err error) {
			if some[i], err = one(gctx, from+i); err != nil {
				some[i] = report.Item{} // nothing is known of it
			}
			return err
		})
	}
	err := g.Wait()
	for _, i := range some {
		if i.Result == "" {
			continue
		}
		im.report.Add(i)
		if org, err := id.Parse(i.ID); err == nil && i.Kind == "organization" && i.Result != report.Brought &&
			i.Result != report.Present {
			im.left[org] = true
		}
	}
	return err
}

// bring carries out what creates a thing under conditions; with ErrConflict the caller looks again. A thing that is too
// large for the engine is skipped.
func (im *importing) bring(ctx context.Context, item *report.Item, conds []kv.Cond, ops []kv.Op) error {
	_, err := im.KV.Txn(ctx, conds, ops)
	switch {
	case err == nil:
		is(item, report.Brought, "")
	case errors.Is(err, kv.ErrTooLarge):
		is(item, report.Skipped, "it is too large to be kept")
		return nil
	}
	return err
}

func (im *importing) user(ctx context.Context, u influxdb.User) (report.Item, error) {
	item := report.Item{Kind: "user", ID: u.ID.String(), Name: errs.Clip(u.Name), Count: 1}
	if err := errors.Join(identity.ValidName("user", u.Name), u.Status.Valid()); err != nil {
		is(&item, report.Skipped, "%s", errs.Message(err))
		return item, nil
	}
	why := ""
	if cost, err := bcrypt.Cost(u.PasswordHash); u.PasswordHash != nil && (err != nil || cost > maxImportedCost) {
		u.PasswordHash, why = nil, "without a password: its hash is not one of bcrypt of a usual cost; set a new one"
	}
	err := record.Update(ctx, func() error {
		if have, _, ok, err := record.Find[identity.User](ctx, im.KV, record.Key("user", u.ID)); err != nil || ok {
			present(&item, "user", have.Name, u.Name)
			return err
		}
		if other, _, ok, err := record.Find[id.ID](ctx, im.KV, record.Key("username", u.Name)); err != nil || ok {
			is(&item, report.Conflicted, "the name belongs to user %s here; rename one of them", other)
			return err
		}
		if _, _, ok, err := record.Find[any](ctx, im.KV, record.Key("deleting/user", u.ID)); err != nil || ok {
			is(&item, report.Skipped, "it is just being deleted here; start the server, and try again in a minute")
			return err
		}
		conds, ops := u.User.Creation()
		if u.PasswordHash != nil {
			ops = append(ops, kv.Put(record.Key("password", u.ID), u.PasswordHash))
		}
		err := im.bring(ctx, &item, append(conds, kv.Missing(record.Key("deleting/user", u.ID))), ops)
		item.Why = why
		return err
	})
	return item, err
}

func is(i *report.Item, r report.Result, format string, args ...any) {
	i.Result, i.Why = r, fmt.Sprintf(format, args...)
}

// present marks a thing that is here under its ID.
func present(i *report.Item, what, here, there string) {
	is(i, report.Present, "")
	if here != there {
		i.Why = fmt.Sprintf("the %s is called %q here by now", what, errs.Clip(here))
	}
}

func (im *importing) org(ctx context.Context, o identity.Org) (report.Item, error) {
	item := report.Item{Kind: "organization", ID: o.ID.String(), Name: errs.Clip(o.Name), Count: 1}
	if err := errors.Join(identity.ValidName("organization", o.Name),
		identity.ValidDescription(o.Description)); err != nil {
		is(&item, report.Skipped, "%s", errs.Message(err))
		return item, nil
	}
	err := record.Update(ctx, func() error {
		have, r, there, err := record.Find[identity.Org](ctx, im.KV, record.Key("org", o.ID))
		adopted := there && have.Name == identity.Adopted(o.ID).Name && have.Name != o.Name
		if err != nil || there && !adopted {
			present(&item, "organization", have.Name, o.Name)
			return err
		}
		if other, _, ok, err := record.Find[id.ID](ctx, im.KV, record.Key("orgname", o.Name)); err != nil || ok {
			is(&item, report.Conflicted, "the name belongs to organization %s here; rename one of them", other)
			return err
		}
		if other, _, ok, err := record.Find[id.ID](ctx, im.KV, record.Key("orgplace", o.Name)); err != nil || ok {
			is(&item, report.Conflicted, "secrets of organization %s are still kept under the name", other)
			return err
		}
		if _, _, ok, err := record.Find[any](ctx, im.KV, record.Key("deleting/org", o.ID)); err != nil || ok {
			is(&item, report.Skipped, "it is just being deleted here; start the server, and try again in a minute")
			return err
		}
		conds, ops := o.Creation()
		if adopted {
			conds, ops = named(have, r, o)
		}
		err = im.bring(ctx, &item, append(conds, kv.Missing(record.Key("deleting/org", o.ID))), ops)
		if adopted && item.Result == report.Brought {
			item.Why = "its name: its secrets were here already"
		}
		return err
	})
	return item, err
}

// named gives an organisation that was made by its first secret its real name. The other name stays the organisation's,
// since secrets may be kept under it.
func named(have identity.Org, r kv.Record, o identity.Org) ([]kv.Cond, []kv.Op) {
	if have.Description != identity.Adopted(o.ID).Description {
		o.Description = have.Description
	}
	name := record.Key("orgname", o.Name)
	return []kv.Cond{kv.Unchanged(r), kv.Missing(name), kv.Missing(record.Key("orgplace", o.Name))},
		[]kv.Op{record.Put(r.Key, o), record.Put(name, o.ID), kv.Delete(record.Key("orgname", have.Name)),
			record.Put(record.Key("orgplace", have.Name), o.ID)}
}

// parents gives the conditions that the user and the organisation stay there; ok is false where one is not.
func (im *importing) parents(ctx context.Context, item *report.Item, org, user id.ID) (conds []kv.Cond, ok bool, err error) {
	for _, p := range []struct {
		what, folder string
		id           id.ID
	}{{"organization", "org", org}, {"user", "user", user}} {
		if !p.id.Valid() {
			continue
		}
		_, r, there, err := record.Find[any](ctx, im.KV, record.Key(p.folder, p.id))
		if err != nil || !there {
			is(item, report.Skipped, "its %s %s is not here", p.what, p.id)
			if im.left[p.id] {
				item.Why += ", for the reason that is told of it"
			}
			return nil, false, err
		}
		conds = append(conds, kv.Unchanged(r))
	}
	return conds, true, nil
}

func (im *importing) member(ctx context.Context, m influxdb.Member) (report.Item, error) {
	item := report.Item{Kind: "member", ID: m.UserID.String(), Name: string(m.Role) + " of " + m.OrgID.String(), Count: 1}
	err := record.Update(ctx, func() error {
		conds, ok, err := im.parents(ctx, &item, m.OrgID, m.UserID)
		if err != nil || !ok {
			return err
		}
		home := record.Key("member", m.OrgID, m.UserID)
		if have, _, ok, err := record.Find[identity.Role](ctx, im.KV, home); err != nil || ok {
			if is(&item, report.Present, ""); have != m.Role {
				is(&item, report.Conflicted, "the user is %s of the organization here", have)
			}
			return err
		}
		return im.bring(ctx, &item, append(conds, kv.Missing(home)), identity.GiveRole(m.OrgID, m.UserID, m.Role))
	})
	return item, err
}

func (im *importing) bucket(ctx context.Context, b identity.Bucket) (report.Item, error) {
	item := report.Item{Kind: "bucket", ID: b.ID.String(), Name: errs.Clip(b.Name), Count: 1}
	if err := errors.Join(identity.ValidName("bucket", b.Name), identity.ValidDescription(b.Description)); err != nil {
		is(&item, report.Skipped, "%s", errs.Message(err))
		return item, nil
	}
	err := record.Update(ctx, func() error {
		if have, _, ok, err := record.Find[identity.Bucket](ctx, im.KV, record.Key("bucket", b.ID)); err != nil || ok {
			present(&item, "bucket", have.Name, b.Name)
			return err
		}
		more, ok, err := im.parents(ctx, &item, b.OrgID, 0)
		if err != nil || !ok {
			return err
		}
		if other, _, ok, err := record.Find[id.ID](ctx, im.KV, record.Key("bucketname", b.OrgID, b.Name)); err != nil ||
			ok {
			is(&item, report.Conflicted, "the name belongs to bucket %s here", other)
			return err
		}
		conds, ops := b.Creation()
		return im.bring(ctx, &item, append(conds, more...), ops)
	})
	return item, err
}

func (im *importing) authorization(ctx context.Context, a identity.Authorization) (report.Item, error) {
	item := report.Item{Kind: "authorization", ID: a.ID.String(), Name: errs.Clip(a.Description), Count: 1}
	err := errors.Join(identity.ValidDescription(a.Description), a.Status.Valid(),
		identity.ValidPermissions(a.Permissions))
	switch {
	case err != nil:
		is(&item, report.Skipped, "%s", errs.Message(err))
		return item, nil
	case len(a.Hash) != len(identity.Hash{}):
		is(&item, report.Skipped, "it has no token")
		return item, nil
	case len(a.Permissions) == 0:
		is(&item, report.Skipped, "it permits nothing")
		return item, nil
	}
	h := identity.Hash(a.Hash)
	err = record.Update(ctx, func() error {
		if have, _, ok, err := record.Find[identity.Authorization](ctx, im.KV,
			record.Key("auth", a.ID)); err != nil || ok {
			if is(&item, report.Present, ""); !bytes.Equal(have.Hash, a.Hash) {
				is(&item, report.Conflicted, "an authorization with this ID has another token here")
			}
			return err
		}
		more, ok, err := im.parents(ctx, &item, a.OrgID, a.UserID)
		if err != nil || !ok {
			return err
		}
		if other, _, ok, err := record.Find[id.ID](ctx, im.KV, record.Key("authhash", h)); err != nil || ok {
			is(&item, report.Conflicted, "its token belongs to authorization %s here", other)
			return err
		}
		conds, ops := a.Creation()
		err = im.bring(ctx, &item, append(conds, more...), ops)
		if item.Result == report.Skipped {
			item.Why = fmt.Sprintf("its %d permissions are too large together to be kept: make a token with fewer",
				len(a.Permissions))
		}
		return err
	})
	return item, err
}
