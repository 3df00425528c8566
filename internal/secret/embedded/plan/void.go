package plan

import (
	"context"
	"slices"

	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// ManyNames is of how many secrets a change is looked at as a whole.
const ManyNames = 64

// FindVoid tells where nothing is that a change of many secrets will ask for, as for each that an import brings: three
// looks in the place of three for each secret. Like all that a plan reads it counts only if the head is then as it was
// before.
func (c *Config) FindVoid(ctx context.Context, changes [][]string) error {
	names := slices.Concat(changes...)
	if len(names) < ManyNames || c.Names.Moving {
		return nil
	}
	c.places = make(map[string]records.Place, len(names))
	for i, name := range names {
		place, err := records.At(c.From.Ring, c.Org, records.Form(c.Names.Form), name)
		if err != nil {
			return err
		}
		names[i], c.places[name] = place.Name, place
	}
	first, last := slices.Min(names), slices.Max(names)
	if !content.Fits(first) || !content.Fits(last) {
		return nil
	}
	for _, kind := range []records.Kind{records.Value, records.Meta, records.Listed} {
		key := func(name string) string {
			return records.Place{Org: c.Org, Form: records.Form(c.Names.Form), Name: name}.Slot(kind).Key
		}
		span := Span{From: key(first), To: key(last)}
		if value, err := c.From.Read(ctx, nil, span.From); err != nil || value != nil {
			return err
		}
		next, err := c.From.KV.List(ctx, records.Of(c.Org, records.Form(c.Names.Form), kind), span.From, 1)
		if err != nil {
			return err
		}
		if len(next) > 0 && next[0].Key <= span.To {
			return nil
		}
		c.Void = append(c.Void, span)
	}
	return nil
}
