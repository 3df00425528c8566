package authn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// lastUse is when an authorization was last used, in Unix seconds.
type lastUse struct{ at atomic.Int64 }

// usage collects last uses in memory until they are written (see Maintain).
type usage struct {
	mu    sync.Mutex
	dirty map[id.ID]int64
}

func newUsage() *usage { return &usage{dirty: make(map[id.ID]int64)} }

// mark notes a use; within one second it costs one atomic load.
func (u *usage) mark(e entry, now time.Time) {
	at := now.Unix()
	if e.used == nil || e.used.at.Load() >= at { // also where the clock was set back
		return
	}
	e.used.at.Store(at)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dirty[e.principal.AuthorizationID] = max(at, u.dirty[e.principal.AuthorizationID])
}

// take hands over what is to be written.
func (u *usage) take() map[id.ID]int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	d := u.dirty
	u.dirty = make(map[id.ID]int64)
	return d
}

// back takes back what could not be written.
func (u *usage) back(uses map[id.ID]int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for a, at := range uses {
		u.dirty[a] = max(at, u.dirty[a])
	}
}

// recent is a use that is not written yet, or 0.
func (u *usage) recent(a id.ID) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dirty[a]
}

// writeUsage writes the last uses that memory holds, where they are later than what is written: a clock that was set
// back, and another server, take none away. One that cannot be written is lost; the next use is written again.
func (s *Service) writeUsage(ctx context.Context) error {
	var conds []kv.Cond
	var ops []kv.Op
	uses, batch := s.used.take(), make(map[id.ID]int64)
	flush := func() error {
		if len(ops) == 0 {
			return nil
		}
		_, err := s.kv.Txn(ctx, conds, ops)
		if errors.Is(err, kv.ErrConflict) { // with another server, over one of them: the next time looks again
			s.used.back(batch)
			err = nil
		}
		conds, ops = nil, nil
		clear(batch)
		return err
	}
	for a, at := range uses {
		// A token deleted meanwhile would leave a stray record; the check narrows that to a
		// moment, and no one reads it.
		if _, err := s.kv.Get(ctx, record.Key("auth", a)); err != nil {
			continue
		}
		key := record.Key("authused", a)
		written, r, ok, err := record.Find[int64](ctx, s.kv, key)
		switch {
		case err != nil:
			return err
		case !ok:
			r = kv.Record{Key: key}
		case written >= at:
			continue
		}
		conds, batch[a] = append(conds, kv.Unchanged(r)), at
		if ops = append(ops, record.Put(key, at)); len(ops) == kv.MaxOps {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// LastUse is when an authorization was last used, or nil.
func (s *Service) LastUse(ctx context.Context, auth id.ID) (*time.Time, error) {
	written, _, _, err := record.Find[int64](ctx, s.kv, record.Key("authused", auth))
	at := max(written, s.used.recent(auth))
	if err != nil || at == 0 {
		return nil, err
	}
	t := time.Unix(at, 0).UTC()
	return &t, nil
}
