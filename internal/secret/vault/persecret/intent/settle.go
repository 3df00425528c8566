package intent

import (
	"context"
	"errors"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/paths"
	"strongroom/internal/secret/vault/queue"
)

// Patience is how often the control entry is asked whether those who committed a journal have
// carried it out themselves.
const Patience = 5

// Settled gives the state with nothing pending. What others committed and did not carry out, it carries out.
func (l *Log) Settled(ctx context.Context, org id.ID, at kv2.Location) (*State, error) {
	var first *State
	for try := 0; ; try++ {
		c, err := l.State(ctx, org, at)
		if err != nil {
			return nil, err
		}
		if c.Settled() {
			return c, nil
		}
		if !c.Same(first) {
			first, try = c, 0
		}
		switch {
		case c.is(sweeping) && !l.sweeps.stalled(org, c.kept.Pending.ID):
			if try >= 2*Patience { // a sweep is a matter of a moment, unless its influxd has ended in it
				return nil, errs.New(errs.Unavailable, "the organization's deleted secrets are being removed; try "+
					"again in a minute")
			}
		case try >= Patience || c.is(sweeping):
			if err := l.finish(ctx, org, at, c); err != nil {
				return nil, err
			}
			continue
		}
		if !queue.Pause(ctx, 3) {
			return nil, conn.Known(ctx, ctx.Err())
		}
	}
}

// finish carries out what others committed.
func (l *Log) finish(ctx context.Context, org id.ID, at kv2.Location, c *State) error {
	switch c.kept.Pending.Kind {
	case changing, undoing:
		steps, ok, err := l.Steps(ctx, at, c)
		if err != nil {
			return err
		}
		if !ok {
			now, err := l.State(ctx, org, at)
			if err != nil || !now.Same(c) {
				return err // it has been carried out
			}
			l.conn.Log.Error("a change was committed and its journal has been removed from Vault by hand: what of it "+
				"was not carried out is lost", "org", org)
		}
		if c.Undoing() {
			return l.undo(ctx, org, at, c, steps)
		}
		err = l.roll(ctx, org, at, c, steps, true)
		if errors.As(err, new(impossible)) {
			// Its caller may have been told that it is made. Nobody else waits for it any longer.
			err = l.giveUp(ctx, org, at, c, steps, err)
			if !conn.IsUnsure(err) {
				return nil
			}
			err = conn.Plain(err) // it is another's change of which it is not known
		}
		return err
	case purging:
		return l.removeAll(ctx, org, at)
	case sweeping:
		return l.rest(ctx, org, at, c) // as far as it came
	}
	return errNewer
}

var errNewer = errs.New(errs.Unavailable, "what is under way for the organization was begun by a newer server")

// AtRest gives the state once nothing is pending that readers would have to know of, but for a purge;
// after a while as it is.
func (l *Log) AtRest(ctx context.Context, org id.ID, at kv2.Location) (*State, error) {
	began := time.Now()
	for waited := 1; ; waited++ {
		c, err := l.State(ctx, org, at)
		if err != nil || c.AtRest() || c.Purging() || time.Since(began) > l.conn.Timeout/4 {
			return c, err
		}
		if waited == Patience {
			l.FinishSoon(org)
		}
		if !queue.Pause(ctx, 3) {
			return nil, conn.Known(ctx, ctx.Err())
		}
	}
}

// FinishSoon has what is pending carried out in its turn, for which nobody waits: what this process committed and could
// not finish, or what a reader found so.
func (l *Log) FinishSoon(org id.ID) {
	if l.places.ReadOnly(org) {
		return
	}
	if _, queued := l.finishing.LoadOrStore(org, true); queued { // by another reader
		return
	}
	l.queue.Go(org, func(context.Context) error {
		l.finishing.Delete(org)
		// A change may be of so many names that an operation's time is not enough.
		ctx, cancel := context.WithTimeoutCause(l.conn.Base(), longest, conn.ErrTooSlow)
		defer cancel()
		at, err := paths.At(ctx, l.places, org)
		if err != nil {
			return err
		}
		_, err = l.Settled(ctx, org, at)
		return err
	})
}

// longest is how long a committed change is being carried out when nobody waits for it.
const longest = 5 * time.Minute
