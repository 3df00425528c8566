package errs

import (
	"context"
	"errors"
)

// Ended words an error of work that ended because its request did: the client closed its side of the connection, or the
// time was over. Neither is a fault of the server. Any other error, and one whose code says more, stays as it is.
func Ended(err error, request, work context.Context) error {
	var known *Error
	if err == nil || errors.As(err, &known) && known.Code != Unavailable && known.Code != Internal ||
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	const look = "; if it was a change, look whether it has been made"
	switch {
	case request.Err() != nil:
		return Wrap(err, Invalid, "the client closed its side of the connection before the answer"+look)
	case errors.Is(work.Err(), context.DeadlineExceeded):
		return Wrap(err, Unavailable, "it took longer than a request may"+look)
	}
	return err
}
