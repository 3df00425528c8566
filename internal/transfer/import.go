// Package transfer moves things in from an InfluxDB and secrets from one store to another, and tells what became of each.
package transfer

import (
	"context"
	"maps"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxdb"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
)

// Import says where to import to.
type Import struct {
	KV      kv.Store        // where the identities are; no server may be at work on it
	Guard   *access.Guard   // puts it on record that identities are brought
	Secrets *secret.Service // writes, and checks what may be written
	Store   secret.Store    // read, to compare
	Caller  *access.Caller
	From    string // for the record and the report
	// DryRun leaves the secrets unwritten. The identities are brought into whatever KV is: a copy.
	DryRun bool
}

// Run brings what is not there yet, and never changes what is. The report is of what was done also where there is an
// error; to run it again goes on.
func (im Import) Run(ctx context.Context, contents *influxdb.Contents) (*Report, error) {
	r := &Report{From: im.From, DryRun: im.DryRun}
	im.KV = kv.Settled(im.KV)
	if err := im.identities(ctx, r, contents.Identities); err != nil {
		return r, err
	}
	byOrg := make(map[id.ID][]influxdb.Secret)
	for _, s := range contents.Secrets {
		byOrg[s.Org] = append(byOrg[s.Org], s)
	}
	for _, org := range slices.Sorted(maps.Keys(byOrg)) {
		if err := im.secrets(ctx, r, org, byOrg[org]); err != nil {
			return r, err
		}
	}
	for _, s := range contents.Skipped {
		r.add(Item{Kind: s.Kind, Name: s.Name, Result: Skipped, Why: s.Why, Count: s.Count})
	}
	return r, nil
}

// secrets brings one organisation's.
func (im Import) secrets(ctx context.Context, r *Report, org id.ID, secrets []influxdb.Secret) error {
	switch err := identity.OrgExists(ctx, im.KV, org); {
	case errs.Is(err, errs.NotFound):
		r.add(Item{Kind: "secret", ID: org.String(), Result: Skipped,
			Why: "their organization is not here (InfluxDB leaves the secrets of deleted organizations behind)", Count: len(secrets)})
		return nil
	case err != nil:
		return err
	}
	have, err := im.Store.Keys(ctx, org)
	if err != nil {
		return err
	}
	var batch []influxdb.Secret
	size := 0
	for _, s := range secrets {
		item := Item{Kind: "secret", ID: org.String(), Name: s.Key, Count: 1}
		if err := im.Secrets.Valid(s.Key, s.Value); err != nil {
			item.Result, item.Why = Skipped, errs.Message(err)
			r.add(item)
			continue
		}
		if _, found := slices.BinarySearch(have, s.Key); found {
			value, err := im.Store.Get(ctx, org, s.Key)
			if err != nil {
				return err
			}
			if item.Result = Present; !value.Equal(s.Value) {
				item.Result, item.Why = Conflicted, "it has another value here; delete it here to have the imported one"
			}
			r.add(item)
			continue
		}
		if len(batch) == changeKeys || size+s.Value.Len() > changeBytes {
			if err := im.apply(ctx, r, org, batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
		batch, size = append(batch, s), size+s.Value.Len()
	}
	return im.apply(ctx, r, org, batch)
}

// apply writes some secrets in one change. Where the store refuses them for what they are, they are skipped.
func (im Import) apply(ctx context.Context, r *Report, org id.ID, batch []influxdb.Secret) error {
	if len(batch) == 0 {
		return nil
	}
	change := secret.Change{Set: make(map[string]secret.Value, len(batch))}
	for _, s := range batch {
		change.Set[s.Key] = s.Value
	}
	result, why := Brought, ""
	if !im.DryRun {
		err := im.Secrets.Apply(ctx, im.Caller, org, change)
		switch {
		case errs.Is(err, errs.RequestTooLarge) || errs.Is(err, errs.Invalid):
			result, why = Skipped, errs.Message(err)
		case err != nil:
			return err
		}
	}
	for _, s := range batch {
		r.add(Item{Kind: "secret", ID: org.String(), Name: s.Key, Result: result, Why: why, Count: 1})
	}
	return nil
}
