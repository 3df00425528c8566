package persecret

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/batch"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/intent"
	"strongroom/internal/secret/vault/persecret/paths"
	"strongroom/internal/secret/vault/persecret/seen"
	"strongroom/internal/secret/vault/queue"
)

// maxTries bounds how often a change is planned anew because others wrote in between.
const maxTries = 16

// errDeleted is a set of one secret that has to go by the journal, because the secret is deleted.
var errDeleted = errors.New("the secret is deleted")

// write carries out a batch and answers its callers: sets of one secret each at once, those with a condition one by one
// (in journals, but for a version), and everything else in one.
func (s *Store) write(ctx context.Context, org id.ID, items []*queue.Item) (left []*queue.Item) {
	at, err := paths.At(ctx, s.places, org)
	if err != nil {
		batch.Answer(items, queue.ForCallers(err))
		return nil
	}
	if s.quota.Secrets > 0 {
		items = s.withinQuota(ctx, org, items)
	}
	if slices.ContainsFunc(items, func(it *queue.Item) bool { return len(it.Change.Set) > 0 }) {
		if err := s.log.Claim(ctx, org, at); err != nil {
			batch.Answer(items, queue.ForCallers(err))
			return nil
		}
	}
	named := make(map[string]int)
	for _, it := range items {
		for key := range it.Change.Set {
			named[key]++
		}
		for _, key := range it.Change.Delete {
			named[key]++
		}
	}
	var alone, joint, conditional []*queue.Item
	for _, it := range items {
		if it.Change.Depends() {
			conditional = append(conditional, it)
		} else if key, single := only(it.Change.Change); single && named[key] == 1 {
			alone = append(alone, it)
		} else {
			joint = append(joint, it)
		}
	}
	outcomes := make([]error, len(alone))
	_ = conn.Each(ctx, len(alone), func(ctx context.Context, i int) error {
		w := merged(alone[i : i+1])[0]
		var version int64
		version, outcomes[i] = s.setOne(ctx, org, at, w)
		alone[i].Change.Outcome.Versions = map[string]int{w.key: int(version)}
		return nil // one caller's outcome is nothing to the others
	})
	for i, it := range alone {
		if outcomes[i] == errDeleted {
			joint = append(joint, it)
		} else {
			it.Answer(queue.ForCallers(outcomes[i]))
		}
	}
	s.writeJoint(ctx, org, at, joint)
	for _, it := range conditional {
		if len(it.Change.Versions) == 0 {
			s.writeJoint(ctx, org, at, []*queue.Item{it})
		} else if it.Here() {
			key, _ := only(it.Change.Change)
			version, err := s.setAt(ctx, org, at, it.Change.Change, key)
			it.Change.Outcome.Versions = map[string]int{key: int(version)}
			it.Answer(queue.ForCallers(err))
		}
	}
	return nil
}

// only gives the name of a change that sets one secret.
func only(c secret.Change) (key string, single bool) {
	for key = range c.Set {
	}
	return key, len(c.Set) == 1 && len(c.Delete) == 0
}

// setOne sets one secret by one write and gives its version, where its entry was seen a moment ago or has never
// been; else it looks first.
func (s *Store) setOne(ctx context.Context, org id.ID, at kv2.Location, w wish) (int64, error) {
	n, value := seen.Name{Org: org, Key: w.key}, w.value
	defer s.changed(n)
	entry := at.Below(paths.Path(w.key))
	base, known := s.alive.Of(n, value)
	for try := 1; ; try++ {
		if !known {
			looked := time.Now()
			e, err := entry.Read(ctx)
			switch {
			case err != nil:
				return 0, err
			case e.Version > 0 && e.Data == nil:
				return 0, errDeleted
			}
			base = kv2.Version{Version: e.Version, Created: e.Created}
			if old, ok, _ := paths.Value(e); ok && old == value {
				// As asked for already, unless a change is under way that sets it otherwise.
				if c, err := s.log.State(ctx, org, at); err != nil {
					return 0, err
				} else if c.Settled() {
					s.alive.Learn(n, base, value, looked)
					return e.Version, nil
				} else if _, err := s.log.Settled(ctx, org, at); err != nil {
					return 0, err
				}
				continue
			}
		}
		written, err := entry.PutSurely(ctx, base, paths.Data(value, w.by))
		s.alive.Forget(n)
		switch {
		case err == nil:
			s.alive.Learn(n, written, value, time.Now())
			return written.Version, nil
		case err == conn.ErrMismatch && !known && try >= maxTries:
			return 0, errConflict
		case err == conn.ErrMismatch:
			if known || queue.Pause(ctx, try) {
				known = false
				continue
			}
			return 0, conn.Slow.Told()
		}
		return 0, err
	}
}

