package identity

import (
	"context"
	"errors"
	"time"

	"strongroom/internal/kv"
)

// Maintain does the service's housekeeping until ctx ends: at once and then every minute it finishes deletions that were
// cut short and writes when tokens were last used, and every hour removes sessions that have expired. At the end it
// writes the last uses once more.
func (s *Service) Maintain(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	var swept time.Time
	for {
		s.report(ctx, "finishing deletions", s.finishDeletions(ctx))
		s.report(ctx, "writing last uses", s.writeUsage(ctx))
		if s.now().Sub(swept) >= time.Hour {
			s.report(ctx, "removing expired sessions", s.sweepSessions(ctx))
			swept = s.now()
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.report(last, "writing last uses", s.writeUsage(last))
			return
		case <-tick.C:
		}
	}
}

func (s *Service) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, what+" failed and will be tried again", "error", err)
	}
}

// writeUsage writes the last uses that memory holds. One that cannot be written is lost; the next use is written again.
func (s *Service) writeUsage(ctx context.Context) error {
	var ops []kv.Op
	flush := func() error {
		if len(ops) == 0 {
			return nil
		}
		_, err := s.kv.Txn(ctx, nil, ops)
		ops = nil
		return err
	}
	for a, at := range s.used.take() {
		// A token deleted meanwhile would leave a stray record; the check narrows that to a moment, and no one reads it.
		if _, err := s.kv.Get(ctx, key("auth", a)); err != nil {
			continue
		}
		if ops = append(ops, put(key("authused", a), at)); len(ops) == kv.MaxOps {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// sweepSessions removes the sessions that have expired.
func (s *Service) sweepSessions(ctx context.Context) error {
	now := s.now()
	return scan(ctx, s.kv, "session/", "", func(r kv.Record) (bool, error) {
		n, err := decode[session](r)
		if err != nil {
			return false, err
		}
		if now.Before(n.ExpiresAt) {
			return true, nil
		}
		_, err = s.kv.Txn(ctx, []kv.Cond{kv.Unchanged(r)},
			[]kv.Op{kv.Delete(r.Key), kv.Delete(key("sessionuser", n.UserID, lastPart(r.Key)))})
		if errors.Is(err, kv.ErrConflict) { // renewed meanwhile
			err = nil
		}
		return true, err
	})
}
