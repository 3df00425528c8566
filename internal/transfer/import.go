// Package transfer moves things in from an InfluxDB and secrets from one store to another, and
// tells what became of each.
package transfer

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxdb"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/transfer/identities"
	"strongroom/internal/transfer/report"
)

// Import says where to import to.
type Import struct {
	KV      kv.Store         // where the identities are; no server may be at work on it
	Guard   *access.Guard    // puts it on record that identities are brought
	Secrets *service.Service // writes, and checks what may be written
	Store   secret.Store     // read, to compare
	Caller  *access.Caller
	From    string // for the record and the report
	// DryRun is for the report: whatever KV and the stores are is a copy, and what would happen is let happen there.
	DryRun bool
	// Unwritten leaves the secrets unwritten, for a dry run whose store is no copy.
	Unwritten bool
	// Told is given what became of each thing, in the place of the report, which then has the totals alone; nil for one
	// that has everything.
	Told func(report.Item)
}

// The bounds of one change of secrets: the longer, the fewer commits, and the more that one refused
// has to be looked for in.
const (
	importKeys  = 2048
	importBytes = 2 << 20
)

// The bounds of what is put in the store's own order before it is written.
const (
	sortedKeys  = 64 << 10
	sortedBytes = 16 << 20
)

// orgsAtOnce is of how many organisations the secrets are brought at the same time.
const orgsAtOnce = 32

// Run brings what is not there yet, and never changes what is. The report is of what was done also where there is an
// error; to run it again goes on.
func (im Import) Run(ctx context.Context, contents *influxdb.Contents) (*report.Report, error) {
	r := &report.Report{From: im.From, DryRun: im.DryRun, Told: im.Told}
	im.KV = kv.Settled(im.KV)
	in := &importing{Import: im, report: r}
	in.now = in.bringing(0, r.Add)
	var err error
	in.left, err = identities.Import{KV: im.KV, Guard: im.Guard, Caller: im.Caller, From: im.From, Report: r}.
		Run(ctx, contents)
	if err == nil && contents.EachSecrets != nil {
		err = contents.EachSecrets(ctx, func(s influxdb.Some) error { return in.some(ctx, s) })
	}
	if err == nil {
		err = in.now.end(ctx)
	}
	in.skipped(contents.Skipped)
	return r, err
}

// importing is an import under way.
type importing struct {
	Import
	report *report.Report
	left   map[id.ID]bool // the organisations of the file that were not brought
	now    *bringing      // of the organisation whose secrets come, and may go on to come
}

// bringing is how far the secrets of one organisation have been brought.
type bringing struct {
	*importing
	of      id.ID
	told    func(report.Item)
	there   bool
	have    []string // the names that it has
	missing int      // the secrets that are skipped since it is not there

	place func(name string) (string, error) // what sorts as the store's records do; nil where that is the name
	next  []influxdb.Secret
	size  int
}

func (im *importing) bringing(org id.ID, told func(report.Item)) *bringing {
	return &bringing{importing: im, of: org, told: told}
}

func (im *importing) skipped(skips []influxdb.Skip) {
	for _, s := range skips {
		im.report.Skip(s)
	}
}

// some brings secrets, those of an organisation after each other. Organisations that are whole among them are brought
// at the same time, and told in order; the last one may go on.
func (im *importing) some(ctx context.Context, s influxdb.Some) error {
	im.skipped(s.Skipped)
	of := slices.Collect(byOrg(s.Secrets))
	if len(of) > 0 && of[0][0].Org == im.now.of {
		if err := im.now.take(ctx, of[0]); err != nil {
			return err
		}
		of = of[1:]
	}
	if len(of) == 0 {
		return nil
	}
	if err := im.now.end(ctx); err != nil {
		return err
	}
	whole, last := of[:len(of)-1], of[len(of)-1]
	items, err := report.InOrder(ctx, len(whole), orgsAtOnce, func(ctx context.Context, i int) (items []report.Item,
		err error) {
		b := im.bringing(whole[i][0].Org, func(item report.Item) { items = append(items, item) })
		if err = b.begin(ctx); err == nil {
			err = b.take(ctx, whole[i])
		}
		if err == nil {
			err = b.end(ctx)
		}
		return items, err
	})
	for _, i := range items {
		im.report.Add(i)
	}
	if err != nil {
		return err
	}
	im.now = im.bringing(last[0].Org, im.report.Add)
	if err := im.now.begin(ctx); err != nil {
		return err
	}
	return im.now.take(ctx, last)
}

// byOrg gives the secrets of each organisation.
func byOrg(secrets []influxdb.Secret) iter.Seq[[]influxdb.Secret] {
	return func(yield func([]influxdb.Secret) bool) {
		for len(secrets) > 0 {
			n := slices.IndexFunc(secrets, func(s influxdb.Secret) bool { return s.Org != secrets[0].Org })
			if n < 0 {
				n = len(secrets)
			}
			if !yield(secrets[:n]) {
				return
			}
			secrets = secrets[n:]
		}
	}
}

// begin looks what the organisation has.
func (b *bringing) begin(ctx context.Context) error {
	err := identity.OrgExists(ctx, b.KV, b.of)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err == nil {
		b.there = true
		b.have, err = b.Store.Keys(ctx, b.of)
		if ordered, ok := secret.As[secret.Ordered](b.Store); ok {
			b.place = ordered.Order(b.of)
		}
	}
	return err
}

