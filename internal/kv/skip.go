package kv

import "context"

// Skipper is an engine that passes over records without reading their values.
type Skipper interface {
	// Skip passes over the first n records that List, or with back ListBack, would list, and gives the key of the last
	// of them and how many there were: fewer than n, and no key, where the list ends before. The errors are those of
	// List.
	Skip(ctx context.Context, prefix, from string, back bool, n int) (last string, passed int, err error)
}

// skipped is how many records Skip reads at a time of an engine that cannot pass over them.
const skipped = 512

// Skip is the engine's, or reads the records.
func Skip(ctx context.Context, s Store, prefix, from string, back bool, n int) (last string, passed int, err error) {
	if e, ok := s.(Skipper); ok {
		return e.Skip(ctx, prefix, from, back, n)
	}
	list := s.List
	if back {
		list = s.ListBack
	}
	for passed < n {
		recs, err := list(ctx, prefix, from, min(n-passed, skipped))
		if err != nil || len(recs) == 0 {
			return "", passed, err
		}
		passed += len(recs)
		from = recs[len(recs)-1].Key
	}
	return from, passed, ctx.Err()
}
