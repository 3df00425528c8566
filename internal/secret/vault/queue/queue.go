// Package queue is the write queue of package batch as the layouts in Vault use it. What has been sent is seen through,
// also when nobody waits for it any more; what is left to check-and-set are writers elsewhere.
package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/batch"
	"strongroom/internal/secret/vault/conn"
)

// Queue is a queue of changes, Item one that waits in it.
type (
	Queue = batch.Queue[*Change]
	Item  = batch.Item[*Change]
)

// Change is a change, and what it has come to once it is answered.
type Change struct {
	secret.Change
	Outcome secret.Outcome
}

// New makes an empty queue. Close it after the connection's end, which cuts off what is under way.
func New(c *conn.Conn, write func(ctx context.Context, org id.ID, batch []*Item) (left []*Item)) *Queue {
	return batch.New(batch.Config[*Change]{
		Write: write,
		Context: func() (context.Context, context.CancelFunc) {
			return context.WithTimeoutCause(c.Base(), c.Timeout, conn.ErrTooSlow)
		},
		Bound: c.Bound,
		Left: func(ctx context.Context, begun bool) error {
			err := conn.Known(ctx, ctx.Err())
			if begun && errs.Is(err, errs.Unavailable) {
				return conn.Unsure(err)
			}
			return err
		},
		Told:   ForCallers,
		Closed: conn.ErrClosed,
	})
}

// Apply has a change written.
func Apply(ctx context.Context, q *Queue, org id.ID, change secret.Change) (secret.Outcome, error) {
	// The caller may change what he gave once he has his answer, and the write may go on after that.
	c := &Change{Change: change.Clone()}
	if err := q.Do(ctx, org, c); err != nil {
		return secret.Outcome{}, err
	}
	return c.Outcome, nil
}

// Pause waits before another try, longer each time and not as long as others do. It reports false when the time is up.
func Pause(ctx context.Context, try int) bool {
	longest := min(5*time.Millisecond<<min(try, 10), 250*time.Millisecond)
	select {
	case <-ctx.Done():
		return false
	case <-time.After(rand.N(longest)):
		return true
	}
}

// ForCallers makes of the errors that are only the writers' what callers hear.
func ForCallers(err error) error {
	switch {
	case errors.Is(err, conn.ErrTooSlow), errors.Is(err, conn.ErrMismatch):
		return conn.Slow.Told()
	case errors.Is(err, context.Canceled):
		return conn.ErrClosed // the batch's context ended since nobody waits, so nobody hears it
	}
	return err
}
