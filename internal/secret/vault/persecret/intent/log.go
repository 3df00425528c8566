// Package intent does what takes many writes in Vault, where each secret is an entry of its own, as if it were one: it
// changes several of an organisation's secrets, all or none, removes all of them, and for good those that were deleted.
//
// # The control entry
//
// Such an act is committed by one check-and-set write of the organisation's control entry; then it is carried out; then the
// control entry is put to rest. Until it is, no other act is committed, and any instance that finds one can finish it. The
// entry is read as a State, which also tells which names were deleted lately.
//
// # Changes
//
// A change is a journal: its steps, each with the version of the entry that it builds on, are written into entries that
// nobody else knows of, before the commit. Since a step names the version it builds on, carrying it out again does nothing.
// One that finds a later version is left out: that was written by somebody else meanwhile, and the change counts as made
// before. A deletion has no check-and-set and may be carried out late, by a server that stood still; a secret is therefore
// brought back as a new version.
//
// # Purges and sweeps
//
// A purge removes all entries, the control entry last. A sweep removes what was deleted secret.KeepDeleted ago, and the
// journals that were never committed (sweep.go).
package intent

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

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
	// Forget is told of an entry that is about to be changed, and ForgetAll of an organisation that is being purged: what
	// the store has in memory of them is not to be relied on.
	Forget    func(org id.ID, path string)
	ForgetAll func(org id.ID)
}

// Log makes changes of several secrets, purges and sweeps, each written down before it is carried out. It is safe for use by many goroutines.
type Log struct {
	conn      *conn.Conn
	places    *kv2.Places
	queue     *queue.Queue
	forgetOne func(org id.ID, path string)
	forgetAll func(org id.ID)

	states states
	sweeps sweeps
	// finishing are the organisations for which a change that was found unfinished waits for its turn to be carried out.
	finishing sync.Map
	running   sync.WaitGroup
}

// New makes a log, which sweeps now and then until the connection's end.
func New(c Config) *Log {
	l := &Log{conn: c.Conn, places: c.Places, queue: c.Queue, forgetOne: c.Forget, forgetAll: c.ForgetAll}
	l.running.Go(l.sweepNowAndThen)
	return l
}

// Close waits for the sweeps; for what is in the queue, its own Close does.
func (l *Log) Close() { l.running.Wait() }

// Change commits steps and carries them out. c is the state, with nothing pending, that was there before the versions were
// read that the steps build on; conn.ErrMismatch, with nothing done, where it is not so any more. From the commit on the
// change is made, so that nil is the outcome also where Vault is away before all of it has been carried out: everybody sees
// it, and somebody finishes it.
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
		return errs.New(errs.RequestTooLarge, "too many secrets were deleted at once or within the last %d minutes: the secret store keeps their names (%d KiB) until they can be removed for good; delete fewer at once, or wait", int(removable.Minutes()), maxControl>>10)
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
		if err == conn.ErrMismatch || !conn.Uncertain(err) && ctx.Err() == nil {
			l.removeParts(ctx, at, next.kept.Pending.ID, parts)
		}
		return err
	}
	if committed.finished(next.kept.Pending.ID) {
		return nil
	}
	// The caller hears of his change in time, also where it is so large that it is carried out after that.
	rolling, cancel := l.conn.Shorten(ctx)
	defer cancel()
	if err := l.roll(rolling, org, at, committed, steps, false); err != nil {
		l.FinishSoon(org)
	}
	if len(gone) > 0 {
		l.sweepSoon(org)
	}
	return nil
}

// commit writes the control entry that makes a journal valid. Its outcome is known where it is nil or ErrMismatch, which
// says that nothing was committed.
func (l *Log) commit(ctx context.Context, org id.ID, at kv2.Location, next *State) (*State, error) {
	try, cancel := l.conn.Shorten(ctx)
	defer cancel()
	for lost := 0; ; lost++ {
		written, err := l.put(try, org, at, next)
		switch {
		case err == conn.ErrMismatch:
			// Perhaps by our own write, whose answer was lost. Nobody writes the same again, so it is there or it never will be.
			now, err := l.State(ctx, org, at)
			if err != nil {
				return nil, err
			}
			if now.kept.Pending != nil && now.kept.Pending.ID == next.kept.Pending.ID || now.finished(next.kept.Pending.ID) {
				return now, nil
			}
			return nil, conn.ErrMismatch
		case conn.Uncertain(err) && lost == 0 && ctx.Err() == nil:
			try = ctx // with what was left for this
		default:
			return written, err
		}
	}
}

// roll carries out a committed journal and puts the control entry to rest. Those who help begin at its end, so that two
// who are at it meet in the middle.
func (l *Log) roll(ctx context.Context, org id.ID, at kv2.Location, c *State, steps []Step, helping bool) error {
	err := conn.Each(ctx, len(steps), func(ctx context.Context, i int) error {
		if helping {
			i = len(steps) - 1 - i
		}
		return l.carryOut(ctx, org, at, steps[i])
	})
	if err != nil {
		return err
	}
	return l.rest(ctx, org, at, c)
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
