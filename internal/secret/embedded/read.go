package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/records"
)

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

// current carries out a read with the form that the names have. It is carried out anew where it found nothing and the
// form has changed meanwhile, and where the keys it needs were retired: what is there now is newer.
func current[T any](s *Store, read func(keyring.Names) (T, error)) (got T, err error) {
	for n := range attempts {
		names := s.ring.Names()
		got, err = read(names)
		missed := errs.Is(err, errs.NotFound) && s.ring.Names() != names
		if !missed && (n > 0 || !errors.Is(err, keyring.ErrTerm)) {
			break
		}
	}
	return got, err
}

// nameOf gives the name that a record of the list of names, or of the deleted secrets, is of.
func (s *Store) nameOf(ctx context.Context, place records.Place, kind records.Kind, sealed []byte) (string, error) {
	if !place.Form.Sealed() {
		return place.Name, nil
	}
	plain, err := s.ring.OpenFresh(ctx, place.Org, place.As(kind), sealed)
	if err != nil {
		return "", err
	}
	return records.DecodeName(plain)
}

// listedIn gives the names that records of the list of names are of.
func (s *Store) listedIn(ctx context.Context, org id.ID, recs []kv.Record, names []string) ([]string, error) {
	var form records.Form
	prefix := records.Names(org, form)
	for _, rec := range recs {
		name, ok := strings.CutPrefix(rec.Key, prefix)
		if !ok {
			place, _, err := records.Parse(rec.Key)
			if err != nil {
				return nil, err
			}
			form, name = place.Form, place.Name
			prefix = records.Names(org, form) // as it is of those that follow
		}
		name, err := s.nameOf(ctx, records.Place{Org: org, Form: form, Name: name}, records.Listed, rec.Value)
		if err != nil {
			return nil, fmt.Errorf("the name in record %q: %w", rec.Key, err)
		}
		names = append(names, name)
	}
	return names, nil
}

// over gives the organisation's names as they are with a change that is pending.
func (s *Store) over(ctx context.Context, org id.ID, change commitlog.Records, names []string) ([]string, error) {
	all := make(map[string]bool, len(names)+len(change))
	for _, name := range names {
		all[name] = true
	}
	// What goes comes first: a name that is moved to another form goes from one place and comes to another.
	var come []kv.Record
	byIndex := map[records.Form]map[string]string{}
	for key, value := range change {
		place, kind, err := records.Parse(key)
		if err != nil {
			return nil, err
		}
		if kind != records.Listed {
			continue
		}
		if value != nil {
			come = append(come, kv.Record{Key: key, Value: value})
			continue
		}
		name := place.Name
		if place.Form.Sealed() {
			if byIndex[place.Form] == nil {
				if byIndex[place.Form], err = s.indexes(org, place.Form, names); err != nil {
					return nil, err
				}
			}
			name = byIndex[place.Form][place.Name]
		}
		delete(all, name)
	}
	more, err := s.listedIn(ctx, org, come, nil)
	if err != nil {
		return nil, err
	}
	for _, name := range more {
		all[name] = true
	}
	out := make([]string, 0, len(all))
	for name := range all {
		out = append(out, name)
	}
	slices.Sort(out)
	return out, nil
}

// indexes gives the names by what stands for them in the form.
func (s *Store) indexes(org id.ID, form records.Form, names []string) (map[string]string, error) {
	by := make(map[string]string, len(names))
	for _, name := range names {
		place, err := records.At(s.ring, org, form, name)
		if err != nil {
			return nil, err
		}
		by[place.Name] = name
	}
	return by, nil
}
