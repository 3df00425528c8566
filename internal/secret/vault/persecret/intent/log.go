// Package intent does what takes many writes in Vault, where each secret is an entry of its own, as if it were one: it
// changes several of an organisation's secrets, all or none, removes all of them, and for good those that were deleted.
//
// # The control entry
//
// Such an act is committed by one check-and-set write of the organisation's control entry; then it is carried out; then
// the control entry is put to rest. Until it is, no other act is committed, and any instance that finds one can finish
// it. The entry is read as a State, which also tells which names were deleted lately.
//
// # Changes
//
// A change is a journal: its steps, each with the version of the entry that it builds on, are written into entries that
// nobody else knows of, before the commit. Since a step names the version it builds on, carrying it out again does
// nothing. One that finds a later version is left out: that was written by somebody else meanwhile, and the change
// counts as made before. A deletion has no check-and-set and may be carried out late, by a server that stood still; a
// secret is therefore brought back as a new version.
//
// # Purges and sweeps
//
// A purge removes all entries, the control entry last. A sweep removes what was deleted secret.KeepDeleted ago, and the
// journals that were never committed (sweep.go).
package intent

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/background"
	"strongroom/internal/bounded"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/queue"
)

// Config is what a log works with.
type Config struct {
	Conn   *conn.Conn
	Places *kv2.Places
	Queue  *queue.Queue // in which what an organisation needs done waits for its turn
	// Forget is told of an entry that is about to be changed, and ForgetAll of an organisation that is being purged:
	// what the store has in memory of them is not to be relied on.
	Forget    func(org id.ID, path string)
	ForgetAll func(org id.ID)
}

// Log makes changes of several secrets, purges and sweeps, each written down before it is carried out. It is safe for
// use by many goroutines.
type Log struct {
	conn      *conn.Conn
	places    *kv2.Places
	queue     *queue.Queue
	forgetOne func(org id.ID, path string)
	forgetAll func(org id.ID)

	states states
	sweeps sweeps
	// finishing are the organisations for which a change that was found unfinished waits for its
	// turn to be carried out.
	finishing sync.Map
	running   sync.WaitGroup
}

// New makes a log, which sweeps now and then until the connection's end.
func New(c Config) *Log {
	l := &Log{conn: c.Conn, places: c.Places, queue: c.Queue, forgetOne: c.Forget, forgetAll: c.ForgetAll,
		states: states{known: bounded.New[id.ID, *State](maxKnown, nil)}}
	l.running.Go(func() { background.KeepOn(c.Conn.Base(), c.Conn.Log, l.sweepNowAndThen) })
	return l
}

// Close waits for the sweeps; for what is in the queue, its own Close does.
func (l *Log) Close() { l.running.Wait() }

// Change commits steps and carries them out. c is the state, with nothing pending, that was there before the
// versions were read that the steps build on; conn.ErrMismatch, with nothing done, where it is not so any more.
// From the commit on the change is made, so that nil is the outcome also where Vault is away before all of it has
// been carried out: everybody sees it, and somebody finishes it. What Vault refuses to carry out is undone
// (undo.go), and the error is Vault's.
func (l *Log) Change(ctx context.Context, org id.ID, at kv2.Location, c *State, steps []Step) error {
	next := c.next()
	next.kept.Pending = &pending{ID: rand.Text(), Kind: changing}
	touched := make(map[string]bool, len(steps))
	var gone []Deletion
	for _, st := range steps {
		touched[st.Path] = true
		if st.Op == Delete {
			gone = append(gone, Deletion{st.Path, st.Base, time.Now().Unix(), st.By})
		}
	}
	next.hint(func(path string) bool { return touched[path] }, gone)
	if len(gone) > 0 && !next.fits() {
		l.sweepSoon(org)
		return errs.New(errs.RequestTooLarge, "too many secrets were deleted at once or within the last %d minutes: "+
			"the secret store keeps their names (%d KiB) until they can be removed for good; delete fewer at "+
			"once, or wait", int(removable.Minutes()), maxControl>>10)
	}
	if err := mayCarryOut(ctx, at, steps); err != nil {
		return err
	}
	parts, err := l.prepare(ctx, at, next.kept.Pending, steps, partSteps)
	if errs.Is(err, errs.RequestTooLarge) && parts < len(steps) {
		parts, err = l.prepare(ctx, at, next.kept.Pending, steps, 1) // perhaps Vault's storage takes less than most
	}
	if err != nil {
		return err
	}
	committed, err := l.commit(ctx, org, at, next)
	if err != nil {
		if !conn.IsUnsure(err) {
			l.removeParts(ctx, at, next.kept.Pending.ID, parts)
		}
		return err
	}
	if !committed.pending(next.kept.Pending) { // somebody else has carried it out, or undone it
		return committed.undone(next.kept.Pending.ID)
	}
	// The caller hears of his change in time, also where it is so large that it is carried out after that.
	rolling, cancel := l.conn.Shorten(ctx)
	defer cancel()
	err = l.roll(rolling, org, at, committed, steps, false)
	if errors.As(err, new(impossible)) {
		return l.giveUp(ctx, org, at, committed, steps, err)
	}
	if err != nil {
		l.FinishSoon(org)
	}
	if len(gone) > 0 {
		l.sweepSoon(org)
	}
	return nil
}

