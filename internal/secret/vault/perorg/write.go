package perorg

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/queue"
)

// MaxTries bounds how often a batch is read, merged and written anew because others wrote in between.
const MaxTries = 16

// write carries out a batch and answers its callers. It is the one place that writes.
func (s *Store) write(ctx context.Context, org id.ID, batch []*queue.Item) {
	var lost int   // writes of which it is not known whether they happened
	again := false // a write was sent again, and which one happened is not known
	for try := 1; ; try++ {
		if batch = queue.Waiting(batch); len(batch) == 0 {
			return
		}
		patched, err := false, error(nil)
		if try == 1 {
			patched, err = s.patchInTime(ctx, org, queue.Changes(batch))
		}
		if !patched && err == nil {
			reading, stop := queue.WhileAnyWaits(ctx, batch)
			var e entry
			e, err = s.read(reading, org)
			stop()
			if err != nil {
				if ctx.Err() == nil {
					batch = queue.Waiting(batch) // a read that ended because the last caller left has no outcome for them
				}
				s.settle(org, batch, queue.ForCallers(err))
				return
			}
			if batch = queue.Waiting(batch); len(batch) == 0 {
				return
			}
			if batch = s.admit(org, batch, e, lost > 0 || again); len(batch) == 0 {
				return
			}
			data, changed := e.with(queue.Changes(batch))
			if !changed {
				// As asked for already; after a lost answer, by our own write.
				s.settle(org, batch, nil)
				return
			}
			writing, sentAgain := conn.Watched(ctx)
			err = s.putInTime(writing, org, e.Version, data)
			again = again || sentAgain()
		}
		switch {
		case err == nil:
		case errs.Is(err, errs.RequestTooLarge) && len(batch) > 1:
			// Someone's change is too large; the others' need not fail for it.
			s.write(ctx, org, batch[:len(batch)/2])
			s.write(ctx, org, batch[len(batch)/2:])
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
		s.settle(org, batch, queue.ForCallers(err))
		return
	}
}

// admit refuses those whose condition does not hold after the changes before theirs, and gives the others. Where the answer to
// a write was lost, what has the very value that it is to have is taken for written by it.
func (s *Store) admit(org id.ID, batch []*queue.Item, e entry, lost bool) []*queue.Item {
	admitted := batch[:0:0]
	for _, it := range batch {
		if it.Change.Depends() {
			data, _ := e.with(queue.Changes(admitted))
			if err := allowed(it.Change, data, lost); err != nil {
				s.settle(org, []*queue.Item{it}, err)
				continue
			}
		}
		admitted = append(admitted, it)
	}
	return admitted
}

// allowed says whether the change's condition holds. What others keep under a name is there, and yet no secret.
func allowed(c secret.Change, data map[string]json.RawMessage, lost bool) error {
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
			v, err := (entry{kv2.Entry{Data: data}}).value(key)
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
func done(c secret.Change, key string, raw json.RawMessage) bool {
	if v, sets := c.Set[key]; sets {
		return holds(raw, v)
	}
	return raw == nil
}

// settle answers callers, who from then on must not be given what was read before.
func (s *Store) settle(org id.ID, batch []*queue.Item, err error) {
	s.cache.Drop(org)
	queue.Answer(batch, err)
}

func (s *Store) putInTime(ctx context.Context, org id.ID, version int64, data map[string]json.RawMessage) error {
	ctx, cancel := s.conn.Shorten(ctx)
	defer cancel()
	return s.put(ctx, org, version, data)
}

func (s *Store) patchInTime(ctx context.Context, org id.ID, changes []secret.Change) (sent bool, err error) {
	ctx, cancel := s.conn.Shorten(ctx)
	defer cancel()
	return s.patch(ctx, org, changes)
}
