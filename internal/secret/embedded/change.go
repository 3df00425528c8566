package embedded

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/batch"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/plan"
	"strongroom/internal/secret/embedded/purge"
	"strongroom/internal/secret/embedded/records"
)

// carryTime bounds the work on changes that their callers may have left. A disk that hangs hangs everything else too.
const carryTime = time.Minute

// change is one that waits in the queue: how it is planned, and what it has come to once it is made.
type change struct {
	plan    func(*plan.Plan) error
	names   []string // of secrets that it reads, as far as they are known before
	outcome secret.Outcome
}

// namesOf are the names of each change.
func namesOf(changes []*change) [][]string {
	names := make([][]string, len(changes))
	for i, c := range changes {
		names[i] = c.names
	}
	return names
}

// newQueue makes the queue of the organisations' changes: each builds on the versions before it. What waits while one
// is written is then written together, in one transaction as far as it fits: many writers of one organisation, even of
// one secret, cost one sync and not one each. The engine commits those of several organisations together.
func (s *Store) newQueue() *batch.Queue[*change] {
	gather := 0.
	if s.far {
		gather = 0.5
	}
	return batch.New(batch.Config[*change]{
		Write: s.write, Gather: gather,
		Context: func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), carryTime)
		},
		Told:   translate,
		Closed: translate(kv.ErrClosed),
	})
}

// Apply carries out a change: in one transaction if it fits.
func (s *Store) Apply(ctx context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	if c = c.Clone(); c.Empty() && !c.Depends() {
		return secret.Outcome{}, ctx.Err()
	}
	at := s.now()
	names := slices.AppendSeq(slices.Clone(c.Delete), maps.Keys(c.Set))
	return s.submit(ctx, org, func(p *plan.Plan) error { return p.Apply(c, at) }, names...)
}

// submit has a change planned and made in its turn.
func (s *Store) submit(ctx context.Context, org id.ID, planned func(*plan.Plan) error,
	names ...string) (secret.Outcome, error) {
	c := &change{plan: planned, names: names}
	if err := s.queue.Do(ctx, org, c); err != nil {
		return secret.Outcome{}, err
	}
	return c.outcome, nil
}

// Purge removes everything, a large change under way included: whoever carries it out finds its journal gone. It waits
// for the changes that came before it, whose callers may have left. Nothing is there for anybody after its first
// transaction; what is cut short after that, the next change, Purge or Recover finishes.
func (s *Store) Purge(ctx context.Context, org id.ID) error {
	for begun := false; ; begun = true {
		more := make(chan bool, 1) // the caller may leave
		err := s.queue.Alone(ctx, org, func(turn context.Context) error {
			turn = kv.WhileOf(turn, ctx)
			if !begun {
				if err := purge.Begin(turn, s.kv, org); err != nil {
					return err
				}
				s.lists.Drop(org)
				s.followed.Drop(org)
			}
			left, err := purge.Some(turn, s.kv, org)
			more <- left
			return err
		})
		if err != nil || !<-more {
			return err
		}
	}
}

// write makes the first changes of a batch, as many as one transaction takes but at least one, and gives back the
// others. What one transaction does not take goes into the next one with what has come meanwhile.
func (s *Store) write(ctx context.Context, org id.ID, items []*batch.Item[*change]) (left []*batch.Item[*change]) {
	s.writes.RLock()
	defer s.writes.RUnlock()
	n, err := s.makeSome(ctx, org, batch.Changes(items))
	if err != nil && ctx.Err() != nil {
		err = errs.Wrap(err, errs.Unavailable, "the server's storage does not answer; whether the change was made "+
			"will be seen when it does")
	}
	batch.Answer(items[:n], translate(err))
	return items[n:]
}

// makeSome makes the first changes and tells how many. All that it tells of ended alike.
func (s *Store) makeSome(ctx context.Context, org id.ID, changes []*change) (int, error) {
	// What memory knows is enough to plan: where it was behind, the conditions do not hold. What is refused, or needs
	// no writing, is so only if the engine says so.
	ask, mixed := false, 0
	for range attempts {
		at, recalled := state{}, false
		var err error
		if !ask {
			at, recalled = s.recall(ctx, org)
		}
		if !recalled {
			at, err = s.start(ctx, org)
		}
		if err == nil && at.pending != nil {
			err = kv.ErrFull
		}
		if err != nil {
			return len(changes), err
		}
		fence := s.ring.Fence()
		was := slices.Concat([]kv.Cond{{Key: records.Head(org), Rev: at.rev}}, at.conds(), fence)
		if at.rev == 0 { // of what was purged, something may still be there
			if err := purge.Finish(ctx, s.kv, org); err != nil {
				return len(changes), err
			}
			was = append(was, kv.Missing(purge.Key(org)))
		}
		cfg := plan.Config{From: s.from, Made: &s.made, History: s.history, Quota: s.quota, Org: org,
			Names: s.ring.Names(), Head: at.Head}
		known := func(string) bool { return false }
		if recalled {
			cfg.From.KV = content.Recalling{Store: s.kv, Near: s.near}
			known = func(key string) bool { _, ok := s.near.Recall(key); return ok }
		}
		cfg.Head.Count = nil
		if s.quota != (secret.Quota{}) {
			cfg.Head.Count, err = plan.Count(ctx, s.kv, org, at.Head.Count, cfg.Names, min(s.page, content.Page))
			if err == nil {
				var still []kv.Cond
				cfg.Beside, still, err = s.besides(ctx, org)
				was = append(was, still...)
			}
			if err != nil {
				return len(changes), err
			}
		}
		if s.far {
			err = cfg.ReadAhead(ctx, known, namesOf(changes))
		} else {
			err = cfg.FindVoid(ctx, at.rev == 0, namesOf(changes))
		}
		if err != nil {
			return len(changes), err
		}
		p := plan.New(ctx, cfg)
		planned := 0
		var refused error
		for _, c := range changes {
			before := p.Begin()
			err := c.plan(p)
			if err == nil {
				err = p.WithinQuota()
			}
			if err != nil && planned == 0 {
				refused = err
				break
			}
			if planned > 0 && (err != nil || !p.Fits()) {
				p.BackTo(before)
				break
			}
			c.outcome = p.End()
			planned++
		}
		if recalled && (refused != nil || len(p.Records) == 0) {
			ask = true
			continue
		}
		if refused != nil || len(p.Records) == 0 {
			// Who has not heard that the names go to another form finds nothing where they were. And what was read
			// while another server changed it may be of no moment at all, or look damaged. That is rare, and in a busy
			// organisation somebody has changed something each time.
			again, err := s.ring.Refused(ctx, fence)
			damaged := refused != nil && errs.CodeOf(refused) == errs.Internal
			if err == nil && !again && s.far && (mixed < 3 || damaged && mixed < attempts/2) {
				mixed++
				var now state
				now, err = s.head(ctx, org)
				again = now.rev != at.rev
			}
			if err != nil {
				return len(changes), err
			}
			if !again {
				return max(planned, 1), refused
			}
			continue
		}
		rev, err := s.log.Apply(ctx, org, was, p.Head, p.Records, p.Order())
		if err == nil {
			s.followed.Changed(org, at.rev, rev, p.Named)
		}
		if !errors.Is(err, kv.ErrConflict) {
			return planned, err
		}
		// Somebody came between, or there is a journal that the head knows nothing of, or another
		// server has changed the keys.
		if _, err := s.ring.Refused(ctx, fence); err != nil {
			return len(changes), err
		}
		if err := s.log.Finish(ctx, org); err != nil {
			return len(changes), err
		}
	}
	return len(changes), commitlog.ErrTooMany
}
