package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret/embedded/records"
)

// Names go from one form to another (keyring.Names): from clear to sealed, back, or, at a rotation, from one term's
// indexes to the next's. The keyring says first that they do. From then on every change puts a secret's records where
// they belong in the new form and removes them where they were, and every reader looks in both places. What no change
// touches is moved here, a few records at a time, by changes like any other: in the organisation's queue, in one
// transaction or by way of the journal. So a crash at any moment leaves each record in one of its two places, and the
// next process goes on with what is left in the old ones. When there is nothing, the keyring says so.

// moveNames does that; without a move under way, nothing.
func (s *Store) moveNames(ctx context.Context, names keyring.Names, report func(Rewritten)) error {
	orgs, err := s.orgs(ctx)
	if err != nil {
		return err
	}
	at := Rewritten{AllOrgs: len(orgs)}
	for _, org := range orgs {
		m := &mover{s: s, org: org, names: names, moved: func(n int) {
			at.Records += n
			report(at)
		}}
		if err := m.run(ctx); err != nil {
			return err
		}
		at.Orgs++
		report(at)
	}
	if err := s.ring.NamesMoved(ctx, names.Form); err != nil {
		return translate(err)
	}
	// Changes that were planned before may still need the former form's keys, which are dropped next.
	s.awaitChanges()
	return nil
}

// mover moves the records of one organisation.
type mover struct {
	s     *Store
	org   id.ID
	names keyring.Names
	moved func(records int)
	known map[string]string // the names by their former index, where they had one
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
	return m.s.queue.Alone(ctx, m.org, func(ctx context.Context) error {
		m.s.lists.drop(m.org) // what counts is what the records say
		names, err := m.s.Keys(ctx, m.org)
		if err != nil {
			return err
		}
		deleted, err := m.s.trashed(ctx, m.org)
		if err != nil {
			return err
		}
		m.known, err = m.s.indexes(m.org, from, slices.Concat(names, deleted))
		return err
	})
}

// below moves those of the records below the prefix that are to be.
func (m *mover) below(ctx context.Context, prefix string, isOurs func(records.Place) bool) error {
	for after := ""; ; {
		recs, err := m.s.kv.List(ctx, prefix, after, rewritePage)
		if err != nil || len(recs) == 0 {
			return translate(err)
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
			if err != nil {
				return err
			}
			m.moved(n)
			keys = keys[n:]
		}
	}
}

// some moves the first of the records, as many as one transaction takes but at least one, and tells how many.
func (m *mover) some(ctx context.Context, keys []string) (int, error) {
	n := 0
	_, err := m.s.submit(ctx, m.org, func(p *plan) error {
		if p.names != m.names {
			return errors.New("the form of the names has changed meanwhile")
		}
		n = 0
		for _, key := range keys {
			before := len(p.undo)
			err := m.plan(p, key)
			if n > 0 && (err != nil || !p.fits()) {
				p.backTo(before)
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
func (m *mover) plan(p *plan, key string) error {
	fail := func(err error) error { return fmt.Errorf("record %q: %w", key, err) }
	was, kind, err := records.Parse(key)
	if err != nil {
		return err
	}
	sealed, err := p.read(key)
	if err != nil || sealed == nil {
		return err
	}
	name := was.Name
	if was.Form.Sealed() {
		var ok bool
		if name, ok = m.known[was.Name]; !ok {
			if !kind.IsVersion() {
				return fail(errors.New("its name is not among those of the organisation's secrets; restore a backup, " +
					"or set the secret anew"))
			}
			// What has neither value, metadata nor name any more is out of everybody's reach.
			p.write(key, nil)
			return nil
		}
	}
	at, err := p.at(name)
	if err != nil {
		return fail(err)
	}
	p.write(key, nil)
	switch newer, err := p.read(at.now.Slot(kind).Key); {
	case err != nil:
		return err
	case newer != nil: // by whoever has put this one back
		return nil
	case kind.HoldsName():
		return p.putName(at, kind)
	}
	plain, err := p.s.ring.OpenFresh(p.ctx, p.org, was.Slot(kind).As, sealed)
	if err != nil {
		return fail(err)
	}
	defer clear(plain)
	return p.put(at, kind, plain)
}

// orgs lists the organisations that have records.
func (s *Store) orgs(ctx context.Context) ([]id.ID, error) {
	seen := map[id.ID]bool{}
	var all []id.ID
	for _, root := range []string{records.Root, records.TrashRoot} {
		for after := ""; ; {
			recs, err := s.kv.List(ctx, root, after, 1)
			if err != nil {
				return nil, translate(err)
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
			after = root + org.String() + "/" + behindAll
		}
	}
	return all, nil
}

// awaitChanges waits for the changes that are being made: they were planned before, those that come are after.
func (s *Store) awaitChanges() {
	s.writes.Lock()
	//lint:ignore SA2001 nothing is done in between: it is the wait that counts
	s.writes.Unlock()
}
