package perorg

import (
	"cmp"
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
	return append(s.writeTogether(ctx, org, items[:n]), items[n:]...)
}

// writeTogether is the one place that writes. It gives back what is to be judged once the changes
// before it have been made.
func (s *Store) writeTogether(ctx context.Context, org id.ID, items []*queue.Item) (left []*queue.Item) {
	for try := 1; ; try++ {
		if items = batch.Waiting(items); len(items) == 0 {
			return left
		}
		version, patched, err := int64(0), false, error(nil)
		if try == 1 && s.quota == (secret.Quota{}) { // which takes a look at what there is
			version, patched, err = s.patch(ctx, org, batch.Changes(items))
		}
		if !patched && err == nil {
			reading, stop := batch.WhileAnyWaits(ctx, items)
			var e entry
			e, err = s.read(reading, org)
			stop()
			if err != nil {
				if ctx.Err() == nil {
					// a read that ended because the last caller left has no outcome for them
					items = batch.Waiting(items)
				}
				s.settle(org, items, 0, queue.ForCallers(err))
				return left
			}
			var later []*queue.Item
			items, later = s.admit(org, batch.Waiting(items), e)
			if left = slices.Concat(later, left); len(items) == 0 {
				return left
			}
			data, changed := e.with(batch.Changes(items))
			if !changed { // as asked for already
				s.settle(org, items, e.Version, nil)
				return left
			}
			version, err = s.put(ctx, org, e, data)
		}
		switch {
		case err == nil:
		case errs.Is(err, errs.RequestTooLarge) && len(items) > 1:
			// Someone's change is too large; the others' need not fail for it.
			half := len(items) / 2
			return slices.Concat(s.writeTogether(ctx, org, items[:half]), s.writeTogether(ctx, org, items[half:]), left)
		case errors.Is(err, conn.ErrMismatch) && try < MaxTries:
			if queue.Pause(ctx, try) {
				continue
			}
			// The time is up.
		case errors.Is(err, conn.ErrMismatch):
			err = errs.New(errs.Conflict, "others changed the organization's secrets at the same time, again and "+
				"again; nothing was changed, try again")
		}
		s.settle(org, items, version, queue.ForCallers(err))
		return left
	}
}

// admit gives those changes that may be made, and refuses those whose conditions do not hold or that would replace what
// is somebody else's. One that is refused for what a change before it would make of the entry is given back as later,
// with all that come after it: whether that change is made is not known yet.
func (s *Store) admit(org id.ID, items []*queue.Item, e entry) (admitted, later []*queue.Item) {
	for i, it := range items {
		if err := cmp.Or(it.Change.CheckAt(e.Version), e.leaves(it.Change)); err != nil {
			s.settle(org, []*queue.Item{it}, 0, err)
			continue
		}
		if it.Change.Depends() {
			data, _ := e.with(batch.Changes(admitted))
			err := allowed(it.Change, data)
			if err != nil && len(admitted) > 0 {
				return admitted, items[i:]
			}
			if err != nil {
				s.settle(org, []*queue.Item{it}, 0, err)
				continue
			}
		}
		if s.quota != (secret.Quota{}) && len(it.Change.Set) > 0 {
			was, _ := e.with(batch.Changes(admitted))
			becomes, _ := e.with(batch.Changes(append(slices.Clone(admitted), it)))
			if err := s.quota.Allows(amount(becomes), amount(was)); err != nil {
				if len(admitted) > 0 {
					return admitted, items[i:]
				}
				s.settle(org, []*queue.Item{it}, 0, err)
				continue
			}
		}
		admitted = append(admitted, it)
	}
	return admitted, nil
}

// amount is how much an entry holds: every name in it, and names and values as they are written.
func amount(data map[string]json.RawMessage) secret.Amount {
	a := secret.Amount{Secrets: int64(len(data))}
	for key, raw := range data {
		a.Bytes += int64(len(key) + len(raw))
	}
	return a
}

// leaves says why a change may not be made that sets a name under which others keep something that is not a string.
func (e entry) leaves(c *queue.Change) error {
	for _, key := range slices.Sorted(maps.Keys(c.Set)) {
		if raw, exists := e.Data[key]; exists && !isString(raw) {
			return errs.New(errs.Unprocessable, "in the secret store another program keeps something under the name "+
				"%q that is not a text; choose another name, or remove it there first; nothing was changed",
				errs.Clip(key))
		}
	}
	return nil
}

// allowed says whether the change's condition holds. What others keep under a name is there, and yet no secret.
func allowed(c *queue.Change, data map[string]json.RawMessage) error {
	for _, key := range slices.Sorted(maps.Keys(c.Set)) {
		if _, exists := data[key]; c.Only.Allows(key, exists) != nil {
			return c.Only.Allows(key, exists)
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
		if err := c.Built(key, now, exists); err != nil {
			return err
		}
	}
	return nil
}

// settle answers callers, who from then on must not be given what was read before.
func (s *Store) settle(org id.ID, items []*queue.Item, version int64, err error) {
	s.cache.Drop(org)
	for _, it := range items {
		it.Change.Outcome = secret.Outcome{Version: version}
		it.Answer(err)
	}
}
