package exchange

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadline has the context of a request behave as context.WithTimeout's does, whoever asks first and for what.
func TestDeadline(t *testing.T) {
	asks := map[string]func(context.Context){
		"nothing": func(context.Context) {},
		"Done":    func(ctx context.Context) { ctx.Done() },
		"Err":     func(ctx context.Context) { _ = ctx.Err() },
		"a child": func(ctx context.Context) {
			child, end := context.WithCancel(ctx)
			context.AfterFunc(child, end)
		},
	}
	ends := map[string]func(parent, own context.CancelFunc){
		"time":       func(_, _ context.CancelFunc) { time.Sleep(time.Minute) },
		"the parent": func(parent, _ context.CancelFunc) { parent() },
		"its end":    func(_, own context.CancelFunc) { own() },
		"time, then its end": func(_, own context.CancelFunc) {
			time.Sleep(time.Minute)
			own()
		},
		"its end, then time": func(_, own context.CancelFunc) {
			own()
			time.Sleep(time.Minute)
		},
		"the parent, then its end": func(parent, own context.CancelFunc) {
			parent()
			own()
		},
	}
	type key struct{}
	for asked, ask := range asks {
		for ended, end := range ends {
			t.Run(asked+", ended by "+ended, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					run := func(with func(context.Context, time.Duration) (context.Context, context.CancelFunc)) error {
						parent, stop := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
						defer stop()
						ctx, cancel := with(parent, time.Second)
						defer cancel()
						if at, ok := ctx.Deadline(); !ok || !at.Equal(time.Now().Add(time.Second)) {
							t.Errorf("the deadline is %v, %v", at, ok)
						}
						ask(ctx)
						if ctx.Value(key{}) != "value" {
							t.Error("it has not its parent's values")
						}
						end(stop, cancel)
						synctest.Wait()
						select {
						case <-ctx.Done():
						default:
							t.Error("it does not end")
						}
						return ctx.Err()
					}
					want := run(context.WithTimeout)
					if got := run(func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
						return withDeadline(ctx, d, nil)
					}); !errors.Is(got, want) || got == nil {
						t.Errorf("the error is %v, want %v", got, want)
					}
				})
			})
		}
	}
}

// TestDeadlineWithoutTimer ends a request that nobody waited for, and tells the time that was over.
func TestDeadlineWithoutTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := withDeadline(t.Context(), time.Second, nil)
		if ctx.Err() != nil || ctx.(*deadline).timed != nil {
			t.Error("a timer was made for nobody")
		}
		cancel()
		if ctx.(*deadline).timed != nil || ctx.Err() != context.Canceled {
			t.Errorf("after the end: %v", ctx.Err())
		}
		ctx, cancel = withDeadline(t.Context(), time.Second, nil)
		time.Sleep(2 * time.Second)
		cancel()
		if ctx.Err() != context.DeadlineExceeded {
			t.Errorf("after the time: %v", ctx.Err())
		}
	})
}
