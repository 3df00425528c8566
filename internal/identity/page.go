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

// List pages through the records below a prefix whose keys end in the ID, keeping those that keep accepts. It reads
// from where the page begins, in the order of the page.
func List[T any](ctx context.Context, s kv.Store, pre string, p Page, keep func(T) (id.ID, bool)) ([]T, error) {
	after := ""
	if p.After.Valid() {
		after = pre + p.After.String()
	}
	return Paged(p, keep, func(yield func(T) bool) error {
		return record.ScanSome(ctx, s, pre, after, p.Descending, func(r kv.Record) (bool, error) {
			v, err := record.Decode[T](r)
			return err == nil && yield(v), err
		})
	})
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
