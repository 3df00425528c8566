// Package transfer moves things in from an InfluxDB and secrets from one store to another, and
// tells what became of each.
package transfer

import (
	"context"
	"slices"

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

// Run brings what is not there yet, and never changes what is. The report is of what was done also where there is an
// error; to run it again goes on.
func (im Import) Run(ctx context.Context, contents *influxdb.Contents) (*report.Report, error) {
	r := &report.Report{From: im.From, DryRun: im.DryRun, Told: im.Told}
	im.KV = kv.Settled(im.KV)
	in := &importing{Import: im, report: r}
	var err error
	in.left, err = identities.Import{KV: im.KV, Guard: im.Guard, Caller: im.Caller, From: im.From, Report: r}.
		Run(ctx, contents.Identities)
	if err == nil {
		err = contents.EachSecrets(ctx, func(s influxdb.Some) error { return in.some(ctx, s) })
	}
	if err == nil {
		err = in.end(ctx)
	}
	in.skipped(contents.Skipped)
	return r, err
}

// importing is an import under way.
type importing struct {
	Import
	report *report.Report
	left   map[id.ID]bool // the organisations of the file that were not brought

	// Of the organisation whose secrets are being brought:
	of      id.ID
	there   bool
	have    []string // the names that it has
	missing int      // the secrets that are skipped since it is not there
	batch   []influxdb.Secret
	size    int
}

func (im *importing) skipped(skips []influxdb.Skip) {
	for _, s := range skips {
		im.report.Skip(s)
	}
}

// some brings secrets, those of an organisation after each other.
func (im *importing) some(ctx context.Context, s influxdb.Some) error {
	im.skipped(s.Skipped)
	for _, secret := range s.Secrets {
		if secret.Org != im.of {
			if err := im.begin(ctx, secret.Org); err != nil {
				return err
			}
		}
		if err := im.one(ctx, secret); err != nil {
			return err
		}
	}
	return nil
}

// begin ends an organisation and begins another.
func (im *importing) begin(ctx context.Context, org id.ID) error {
	if err := im.end(ctx); err != nil {
		return err
	}
	im.of, im.there, im.have = org, true, nil
	err := identity.OrgExists(ctx, im.KV, org)
	if errs.Is(err, errs.NotFound) {
		im.there = false
		return nil
	}
	if err == nil {
		im.have, err = im.Store.Keys(ctx, org)
	}
	return err
}

// end brings what is left of an organisation.
func (im *importing) end(ctx context.Context) error {
	if im.missing > 0 {
		why := "their organization is not here (InfluxDB leaves the secrets of deleted organizations behind)"
		if im.left[im.of] {
			why = "their organization is not here, for the reason that is told of it"
		}
		im.report.Add(report.Item{Kind: "secret", ID: im.of.String(), Result: report.Skipped, Why: why,
			Count: im.missing})
		im.missing = 0
	}
	err := im.apply(ctx, im.batch)
	im.batch, im.size = nil, 0
	return err
}

func (im *importing) one(ctx context.Context, s influxdb.Secret) error {
	if !im.there {
		im.missing++
		return nil
	}
	item := report.Item{Kind: "secret", ID: im.of.String(), Name: errs.Clip(s.Key), Count: 1}
	if err := im.Secrets.Valid(s.Key, s.Value); err != nil {
		item.Result, item.Why = report.Skipped, errs.Message(err)
		im.report.Add(item)
		return nil
	}
	if _, found := slices.BinarySearch(im.have, s.Key); found {
		value, err := secret.Get(ctx, im.Store, im.of, s.Key)
		if err != nil {
			return err
		}
		if item.Result = report.Present; !value.Equal(s.Value) {
			item.Result = report.Conflicted
			item.Why = "it has another value here; delete it here to have the imported one"
		}
		im.report.Add(item)
		if item.Result == report.Present {
			return im.describe(ctx, s)
		}
		return nil
	}
	more := len(s.Key) + s.Value.Len()
	if len(im.batch) == importKeys || len(im.batch) > 0 && im.size+more > importBytes {
		if err := im.apply(ctx, im.batch); err != nil {
			return err
		}
		im.batch, im.size = im.batch[:0], 0
	}
	im.batch, im.size = append(im.batch, s), im.size+more
	return nil
}

// apply writes some secrets in one change. Where the store refuses that for what they are, those are found that it
// refuses, and they alone are skipped.
func (im *importing) apply(ctx context.Context, batch []influxdb.Secret) error {
	if len(batch) == 0 {
		return nil
	}
	change := secret.Change{Set: make(map[string]secret.Value, len(batch))}
	for _, s := range batch {
		change.Set[s.Key] = s.Value
	}
	result, why := report.Brought, ""
	if !im.Unwritten {
		_, err := im.Secrets.Apply(ctx, im.Caller, im.of, change)
		switch refused := errs.Is(err, errs.RequestTooLarge) || errs.Is(err, errs.Invalid) ||
			errs.Is(err, errs.Unprocessable); {
		case refused && len(batch) > 1:
			half := len(batch) / 2
			if err := im.apply(ctx, batch[:half]); err != nil {
				return err
			}
			return im.apply(ctx, batch[half:])
		case refused:
			result, why = report.Skipped, errs.Message(err)
		case err != nil:
			return err
		}
	}
	for _, s := range batch {
		im.report.Add(report.Item{Kind: "secret", ID: im.of.String(), Name: errs.Clip(s.Key), Result: result,
			Why: why, Count: 1})
		if result == report.Brought {
			if err := im.describe(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe brings what is noted of a secret, where nothing is here.
func (im *importing) describe(ctx context.Context, s influxdb.Secret) error {
	if im.Unwritten {
		return nil
	}
	write, err := mayDescribe(ctx, im.Store, s.Org, s.Key, s.Description, false)
	if err != nil || !write {
		return err
	}
	if err = im.Secrets.Describe(ctx, im.Caller, s.Org, s.Key, s.Description); errs.Is(err, errs.NotFound) {
		return nil // deleted since
	}
	return err
}
