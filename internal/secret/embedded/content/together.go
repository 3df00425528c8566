package content

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// Page is of how many secrets records are read at a time: each may have the longest value.
const Page = 64

// Finder looks for a record of a secret.
type Finder func(ctx context.Context, over commitlog.Records, at Places, kind records.Kind) (Found, error)

// Pages are records that were read as a range, by their keys.
type Pages map[string][]byte

// All reads the records of these kinds of all an organisation's secrets, about so many.
func (r Reader) All(ctx context.Context, org id.ID, names keyring.Names, secrets int,
	kinds ...records.Kind) (Pages, error) {
	got := make(Pages, secrets*len(kinds))
	for _, kind := range kinds {
		prefix := records.Of(org, records.Form(names.Form), kind)
		for after := ""; ; {
			recs, err := r.KV.List(ctx, prefix, after, Page)
			if err != nil {
				return nil, err
			}
			for _, rec := range recs {
				after = rec.Key
				if rec.Value == nil {
					rec.Value = []byte{}
				}
				got[rec.Key] = rec.Value
			}
			if len(recs) < Page {
				break
			}
		}
	}
	return got, nil
}

// Find is a Finder in what was read, which is all that there is.
func (p Pages) Find(_ context.Context, _ commitlog.Records, at Places, kind records.Kind) (Found, error) {
	slot := at.Now.Slot(kind)
	return Found{As: slot.As, Sealed: p[slot.Key]}, nil
}

// Together looks for the records of these kinds of some secrets at the same time, which takes an engine elsewhere a
// call or two, where one after the other would each take one. What it gives looks for others when it is asked for them.
func (r Reader) Together(ctx context.Context, over commitlog.Records, org id.ID, names keyring.Names,
	secrets []string, kinds ...records.Kind) (Finder, error) {
	type wanted struct {
		name string
		kind records.Kind
	}
	var mu sync.Mutex
	got := make(map[wanted]Found, len(secrets)*len(kinds))
	looks, lookCtx := errgroup.WithContext(ctx)
	for _, name := range secrets {
		if !Fits(name) {
			continue
		}
		at, err := r.Places(org, name, names)
		if err != nil {
			return nil, err
		}
		for _, kind := range kinds {
			looks.Go(func() error {
				found, err := r.Find(lookCtx, over, at, kind)
				mu.Lock()
				defer mu.Unlock()
				got[wanted{name, kind}] = found
				return err
			})
		}
	}
	if err := looks.Wait(); err != nil {
		return nil, err
	}
	return func(ctx context.Context, over commitlog.Records, at Places, kind records.Kind) (Found, error) {
		if found, read := got[wanted{at.Name, kind}]; read {
			return found, nil
		}
		return r.Find(ctx, over, at, kind)
	}, nil
}
