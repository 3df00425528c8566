// Package content says what the records of an organisation's secrets hold, and reads it: values, metadata, names.
package content

import (
	"context"
	"errors"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

// Reader reads and opens records.
type Reader struct {
	KV   kv.Store
	Ring *keyring.Keyring
}

// Places are where the records of a secret are put and, while names go from one form to another (move.go), where they
// may still be.
type Places struct {
	Name string
	Now  records.Place
	Was  *records.Place
}

// Places tells where the records of a secret are.
func (r Reader) Places(org id.ID, name string, names keyring.Names) (Places, error) {
	now, err := records.At(r.Ring, org, records.Form(names.Form), name)
	at := Places{Name: name, Now: now}
	if err == nil && names.Moving {
		var was records.Place
		was, err = records.At(r.Ring, org, records.Form(names.From), name)
		at.Was = &was
	}
	return at, err
}

// Found is a record that was looked for, and what it is sealed as. There is none where Sealed is nil.
type Found struct {
	As     keyring.Belongs
	Sealed []byte
}

// Find looks for a record of a secret over a pending change.
func (r Reader) Find(ctx context.Context, over commitlog.Records, at Places, kind records.Kind) (Found, error) {
	return Find(at, kind, func(key string) ([]byte, error) { return r.Read(ctx, over, key) })
}

// Find looks for a record of a secret: first where it may still be, which it only ever leaves for where it is put now.
func Find(at Places, kind records.Kind, read func(key string) ([]byte, error)) (Found, error) {
	if at.Was != nil {
		slot := at.Was.Slot(kind)
		if sealed, err := read(slot.Key); err != nil || sealed != nil {
			return Found{slot.As, sealed}, err
		}
	}
	slot := at.Now.Slot(kind)
	sealed, err := read(slot.Key)
	return Found{slot.As, sealed}, err
}

// Read reads a record's value over a pending change; nil where there is none.
func (r Reader) Read(ctx context.Context, over commitlog.Records, key string) ([]byte, error) {
	if value, ok := over[key]; ok {
		return value, nil
	}
	rec, err := r.KV.Get(ctx, key)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	if err == nil && rec.Value == nil {
		rec.Value = []byte{}
	}
	return rec.Value, err
}

// Fits reports whether the engine takes the keys of the name's records in every form.
func Fits(name string) bool { return records.Longest(name) <= kv.MaxKey }
