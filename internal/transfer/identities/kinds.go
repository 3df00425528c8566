package identities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/bcrypt"

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
	err := im.update(ctx, func(look bool) error {
		if look {
			if met, err := im.meetsUser(ctx, &item, u); err != nil || met {
				return err
			}
		}
		conds, ops := u.User.Creation()
		if u.PasswordHash != nil {
			ops = append(ops, kv.Put(record.Key("password", u.ID), u.PasswordHash))
		}
		err := im.bring(ctx, &item, look, conds, ops)
		item.Why = why
		return err
	})
	return item, err
}

// meetsUser looks whether something is here that keeps the user from being brought, and tells of it.
func (im *importing) meetsUser(ctx context.Context, item *report.Item, u influxdb.User) (met bool, err error) {
	if have, _, ok, err := record.Find[identity.User](ctx, im.KV, record.Key("user", u.ID)); err != nil || ok {
		present(item, "user", have.Name, u.Name)
		return true, err
	}
	if other, _, ok, err := record.Find[id.ID](ctx, im.KV, record.Key("username", u.Name)); err != nil || ok {
		is(item, report.Conflicted, "the name belongs to user %s here; rename one of them", other)
		return true, err
	}
	_, _, met, err = record.Find[any](ctx, im.KV, record.Key("deleting/user", u.ID))
	if met {
		is(item, report.Skipped, "it is just being deleted here; start the server, and try again in a minute")
	}
	return met, err
}

func (im *importing) org(ctx context.Context, o identity.Org) (report.Item, error) {
	item := report.Item{Kind: "organization", ID: o.ID.String(), Name: errs.Clip(o.Name), Count: 1}
	if err := errors.Join(identity.ValidName("organization", o.Name),
		identity.ValidDescription(o.Description)); err != nil {
		is(&item, report.Skipped, "%s", errs.Message(err))
		return item, nil
	}
	err := im.update(ctx, func(look bool) error {
		conds, ops := o.Creation()
		adopted := false
		if look {
			have, r, met, err := im.meetsOrg(ctx, &item, o)
			if err != nil || met {
				return err
			}
			if adopted = r.Rev != 0; adopted {
				conds, ops = named(have, r, o)
			}
		}
		err := im.bring(ctx, &item, look, conds, ops)
		if adopted && item.Result == report.Brought {
			item.Why = "its name: its secrets were here already"
		}
		return err
	})
	return item, err
}

