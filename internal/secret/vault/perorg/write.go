package perorg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/batch"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/queue"
)

// MaxTries bounds how often a batch is read, merged and written anew because others wrote in between.
const MaxTries = 16

// write carries out the first changes of a batch and answers their callers, and gives back the others. A change whose
// condition is the entry's version is written alone: the next version is then what it has made, and no other's.
func (s *Store) write(ctx context.Context, org id.ID, items []*queue.Item) (left []*queue.Item) {
	n := 1
	if items[0].Change.At == nil {
		for n < len(items) && items[n].Change.At == nil {
			n++
		}
	}
	s.writeTogether(ctx, org, items[:n])
	return items[n:]
}

// attempt is a write that was sent, and may have been made.
type attempt struct {
	base int64 // the version that it builds on
	data map[string]json.RawMessage
}

// writeTogether is the one place that writes.
func (s *Store) writeTogether(ctx context.Context, org id.ID, items []*queue.Item) {
	var lost int   // writes of which it is not known whether they happened
	again := false // a write was sent again, and which one happened is not known
	var sent *attempt
	for try := 1; ; try++ {
		if items = batch.Waiting(items); len(items) == 0 {
			return
		}
		version, patched, err := int64(0), false, error(nil)
		if try == 1 {
			version, patched, err = s.patchInTime(ctx, org, batch.Changes(items))
		}
		if !patched && err == nil {
			reading, stop := batch.WhileAnyWaits(ctx, items)
			var e entry
			e, err = s.read(reading, org)
			if err == nil && items[0].Change.At != nil && (lost > 0 || again) {
				if version, err = s.found(reading, org, e, sent); err == nil && version > 0 {
					stop()
					s.settle(org, items, version, nil)
					return
				}
			}
			stop()
			if err != nil {
				if ctx.Err() == nil {
					items = batch.Waiting(items) // a read that ended because the last caller left has no outcome for them
				}
				s.settle(org, items, 0, queue.ForCallers(err))
				return
			}
			if items = batch.Waiting(items); len(items) == 0 {
				return
			}
			if items = s.admit(org, items, e, lost > 0 || again); len(items) == 0 {
				return
			}
			data, changed := e.with(batch.Changes(items))
			if !changed {
				// As asked for already; after a lost answer, by our own write.
				s.settle(org, items, e.Version, nil)
				return
			}
			writing, sentAgain := conn.Watched(ctx)
			sent = &attempt{e.Version, data}
			version, err = s.putInTime(writing, org, e.Version, data)
			again = again || sentAgain()
		}
		switch {
		case err == nil:
		case errs.Is(err, errs.RequestTooLarge) && len(items) > 1:
			// Someone's change is too large; the others' need not fail for it.
			s.writeTogether(ctx, org, items[:len(items)/2])
			s.writeTogether(ctx, org, items[len(items)/2:])
			return
		case errors.Is(err, conn.ErrMismatch) && try < MaxTries:
			if queue.Pause(ctx, try) {
				continue
			}
			// The time is up.
		case errors.Is(err, conn.ErrMismatch):
			err = errs.New(errs.Conflict, "others changed the organisation's secrets at the same time, again and again; nothing was changed, try again")
		case conn.Uncertain(err) && lost == 0 && ctx.Err() == nil:
			// The answer was lost, perhaps not the write. Check-and-set makes it safe to look and to write again.
			lost++
			s.cache.Drop(org) // it may be that nobody waits for an answer any more
			continue
		}
		s.settle(org, items, version, queue.ForCallers(err))
		return
	}
}

// found gives the version that a write of ours has made whose answer was lost, 0 where none is there that holds what it
// sent. e is the entry as it was read since.
func (s *Store) found(ctx context.Context, org id.ID, e entry, sent *attempt) (int64, error) {
	if sent == nil || e.Version <= sent.base {
		return 0, nil
	}
	if e.Version > sent.base+1 {
		at, err := s.at(ctx, org)
		if err != nil {
			return 0, err
		}
		if e.Entry, err = at.ReadVersion(ctx, sent.base+1); err != nil {
			return 0, err
		}
	}
	if !maps.EqualFunc(e.Data, sent.data, func(a, b json.RawMessage) bool {
		v, errV := stringOf(a)
		w, errW := stringOf(b)
		return bytes.Equal(a, b) || isString(a) && isString(b) && errV == nil && errW == nil && v.Equal(w)
	}) {
		return 0, nil
	}
	return sent.base + 1, nil
}

// admit refuses those whose conditions do not hold after the changes before theirs, and gives the others. Where the answer to
// a write was lost, what has the very value that it is to have is taken for written by it.
func (s *Store) admit(org id.ID, items []*queue.Item, e entry, lost bool) []*queue.Item {
	admitted := items[:0:0]
	for _, it := range items {
		err := it.Change.CheckAt(e.Version)
		if err == nil && it.Change.Depends() {
			data, _ := e.with(batch.Changes(admitted))
			err = allowed(it.Change, data, lost)
		}
		if err != nil {
			s.settle(org, []*queue.Item{it}, 0, err)
			continue
		}
		admitted = append(admitted, it)
	}
	return admitted
}

// allowed says whether the change's condition holds. What others keep under a name is there, and yet no secret.
func allowed(c *queue.Change, data map[string]json.RawMessage, lost bool) error {
	for _, key := range slices.Sorted(maps.Keys(c.Set)) {
		raw, exists := data[key]
		if exists && c.Only == secret.IfExisting {
			exists = isString(raw)
		}
		if err := c.Only.Allows(key, exists); err != nil && !(lost && c.Only == secret.IfNew && holds(raw, c.Set[key])) {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Was)) {
		raw, exists := data[key]
		var now *secret.Value
		if isString(raw) {
			v, err := stringOf(raw)
			if err != nil {
				return err
			}
			now = &v
		}
		if err := c.Built(key, now, exists); err != nil && !(lost && done(c, key, raw)) {
			return err
		}
	}
	return nil
}

// done reports whether a key is as the change would have it.
func done(c *queue.Change, key string, raw json.RawMessage) bool {
	if v, sets := c.Set[key]; sets {
		return holds(raw, v)
	}
	return raw == nil
}

// settle answers callers, who from then on must not be given what was read before.
func (s *Store) settle(org id.ID, items []*queue.Item, version int64, err error) {
	s.cache.Drop(org)
	for _, it := range items {
		it.Change.Outcome = secret.Outcome{Version: version}
		it.Answer(err)
	}
}

func (s *Store) putInTime(ctx context.Context, org id.ID, version int64, data map[string]json.RawMessage) (int64, error) {
	ctx, cancel := s.conn.Shorten(ctx)
	defer cancel()
	return s.put(ctx, org, version, data)
}

func (s *Store) patchInTime(ctx context.Context, org id.ID, changes []*queue.Change) (version int64, sent bool, err error) {
	ctx, cancel := s.conn.Shorten(ctx)
	defer cancel()
	return s.patch(ctx, org, changes)
}
