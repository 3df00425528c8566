package persecret

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/intent"
	"strongroom/internal/secret/vault/persecret/paths"
	"strongroom/internal/secret/vault/queue"
)

// maxTries bounds how often a change is planned anew because others wrote in between.
const maxTries = 16

// errJournal is a set of one secret that has to go by the journal, because the secret is deleted.
var errJournal = errors.New("the secret is deleted")

// write carries out a batch and answers its callers: sets of one secret each at once, those with a condition one by one
// in journals, and everything else in one.
func (s *Store) write(ctx context.Context, org id.ID, batch []*queue.Item) {
	at, err := paths.At(ctx, s.places, org)
	if err != nil {
		queue.Answer(batch, queue.ForCallers(err))
		return
	}
	named := make(map[string]int)
	for _, it := range batch {
		for key := range it.Change.Set {
			named[key]++
		}
		for _, key := range it.Change.Delete {
			named[key]++
		}
	}
	var alone, joint, conditional []*queue.Item
	for _, it := range batch {
		if it.Change.Depends() {
			conditional = append(conditional, it)
		} else if key, single := only(it.Change); single && named[key] == 1 {
			alone = append(alone, it)
		} else {
			joint = append(joint, it)
		}
	}
	outcomes := make([]error, len(alone))
	_ = conn.Each(ctx, len(alone), func(ctx context.Context, i int) error {
		outcomes[i] = s.setOne(ctx, org, at, merged(alone[i : i+1])[0])
		return nil // one caller's outcome is nothing to the others
	})
	for i, it := range alone {
		if outcomes[i] == errJournal {
			joint = append(joint, it)
		} else {
			queue.Answer([]*queue.Item{it}, queue.ForCallers(outcomes[i]))
		}
	}
	s.writeJoint(ctx, org, at, joint)
	for _, it := range conditional {
		s.writeJoint(ctx, org, at, []*queue.Item{it})
	}
}

// only gives the name of a change that sets one secret.
func only(c secret.Change) (key string, single bool) {
	for key = range c.Set {
	}
	return key, len(c.Set) == 1 && len(c.Delete) == 0
}

// setOne sets one secret by one write, where its entry was seen a moment ago or has never been; else it looks first.
func (s *Store) setOne(ctx context.Context, org id.ID, at kv2.Location, w wish) error {
	n, value := name{org, w.key}, w.value
	defer s.changed(n)
	entry := at.Below(paths.Path(w.key))
	version, known := s.versions.of(n, value)
	for try, lost := 1, 0; ; try++ {
		if !known {
			looked := time.Now()
			e, err := entry.Read(ctx)
			switch {
			case err != nil:
				return err
			case e.Version > 0 && e.Data == nil:
				return errJournal
			}
			if old, ok, _ := paths.Value(e); ok && old == value {
				// As asked for already, unless a change is under way that sets it otherwise.
				if c, err := s.journal.State(ctx, org, at); err != nil {
					return err
				} else if c.Settled() {
					s.versions.learn(n, e.Version, value, looked)
					return nil
				} else if _, err := s.journal.Settled(ctx, org, at); err != nil {
					return err
				}
				continue
			}
			version = e.Version
		}
		written, err := s.putInTime(ctx, entry, version, paths.Data(value, w.by))
		s.versions.forget(n)
		switch {
		case err == nil:
			s.versions.learn(n, written.Version, value, time.Now())
			return nil
		case err == conn.ErrMismatch && !known && try >= maxTries:
			return errConflict
		case err == conn.ErrMismatch:
			if known || queue.Pause(ctx, try) {
				known = false
				continue
			}
			return conn.Slow.Told()
		case conn.Uncertain(err) && lost == 0 && ctx.Err() == nil:
			// The answer was lost, perhaps not the write. Check-and-set makes it safe to look and to write again.
			lost++
			known = false
			s.changed(n)
			continue
		}
		return err
	}
}

var errConflict = errs.New(errs.Conflict, "others changed the organisation's secrets at the same time, again and again; nothing was changed, try again")

func (s *Store) putInTime(ctx context.Context, at kv2.Location, version int64, d map[string]json.RawMessage) (kv2.Version, error) {
	ctx, cancel := s.conn.Shorten(ctx)
	defer cancel()
	return at.Put(ctx, version, d)
}

