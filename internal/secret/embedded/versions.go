package embedded

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/keyring"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// apply plans a change.
func (p *plan) apply(change secret.Change, at time.Time) error {
	if err := change.CheckAt(p.head.Version); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(change.Was)) {
		if err := p.built(name, change); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(change.Versions)) {
		version, err := p.version(name)
		if err == nil {
			err = change.CheckVersion(name, version)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(change.Set)) {
		if change.Only != secret.Anyway {
			if err := p.allowed(name, change.Only); err != nil {
				return err
			}
		}
		if err := p.set(name, change.Set[name], change.By, at); err != nil {
			return err
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(change.Delete))) {
		if err := p.delete(name, change.By, at); err != nil {
			return err
		}
	}
	return nil
}

// look reads a secret: where it lies, its metadata, nil where there is nothing of it, and the record of its value, which is
// not found where that has been deleted. Metadata that do not open are an error: whoever went on without would lose the
// earlier versions, and give their numbers to others.
func (p *plan) look(name string) (at places, m *meta, current found, err error) {
	if at, err = p.at(name); err != nil {
		return at, nil, found{}, err
	}
	if current, err = p.find(at, records.Value); err != nil {
		return at, nil, found{}, err
	}
	record, err := p.find(at, records.Meta)
	if err != nil {
		return at, nil, found{}, err
	}
	if m = p.s.made.take(p.org, record); m != nil {
		return at, m, current, nil
	}
	if m, err = p.s.metaOf(p.ctx, p.org, record, current); err != nil {
		err = damagedMeta(err, at.name, p.org)
	}
	return at, m, current, err
}

func (p *plan) set(name string, value secret.Value, by string, time time.Time) error {
	if !fits(name) {
		return errs.New(errs.RequestTooLarge, "a key of %d bytes is too long for the embedded store", len(name))
	}
	at, m, current, err := p.look(name)
	if err != nil {
		return err
	}
	now := time.UnixMilli()
	next := 1
	switch {
	case m == nil:
		m = &meta{Created: now}
	case current.sealed != nil:
		next = m.newest().N + 1
		if err := p.putAside(at, m, current); err != nil {
			return err
		}
	default:
		next = m.newest().N + 1
		p.untrash(at, m)
	}
	p.isNow(name, next, time)
	m.Versions = append(m.Versions, version{N: next, At: now, By: by})
	for len(m.Versions) > max(p.s.history, 1) {
		p.drop(at, records.Version(m.Versions[0].N))
		m.Versions = m.Versions[1:]
	}
	plain := encodeValue(value, time)
	defer clear(plain)
	// It must fit as an earlier version, too.
	if size := len(at.now.Slot(records.Version(next)).Key) + len(plain) + keyring.Overhead; size > commitlog.MaxBytes {
		return errs.New(errs.RequestTooLarge, "secret %q is too large for the embedded store: %d bytes of name and "+
			"value, at most %d", name, size, commitlog.MaxBytes)
	}
	if err := p.put(at, records.Value, plain); err != nil {
		return err
	}
	if err := p.putName(at, records.Listed); err != nil {
		return err
	}
	return p.putMeta(at, m)
}

// putMeta plans the metadata, which are not the caller's from then on.
func (p *plan) putMeta(at places, m *meta) error {
	plain, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := p.put(at, records.Meta, plain); err != nil {
		return err
	}
	slot := at.now.Slot(records.Meta)
	p.s.made.keep(p.org, slot.As, p.records[slot.Key], m)
	return nil
}

// putAside keeps the current value as the version that it is. One that does not open is lost.
func (p *plan) putAside(at places, m *meta, current found) error {
	plain, err := p.s.ring.OpenFresh(p.ctx, p.org, current.as, current.sealed)
	if err != nil {
		m.newest().Lost = true
		return nil
	}
	defer clear(plain)
	return p.put(at, records.Version(m.newest().N), plain)
}

func (p *plan) untrash(at places, m *meta) {
	if m.Deleted != nil {
		p.drop(at, records.Trash(m.Deleted.At))
		m.Deleted = nil
	}
}

// delete plans a deletion. What is not there, or could not be, is none.
func (p *plan) delete(name, by string, time time.Time) error {
	if !fits(name) {
		return nil
	}
	at, m, current, err := p.look(name)
	if err != nil || current.sealed == nil {
		return err
	}
	if p.s.history > 0 {
		if err := p.putAside(at, m, current); err != nil {
			return err
		}
	}
	if err := p.trash(at, m, by, time); err != nil || p.s.history == 0 {
		return err
	}
	return p.putMeta(at, m)
}

// trash plans that a secret is deleted, whose value has been taken care of and whose metadata are still to be put.
// Without a history it is forgotten.
func (p *plan) trash(at places, m *meta, by string, time time.Time) error {
	p.changed = time
	p.drop(at, records.Value)
	p.drop(at, records.Listed)
	if p.s.history == 0 {
		p.forget(at, m)
		return nil
	}
	m.Deleted = &deletion{At: time.UnixMilli(), By: by}
	return p.putName(at, records.Trash(m.Deleted.At))
}

