package copying

import (
	"context"
	"io"
	"time"
)

// Writer passes on to W. It ends with Ctx, and where Late is not nil with that after Until, by the clock: a timer comes
// late to a busy machine.
type Writer struct {
	Ctx   context.Context
	W     io.Writer
	Until time.Time
	Late  error
	Err   error // why it has failed, or nil: bbolt passes on no more than its text
}

func (w *Writer) Write(p []byte) (n int, err error) {
	switch {
	case w.Ctx.Err() != nil:
		w.Err = context.Cause(w.Ctx)
	case w.Late != nil && !time.Now().Before(w.Until):
		w.Err = w.Late
	default:
		n, w.Err = w.W.Write(p)
	}
	return n, w.Err
}