// writeJoint carries out changes together and answers their callers.
func (s *Store) writeJoint(ctx context.Context, org id.ID, at kv2.Location, items []*queue.Item) {
	for try := 1; ; try++ {
		if items = queue.Waiting(items); len(items) == 0 {
			return
		}
		err := s.change(ctx, org, at, items)
		switch {
		case errs.Is(err, errs.RequestTooLarge) && len(items) > 1:
			// Someone's change is too large; the others' need not fail for it.
			s.writeJoint(ctx, org, at, items[:len(items)/2])
			s.writeJoint(ctx, org, at, items[len(items)/2:])
			return
		case err == conn.ErrMismatch && try >= maxTries:
			err = errConflict
		case err == conn.ErrMismatch && queue.Pause(ctx, try):
			continue
		case err != nil && ctx.Err() == nil:
			items = queue.Waiting(items) // what ended because the last caller left has no outcome for them
		}
		for _, it := range items {
			for key := range it.Change.Set {
				s.changed(name{org, key})
			}
			for _, key := range it.Change.Delete {
				s.changed(name{org, key})
			}
		}
		queue.Answer(items, queue.ForCallers(err))
		return
	}
}

// change makes one journal of the items' changes and has it carried out.
func (s *Store) change(ctx context.Context, org id.ID, at kv2.Location, items []*queue.Item) error {
	wishes := merged(items)
	// A condition holds at the journal's commit, since what it is about changes by a journal, or by a set that is taken to
	// have come after it.
	if len(wishes) == 1 && !wishes[0].remove && !wishes[0].change.Depends() { // several that set the same: the last is what stays
		if err := s.setOne(ctx, org, at, wishes[0]); err != errJournal {
			return err
		}
	}
	reading, stop := queue.WhileAnyWaits(ctx, items)
	defer stop()
	c, err := s.journal.Settled(reading, org, at)
	if err != nil {
		return err
	}
	steps, err := s.plan(reading, at, wishes)
	if err != nil || len(steps) == 0 || len(queue.Waiting(items)) == 0 {
		return err
	}
	stop()
	return s.journal.Change(ctx, org, at, c, steps)
}

// wish is what is to become of one secret.
type wish struct {
	key    string
	value  string
	remove bool
	by     string
	change secret.Change // what it comes from
}

// merged is what the items' changes, one after the other, come to.
func merged(items []*queue.Item) []wish {
	last := make(map[string]wish)
	for _, it := range items {
		for _, key := range it.Change.Delete {
			if key != "" {
				last[key] = wish{key: key, remove: true, by: it.Change.By, change: it.Change}
			}
		}
		for key, v := range it.Change.Set {
			last[key] = wish{key: key, value: string(v.Bytes()), by: it.Change.By, change: it.Change}
		}
	}
	all := make([]wish, 0, len(last))
	for _, w := range last {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b wish) int { return cmp.Compare(a.key, b.key) })
	return all
}

// plan looks at the entries and gives the steps from what they hold to what is wished. What is so already needs none, and
// deletions leave entries alone whose value is not a string: they are somebody else's.
func (s *Store) plan(ctx context.Context, at kv2.Location, wishes []wish) ([]intent.Step, error) {
	steps := make([]intent.Step, len(wishes))
	err := conn.Each(ctx, len(wishes), func(ctx context.Context, i int) error {
		w := wishes[i]
		path := paths.Path(w.key)
		e, err := at.Below(path).Read(ctx)
		if err != nil {
			return err
		}
		old, ours, err := paths.Value(e)
		if only := w.change.Only; err == nil && !w.remove {
			err = only.Allows(w.key, ours || e.Data != nil && only == secret.IfNew)
		}
		if err == nil {
			var now *secret.Value
			if ours {
				v := secret.NewValue([]byte(old))
				now = &v
			}
			err = w.change.Built(w.key, now, e.Data != nil)
		}
		switch {
		case err != nil:
			return err
		case w.remove && ours:
			steps[i] = intent.Step{Op: intent.Delete, Path: path, Base: e.Version, By: w.by}
		case !w.remove && !(ours && old == w.value):
			steps[i] = intent.Step{Op: intent.Set, Path: path, Base: e.Version, Value: w.value, By: w.by}
		}
		return nil
	})
	return slices.DeleteFunc(steps, func(st intent.Step) bool { return st.Op == "" }), err
}
