// Package identities brings who and what an InfluxDB knew besides secrets: users, organisations, members, buckets and
// tokens, as the records that they are here.
package identities

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/influxdb"
	"strongroom/internal/kv"
	"strongroom/internal/transfer/report"
)

// importsAtOnce is how many records are written at the same time; the engine commits them together.
const importsAtOnce = 256

// someIdentities is of how many what became of them is held before it is reported.
const someIdentities = 4096

// Import says where to bring them, and for whom.
type Import struct {
	KV     kv.Store      // where they are; no server may be at work on it
	Guard  *access.Guard // puts it on record that they are brought
	Caller *access.Caller
	From   string // for the record
	Report *report.Report
}

// importing is an import under way.
type importing struct {
	Import
	left map[id.ID]bool // the organisations that were not brought

	// here says that things are here already, so that it pays to look before one is brought.
	here atomic.Bool

	mu    sync.Mutex
	homes map[string]kv.Cond // of parents that are here, by their keys
}

// maxHomes bounds how many parents are remembered, each some hundred bytes.
const maxHomes = 16 << 10

// Run brings who is not here yet, and tells which organisations were not brought. Who and what is here is never
// changed, but for an organisation that has no name of its own yet: the same thing is Present, another thing of the
// same name or ID is a conflict, and what hangs on something that was not brought is skipped. So a second call with the
// same changes nothing. An error ends it; what has been brought by then stays, and the next call goes on.
func (i Import) Run(ctx context.Context, in *influxdb.Contents) (left map[id.ID]bool, err error) {
	im := &importing{Import: i, left: make(map[id.ID]bool)}
	act := access.Act{Action: "import", Target: errs.Clip(im.From)}
	var need []access.Permission
	for _, t := range []access.ResourceType{access.Users, access.Orgs, access.Buckets, access.Authorizations} {
		need = append(need, access.To(access.Write, access.Resource{Type: t}))
	}
	if err := im.Guard.Allow(ctx, im.Caller, act, need...); err != nil {
		return im.left, err
	}
	for _, kind := range []struct {
		n   int
		one func(context.Context, int) (report.Item, error)
	}{
		{len(in.Users), func(ctx context.Context, i int) (report.Item, error) { return im.user(ctx, in.Users[i]) }},
		{len(in.Orgs), func(ctx context.Context, i int) (report.Item, error) { return im.org(ctx, in.Orgs[i]) }},
		{len(in.Members), func(ctx context.Context, i int) (report.Item, error) {
			return im.member(ctx, in.Members[i])
		}},
		{len(in.Buckets), func(ctx context.Context, i int) (report.Item, error) {
			return im.bucket(ctx, in.Buckets[i])
		}},
	} {
		for from := 0; from < kind.n; from += someIdentities {
			n := min(someIdentities, kind.n-from)
			err := im.those(ctx, n, func(ctx context.Context, i int) (report.Item, error) {
				return kind.one(ctx, from+i)
			})
			if err != nil {
				return im.left, im.Guard.Done(ctx, im.Caller, act, err)
			}
		}
	}
	if in.EachAuthorizations == nil {
		return im.left, nil
	}
	if err := in.EachAuthorizations(ctx, func(some influxdb.Some) error {
		for _, s := range some.Skipped {
			im.Report.Skip(s)
		}
		return im.those(ctx, len(some.Authorizations), func(ctx context.Context, i int) (report.Item, error) {
			return im.authorization(ctx, some.Authorizations[i])
		})
	}); err != nil {
		return im.left, im.Guard.Done(ctx, im.Caller, act, err)
	}
	return im.left, nil
}

// those brings n things, and reports what became of each, also before an error.
func (im *importing) those(ctx context.Context, n int, one func(context.Context, int) (report.Item, error)) error {
	items, err := report.InOrder(ctx, n, importsAtOnce, func(ctx context.Context, i int) ([]report.Item, error) {
		item, err := one(ctx, i)
		if err != nil {
			return nil, err // nothing is known of it
		}
		return []report.Item{item}, nil
	})
	for _, i := range items {
		im.Report.Add(i)
		if org, err := id.Parse(i.ID); err == nil && i.Kind == "organization" && i.Result != report.Brought &&
			i.Result != report.Present {
			im.left[org] = true
		}
	}
	return err
}

// update brings a thing. At first it may do so without a look at what is here: the conditions of what creates a thing
// say that nothing is in its way. Where they do not hold, f looks.
func (im *importing) update(ctx context.Context, f func(look bool) error) error {
	look := im.here.Load()
	return record.Update(ctx, func() error {
		err := f(look)
		if errors.Is(err, kv.ErrConflict) || errors.Is(err, record.ErrRetry) {
			look = true
			im.here.Store(true)
			im.forgetHomes()
		}
		return err
	})
}

// bring carries out what creates a thing under conditions; with ErrConflict the caller looks again. A thing that is too
// large for the engine is skipped, once it was looked for.
func (im *importing) bring(ctx context.Context, item *report.Item, look bool, conds []kv.Cond, ops []kv.Op) error {
	_, err := im.KV.Txn(ctx, conds, ops)
	switch {
	case err == nil:
		im.here.Store(false)
		is(item, report.Brought, "")
	case errors.Is(err, kv.ErrTooLarge) && !look:
		return record.ErrRetry
	case errors.Is(err, kv.ErrTooLarge):
		is(item, report.Skipped, "it is too large to be kept")
		return nil
	}
	return err
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

// parents gives the conditions that the user and the organisation stay there; ok is false where one is not.
func (im *importing) parents(ctx context.Context, item *report.Item, org,
	user id.ID) (conds []kv.Cond, ok bool, err error) {
	for _, p := range []struct {
		what, folder string
		id           id.ID
	}{{"organization", "org", org}, {"user", "user", user}} {
		if !p.id.Valid() {
			continue
		}
		home, there, err := im.home(ctx, record.Key(p.folder, p.id))
		if err != nil || !there {
			is(item, report.Skipped, "its %s %s is not here", p.what, p.id)
			if im.left[p.id] {
				item.Why += ", for the reason that is told of it"
			}
			return nil, false, err
		}
		conds = append(conds, home)
	}
	return conds, true, nil
}

// home gives the condition that a record stays as it is, which was read before or is read now.
func (im *importing) home(ctx context.Context, key string) (home kv.Cond, there bool, err error) {
	im.mu.Lock()
	home, there = im.homes[key]
	im.mu.Unlock()
	if there {
		return home, true, nil
	}
	r, err := im.KV.Get(ctx, key)
	if errors.Is(err, kv.ErrNotFound) {
		return home, false, nil
	}
	if err != nil {
		return home, false, kv.Coded(err)
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	if len(im.homes) >= maxHomes {
		clear(im.homes)
	}
	if im.homes == nil {
		im.homes = make(map[string]kv.Cond)
	}
	im.homes[key] = kv.Unchanged(r)
	return im.homes[key], true, nil
}

// forgetHomes has parents read anew: one of them may have changed.
func (im *importing) forgetHomes() {
	im.mu.Lock()
	defer im.mu.Unlock()
	clear(im.homes)
}
