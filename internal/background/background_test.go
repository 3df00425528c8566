package background

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestBackgroundOutlivesPanic: it is told, and begun again, until it ends by itself or is to end.
func TestBackgroundOutlivesPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		n := 0
		KeepOn(t.Context(), log, func(context.Context) {
			if n++; n < 4 {
				panic("oh no")
			}
		})
		if n != 4 || strings.Count(said.String(), "oh no") != 3 || !strings.Contains(said.String(), "background_test.go") {
			t.Errorf("begun %d times, said:\n%s", n, said.String())
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		KeepOn(ctx, log, func(context.Context) { panic("for ever") })
		if ctx.Err() == nil {
			t.Error("it ended before its time")
		}
	})
}
