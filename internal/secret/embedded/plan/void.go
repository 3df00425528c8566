package plan

import (
	"context"
	"slices"

	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// ManyNames is of how many secrets a change is looked at as a whole.
const ManyNames = 64

// FindVoid tells where nothing is that a change of many secrets will ask for, as for each that an import brings: four
// looks in the place of four for each secret. Like all that a plan reads it counts only if the head is then as it was
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
	low := records.Place{Org: c.Org, Form: records.Form(c.Names.Form), Name: first}
	high := records.Place{Org: c.Org, Form: records.Form(c.Names.Form), Name: last}
	for _, kind := range []records.Kind{records.Value, records.Meta, records.Listed, records.Version(0)} {
		span := Span{From: low.Slot(kind).Key, To: high.Slot(kind).Key}
		if kind.IsVersion() {
			span = Span{From: low.Versions(), To: high.Versions() + records.BehindAll}
		}
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
