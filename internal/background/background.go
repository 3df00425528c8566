// Package background keeps what goes on in the background from taking the server down.
package background

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// The pauses before something that panicked is begun again. Each is twice as long as the one before.
const (
	firstPause   = time.Second
	longestPause = 5 * time.Minute
)

// KeepOn does what goes on in the background until it ends by itself or ctx does. Where it panics, the log has where,
// and it is begun again: it must not take those down who are being served.
func KeepOn(ctx context.Context, log *slog.Logger, f func(context.Context)) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if !panics(ctx, log, f) || ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func panics(ctx context.Context, log *slog.Logger, f func(context.Context)) (panicked bool) {
	defer func() {
		if p := recover(); p != nil {
			panicked = true
			log.Error("something in the background panicked, and will be begun again", "panic", p, "stack",
				string(debug.Stack()))
		}
	}()
	f(ctx)
	return false
}
