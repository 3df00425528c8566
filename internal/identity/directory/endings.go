package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// What is left of a user or an organisation that has ended is removed at once, or tried again: after a minute, and then
// ever more rarely, since a refusal may last until somebody changes a policy. It is told in the log the first time,
// when it fails otherwise, and once a day; health tells it as long as it lasts.
const (
	firstPause = time.Minute
	lastPause  = time.Hour
	tellAgain  = 24 * time.Hour
)

// ended is a user or an organisation.
type ended struct {
	what string
	id   id.ID
}

// mark is the key of the record that says that something of it is left.
func (e ended) mark() string {
	if e.what == "organization" {
		return record.Key("deleting/org", e.id)
	}
	return record.Key("deleting/user", e.id)
}

// endings holds the users and organisations of which something is left.
type endings struct {
	mu   sync.Mutex
	left map[ended]*attempt
}

type attempt struct {
	since, told, next time.Time
	pause             time.Duration
	why               error
}

// due reports whether it is time to try again.
func (e *endings) due(which ended, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.left[which]
	return a == nil || !now.Before(a.next)
}

// failed notes how an attempt failed, and reports whether that is to be told and when the next one is.
func (e *endings) failed(which ended, why error, now time.Time) (tell bool, pause time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.left[which]
	if a == nil {
		a = &attempt{since: now}
		if e.left == nil {
			e.left = make(map[ended]*attempt)
		}
		e.left[which] = a
	}
	a.pause = min(max(2*a.pause, firstPause), lastPause)
	// A little early: the clock that looks after it ticks about once a minute.
	a.next = now.Add(a.pause - time.Second)
	if tell = a.why == nil || why.Error() != a.why.Error() || now.Sub(a.told) >= tellAgain; tell {
		a.told = now
	}
	a.why = why
	return tell, a.pause
}

func (e *endings) done(which ended) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.left, which)
}

// patience is how long who deletes something waits for what hangs on it: 1,000,000 tokens take minutes to remove.
const patience = 15 * time.Second

var errUnderWay = errors.New("what is left is still being removed")

// finishSoon is finish for a request. Whoever asked may leave; what has begun need not wait for the next time because
// of that. It returns errUnderWay where that takes longer than one waits, or another server is at it; then Maintain
// goes on with it.
func (s *Service) finishSoon(ctx context.Context, which ended, remove func(context.Context, id.ID) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.patience)
	defer cancel()
	return s.finish(ctx, which, remove)
}

// left gives the mark of what has ended, where something of it is left.
func (s *Service) left(ctx context.Context, which ended) (mark kv.Record, left bool, err error) {
	mark, err = s.kv.Get(ctx, which.mark())
	if errors.Is(err, kv.ErrNotFound) {
		return mark, false, nil
	}
	return mark, err == nil, err
}

// removeLeft removes what is left of something that has ended, by one server of all at a time: another that is slower
// would take what belongs to whoever has the ID again by then. One that stands still while its hold ends does not know
// that it is the slower one, so that each of its transactions has the condition that the mark is the one it began with.
func (s *Service) removeLeft(ctx context.Context, which ended, remove func(context.Context, id.ID) error) error {
	held, release, err := s.kv.Hold(ctx, which.mark())
	if err != nil {
		return kv.Coded(err)
	}
	defer release()
	for {
		mark, left, err := s.left(held, which)
		if err != nil || !left {
			return err
		}
		err = remove(kv.While(held, mark), which.id)
		if err != nil && held.Err() != nil && ctx.Err() == nil { // it is held no more: another does it, or has done it
			if _, left, err = s.left(ctx, which); err == nil && left {
				err = errUnderWay
			}
			return err
		}
		if !errors.Is(err, kv.ErrOver) {
			return err
		}
		// A rotation has sealed the mark anew.
	}
}

// finish removes what is left of something that has ended.
func (s *Service) finish(ctx context.Context, which ended, remove func(context.Context, id.ID) error) error {
	err := s.removeLeft(ctx, which, remove)
	if err == nil {
		s.endings.done(which)
		return nil
	}
	if errors.Is(err, errUnderWay) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errUnderWay
	}
	if tell, pause := s.endings.failed(which, err, s.now()); tell {
		s.log.WarnContext(ctx, "what is left of something deleted could not be removed and will be tried again",
			"what", which.what, "id", which.id, "next", pause, "error", err)
	}
	return err
}

// Unfinished tells what is left of organisations that have ended, for health checks; "" where nothing is.
func (s *Service) Unfinished() string {
	s.endings.mu.Lock()
	defer s.endings.mu.Unlock()
	n, oldest := 0, (*attempt)(nil)
	for which, a := range s.endings.left {
		if which.what != "organization" {
			continue
		}
		if n++; oldest == nil || a.since.Before(oldest.since) {
			oldest = a
		}
	}
	if n == 0 {
		return ""
	}
	of := "a deleted organization"
	if n > 1 {
		of = fmt.Sprintf("%d deleted organizations", n)
	}
	return fmt.Sprintf("what is left of %s could not be removed since %s, which is tried again at least once an "+
		"hour: %s", of, oldest.since.UTC().Format(time.RFC3339), errs.Message(oldest.why))
}

var errNamePlace = errs.New(errs.Conflict,
	"the name is that of another organization's secrets in the secret store: of one "+
		"that was called so before and has secrets under the name, or that has ended and whose secrets could not be "+
		"removed yet")
