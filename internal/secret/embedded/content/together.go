package content

import (
	"context"
	"slices"
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

// All reads the records of these kinds of all an organisation's secrets, about so many, but for those that say what the
// list has. What it gives looks for these, and for others, when it is asked for them.
func (r Reader) All(ctx context.Context, org id.ID, names keyring.Names, secrets int,
	kinds ...records.Kind) (Finder, error) {
	got := make(map[string][]byte, secrets*len(kinds))
	for _, kind := range kinds {
		if kind == records.Listed {
			continue
		}
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
	return func(ctx context.Context, over commitlog.Records, at Places, kind records.Kind) (Found, error) {
		if kind == records.Listed || !slices.Contains(kinds, kind) {
			return r.Find(ctx, over, at, kind)
		}
		slot := at.Now.Slot(kind)
		return Found{As: slot.As, Sealed: got[slot.Key]}, nil
	}, nil
}

// Together looks for the records of these kinds of some secrets at the same time, which takes an engine elsewhere a
// call or two, where one after the other would each take one. Whether the list has a secret it looks only where there
// is no value: that is when it is asked for. What it gives looks for others when it is asked for them.
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
			if kind == records.Listed {
				continue
			}
			looks.Go(func() error {
				found, err := r.Find(lookCtx, over, at, kind)
				var listed Found
				absent := err == nil && kind == records.Value && found.Sealed == nil &&
					slices.Contains(kinds, records.Listed)
				if absent {
					listed, err = r.Find(lookCtx, over, at, records.Listed)
				}
				mu.Lock()
				defer mu.Unlock()
				if got[wanted{name, kind}] = found; absent {
					got[wanted{name, records.Listed}] = listed
				}
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
