package embedded

import (
	"context"
	"errors"
	"slices"
	"time"

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
	head    commitlog.Head // as it is after the changes planned so far
	records commitlog.Records
	size    int // how much they take in a transaction, in bytes
	undo    []before

	// Of the change that is being planned:
	changed  time.Time      // when it sets a value or deletes or brings back a secret; zero where it does not
	versions map[string]int // of what it sets and brings back
}

// begin begins the planning of a change. backTo leads back to the point that it gives.
func (p *plan) begin() int {
	p.changed, p.versions = time.Time{}, nil
	return len(p.undo)
}

// end ends the planning of a change, and tells what comes of it.
func (p *plan) end() secret.Outcome {
	if !p.changed.IsZero() {
		p.head.Version++
		p.head.Changed = p.changed
	}
	return secret.Outcome{Version: p.head.Version, Versions: p.versions}
}

// isNow notes the version that the change gives a secret.
func (p *plan) isNow(name string, version int, at time.Time) {
	p.changed = at
	if p.versions == nil {
		p.versions = make(map[string]int, 1)
	}
	p.versions[name] = version
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

// places are where the records of a secret are put and, while names go from one form to another (move.go), where they
// may still be.
type places struct {
	name string
	now  records.Place
	was  *records.Place
}

func (s *Store) places(org id.ID, name string, names keyring.Names) (places, error) {
	now, err := records.At(s.ring, org, records.Form(names.Form), name)
	at := places{name: name, now: now}
	if err == nil && names.Moving {
		var was records.Place
		was, err = records.At(s.ring, org, records.Form(names.From), name)
		at.was = &was
	}
	return at, err
}

// found is a record that was looked for, and what it is sealed as. There is none where sealed is nil.
type found struct {
	as     keyring.Belongs
	sealed []byte
}

// find looks for a record of a secret over a pending change: first where it may still be, which it only ever leaves for
// where it is put now.
func (s *Store) find(ctx context.Context, over commitlog.Records, at places, kind records.Kind) (found, error) {
	if at.was != nil {
		slot := at.was.Slot(kind)
		if sealed, err := s.read(ctx, over, slot.Key); err != nil || sealed != nil {
			return found{slot.As, sealed}, err
		}
	}
	slot := at.now.Slot(kind)
	sealed, err := s.read(ctx, over, slot.Key)
	return found{slot.As, sealed}, err
}

// read reads a record's value over a pending change; nil where there is none.
func (s *Store) read(ctx context.Context, over commitlog.Records, key string) ([]byte, error) {
	if value, ok := over[key]; ok {
		return value, nil
	}
	rec, err := s.kv.Get(ctx, key)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	if err == nil && rec.Value == nil {
		rec.Value = []byte{}
	}
	return rec.Value, err
}

// fits reports whether the engine takes the keys of the name's records in every form.
func fits(name string) bool { return records.Longest(name) <= kv.MaxKey }
