package embedded

import (
	"context"
	"slices"

	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/records"
)

// manyNames is of how many secrets a change is looked at as a whole.
const manyNames = 64

// void tells where nothing is that a change of many secrets will ask for, as for each that an import brings: three
// looks in the place of three for each secret. Like all that a plan reads it counts only if the head is then as it was
// before.
func (s *Store) void(ctx context.Context, cfg plan.Config, changes []*change) ([]plan.Span, error) {
	var names []string
	for _, c := range changes {
		names = append(names, c.names...)
	}
	if len(names) < manyNames || cfg.Names.Moving {
		return nil, nil
	}
	for i, name := range names {
		place, err := records.At(s.ring, cfg.Org, records.Form(cfg.Names.Form), name)
		if err != nil {
			return nil, err
		}
		names[i] = place.Name
	}
	first, last := slices.Min(names), slices.Max(names)
	if !content.Fits(first) || !content.Fits(last) {
		return nil, nil
	}
	var spans []plan.Span
	for _, kind := range []records.Kind{records.Value, records.Meta, records.Listed} {
		key := func(name string) string {
			return records.Place{Org: cfg.Org, Form: records.Form(cfg.Names.Form), Name: name}.Slot(kind).Key
		}
		span := plan.Span{From: key(first), To: key(last)}
		if value, err := s.from.Read(ctx, nil, span.From); err != nil || value != nil {
			return spans, err
		}
		next, err := s.kv.List(ctx, records.Of(cfg.Org, records.Form(cfg.Names.Form), kind), span.From, 1)
		if err != nil {
			return nil, err
		}
		if len(next) > 0 && next[0].Key <= span.To {
			return spans, nil
		}
		spans = append(spans, span)
	}
	return spans, nil
}
