package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// plan works out what changes of an organisation's secrets make of its records. It reads what is there, through what it
// has planned so far, so that one plan can hold several changes after each other.
type plan struct {
	s       *Store
	ctx     context.Context
	org     id.ID
	names   keyring.Names
	records commitlog.Records
	size    int // how much they take in a transaction, in bytes
	undo    []before
}

// before is what was planned of a record before it was planned otherwise.
type before struct {
	key     string
	value   []byte
	planned bool
}

// write plans a record, or with nil its end.
func (p *plan) write(key string, value []byte) {
	was, planned := p.records[key]
	p.undo = append(p.undo, before{key, was, planned})
	if planned {
		p.size -= len(key) + len(was)
	}
	p.records[key] = value
	p.size += len(key) + len(value)
}

// mark is a point in the plan that backTo leads back to.
func (p *plan) mark() int { return len(p.undo) }

func (p *plan) backTo(mark int) {
	for _, was := range slices.Backward(p.undo[mark:]) {
		p.size -= len(was.key) + len(p.records[was.key])
		if was.planned {
			p.records[was.key] = was.value
			p.size += len(was.key) + len(was.value)
		} else {
			delete(p.records, was.key)
		}
	}
	p.undo = p.undo[:mark]
}

// fits reports whether one transaction can carry it out.
func (p *plan) fits() bool {
	return len(p.records) <= commitlog.MaxRecords && p.size <= commitlog.MaxBytes
}

func (p *plan) read(key string) ([]byte, error) { return p.s.read(p.ctx, p.records, key) }

func (p *plan) find(at places, kind records.Kind) (found, error) {
	return p.s.find(p.ctx, p.records, at, kind)
}

func (p *plan) at(name string) (places, error) { return p.s.places(p.org, name, p.names) }

// put plans a record that is sealed, and drop the end of one. Where it may be in another place it is there no more.
func (p *plan) put(at places, kind records.Kind, plain []byte) error {
	slot := at.now.Slot(kind)
	sealed, err := p.s.ring.Seal(p.org, slot.As, plain)
	if err != nil {
		return err
	}
	p.write(slot.Key, sealed)
	p.dropWas(at, kind)
	return nil
}

func (p *plan) drop(at places, kind records.Kind) {
	p.write(at.now.Slot(kind).Key, nil)
	p.dropWas(at, kind)
}

func (p *plan) dropWas(at places, kind records.Kind) {
	if at.was != nil {
		p.write(at.was.Slot(kind).Key, nil)
	}
}

// putName plans a record that says what the name is: by its key, or in itself where names are sealed.
func (p *plan) putName(at places, kind records.Kind) error {
	if at.now.Form.Sealed() {
		return p.put(at, kind, records.EncodeName(at.name))
	}
	key := at.now.Slot(kind).Key
	if at.was == nil { // one that is there as it is to be needs no writing
		if there, err := p.read(key); err != nil || there != nil && len(there) == 0 {
			return err
		}
	}
	p.write(key, []byte{})
	p.dropWas(at, kind)
	return nil
}

// apply plans a change.
func (p *plan) apply(change secret.Change, at time.Time) error {
	for _, name := range slices.Sorted(maps.Keys(change.Was)) {
		if err := p.built(name, change); err != nil {
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

// allowed says whether the condition of setting a secret holds.
func (p *plan) allowed(name string, only secret.Condition) error {
	at, err := p.at(name)
	if err != nil {
		return err
	}
	current, err := p.find(at, records.Value)
	if err != nil {
		return err
	}
	return only.Allows(name, current.sealed != nil)
}

// built says whether a secret holds what the change builds on.
func (p *plan) built(name string, change secret.Change) error {
	at, err := p.at(name)
	if err != nil {
		return err
	}
	current, err := p.find(at, records.Value)
	if err != nil {
		return err
	}
	if current.sealed == nil {
		return change.Built(name, nil, false)
	}
	value, err := p.s.openValue(p.ctx, p.org, current)
	if err != nil {
		return err
	}
	return change.Built(name, &value, true)
}

// look reads a secret: its metadata, nil where there is nothing of it, and the record of its value, which is not found
// where that has been deleted. Metadata that do not open must not keep a new value out: the secret begins anew.
func (p *plan) look(at places) (m *meta, current found, err error) {
	if current, err = p.find(at, records.Value); err != nil {
		return nil, found{}, err
	}
	record, err := p.find(at, records.Meta)
	if err != nil {
		return nil, found{}, err
	}
	if m = p.s.made.take(p.org, record); m != nil {
		return m, current, nil
	}
	if m, err = p.s.metaOf(p.ctx, p.org, record, current); err != nil {
		m, err = p.s.metaOf(p.ctx, p.org, found{}, current)
	}
	return m, current, err
}

func (p *plan) set(name string, value secret.Value, by string, time time.Time) error {
	if !fits(name) {
		return errs.New(errs.RequestTooLarge, "a key of %d bytes is too long for the embedded store", len(name))
	}
	at, err := p.at(name)
	if err != nil {
		return err
	}
	m, current, err := p.look(at)
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
	m.Versions = append(m.Versions, version{N: next, At: now, By: by})
	for len(m.Versions) > max(p.s.history, 1) {
		p.drop(at, records.Version(m.Versions[0].N))
		m.Versions = m.Versions[1:]
	}
	plain := encodeValue(value, time)
	defer clear(plain)
	// It must fit as an earlier version, too.
	if size := len(at.now.Slot(records.Version(next)).Key) + len(plain) + keyring.Overhead; size > commitlog.MaxBytes {
		return errs.New(errs.RequestTooLarge, "secret %q is too large for the embedded store: %d bytes of name and value, at most %d", name, size, commitlog.MaxBytes)
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
	at, err := p.at(name)
	if err != nil {
		return err
	}
	m, current, err := p.look(at)
	if err != nil || current.sealed == nil {
		return err
	}
	p.drop(at, records.Value)
	p.drop(at, records.Listed)
	if p.s.history == 0 {
		p.forget(at, m)
		return nil
	}
	if err := p.putAside(at, m, current); err != nil {
		return err
	}
	m.Deleted = &deletion{At: time.UnixMilli(), By: by}
	if err := p.putName(at, records.Trash(m.Deleted.At)); err != nil {
		return err
	}
	return p.putMeta(at, m)
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
	at, err := p.at(name)
	if err != nil {
		return err
	}
	m, current, err := p.look(at)
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
	if record.sealed == nil {
		return errs.New(errs.NotFound, "secret %q has no version %d that could be restored", name, n)
	}
	value, err := p.s.openValue(p.ctx, p.org, record)
	if err != nil {
		return fmt.Errorf("version %d of secret %q of organisation %s: %w", n, name, p.org, err)
	}
	return p.set(name, value, by, time)
}

// fits reports whether the engine takes the keys of the name's records in every form.
func fits(name string) bool { return records.Longest(name) <= kv.MaxKey }
