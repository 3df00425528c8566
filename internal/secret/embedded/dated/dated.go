// Package dated knows in which organisations secrets have a date by which to replace them, so that those who look for
// what is due need not read all there are.
//
// Such an organisation has an empty record, records.Dated, which the change that gives a secret a date puts as well.
// The record stays until somebody looks and finds none with a date. Data that an older influxd has written have none,
// so all organisations are looked through now and then, and at first: when that was is a record, too.
package dated

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// Every is how often all organisations are looked through: an older server of several writes no records of dates.
const Every = 24 * time.Hour

// looked is the record of when all were looked through, in Unix seconds (int64, big-endian).
const looked = records.DatedRoot + "looked"

// How many records are read at a time; one of metadata is at most some kilobytes.
const page = 256

// Index reads and keeps the records.
type Index struct {
	From  content.Reader
	Names func() keyring.Names
	Now   func() time.Time
	// Settle carries out a change of the organisation that is pending, and gives the revision of its head, 0 where it
	// has none.
	Settle func(ctx context.Context, org id.ID) (rev int64, err error)
}

// Orgs gives the organisations that may have such secrets.
func (x Index) Orgs(ctx context.Context) ([]id.ID, error) {
	if err := x.lookAtAll(ctx); err != nil {
		return nil, err
	}
	var orgs []id.ID
	for rec, err := range kv.Each(ctx, x.From.KV, records.DatedRoot, page) {
		if err != nil {
			return orgs, err
		}
		if org, err := id.Parse(strings.TrimPrefix(rec.Key, records.DatedRoot)); err == nil {
			orgs = append(orgs, org)
		}
	}
	return orgs, nil
}

// lookAtAll looks through all organisations, unless that was done not long ago.
func (x Index) lookAtAll(ctx context.Context) error {
	rec, err := x.From.KV.Get(ctx, looked)
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return err
	}
	if len(rec.Value) == 8 {
		at := time.Unix(int64(binary.BigEndian.Uint64(rec.Value)), 0)
		if since := x.Now().Sub(at); since >= 0 && since < Every {
			return nil
		}
	}
	began := x.Now()
	for after := ""; ; {
		first, err := x.From.KV.List(ctx, records.Root, after, 1)
		if err != nil {
			return err
		}
		if len(first) == 0 {
			break
		}
		org, _, err := records.OrgOf(records.Root, first[0].Key)
		if err != nil { // a record of nobody's: check tells of it
			after = first[0].Key
			continue
		}
		after = records.Prefix(org) + records.BehindAll
		if err := x.lookAt(ctx, org); err != nil {
			return err
		}
	}
	_, err = x.From.KV.Txn(ctx, nil, []kv.Op{kv.Put(looked, binary.BigEndian.AppendUint64(nil, uint64(began.Unix())))})
	return err
}

// lookAt puts an organisation's record where it should have one and has none. One whose records do not all open gets
// it, too: whoever looks for what is due tells of that, and of the other organisations what is due there.
func (x Index) lookAt(ctx context.Context, org id.ID) error {
	_, err := x.From.KV.Get(ctx, records.Dated(org))
	if !errors.Is(err, kv.ErrNotFound) {
		return err
	}
	rev, err := x.Settle(ctx, org)
	if err != nil && ctx.Err() == nil && !errors.Is(err, kv.ErrUnavailable) {
		_, err = x.From.KV.Txn(ctx, []kv.Cond{kv.Missing(records.Dated(org))},
			[]kv.Op{kv.Put(records.Dated(org), []byte{})})
		if errors.Is(err, kv.ErrConflict) {
			return nil
		}
		return err
	}
	if err != nil || rev == 0 {
		return err
	}
	found := false
	err = x.each(ctx, org, x.Names(), nil, func(records.Place, *content.Meta) (bool, error) {
		found = true
		return false, nil
	})
	var engine *engineError
	if err == nil && !found || errors.As(err, &engine) || ctx.Err() != nil {
		return err
	}
	_, err = x.From.KV.Txn(ctx, []kv.Cond{{Key: records.Head(org), Rev: rev}, kv.Missing(records.Dated(org))},
		[]kv.Op{kv.Put(records.Dated(org), []byte{})})
	if errors.Is(err, kv.ErrConflict) {
		return nil // what has changed meanwhile is looked at the next time, or has put the record itself
	}
	return err
}

