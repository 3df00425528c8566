package sealed

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// plan works out what changes of an organisation's secrets make of its records. It reads what is there, through what it
// has planned so far, so that one plan can hold several changes after each other.
type plan struct {
	s       *Store
	ctx     context.Context
	org     id.ID
	records records
}

func (p *plan) read(key string) ([]byte, error) { return p.s.read(p.ctx, p.records, key) }

// apply plans a change.
func (p *plan) apply(change secret.Change, at time.Time) error {
	for _, name := range slices.Sorted(maps.Keys(change.Set)) {
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

// look reads a secret: its metadata, nil where there is nothing of it, and the record of its value, nil where that has
// been deleted. Metadata that do not open must not keep a new value out: the secret begins anew.
func (p *plan) look(name string) (m *meta, current []byte, err error) {
	if current, err = p.read(secretKey(p.org, name)); err != nil {
		return nil, nil, err
	}
	record, err := p.read(metaKey(p.org, name))
	if err != nil {
		return nil, nil, err
	}
	if m, err = p.s.metaOf(p.ctx, p.org, name, record, current); err != nil {
		m, err = p.s.metaOf(p.ctx, p.org, name, nil, current)
	}
	return m, current, err
}

func (p *plan) set(name string, value secret.Value, by string, at time.Time) error {
	if !fits(p.org, name) {
		return errs.New(errs.RequestTooLarge, "a key of %d bytes is too long for the embedded store", len(name))
	}
	m, current, err := p.look(name)
	if err != nil {
		return err
	}
	now := at.UnixMilli()
	next := 1
	switch {
	case m == nil:
		m = &meta{Created: now}
	case current != nil:
		next = m.newest().N + 1
		if err := p.putAside(name, m, current); err != nil {
			return err
		}
	default:
		next = m.newest().N + 1
		p.untrash(name, m)
	}
	m.Versions = append(m.Versions, version{N: next, At: now, By: by})
	for len(m.Versions) > max(p.s.history, 1) {
		p.records[versionKey(p.org, name, m.Versions[0].N)] = nil
		m.Versions = m.Versions[1:]
	}
	record, err := p.s.sealValue(p.org, name, value, at)
	if err != nil {
		return err
	}
	// It must fit as an earlier version, too.
	if size := len(versionKey(p.org, name, next)) + len(record); size > stepBytes {
		return errs.New(errs.RequestTooLarge, "secret %q is too large for the embedded store: %d bytes of name and value, at most %d", name, size, stepBytes)
	}
	p.records[secretKey(p.org, name)] = record
	p.records[nameKey(p.org, name)] = []byte{}
	return p.putMeta(name, m)
}

func (p *plan) putMeta(name string, m *meta) (err error) {
	p.records[metaKey(p.org, name)], err = p.s.sealMeta(p.org, name, m)
	return err
}

// putAside keeps the current value as the version that it is. One that does not open is lost.
func (p *plan) putAside(name string, m *meta, current []byte) error {
	plain, err := p.s.open(p.ctx, p.org, belongsTo(name), current)
	if err != nil {
		m.newest().Lost = true
		return nil
	}
	defer clear(plain)
	n := m.newest().N
	p.records[versionKey(p.org, name, n)], err = p.s.ring.Seal(p.org, versionBelongs(name, n), plain)
	return err
}

func (p *plan) untrash(name string, m *meta) {
	if m.Deleted != nil {
		p.records[trashKey(p.org, m.Deleted.At, name)] = nil
		m.Deleted = nil
	}
}

// delete plans a deletion. What is not there, or could not be, is none.
func (p *plan) delete(name, by string, at time.Time) error {
	if !fits(p.org, name) {
		return nil
	}
	m, current, err := p.look(name)
	if err != nil || current == nil {
		return err
	}
	p.records[secretKey(p.org, name)], p.records[nameKey(p.org, name)] = nil, nil
	if p.s.history == 0 {
		p.forget(name, m)
		return nil
	}
	if err := p.putAside(name, m, current); err != nil {
		return err
	}
	m.Deleted = &deletion{At: at.UnixMilli(), By: by}
	p.records[trashKey(p.org, m.Deleted.At, name)] = []byte{}
	return p.putMeta(name, m)
}

// forget plans the end of all that is kept of a secret that is deleted.
func (p *plan) forget(name string, m *meta) {
	p.records[metaKey(p.org, name)] = nil
	for _, v := range m.Versions {
		p.records[versionKey(p.org, name, v.N)] = nil
	}
	p.untrash(name, m)
}

// restore plans a new version with the value of an earlier one; n is 0 for the newest of a deleted secret.
func (p *plan) restore(name string, n int, by string, at time.Time) error {
	m, current, err := p.look(name)
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
	if n == newest && current != nil {
		return nil
	}
	record, err := p.read(versionKey(p.org, name, n))
	if err != nil {
		return err
	}
	if record == nil {
		return errs.New(errs.NotFound, "secret %q has no version %d that could be restored", name, n)
	}
	plain, err := p.s.open(p.ctx, p.org, versionBelongs(name, n), record)
	if err != nil {
		return fmt.Errorf("version %d of secret %q of organisation %s: %w", n, name, p.org, err)
	}
	value, err := parseValue(plain)
	if err != nil {
		return err
	}
	return p.set(name, secret.NewValue(value), by, at)
}

// fits reports whether the engine takes the keys of the name's records, of which the longest is a deleted one's.
func fits(org id.ID, name string) bool {
	return max(len(trashKey(org, 0, name)), len(versionKey(org, name, 0))) <= maxKey
}
