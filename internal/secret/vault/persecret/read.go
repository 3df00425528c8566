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
	"strongroom/internal/secret/vault/persecret/seen"
	"strongroom/internal/secret/vault/queue"
)

// moment is what was read while the control entry was the same.
type moment struct {
	secrets map[string]secret.Secret
	state   *intent.State
}

// one reads one secret: its entry, and beside it whether a change is under way. Where that is not as this process last
// saw it, the entry is read once more, after it.
func (s *Store) one(ctx context.Context, org id.ID, key string) (moment, error) {
	at, err := paths.At(ctx, s.places, org)
	if err != nil {
		return moment{}, err
	}
	entry := at.Below(paths.Path(key))
	before, began := s.log.Seen(org), time.Now()
	for try := 1; ; try++ {
		var c *intent.State
		var e kv2.Entry
		g, gctx := errgroup.WithContext(ctx)
		g.Go(func() (err error) { c, err = s.log.State(gctx, org, at); return err })
		g.Go(func() (err error) { e, err = entry.Look(gctx); return err })
		err := g.Wait()
		if err == nil && !c.Same(before) {
			// The entry may be of before a change that was carried out while the control entry was being read.
			e, err = entry.Look(ctx)
		}
		if err != nil {
			return moment{}, conn.Known(ctx, err)
		}
		before = c
		m, ok, err := s.seenAs(ctx, org, at, c, []string{key}, []kv2.Entry{e}, try)
		if ok || err != nil {
			return m, err
		}
		if err := s.wait(ctx, began); err != nil {
			return moment{}, err
		}
	}
}

// several reads the secrets of the keys, or those of all that want takes: all entries while the control entry stays the
// same, so that no change of several secrets came between.
func (s *Store) several(ctx context.Context, org id.ID, keys []string, want func(string) bool) (moment, error) {
	at, err := paths.At(ctx, s.places, org)
	if err != nil {
		return moment{}, err
	}
	before, began := s.log.Seen(org), time.Now()
	if before == nil && keys != nil {
		if before, err = s.log.State(ctx, org, at); err != nil {
			return moment{}, err
		}
	}
	for try := 1; ; try++ {
		names := keys
		if keys == nil {
			listed, err := s.lists.Get(ctx, org)
			if err != nil {
				return moment{}, err
			}
			before, names = listed.state, listed.wanted(want)
		}
		entries := make([]kv2.Entry, len(names))
		err := conn.Each(ctx, len(names), func(ctx context.Context, i int) (err error) {
			entries[i], err = at.Below(paths.Path(names[i])).Look(ctx)
			return err
		})
		if err != nil {
			return moment{}, conn.Known(ctx, err)
		}
		c, err := s.log.State(ctx, org, at)
		if err != nil {
			return moment{}, conn.Known(ctx, err)
		}
		if c.Same(before) {
			m, ok, err := s.seenAs(ctx, org, at, c, names, entries, try)
			if ok || err != nil {
				return m, err
			}
		}
		before = c
		if err := s.wait(ctx, began); err != nil {
			return moment{}, err
		}
	}
}

// wait lets those get on that a reader was in the way of, or that were in its way.
func (s *Store) wait(ctx context.Context, began time.Time) error {
	if time.Since(began) > s.conn.Timeout/2 {
		return errs.New(errs.Unavailable, "the organization's secrets are being changed, or brought back; try again")
	}
	if !queue.Pause(ctx, 2) {
		return conn.Known(ctx, ctx.Err())
	}
	return nil
}

