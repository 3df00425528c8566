package intent

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/persecret/paths"
)

// A committed change that Vault refuses to carry out would keep the organisation's other changes waiting for good.
// It is undone: that is committed as the change was, and readers wait meanwhile. What cannot be undone either
// stays, and the log names it.

// impossible is the error of a step that Vault refuses, and will refuse again.
type impossible struct{ error }

func (i impossible) Unwrap() error { return i.error }

// refused reports whether Vault has answered, and would answer the same another time.
func refused(err error) bool {
	return conn.Is(err, conn.Denied) || conn.Is(err, conn.Strange) || errs.Is(err, errs.RequestTooLarge)
}

// giveUp undoes a change that cannot be carried out for the reason, and gives that; nil where it has been carried out,
// or will be, and conn.Unsure's error where it is not known what became of it.
//
// The refusal may have been of a moment in which the token or its policies were being changed, and others see the
// change as made by now. Undone is only what Vault refuses again after it has taken a write of the control entry.
func (l *Log) giveUp(ctx context.Context, org id.ID, at kv2.Location, c *State, steps []Step, reason error) error {
	ours, reverse := *c.kept.Pending, *c.kept.Pending
	reverse.Kind = undoing
	now, err := l.replaced(ctx, org, at, c.next(), l.put)
	if err == nil && now.pending(&ours) {
		if reason = l.roll(ctx, org, at, now, steps, false); !errors.As(reason, new(impossible)) {
			if reason != nil { // it is made, and somebody finishes it
				l.FinishSoon(org)
			}
			return nil
		}
		next := now.next()
		next.kept.Pending = &reverse
		now, err = l.replaced(ctx, org, at, next, l.commit)
	}
	var cause impossible
	errors.As(reason, &cause)
	switch {
	case err == nil && now.finished(ours.ID):
		return nil
	case err == nil && now.undone(ours.ID) != nil:
		return cause.error
	case err == nil && now.pending(&reverse):
		l.conn.Log.Error("a change of several secrets was committed, and Vault refuses a part of it: it is undone",
			"org", org, "reason", cause.error)
		if err = l.undo(ctx, org, at, now, steps); err == nil {
			return cause.error
		}
	}
	l.FinishSoon(org)
	return conn.Unsure(cmp.Or(err, cause.error))
}

// replaced writes a state, and gives the one that is then there, also where another server was faster.
func (l *Log) replaced(ctx context.Context, org id.ID, at kv2.Location, next *State,
	write func(context.Context, id.ID, kv2.Location, *State) (*State, error)) (*State, error) {
	now, err := write(ctx, org, at, next)
	if err == conn.ErrMismatch {
		return l.State(ctx, org, at)
	}
	return now, err
}

// undo brings the entries back to what they held before a change, and puts the control entry to rest.
func (l *Log) undo(ctx context.Context, org id.ID, at kv2.Location, c *State, steps []Step) error {
	var mu sync.Mutex
	var gone []Deletion
	touched := make(map[string]bool)
	hopeless := l.sweeps.stalled(org, c.kept.Pending.ID)
	err := eachStep(ctx, steps, false, func(ctx context.Context, st Step) error {
		l.forgetOne(org, st.Path)
		deleted, err := undoStep(ctx, at.Below(st.Path), st)
		if refused(err) || errors.Is(err, errNotKept) || hopeless && conn.Is(err, conn.Failing) {
			l.conn.Log.Error("a part of a change that is undone stays, since Vault refuses that too; look at the "+
				"secret, and set it again",
				"org", org, "path", at.Below(st.Path).In("data"), "error", err)
			return nil
		}
		if deleted > 0 {
			mu.Lock()
			defer mu.Unlock()
			touched[st.Path] = true
			gone = append(gone, Deletion{st.Path, deleted, time.Now().Unix(), st.By})
		}
		return err
	})
	if err != nil {
		return err
	}
	done := c.next()
	done.hint(func(path string) bool { return touched[path] }, gone)
	return l.rest(ctx, org, at, done)
}

var errNotKept = errors.New("the version before it is not kept any more")

// undoStep undoes a step where it was made and nobody has written since. Where that deletes the secret, which was not
// there before, it gives the version that it has deleted.
func undoStep(ctx context.Context, at kv2.Location, st Step) (deleted int64, err error) {
	e, err := at.Read(ctx)
	if err != nil {
		return 0, err
	}
	switch {
	case st.Op == Delete:
		if e.Version == st.Base && e.Data == nil {
			return 0, at.Undelete(ctx, st.Base)
		}
	case e.Data == nil: // not made, or undone before
	case st.Op == Undelete && e.Version == st.Base: // half of it
		return st.Base, at.Delete(ctx, st.Base)
	case e.Version != st.Base+1:
	case st.Op == Set && !kv2.SameData(e.Data, paths.Data(st.Value, st.By)): // somebody else's
	case st.Op == Undelete || st.Base == 0:
		return e.Version, at.Delete(ctx, e.Version)
	default:
		before, err := at.ReadVersion(ctx, st.Base)
		switch {
		case err != nil:
			return 0, err
		case before.Version == 0:
			return 0, errNotKept
		case before.Data == nil:
			return e.Version, at.Delete(ctx, e.Version)
		}
		if _, err = at.Put(ctx, e.Version, before.Data); err == conn.ErrMismatch {
			return 0, nil
		}
		return 0, err
	}
	return 0, nil
}
