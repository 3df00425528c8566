package record

import (
	"fmt"
	"syscall"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
)

// What a disk does is told to callers by its kind, and never with a path.
func TestFaultsOfTheDisk(t *testing.T) {
	for cause, want := range map[error]errs.Code{kv.ErrFull: errs.InsufficientStorage, kv.ErrFault: errs.Unavailable, kv.ErrClosed: errs.Unavailable} {
		err := Fault(fmt.Errorf("%w: writing to /var/lib/x: %w", cause, syscall.EROFS))
		if errs.CodeOf(err) != want {
			t.Errorf("%v is answered %q, want %q", cause, errs.CodeOf(err), want)
		}
		if m := errs.Message(err); m == "" || m != errs.Message(Fault(cause)) {
			t.Errorf("%v is answered %q", cause, m)
		}
	}
}