// meetsOrg looks whether something is here that keeps the organisation from being brought, and tells of it. Where its
// secrets have made one that has no name of its own yet, it gives that.
func (im *importing) meetsOrg(ctx context.Context, item *report.Item, o identity.Org) (have identity.Org, r kv.Record,
	met bool, err error) {
	have, r, there, err := record.Find[identity.Org](ctx, im.KV, record.Key("org", o.ID))
	adopted := there && have.Name == identity.Adopted(o.ID).Name && have.Name != o.Name
	if err != nil || there && !adopted {
		present(item, "organization", have.Name, o.Name)
		return have, r, true, err
	}
	if other, _, ok, err := record.Find[id.ID](ctx, im.KV, record.Key("orgname", o.Name)); err != nil || ok {
		is(item, report.Conflicted, "the name belongs to organization %s here; rename one of them", other)
		return have, r, true, err
	}
	if other, _, ok, err := record.Find[id.ID](ctx, im.KV, record.Key("orgplace", o.Name)); err != nil || ok {
		is(item, report.Conflicted, "secrets of organization %s are still kept under the name", other)
		return have, r, true, err
	}
	_, _, met, err = record.Find[any](ctx, im.KV, record.Key("deleting/org", o.ID))
	if met {
		is(item, report.Skipped, "it is just being deleted here; start the server, and try again in a minute")
	}
	return have, r, met, err
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

// MakeOrg makes an organisation as it is elsewhere, under its ID there where that is free. Nobody is a member of it.
func MakeOrg(ctx context.Context, data kv.Store, o identity.Org, now time.Time) (id.ID, error) {
	ids := id.NewGenerator()
	orgs, err := identity.Orgs(ctx, data)
	if err != nil {
		return 0, err
	}
	if !o.ID.Valid() || slices.ContainsFunc(orgs, func(other identity.Org) bool { return other.ID == o.ID }) {
		o.ID = ids.Next()
	}
	o.CreatedAt, o.UpdatedAt = now.UTC(), now.UTC()
	item, err := (&importing{Import: Import{KV: data}}).org(ctx, o)
	if err != nil {
		return 0, err
	}
	if item.Result != report.Brought {
		return 0, fmt.Errorf("the organization %q could not be made: %s", errs.Clip(o.Name), item.Why)
	}
	for _, b := range identity.SystemBuckets(o.ID, now, ids.Next) {
		conds, ops := b.Creation()
		if _, err := data.Txn(ctx, conds, ops); err != nil {
			return o.ID, err
		}
	}
	return o.ID, nil
}

func (im *importing) member(ctx context.Context, m influxdb.Member) (report.Item, error) {
	item := report.Item{Kind: "member", ID: m.UserID.String(), Name: string(m.Role) + " of " + m.OrgID.String(),
		Count: 1}
	err := im.update(ctx, func(look bool) error {
		conds, ok, err := im.parents(ctx, &item, m.OrgID, m.UserID)
		if err != nil || !ok {
			return err
		}
		home := record.Key("member", m.OrgID, m.UserID)
		if look {
			if have, _, ok, err := record.Find[identity.Role](ctx, im.KV, home); err != nil || ok {
				if is(&item, report.Present, ""); have != m.Role {
					is(&item, report.Conflicted, "the user is %s of the organization here", have)
				}
				return err
			}
		}
		return im.bring(ctx, &item, look, append(conds, kv.Missing(home)), identity.GiveRole(m.OrgID, m.UserID, m.Role))
	})
	return item, err
}

func (im *importing) bucket(ctx context.Context, b identity.Bucket) (report.Item, error) {
	item := report.Item{Kind: "bucket", ID: b.ID.String(), Name: errs.Clip(b.Name), Count: 1}
	if err := errors.Join(identity.ValidName("bucket", b.Name), identity.ValidDescription(b.Description)); err != nil {
		is(&item, report.Skipped, "%s", errs.Message(err))
		return item, nil
	}
	err := im.update(ctx, func(look bool) error {
		if look {
			if have, _, ok, err := record.Find[identity.Bucket](ctx, im.KV,
				record.Key("bucket", b.ID)); err != nil || ok {
				present(&item, "bucket", have.Name, b.Name)
				return err
			}
		}
		more, ok, err := im.parents(ctx, &item, b.OrgID, 0)
		switch {
		case err != nil:
			return err
		case !ok && !look:
			return record.ErrRetry
		case !ok:
			return nil
		}
		if look {
			other, _, ok, err := record.Find[id.ID](ctx, im.KV, record.Key("bucketname", b.OrgID, b.Name))
			if err != nil || ok {
				is(&item, report.Conflicted, "the name belongs to bucket %s here", other)
				return err
			}
		}
		conds, ops := b.Creation()
		return im.bring(ctx, &item, look, append(conds, more...), ops)
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
	h := a.TokenHash()
	err = im.update(ctx, func(look bool) error {
		if look {
			if have, _, ok, err := record.Find[identity.Authorization](ctx, im.KV,
				record.Key("auth", a.ID)); err != nil || ok {
				if is(&item, report.Present, ""); !bytes.Equal(have.Hash, a.Hash) {
					is(&item, report.Conflicted, "an authorization with this ID has another token here")
				}
				return err
			}
		}
		more, ok, err := im.parents(ctx, &item, a.OrgID, a.UserID)
		switch {
		case err != nil:
			return err
		case !ok && !look:
			return record.ErrRetry
		case !ok:
			return nil
		}
		if look {
			if other, _, ok, err := record.Find[id.ID](ctx, im.KV, record.Key("authhash", h)); err != nil || ok {
				is(&item, report.Conflicted, "its token belongs to authorization %s here", other)
				return err
			}
		}
		conds, ops := a.Creation()
		err = im.bring(ctx, &item, look, append(conds, more...), ops)
		if item.Result == report.Skipped {
			item.Why = fmt.Sprintf("its %d permissions are too large together to be kept: make a token with fewer",
				len(a.Permissions))
		}
		return err
	})
	return item, err
}
