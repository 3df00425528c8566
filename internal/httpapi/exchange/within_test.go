package exchange

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestWithin ends a request's context in every way, seen by one who waits, by one who only asks, and by a context made
// from it.
func TestWithin(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(parent context.CancelFunc, ctx *timed)
		want error
	}{
		"the time is over":    {func(context.CancelFunc, *timed) { time.Sleep(time.Minute) }, context.DeadlineExceeded},
		"the client has gone": {func(gone context.CancelFunc, _ *timed) { gone() }, context.Canceled},
		"it is answered":      {func(_ context.CancelFunc, ctx *timed) { ctx.cancel() }, context.Canceled},
	} {
		for _, who := range []string{"asks", "waits", "child", "asks after waiting"} {
			t.Run(name+"/"+who, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					parent, gone := context.WithCancel(t.Context())
					defer gone()
					ctx := within(parent, time.Minute)
					defer ctx.cancel()
					if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Minute {
						t.Errorf("the deadline is %v, %v", at, ok)
					}
					if err := ctx.Err(); err != nil {
						t.Errorf("it has ended before it began: %v", err)
					}
					var seen context.Context = ctx
					switch who {
					case "child":
						child, cancel := context.WithTimeout(ctx, time.Hour)
						defer cancel()
						seen = child
					case "asks after waiting":
						ctx.Done()
					}
					tc.end(gone, ctx)
					synctest.Wait()
					if who == "waits" || who == "child" {
						<-seen.Done()
					}
					if err := seen.Err(); !errors.Is(err, tc.want) {
						t.Errorf("%v, want %v", err, tc.want)
					}
				})
			})
		}
	}
}

// TestWithinAfterItsEnd waits for a context that has ended already.
func TestWithinAfterItsEnd(t *testing.T) {
	ctx := within(t.Context(), time.Hour)
	ctx.cancel()
	<-ctx.Done()
	if err := ctx.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	sooner, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	want, _ := sooner.Deadline()
	if at, _ := within(sooner, time.Hour).Deadline(); !at.Equal(want) {
		t.Errorf("the deadline is %v, want that of the request itself, %v", at, want)
	}
}
