package persecret

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/intent"
	"strongroom/internal/secret/vault/persecret/paths"
	"strongroom/internal/secret/vault/queue"
)

// Get reads one value: its entry, and beside it whether a change is under way. Where that is not as this process last saw
// it, the entry is read once more, after it.
func (s *Store) Get(ctx context.Context, org id.ID, key string) (secret.Value, error) {
	at, err := paths.At(ctx, s.places, org)
	if err != nil {
		return secret.Value{}, err
	}
	if key == "" {
		return secret.Value{}, secret.NotFound(key)
	}
	entry := at.Below(paths.Path(key))
	before, began := s.journal.Seen(org), time.Now()
	for try := 1; ; try++ {
		var c *intent.State
		var e kv2.Entry
		g, gctx := errgroup.WithContext(ctx)
		g.Go(func() (err error) { c, err = s.journal.State(gctx, org, at); return err })
		g.Go(func() (err error) { e, err = entry.Read(gctx); return err })
		err := g.Wait()
		if err == nil && !c.Same(before) {
			// The entry may be of before a change that was carried out while the control entry was being read.
			e, err = entry.Read(ctx)
		}
		if err != nil {
			return secret.Value{}, conn.Known(ctx, err)
		}
		before = c
		switch {
		case c.Purging():
			return secret.Value{}, secret.NotFound(key)
		case c.AtRest():
			return get(e, key)
		}
		steps, ok, err := s.journal.Steps(ctx, at, c)
		if err != nil {
			return secret.Value{}, err
		}
		if !ok && try < intent.Patience { // carried out meanwhile
			continue
		}
		if try == 1 {
			s.journal.FinishSoon(org)
		}
		if comingBack(steps, paths.Path(key), e) {
			if time.Since(began) > s.conn.Timeout/2 || !queue.Pause(ctx, 3) {
				return secret.Value{}, errs.New(errs.Unavailable, "secret %q is being brought back; try again", key)
			}
			continue
		}
		for _, st := range steps {
			if st.Path == paths.Path(key) && st.Base == e.Version {
				switch st.Op {
				case intent.Set:
					return secret.NewValue([]byte(st.Value)), nil
				case intent.Delete:
					return secret.Value{}, secret.NotFound(key)
				}
			}
		}
		return get(e, key)
	}
}

// get is the value in an entry.
func get(e kv2.Entry, key string) (secret.Value, error) {
	v, ok, err := paths.Value(e)
	if err != nil {
		return secret.Value{}, err
	}
	if !ok {
		return secret.Value{}, secret.NotFound(key)
	}
	return secret.NewValue([]byte(v)), nil
}

// comingBack reports whether a step brings back what an entry holds, and has not yet: only Vault knows the value.
func comingBack(steps []intent.Step, path string, e kv2.Entry) bool {
	return e.Data == nil && slices.ContainsFunc(steps, func(st intent.Step) bool {
		return st.Op == intent.Undelete && st.Path == path && st.Base == e.Version
	})
}

// Keys lists the organisation's secrets. Nobody may change the list, which others may have got as well.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) { return s.lists.Get(ctx, org) }

// keys makes the list: what is in Vault, without what is deleted, and with a change that is under way as
// if it had been carried out. The control entry must be the same before and after, else a change came between.
func (s *Store) keys(ctx context.Context, org id.ID) ([]string, error) {
	at, err := paths.At(ctx, s.places, org)
	if err != nil {
		return nil, err
	}
	before := s.journal.Seen(org)
	if before == nil {
		if before, err = s.journal.State(ctx, org, at); err != nil {
			return nil, err
		}
	}
	began, waited := time.Now(), 0
	for {
		var listed map[string]bool
		if before.AtRest() || time.Since(began) > s.conn.Timeout/4 || s.places.ReadOnly(org) {
			if listed, err = paths.List(ctx, at); err != nil {
				return nil, err
			}
		}
		now, err := s.journal.State(ctx, org, at)
		if err != nil {
			return nil, err
		}
		if now.Purging() {
			return []string{}, nil
		}
		if listed != nil && now.Same(before) {
			keys, ok, err := s.seen(ctx, org, at, now, listed)
			if ok || err != nil {
				return keys, err
			}
		}
		before = now
		if before.AtRest() {
			continue
		}
		// Whoever committed it is about to carry it out, or else we do.
		if waited++; waited == intent.Patience {
			s.journal.FinishSoon(org)
		}
		if !queue.Pause(ctx, 3) {
			return nil, conn.Known(ctx, ctx.Err())
		}
	}
}

// seen makes the list of what Vault listed at the moment of a control entry. ok is false where that moment has passed.
func (s *Store) seen(ctx context.Context, org id.ID, at kv2.Location, c *intent.State, listed map[string]bool) (keys []string, ok bool, err error) {
	removing := make(map[string]bool) // what the pending change deletes and has not yet
	if c.Changing() {
		steps, ok, err := s.journal.Steps(ctx, at, c)
		if err != nil || !ok {
			return nil, false, err
		}
		for _, st := range steps {
			if st.Op == intent.Delete {
				removing[st.Path] = true
			} else {
				listed[st.Path] = true
			}
		}
	}
	var hints []intent.Deletion
	for _, d := range c.Deleted() {
		switch {
		case s.hints.holds(hint{org, d.Path, d.Version}):
			delete(listed, d.Path)
		case listed[d.Path]:
			hints = append(hints, d)
		}
	}
	var mu sync.Mutex
	back := false
	err = conn.Each(ctx, len(hints), func(ctx context.Context, i int) error {
		d := hints[i]
		m, _, err := at.Below(d.Path).Metadata(ctx)
		if err != nil {
			return err
		}
		s.hints.learn(hint{org, d.Path, d.Version}, !m.Alive())
		mu.Lock()
		defer mu.Unlock()
		if m.Alive() && !(removing[d.Path] && m.Current == d.Version) {
			back = true // set since, or undeleted in Vault itself
		} else {
			delete(listed, d.Path)
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	if back { // by a single set, or by a change of which this would be the half
		if now, err := s.journal.State(ctx, org, at); err != nil || !now.Same(c) {
			return nil, false, err
		}
	}
	keys = make([]string, 0, len(listed))
	for path := range listed {
		if key, ok := paths.NameAt(path); ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, true, nil
}

// Foreign names the entries that are listed and whose value is not a string.
func (s *Store) Foreign(ctx context.Context, org id.ID) ([]string, error) {
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	keys, err := s.Keys(ctx, org)
	if err != nil {
		return nil, err
	}
	at, err := paths.At(ctx, s.places, org)
	if err != nil {
		return nil, err
	}
	is := make([]bool, len(keys))
	err = conn.Each(ctx, len(keys), func(ctx context.Context, i int) error {
		e, err := at.Below(paths.Path(keys[i])).Read(ctx)
		if _, ok, _ := paths.Value(e); err == nil && e.Data != nil {
			is[i] = !ok
		}
		return err
	})
	var foreign []string
	for i, key := range keys {
		if is[i] {
			foreign = append(foreign, key)
		}
	}
	return foreign, err
}