// commit writes the control entry that makes a journal valid, and gives the state since. The error is ErrMismatch where
// it was not committed and will not be, and conn.Unsure's where that is not known.
func (l *Log) commit(ctx context.Context, org id.ID, at kv2.Location, next *State) (*State, error) {
	ours := next.kept.Pending.ID
	var written *State
	_, err := at.Below(StateEntry).Surely(ctx, kv2.Write{
		Base: kv2.Version{Version: next.version, Created: next.created},
		Send: func(ctx context.Context) (kv2.Version, error) {
			var err error
			if written, err = l.put(ctx, org, at, next); err != nil {
				return kv2.Version{}, err
			}
			return kv2.Version{Version: written.version, Created: written.created}, nil
		},
		Ours: func(_, after kv2.Entry) bool {
			c, ok := parse(after)
			return ok && c.pending(next.kept.Pending)
		},
	})
	if err == nil && written != nil {
		return written, nil
	}
	if err != nil && !conn.IsUnsure(err) {
		return nil, err
	}
	// It is or was there, or that version is not kept any more; whoever has carried it out has left word of it.
	now, looked := l.State(ctx, org, at)
	switch {
	case looked != nil:
		return nil, conn.Unsure(looked)
	case err == nil, now.pending(next.kept.Pending), now.finished(ours), now.undone(ours) != nil:
		return now, nil
	}
	return nil, err
}

// roll carries out a committed journal and puts the control entry to rest. Those who help begin at its end, so that two
// who are at it meet in the middle.
func (l *Log) roll(ctx context.Context, org id.ID, at kv2.Location, c *State, steps []Step, helping bool) error {
	// After a minute, what Vault fails to do for one entry and does for others is not to be waited for.
	hopeless := helping && l.sweeps.stalled(org, c.kept.Pending.ID)
	err := eachStep(ctx, steps, helping, func(ctx context.Context, st Step) error {
		err := l.carryOut(ctx, org, at, st)
		if refused(err) || hopeless && conn.Is(err, conn.Failing) {
			return impossible{err}
		}
		return err
	})
	if err != nil {
		return err
	}
	return l.rest(ctx, org, at, c)
}

// eachStep does something for each step, and ends at the first error that is not impossible. Where it gives that one,
// all steps have come to an end and the others have been made.
func eachStep(ctx context.Context, steps []Step, backwards bool, do func(context.Context, Step) error) error {
	cannot, failed := make([]error, len(steps)), make([]error, len(steps))
	var stopped atomic.Bool
	_ = conn.Each(ctx, len(steps), func(ctx context.Context, i int) error {
		if backwards {
			i = len(steps) - 1 - i
		}
		if stopped.Load() {
			return nil
		}
		err := do(ctx, steps[i])
		if errors.As(err, new(impossible)) {
			cannot[i] = err
		} else if err != nil {
			failed[i] = err
			stopped.Store(true)
		}
		return nil // those under way are left to end
	})
	return cmp.Or(cmp.Or(failed...), cmp.Or(cannot...))
}

// rest says that what is pending has been carried out, and removes the journal.
func (l *Log) rest(ctx context.Context, org id.ID, at kv2.Location, c *State) error {
	_, err := l.put(ctx, org, at, c.rested())
	if conn.Uncertain(err) {
		_, err = l.put(ctx, org, at, c.rested())
	}
	if err != nil && err != conn.ErrMismatch { // somebody else has said so
		return err
	}
	l.removeParts(ctx, at, c.kept.Pending.ID, c.kept.Pending.Parts)
	return nil
}
