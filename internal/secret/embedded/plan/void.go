package plan

import (
	"context"
	"slices"
	"strings"

	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// ManyNames is of how many secrets a change is looked at as a whole.
const ManyNames = 64

// spot is what FindVoid has found of a secret.
type spot struct {
	name  string
	place records.Place
	// none says that nothing was there of it, and that nobody has planned anything of it since: who first looks at it
	// takes that away.
	none bool
}

// spots are those of a change of many secrets.
type spots struct {
	ordered []*spot // as their records lie
	by      map[string]*spot
}

// FindVoid tells where nothing is that a change of many secrets will ask for, as for each that an import brings: a few
// looks in the place of some for each secret. Like all that a plan reads it counts only if the head is then as it was
// before. An organisation without a head mostly has nothing at all, which one look tells.
func (c *Config) FindVoid(ctx context.Context, headless bool, changes [][]string) error {
	if headless {
		all := records.Prefix(c.Org)
		switch some, err := c.From.KV.List(ctx, all, "", 1); {
		case err != nil:
			return err
		case len(some) == 0:
			c.Void = []Span{{From: all, To: all + records.BehindAll}}
			return c.findSpots(changes)
		}
	}
	if err := c.findSpots(changes); err != nil || c.spots.by == nil {
		return err
	}
	form := records.Form(c.Names.Form)
	first, last := c.spots.ordered[0].place, c.spots.ordered[len(c.spots.ordered)-1].place
	if !content.Fits(first.Name) || !content.Fits(last.Name) {
		c.spots.unknown()
		return nil
	}
	for _, kind := range []records.Kind{records.Value, records.Meta, records.Listed, records.Version(0)} {
		span := Span{From: first.Slot(kind).Key, To: last.Slot(kind).Key}
		if kind.IsVersion() {
			span = Span{From: first.Versions(), To: last.Versions() + records.BehindAll}
		}
		empty, err := c.empty(ctx, records.Of(c.Org, form, kind), span)
		switch {
		case err != nil:
			return err
		case empty:
			c.Void = append(c.Void, span)
		case kind == records.Listed: // says nothing of what else there is
		case kind.IsVersion():
			c.spots.unknown()
		default:
			if err := c.probe(ctx, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// findSpots works out where the records of many secrets are.
func (c *Config) findSpots(changes [][]string) error {
	names := slices.Concat(changes...)
	if len(names) < ManyNames || c.Names.Moving {
		return nil
	}
	form := records.Form(c.Names.Form)
	all := make([]spot, len(names))
	ordered := make([]*spot, len(names))
	by := make(map[string]*spot, len(names))
	for i, name := range names {
		place, err := records.At(c.From.Ring, c.Org, form, name)
		if err != nil {
			return err
		}
		all[i] = spot{name: name, place: place, none: true}
		ordered[i], by[name] = &all[i], &all[i]
	}
	slices.SortFunc(ordered, func(a, b *spot) int { return strings.Compare(a.place.Name, b.place.Name) })
	c.spots = spots{ordered, by}
	return nil
}

// empty reports whether there is no record in the span of a kind.
func (c *Config) empty(ctx context.Context, of string, span Span) (bool, error) {
	if value, err := c.From.Read(ctx, nil, span.From); err != nil || value != nil {
		return false, err
	}
	next, err := c.From.KV.List(ctx, of, span.From, 1)
	return err == nil && (len(next) == 0 || next[0].Key > span.To), err
}

// probe asks for the record of a kind of each secret, all at once where the engine tells that.
func (c *Config) probe(ctx context.Context, kind records.Kind) error {
	engine, ok := c.From.KV.(kv.Prober)
	if !ok {
		c.spots.unknown()
		return nil
	}
	var keys []string
	var of []*spot
	for _, s := range c.spots.ordered {
		if s.none {
			keys, of = append(keys, s.place.Slot(kind).Key), append(of, s)
		}
	}
	there, err := engine.Probe(ctx, keys)
	for i := range there {
		of[i].none = !there[i]
	}
	return err
}

// unknown notes that of each there may be something.
func (s *spots) unknown() {
	for _, at := range s.ordered {
		at.none = false
	}
}

// take reports whether there is nothing at all of a secret, to who is the first to look at it.
func (s *spots) take(name string) bool {
	at := s.by[name]
	if at == nil || !at.none {
		return false
	}
	at.none = false
	return true
}

// names gives the names of what is set: of many as their records lie, so that the plan comes in the order in which it
// is written.
func (s *spots) names(set map[string]secret.Value) []string {
	names := make([]string, 0, len(set))
	if s.by == nil {
		for name := range set {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	for i, at := range s.ordered {
		if _, ok := set[at.name]; ok && (i == 0 || s.ordered[i-1].name != at.name) {
			names = append(names, at.name)
		}
	}
	return names
}
