package identity

import (
	"context"

	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// Page is which part of a list is wanted.
type Page struct {
	Offset     int
	Limit      int
	After      id.ID // only what comes after this ID
	Descending bool
}

// Source is where the records of a list are found in the order of their IDs: below a folder whose keys end in them.
type Source struct {
	Folder string
	Kind   string // of the records, where the folder is an index of them; "" where it has the records themselves
	Whole  bool   // every record is in the list
}

// From gives the key behind which the page begins, and what is left of its offset: what the whole source has before
// that is passed over without being read. ended says that the list has no such page.
func (src Source) From(ctx context.Context, s kv.Store, p Page) (from string, offset int, ended bool, err error) {
	if p.After.Valid() {
		from = src.Folder + p.After.String()
	}
	if !src.Whole || p.Offset == 0 {
		return from, p.Offset, false, nil
	}
	last, passed, err := kv.Skip(ctx, s, src.Folder, from, p.Descending, p.Offset)
	return last, 0, passed < p.Offset, kv.Coded(err)
}

// Each yields the records behind a key, in the order of the page, until yield wants no more. One that is forged or
// damaged is on no list: it permits nothing, and must not keep the others from being seen.
func Each[T any](ctx context.Context, s kv.Store, src Source, p Page, from string, yield func(T) bool) error {
	if src.Kind != "" {
		leads := func(r kv.Record) (string, error) { return record.Key(src.Kind, record.Last(r.Key)), nil }
		return record.Led(ctx, s, src.Folder, from, p.Descending, record.AtATime(p.Limit), leads, yield)
	}
	return record.ScanSome(ctx, s, src.Folder, from, p.Descending, func(r kv.Record) (bool, error) {
		v, err := record.Decode[T](r)
		return err == nil && yield(v), err
	})
}

// List pages through the records of a source, keeping those that keep accepts. It reads from where the page begins, in
// the order of the page.
func List[T any](ctx context.Context, s kv.Store, src Source, p Page, keep func(T) (id.ID, bool)) ([]T, error) {
	from, offset, ended, err := src.From(ctx, s, p)
	if err != nil || ended {
		return []T{}, err
	}
	p.Offset = offset
	return Paged(p, keep, func(yield func(T) bool) error { return Each(ctx, s, src, p, from, yield) })
}

// Paged picks a page of what each yields in the order of the page, of that which keep accepts.
func Paged[T any](p Page, keep func(T) (id.ID, bool), each func(yield func(T) bool) error) ([]T, error) {
	out := []T{}
	skip := p.Offset
	err := each(func(v T) bool {
		vid, ok := keep(v)
		switch {
		case !ok, p.After.Valid() && !p.Descending && vid <= p.After, p.After.Valid() && p.Descending && vid >= p.After:
		case skip > 0:
			skip--
		default:
			out = append(out, v)
		}
		return p.Limit == 0 || len(out) < p.Limit
	})
	return out, err
}

// Reaches reports whether the ID is on the page's side of the one that it begins after.
func (p Page) Reaches(i id.ID) bool {
	return !p.After.Valid() || p.Descending && i < p.After || !p.Descending && i > p.After
}

// Part is which part of a list in the order of names is wanted.
type Part struct {
	// Keeps reports whether something is in the list, by its name and its description; nil: all is.
	Keeps       func(name, description string) bool
	Skip, Limit int
	// From is Order.Next of the part before, in the place of Skip; "" for the beginning.
	From string
}

// Takes reports whether something is in the list.
func (p Part) Takes(name, description string) bool {
	return p.Keeps == nil || p.Keeps(name, description)
}

// Order is how a part of a list stands in it.
type Order struct {
	Sorted bool // by names; else there are too many for that, and they are in the order of their IDs
	More   bool // there is more behind it, or may be
	// Next is where a list that is not sorted goes on. The part may have fewer than its limit, or none: one call does
	// not look at all that there are for a few that Part.Keeps.
	Next string
}

// MostLooked is how many records one call for a part of a list that is not sorted looks at.
const MostLooked = 10_000

// ListPart is List for a part of a list that is not sorted.
func ListPart[T any](ctx context.Context, s kv.Store, src Source, p Part,
	of func(T) (who id.ID, keep bool)) ([]T, Order, error) {
	page := Page{Offset: p.Skip, Limit: p.Limit}
	if p.From != "" {
		var err error
		if page.After, err = id.Parse(p.From); err != nil {
			return nil, Order{}, err
		}
		page.Offset = 0
	}
	from, skip, ended, err := src.From(ctx, s, page)
	if err != nil || ended {
		return nil, Order{}, err
	}
	var out []T
	var order Order
	looked, last := 0, id.ID(0)
	err = Each(ctx, s, src, page, from, func(v T) bool {
		if looked == MostLooked || p.Limit > 0 && len(out) == p.Limit {
			order = Order{More: true, Next: last.String()}
			return false
		}
		looked++
		who, keep := of(v)
		last = who
		switch {
		case !keep:
		case skip > 0:
			skip--
		default:
			out = append(out, v)
		}
		return true
	})
	return out, order, err
}