// setAt sets one secret that must be at the version which the change names, by check-and-set on that version. What is
// pending is carried out first: it may be of this secret, and counts as made before.
func (s *Store) setAt(ctx context.Context, org id.ID, at kv2.Location, c secret.Change, key string) (int64, error) {
	n, value, base := seen.Name{Org: org, Key: key}, string(c.Set[key].Bytes()), int64(c.Versions[key])
	defer s.changed(n)
	entry := at.Below(paths.Path(key))
	for try := 1; ; try++ {
		state, err := s.log.Settled(ctx, org, at)
		if err != nil {
			return 0, err
		}
		e, err := entry.Read(ctx)
		if err != nil {
			return 0, err
		}
		if err := c.CheckVersion(key, int(e.Version)); err != nil {
			return 0, err
		}
		old, ours, err := paths.Value(e)
		if err == nil {
			err = allowed(wish{key: key, change: c}, old, ours, e.Data != nil)
		}
		if err != nil {
			return 0, err
		}
		s.alive.Forget(n)
		if e.Version > 0 && e.Data == nil {
			err = s.log.Change(ctx, org, at, state,
				[]intent.Step{{Op: intent.Set, Path: paths.Path(key), Base: base, Value: value, By: c.By}})
		} else {
			_, err = entry.PutSurely(ctx, kv2.Version{Version: base, Created: e.Created}, paths.Data(value, c.By))
		}
		switch {
		case err == nil:
			return base + 1, nil
		case err == conn.ErrMismatch && try >= maxTries:
			return 0, errConflict
		case err == conn.ErrMismatch && queue.Pause(ctx, try): // the next look tells whether the version is another
		default:
			return 0, err
		}
	}
}

var errConflict = errs.New(errs.Conflict, "others changed the organization's secrets at the same time, again and "+
	"again; nothing was changed, try again")

// writeJoint carries out changes together and answers their callers.
func (s *Store) writeJoint(ctx context.Context, org id.ID, at kv2.Location, items []*queue.Item) {
	for try := 1; ; try++ {
		if items = batch.Waiting(items); len(items) == 0 {
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
			items = batch.Waiting(items) // what ended because the last caller left has no outcome for them
		}
		for _, it := range items {
			for key := range it.Change.Set {
				s.changed(seen.Name{Org: org, Key: key})
			}
			for _, key := range it.Change.Delete {
				s.changed(seen.Name{Org: org, Key: key})
			}
		}
		batch.Answer(items, queue.ForCallers(err))
		return
	}
}

// change makes one journal of the items' changes and has it carried out.
func (s *Store) change(ctx context.Context, org id.ID, at kv2.Location, items []*queue.Item) error {
	wishes := merged(items)
	// A condition holds at the journal's commit, since what it is about changes by a journal, or by a set that is taken
	// to have come after it.
	// several that set the same: the last is what stays
	if len(wishes) == 1 && !wishes[0].remove && !wishes[0].change.Depends() {
		if version, err := s.setOne(ctx, org, at, wishes[0]); err != errDeleted {
			tell(items, map[string]int{wishes[0].key: int(version)})
			return err
		}
	}
	reading, stop := batch.WhileAnyWaits(ctx, items)
	defer stop()
	c, err := s.log.Settled(reading, org, at)
	if err != nil {
		return err
	}
	steps, versions, err := s.plan(reading, at, wishes)
	tell(items, versions)
	if err != nil || len(steps) == 0 || len(batch.Waiting(items)) == 0 {
		return err
	}
	stop()
	return s.log.Change(ctx, org, at, c, steps)
}

// tell notes for each change which versions it gives the secrets that it sets.
func tell(items []*queue.Item, versions map[string]int) {
	for _, it := range items {
		it.Change.Outcome.Versions = make(map[string]int, len(it.Change.Set))
		for key := range it.Change.Set {
			it.Change.Outcome.Versions[key] = versions[key]
		}
	}
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
				last[key] = wish{key: key, remove: true, by: it.Change.By, change: it.Change.Change}
			}
		}
		for key, v := range it.Change.Set {
			last[key] = wish{key: key, value: string(v.Bytes()), by: it.Change.By, change: it.Change.Change}
		}
	}
	all := make([]wish, 0, len(last))
	for _, w := range last {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b wish) int { return cmp.Compare(a.key, b.key) })
	return all
}

// allowed says why a wish may not be carried out for what its entry holds, and is there; nil where it may.
func allowed(w wish, old string, ours, exists bool) error {
	if only := w.change.Only; !w.remove {
		if err := only.Allows(w.key, ours || exists && only == secret.IfNew); err != nil {
			return err
		}
	}
	var now *secret.Value
	if ours {
		v := secret.NewValue([]byte(old))
		now = &v
	}
	return w.change.Built(w.key, now, exists)
}

// plan looks at the entries and gives the steps from what they hold to what is wished, and the versions that
// come of it. What is so already needs none, and deletions leave entries alone whose value is not a string:
// they are somebody else's.
func (s *Store) plan(ctx context.Context, at kv2.Location, wishes []wish) ([]intent.Step, map[string]int, error) {
	steps, versions := make([]intent.Step, len(wishes)), make([]int64, len(wishes))
	err := conn.Each(ctx, len(wishes), func(ctx context.Context, i int) error {
		w := wishes[i]
		path := paths.Path(w.key)
		read := at.Below(path).Read
		if w.remove {
			read = at.Below(path).Look
		}
		e, err := read(ctx)
		if err != nil {
			return err
		}
		old, ours, err := paths.Value(e)
		if err == nil {
			err = allowed(w, old, ours, e.Data != nil)
		}
		versions[i] = e.Version
		switch {
		case err != nil:
			return err
		case w.remove && ours:
			steps[i] = intent.Step{Op: intent.Delete, Path: path, Base: e.Version, By: w.by}
		case !w.remove && !(ours && old == w.value):
			steps[i] = intent.Step{Op: intent.Set, Path: path, Base: e.Version, Value: w.value, By: w.by}
			versions[i]++
		}
		return nil
	})
	by := make(map[string]int, len(wishes))
	for i, w := range wishes {
		by[w.key] = int(versions[i])
	}
	return slices.DeleteFunc(steps, func(st intent.Step) bool { return st.Op == "" }), by, err
}
