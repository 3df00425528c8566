package rewrite

import (
	"context"
	"errors"
	"fmt"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/records"
)

// Names go from one form to another (keyring.Names): from clear to sealed, back, or, at a rotation, from one term's
// indexes to the next's. The keyring says first that they do. From then on every change puts a secret's records where
// they belong in the new form and removes them where they were, and every reader looks in both places. What no change
// touches is moved here, a few records at a time, by changes like any other: in the organisation's queue, in one
// transaction or by way of the journal. So a crash at any moment leaves each record in one of its two places, and the
// next process goes on with what is left in the old ones. When there is nothing, the keyring says so.
//
// A record that does not open, or whose name nobody knows any more, stays where it is, and the move is not ended before
// it is put right; all others are moved.

// errNameless is a record of which only an index is left.
var errNameless = errors.New("its name is not among those of the organisation's secrets")

// moveNames does that; without a move under way, nothing. What it has passed by it tells with errs.Internal.
func (s *rewriter) moveNames(ctx context.Context, names keyring.Names, report func(Progress)) error {
	orgs, err := s.orgs(ctx)
	if err != nil {
		return err
	}
	at := rewriting{Progress: Progress{AllOrgs: len(orgs)}}
	for _, org := range orgs {
		m := &mover{s: s, org: org, names: names, passes: at.passes, moved: func(n int) {
			at.Records += n
			report(at.Progress)
		}}
		if err := m.run(ctx); err != nil {
			return err
		}
		at.Orgs++
		report(at.Progress)
	}
	if at.Damaged > 0 {
		return at.damage("all other records are where they belong, but %s, and are looked for where they were", "move")
	}
	if err := s.Ring.NamesMoved(ctx, names.Form); err != nil {
		return kv.Coded(err)
	}
	// Changes that were planned before may still need the former form's keys, which are dropped next.
	s.store.AwaitChanges()
	return nil
}

// mover moves the records of one organisation.
type mover struct {
	s     *rewriter
	org   id.ID
	names keyring.Names
	moved func(records int)
	// passes takes note of a record that cannot be moved, and reports whether that is for good.
	passes func(key string, err error) bool
	known  map[string]string // the names by their former index, where they had one
}

func (m *mover) run(ctx context.Context) error {
	from := records.Form(m.names.From)
	if from.Sealed() {
		if err := m.learn(ctx, from); err != nil {
			return err
		}
	}
	for _, prefix := range records.Prefixes(m.org, from) {
		if err := m.below(ctx, prefix, func(records.Place) bool { return true }); err != nil {
			return err
		}
	}
	return m.below(ctx, records.TrashPrefix(m.org), func(p records.Place) bool { return p.Form == from })
}

// learn reads which names there are, the deleted ones too, while nobody changes that.
func (m *mover) learn(ctx context.Context, from records.Form) error {
	names, err := m.s.store.AllNames(ctx, m.org)
	if err != nil {
		return err
	}
	m.known, err = m.s.Indexes(m.org, from, names)
	return err
}

// below moves those of the records below the prefix that are to be.
func (m *mover) below(ctx context.Context, prefix string, isOurs func(records.Place) bool) error {
	for after := ""; ; {
		recs, err := m.s.KV.List(ctx, prefix, after, page)
		if err != nil || len(recs) == 0 {
			return kv.Coded(err)
		}
		var keys []string
		for _, rec := range recs {
			after = rec.Key
			place, _, err := records.Parse(rec.Key)
			if err != nil {
				return err
			}
			if isOurs(place) {
				keys = append(keys, rec.Key)
			}
		}
		for len(keys) > 0 {
			n, err := m.some(ctx, keys)
			if err != nil && !m.passes(keys[0], err) {
				return err
			}
			if err != nil {
				n = 1
			} else {
				m.moved(n)
			}
			keys = keys[n:]
		}
	}
}

// some moves the first of the records, as many as one transaction takes but at least one, and tells how many. An error
// is of the very first.
func (m *mover) some(ctx context.Context, keys []string) (int, error) {
	n := 0
	err := m.s.store.Change(ctx, m.org, func(p *plan.Plan) error {
		if p.Names != m.names {
			return errors.New("the form of the names has changed meanwhile")
		}
		n = 0
		for _, key := range keys {
			before := p.Point()
			err := m.plan(ctx, p, key)
			if n > 0 && (err != nil || !p.Fits()) {
				p.BackTo(before)
				return nil
			}
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// plan plans the move of one record, should it still be there.
func (m *mover) plan(ctx context.Context, p *plan.Plan, key string) error {
	fail := func(err error) error { return fmt.Errorf("record %q: %w", key, err) }
	was, kind, err := records.Parse(key)
	if err != nil {
		return err
	}
	sealed, err := p.Read(key)
	if err != nil || sealed == nil {
		return err
	}
	name := was.Name
	if was.Form.Sealed() {
		var ok bool
		if name, ok = m.known[was.Name]; !ok {
			if !kind.IsVersion() {
				return fail(errNameless)
			}
			// What has neither value, metadata nor name any more is out of everybody's reach.
			p.Write(key, nil)
			return nil
		}
	}
	at, err := p.At(name)
	if err != nil {
		return fail(err)
	}
	p.Write(key, nil)
	switch newer, err := p.Read(at.Now.Slot(kind).Key); {
	case err != nil:
		return err
	case newer != nil: // by whoever has put this one back
		return nil
	case kind.HoldsName():
		return p.PutName(at, kind)
	}
	plain, err := m.s.Ring.OpenFresh(ctx, m.org, was.Slot(kind).As, sealed)
	if err != nil {
		return fail(err)
	}
	defer clear(plain)
	return p.Put(at, kind, plain)
}

// orgs lists the organisations that have records.
func (s *rewriter) orgs(ctx context.Context) ([]id.ID, error) {
	seen := map[id.ID]bool{}
	var all []id.ID
	for _, root := range []string{records.Root, records.TrashRoot} {
		for after := ""; ; {
			recs, err := s.KV.List(ctx, root, after, 1)
			if err != nil {
				return nil, kv.Coded(err)
			}
			if len(recs) == 0 {
				break
			}
			org, _, err := records.OrgOf(root, recs[0].Key)
			if err != nil {
				return nil, err
			}
			if !seen[org] {
				all, seen[org] = append(all, org), true
			}
			after = root + org.String() + "/" + records.BehindAll
		}
	}
	return all, nil
}