// seenAs gives what entries hold that were read while the control entry was c: a change that is pending counts as
// carried out. ok is false where that cannot be told now.
func (s *Store) seenAs(ctx context.Context, org id.ID, at kv2.Location, c *intent.State, keys []string,
	entries []kv2.Entry, try int) (m moment, ok bool, err error) {
	m = moment{secrets: make(map[string]secret.Secret, len(keys)), state: c}
	if c.Purging() {
		return m, true, nil
	}
	if c.Undoing() {
		return m, false, nil
	}
	pending := make(map[string]intent.Step)
	if !c.AtRest() {
		steps, ok, err := s.log.Steps(ctx, at, c)
		if err != nil {
			return m, false, err
		}
		if !ok { // carried out meanwhile, or else its journal is gone by somebody's hand
			if now, err := s.log.State(ctx, org, at); err != nil || !now.Same(c) {
				return m, false, err
			}
		}
		if try == 1 {
			s.log.FinishSoon(org)
		}
		for _, st := range steps {
			pending[st.Path] = st
		}
	}
	for i, key := range keys {
		e := entries[i]
		if st, is := pending[paths.Path(key)]; is && st.Base == e.Version {
			switch {
			case st.Op == intent.Set:
				m.secrets[key] = secret.Secret{Value: secret.NewValue([]byte(st.Value)), Version: int(st.Base) + 1}
				continue
			case st.Op == intent.Delete:
				continue
			case e.Data == nil: // it is being brought back, and only Vault knows the value
				return m, false, nil
			}
		}
		v, ours, err := paths.Value(e)
		if err != nil {
			return m, false, err
		}
		if ours {
			m.secrets[key] = secret.Secret{Value: secret.NewValue([]byte(v)), Version: int(e.Version),
				Updated: e.Written()}
		}
	}
	return m, true, nil
}

// listing is a list of names, and the control entry at its moment.
type listing struct {
	keys  []string
	state *intent.State
}

// wanted are the names that a query asks for; nil takes all.
func (l listing) wanted(want func(string) bool) []string {
	if want == nil {
		return l.keys
	}
	keys := make([]string, 0, len(l.keys))
	for _, key := range l.keys {
		if want(key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Keys lists the organisation's secrets. Nobody may change the list, which others may have got as well.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) {
	l, err := s.lists.Get(ctx, org)
	return l.keys, err
}

// list makes the list: what is in Vault, without what is deleted, and with a change that is under way as
// if it had been carried out. The control entry must be the same before and after, else a change came between.
func (s *Store) list(ctx context.Context, org id.ID) (listing, error) {
	at, err := paths.At(ctx, s.places, org)
	if err != nil {
		return listing{}, err
	}
	before := s.log.Seen(org)
	if before == nil {
		if before, err = s.log.State(ctx, org, at); err != nil {
			return listing{}, err
		}
	}
	began, waited := time.Now(), 0
	for {
		var listed map[string]bool
		if before.AtRest() || time.Since(began) > s.conn.Timeout/4 || s.places.ReadOnly(org) {
			if listed, err = paths.List(ctx, at); err != nil {
				return listing{}, err
			}
		}
		now, err := s.log.State(ctx, org, at)
		if err != nil {
			return listing{}, err
		}
		if now.Purging() {
			return listing{[]string{}, now}, nil
		}
		if listed != nil && now.Same(before) && !now.Undoing() {
			keys, ok, err := s.seen(ctx, org, at, now, listed)
			if ok || err != nil {
				return listing{keys, now}, err
			}
		}
		before = now
		if before.AtRest() {
			continue
		}
		// Whoever committed it is about to carry it out, or else we do.
		if waited++; waited == intent.Patience {
			s.log.FinishSoon(org)
		}
		if !queue.Pause(ctx, 3) {
			return listing{}, conn.Known(ctx, ctx.Err())
		}
	}
}

// seen makes the list of what Vault listed at the moment of a control entry. ok is false where that moment has passed.
func (s *Store) seen(ctx context.Context, org id.ID, at kv2.Location, c *intent.State,
	listed map[string]bool) (keys []string, ok bool, err error) {
	removing := make(map[string]bool) // what the pending change deletes and has not yet
	if c.Changing() {
		steps, ok, err := s.log.Steps(ctx, at, c)
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
		case s.deleted.Holds(seen.Deletion{Org: org, Path: d.Path, Version: d.Version}):
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
		s.deleted.Learn(seen.Deletion{Org: org, Path: d.Path, Version: d.Version}, !m.Alive())
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
		if now, err := s.log.State(ctx, org, at); err != nil || !now.Same(c) {
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
		e, err := at.Below(paths.Path(keys[i])).Look(ctx)
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
