package authn

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
	"strongroom/internal/uses"
)

// lastUse is when an authorization was last used, in Unix seconds.
type lastUse struct{ at atomic.Int64 }

func newUsage(store kv.Store) *uses.Book[id.ID] {
	return uses.New(store, func(auth id.ID) string { return record.Key("authused", auth) })
}

// markUse notes a use; within one second it costs one atomic load.
func (s *Service) markUse(e entry, now time.Time) {
	at := now.Unix()
	if e.used == nil || e.used.at.Load() >= at { // also where the clock was set back
		return
	}
	e.used.at.Store(at)
	s.used.Mark(now, e.principal.AuthorizationID)
}

// writeUsage writes the last uses that memory holds. A token that is deleted meanwhile leaves a stray record, which
// nobody reads: that it is looked for narrows it to a moment.
func (s *Service) writeUsage(ctx context.Context) error {
	return s.used.Write(ctx, func(ctx context.Context, auth id.ID) (bool, error) {
		_, err := s.kv.Get(ctx, record.Key("auth", auth))
		if errors.Is(err, kv.ErrNotFound) || errors.Is(err, kv.ErrForged) { // what does not open is used no more
			return false, nil
		}
		return err == nil, err
	})
}

// LastUse is when an authorization was last used, or nil.
func (s *Service) LastUse(ctx context.Context, auth id.ID) (*time.Time, error) {
	at, err := s.used.Last(ctx, auth)
	if err != nil || at.IsZero() {
		return nil, err
	}
	return &at, nil
}
