package content

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// Names reads the names, a page at a time, and the revision of the head they belong to. The names are nil where a
// change came between, or the head is not, as the caller expects it, pending or at rest.
//
// The first page has the head and the names in one view; further pages are right if the head is the same after the
// last.
func (r Reader) Names(ctx context.Context, org id.ID, pending bool, page int) ([]string, int64, error) {
	headKey := records.Head(org)
	recs, err := r.KV.List(ctx, headKey, "", page)
	if err != nil {
		return nil, 0, err
	}
	if len(recs) == 0 {
		return []string{}, 0, nil
	}
	head := recs[0]
	if head.Key != headKey { // it has gone meanwhile, and what is still there with it
		return nil, 0, nil
	}
	if h, err := commitlog.ParseHead(head); err != nil || h.Pending != pending {
		return nil, 0, err
	}
	recs = recs[1:]
	keys := make([]string, 0, len(recs))
	pages := 1
	for after := headKey; ; pages++ {
		if keys, err = r.Listed(ctx, org, recs, keys); err != nil {
			return nil, 0, err
		}
		if len(keys)+1 < pages*page {
			break
		}
		if len(recs) > 0 {
			after = recs[len(recs)-1].Key
		}
		if recs, err = r.KV.List(ctx, headKey, after, page); err != nil {
			return nil, 0, err
		}
	}
	if pages > 1 {
		now, err := r.KV.Get(ctx, headKey)
		if errors.Is(err, kv.ErrNotFound) || err == nil && now.Rev != head.Rev {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
	// Names in clear are in order; sealed ones are in that of what stands for them.
	if !slices.IsSorted(keys) {
		slices.Sort(keys)
	}
	return slices.Compact(keys), head.Rev, nil
}

// ClearNames gives the names that a page is of, where names are in clear: their records are in the order of the names.
// Most is how many are listed in one call.
func (r Reader) ClearNames(ctx context.Context, org id.ID, page secret.Page, most int) ([]string, error) {
	prefix := records.Names(org, records.Form(keyring.Clear))
	after := ""
	if page.After != "" {
		after = prefix + page.After
	}
	for names := []string{}; ; {
		limit := min(max(page.Limit-len(names), Page), most)
		recs, err := r.KV.List(ctx, prefix, after, limit)
		if err != nil {
			return nil, err
		}
		for _, rec := range recs {
			after = rec.Key
			if name := rec.Key[len(prefix):]; page.Want == nil || page.Want(name) {
				names = append(names, name)
			}
		}
		if page.Full(len(names)) || len(recs) < limit {
			return names, nil
		}
	}
}

// Trashed lists the names of the organisation's deleted secrets, sorted. Most is how many are listed in one call.
func (r Reader) Trashed(ctx context.Context, org id.ID, most int) ([]string, error) {
	var names []string
	for after := ""; ; {
		recs, err := r.KV.List(ctx, records.TrashPrefix(org), after, most)
		if err != nil {
			return nil, err
		}
		for _, rec := range recs {
			after = rec.Key
			place, kind, err := records.Parse(rec.Key)
			if err != nil {
				continue // influxd check tells of it
			}
			name, err := r.NameOf(ctx, place, kind, rec.Value)
			if err != nil {
				return nil, fmt.Errorf("the name in record %q: %w", rec.Key, err)
			}
			names = append(names, strings.Clone(name)) // it may be a part of the key
		}
		if len(recs) < most {
			break
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Over gives the organisation's names as they are with a change that is pending.
func (r Reader) Over(ctx context.Context, org id.ID, change commitlog.Records, names []string) ([]string, error) {
	all := make(map[string]bool, len(names)+len(change))
	for _, name := range names {
		all[name] = true
	}
	// What goes comes first: a name that is moved to another form goes from one place and comes to another.
	var come []kv.Record
	byIndex := map[records.Form]map[string]string{}
	for key, value := range change {
		place, kind, err := records.Parse(key)
		if err != nil {
			return nil, err
		}
		if kind != records.Listed {
			continue
		}
		if value != nil {
			come = append(come, kv.Record{Key: key, Value: value})
			continue
		}
		name := place.Name
		if place.Form.Sealed() {
			if byIndex[place.Form] == nil {
				if byIndex[place.Form], err = r.Indexes(org, place.Form, names); err != nil {
					return nil, err
				}
			}
			name = byIndex[place.Form][place.Name]
		}
		delete(all, name)
	}
	more, err := r.Listed(ctx, org, come, nil)
	if err != nil {
		return nil, err
	}
	for _, name := range more {
		all[name] = true
	}
	out := make([]string, 0, len(all))
	for name := range all {
		out = append(out, name)
	}
	slices.Sort(out)
	return out, nil
}

// NameOf gives the name that a record of the list of names, or of the deleted secrets, is of.
func (r Reader) NameOf(ctx context.Context, place records.Place, kind records.Kind, sealed []byte) (string, error) {
	if !place.Form.Sealed() {
		return place.Name, nil
	}
	plain, err := r.Ring.OpenFresh(ctx, place.Org, place.As(kind), sealed)
	if err != nil {
		return "", err
	}
	return records.DecodeName(plain)
}

// Listed gives the names that records of the list of names are of.
func (r Reader) Listed(ctx context.Context, org id.ID, recs []kv.Record, names []string) ([]string, error) {
	var form records.Form
	prefix := records.Names(org, form)
	for _, rec := range recs {
		name, ok := strings.CutPrefix(rec.Key, prefix)
		if !ok {
			place, _, err := records.Parse(rec.Key)
			if err != nil {
				return nil, err
			}
			form, name = place.Form, place.Name
			prefix = records.Names(org, form) // as it is of those that follow
		}
		name, err := r.NameOf(ctx, records.Place{Org: org, Form: form, Name: name}, records.Listed, rec.Value)
		if err != nil {
			return nil, fmt.Errorf("the name in record %q: %w", rec.Key, err)
		}
		names = append(names, name)
	}
	return names, nil
}

// Indexes gives the names by what stands for them in the form.
func (r Reader) Indexes(org id.ID, form records.Form, names []string) (map[string]string, error) {
	by := make(map[string]string, len(names))
	for _, name := range names {
		place, err := records.At(r.Ring, org, form, name)
		if err != nil {
			return nil, err
		}
		by[place.Name] = name
	}
	return by, nil
}