// Found is what was found of an organisation's dates.
type Found struct {
	Infos []secret.Info // of the secrets that have one and are not deleted
	Any   bool          // whether any has one, deleted secrets included
	Head  int64         // the revision of the organisation's head, 0 where it has none
}

// Infos looks for dates while the organisation's head has a revision, over a change that is pending. It takes memory
// for the secrets that have one alone. What it has found is of one moment if the head is the same after it. Secrets
// whose records do not open are secret.Unread, and the others found all the same.
func (x Index) Infos(ctx context.Context, org id.ID, head int64, names keyring.Names,
	over commitlog.Records) (Found, error) {
	found := Found{Head: head}
	err := x.each(ctx, org, names, over, func(place records.Place, m *content.Meta) (bool, error) {
		found.Any = true
		if m.Deleted != nil {
			return true, nil
		}
		name, err := x.name(ctx, place, over)
		if err != nil {
			return true, err
		}
		newest := m.Newest()
		found.Infos = append(found.Infos, secret.Info{Key: name, Version: newest.N, By: newest.By,
			Created: content.Time(m.Created), Updated: content.Time(newest.At),
			Description: secret.Description{Text: m.Description, Expires: content.Time(m.Expires)}})
		return true, nil
	})
	return found, err
}

// Drop removes the record of an organisation in which no secret had a date while its head had the revision, and the
// keys were those of the fence.
func (x Index) Drop(ctx context.Context, org id.ID, head int64, fence []kv.Cond) error {
	_, err := x.From.KV.Txn(ctx, append([]kv.Cond{{Key: records.Head(org), Rev: head}}, fence...),
		[]kv.Op{kv.Delete(records.Dated(org))})
	if errors.Is(err, kv.ErrConflict) {
		return nil
	}
	return err
}

// engineError is an error of the engine's, and not of what is in it.
type engineError struct{ error }

func (e *engineError) Unwrap() error { return e.error }

// mark stands in metadata that have a date.
var mark = []byte(`"expires":`)

// each calls f with the metadata that have a date, over a change that is pending, until it returns false. It goes on
// past what does not open, also where that is f's error, and gives it as secret.Unread at the end.
func (x Index) each(ctx context.Context, org id.ID, names keyring.Names, over commitlog.Records,
	f func(records.Place, *content.Meta) (bool, error)) error {
	forms := []records.Form{records.Form(names.Form)}
	if names.Moving {
		forms = append(forms, records.Form(names.From))
	}
	var unread *secret.Unread
	for _, form := range forms {
		prefix := records.Of(org, form, records.Meta)
		one := func(key string, sealed []byte) (bool, error) {
			place := records.Place{Org: org, Form: form, Name: strings.TrimPrefix(key, prefix)}
			passed := func(err error) (bool, error) {
				name, unknown := x.name(ctx, place, over)
				if unknown != nil {
					name = place.Name
				}
				unread = unread.Add(name, content.DamagedMeta(err, name, org))
				return true, nil
			}
			plain, err := x.From.Ring.OpenFresh(ctx, org, place.As(records.Meta), sealed)
			if content.Damaged(err) {
				return passed(err)
			}
			if err != nil || !bytes.Contains(plain, mark) {
				return true, err
			}
			m, err := content.ParseMeta(plain)
			if err != nil {
				return passed(err)
			}
			if m.Expires == 0 {
				return true, nil
			}
			more, err := f(place, m)
			if content.Damaged(err) {
				return passed(err)
			}
			return more, err
		}
		for key, sealed := range over {
			if sealed == nil || !strings.HasPrefix(key, prefix) {
				continue
			}
			if more, err := one(key, sealed); err != nil || !more {
				return err
			}
		}
		for rec, err := range kv.Each(ctx, x.From.KV, prefix, page) {
			if err != nil {
				return &engineError{err}
			}
			if _, pending := over[rec.Key]; pending {
				continue
			}
			if more, err := one(rec.Key, rec.Value); err != nil || !more {
				return err
			}
		}
	}
	return unread.Or(nil)
}

// name gives the name of a secret that is there.
func (x Index) name(ctx context.Context, place records.Place, over commitlog.Records) (string, error) {
	var listed []byte
	if place.Form.Sealed() {
		var err error
		if listed, err = x.From.Read(ctx, over, place.Slot(records.Listed).Key); err != nil {
			return "", err
		}
	}
	return x.From.NameOf(ctx, place, records.Listed, listed)
}