// forget plans the end of all that is kept of a secret that is deleted.
func (p *plan) forget(at places, m *meta) {
	p.drop(at, records.Meta)
	for _, v := range m.Versions {
		p.drop(at, records.Version(v.N))
	}
	p.untrash(at, m)
}

// restore plans a new version with the value of an earlier one; n is 0 for the newest of a deleted secret.
func (p *plan) restore(name string, n int, by string, time time.Time) error {
	at, m, current, err := p.look(name)
	if err != nil {
		return err
	}
	if m == nil {
		return secret.NotFound(name)
	}
	newest := m.newest().N
	if n == 0 {
		n = newest
	}
	if n == newest && current.sealed != nil {
		return nil
	}
	record, err := p.find(at, records.Version(n))
	if err != nil {
		return err
	}
	if record.sealed == nil || !m.version(n).readable() {
		return errs.New(errs.NotFound, "secret %q has no version %d that could be restored", name, n)
	}
	value, _, err := p.s.openValue(p.ctx, p.org, record)
	if err != nil {
		return fmt.Errorf("version %d of secret %q of organisation %s: %w", n, name, p.org, err)
	}
	return p.set(name, value, by, time)
}

// mark plans that versions of a secret are deleted, brought back or destroyed.
func (p *plan) mark(name string, mark secret.Mark, numbers []int, by string, time time.Time) error {
	at, m, current, err := p.look(name)
	if err != nil {
		return err
	}
	if m == nil {
		return secret.NotFound(name)
	}
	before := *m
	before.Versions = slices.Clone(m.Versions)
	for _, n := range numbers {
		v := m.version(n)
		if v == nil {
			continue
		}
		newest := v == m.newest()
		switch {
		case mark == secret.DeleteVersion && newest:
			if current.sealed != nil {
				if err := p.putAside(at, m, current); err != nil {
					return err
				}
				if current, err = (found{}), p.trash(at, m, by, time); err != nil || p.s.history == 0 {
					return err
				}
			}
		case mark == secret.DeleteVersion:
			if v.readable() {
				v.Deleted = time.UnixMilli()
			}
		case mark == secret.DestroyVersion:
			v.Destroyed, v.Deleted = true, 0
			p.drop(at, records.Version(n))
			if newest && current.sealed != nil {
				if current, err = (found{}), p.trash(at, m, by, time); err != nil || p.s.history == 0 {
					return err
				}
			}
		case mark == secret.UndeleteVersion && newest:
			if current.sealed == nil {
				if current, err = p.undelete(at, m, time); err != nil {
					return err
				}
			}
		case mark == secret.UndeleteVersion:
			v.Deleted = 0
		}
	}
	if slices.Equal(before.Versions, m.Versions) && before.Deleted == m.Deleted {
		return nil
	}
	return p.putMeta(at, m)
}

// undelete plans that a deleted secret comes back as the version that it was; where that is not kept, nothing.
func (p *plan) undelete(at places, m *meta, time time.Time) (found, error) {
	v := m.newest()
	record, err := p.find(at, records.Version(v.N))
	if err != nil || record.sealed == nil || v.Destroyed {
		return found{}, err
	}
	plain, err := p.s.ring.OpenFresh(p.ctx, p.org, record.as, record.sealed)
	if err != nil {
		return found{}, fmt.Errorf("version %d of secret %q of organisation %s: %w", v.N, at.name, p.org, err)
	}
	defer clear(plain)
	p.isNow(at.name, v.N, time)
	p.drop(at, records.Version(v.N))
	p.untrash(at, m)
	if err := p.put(at, records.Value, plain); err != nil {
		return found{}, err
	}
	if err := p.putName(at, records.Listed); err != nil {
		return found{}, err
	}
	return p.find(at, records.Value)
}

// remove plans the end of all that is kept of a secret.
func (p *plan) remove(name string, time time.Time) error {
	if !fits(name) {
		return nil
	}
	at, m, current, err := p.look(name)
	if errs.Is(err, errs.Internal) { // what is known of it does not open: all that there is of it goes
		m, err = p.traces(at)
	}
	if err != nil || m == nil {
		return err
	}
	if current.sealed != nil {
		p.changed = time
		p.drop(at, records.Value)
		p.drop(at, records.Listed)
	}
	p.forget(at, m)
	return nil
}

// traces makes metadata of the records that there are of a secret, for their end.
func (p *plan) traces(at places) (*meta, error) {
	m := &meta{}
	for _, place := range []*records.Place{&at.now, at.was} {
		if place == nil {
			continue
		}
		zero := place.Slot(records.Version(0)).Key
		prefix := zero[:strings.LastIndexByte(zero, 0)+1]
		for after := ""; ; {
			recs, err := p.s.kv.List(p.ctx, prefix, after, valuesPage)
			if err != nil || len(recs) == 0 {
				if err != nil {
					return nil, err
				}
				break
			}
			for _, rec := range recs {
				after = rec.Key
				if _, kind, err := records.Parse(rec.Key); err == nil && kind.IsVersion() {
					m.Versions = append(m.Versions, version{N: kind.Number()})
				}
			}
		}
	}
	return m, nil
}