// end brings what is left of an organisation.
func (b *bringing) end(ctx context.Context) error {
	if b.missing > 0 {
		why := "their organization is not here (InfluxDB leaves the secrets of deleted organizations behind)"
		if b.left[b.of] {
			why = "their organization is not here, for the reason that is told of it"
		}
		b.told(report.Item{Kind: "secret", ID: b.of.String(), Result: report.Skipped, Why: why, Count: b.missing})
		b.missing = 0
	}
	err := b.write(ctx)
	b.next = nil
	return err
}

// take takes some of the organisation's secrets.
func (b *bringing) take(ctx context.Context, some []influxdb.Secret) error {
	for _, s := range some {
		if err := b.one(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (b *bringing) one(ctx context.Context, s influxdb.Secret) error {
	if !b.there {
		b.missing++
		return nil
	}
	item := report.Item{Kind: "secret", ID: b.of.String(), Name: errs.Clip(s.Key), Count: 1}
	if err := b.Secrets.Valid(s.Key, s.Value); err != nil {
		item.Result, item.Why = report.Skipped, errs.Message(err)
		b.told(item)
		return nil
	}
	if _, found := slices.BinarySearch(b.have, s.Key); found {
		value, err := secret.Get(ctx, b.Store, b.of, s.Key)
		if err != nil {
			return err
		}
		if item.Result = report.Present; !value.Equal(s.Value) {
			item.Result = report.Conflicted
			item.Why = "it has another value here; delete it here to have the imported one"
		}
		b.told(item)
		if item.Result == report.Present {
			return b.describe(ctx, s)
		}
		return nil
	}
	keys, bytes := importKeys, importBytes
	if b.place != nil {
		keys, bytes = sortedKeys, sortedBytes
	}
	more := sizeOf(s)
	if len(b.next) == keys || len(b.next) > 0 && b.size+more > bytes {
		if err := b.write(ctx); err != nil {
			return err
		}
	}
	b.next, b.size = append(b.next, s), b.size+more
	return nil
}

func sizeOf(s influxdb.Secret) int { return len(s.Key) + s.Value.Len() }

// write writes what has come, in changes within the bounds, and keeps none of it. What is more than one change takes
// goes in the store's order, so that each change touches records that lie together.
func (b *bringing) write(ctx context.Context) error {
	all := b.next
	if b.place != nil && len(all) > importKeys {
		var err error
		if all, err = b.sorted(all); err != nil {
			return err
		}
	}
	for len(all) > 0 {
		n, size := 1, sizeOf(all[0])
		for n < min(len(all), importKeys) && size+sizeOf(all[n]) <= importBytes {
			size += sizeOf(all[n])
			n++
		}
		if err := b.apply(ctx, all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	clear(b.next)
	b.next, b.size = b.next[:0], 0
	return nil
}

// sorted gives them in the store's order.
func (b *bringing) sorted(all []influxdb.Secret) ([]influxdb.Secret, error) {
	type placed struct {
		place string
		n     int
	}
	places := make([]placed, len(all))
	for n, s := range all {
		place, err := b.place(s.Key)
		if err != nil {
			return nil, err
		}
		places[n] = placed{place, n}
	}
	slices.SortFunc(places, func(x, y placed) int { return cmp.Or(strings.Compare(x.place, y.place), x.n-y.n) })
	sorted := make([]influxdb.Secret, len(all))
	for n, p := range places {
		sorted[n] = all[p.n]
	}
	return sorted, nil
}

// apply writes some secrets in one change. Where the store refuses that for what they are, those are found that it
// refuses, and they alone are skipped.
func (b *bringing) apply(ctx context.Context, batch []influxdb.Secret) error {
	if len(batch) == 0 {
		return nil
	}
	change := secret.Change{Set: make(map[string]secret.Value, len(batch))}
	for _, s := range batch {
		change.Set[s.Key] = s.Value
	}
	result, why := report.Brought, ""
	if !b.Unwritten {
		_, err := b.Secrets.Apply(ctx, b.Caller, b.of, change)
		switch refused := errs.Is(err, errs.RequestTooLarge) || errs.Is(err, errs.Invalid) ||
			errs.Is(err, errs.Unprocessable); {
		case refused && len(batch) > 1:
			half := len(batch) / 2
			if err := b.apply(ctx, batch[:half]); err != nil {
				return err
			}
			return b.apply(ctx, batch[half:])
		case refused:
			result, why = report.Skipped, errs.Message(err)
		case err != nil:
			return err
		}
	}
	for _, s := range batch {
		b.told(report.Item{Kind: "secret", ID: b.of.String(), Name: errs.Clip(s.Key), Result: result,
			Why: why, Count: 1})
		if result == report.Brought {
			if err := b.describe(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe brings what is noted of a secret, where nothing is here.
func (b *bringing) describe(ctx context.Context, s influxdb.Secret) error {
	if b.Unwritten {
		return nil
	}
	write, err := mayDescribe(ctx, b.Store, s.Org, s.Key, s.Description, false)
	if err != nil || !write {
		return err
	}
	if err = b.Secrets.Describe(ctx, b.Caller, s.Org, s.Key, s.Description); errs.Is(err, errs.NotFound) {
		return nil // deleted since
	}
	return err
}
