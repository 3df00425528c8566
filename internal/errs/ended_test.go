package errs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestEnded(t *testing.T) {
	open := t.Context()
	left, leave := context.WithCancel(open)
	leave()
	late, done := context.WithDeadline(open, time.Unix(0, 0))
	defer done()
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		err           error
		request, work context.Context
		want          Code
	}{
		"the client left":        {fmt.Errorf("reading: %w", context.Canceled), left, left, Invalid},
		"late":                   {fmt.Errorf("reading: %w", context.DeadlineExceeded), open, late, Unavailable},
		"cancelled by ourselves": {context.Canceled, open, open, Internal},
		"broken as it left":      {broken, left, left, Internal},
		"it was taken for ours":  {Wrap(context.Canceled, Unavailable, "cannot be copied now"), left, left, Invalid},
		"it has a code":          {Wrap(context.Canceled, Conflict, "in conflict"), left, left, Conflict},
	} {
		if got := CodeOf(Ended(tt.err, tt.request, tt.work)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	if err := Ended(nil, left, late); err != nil {
		t.Error(err)
	}
}
