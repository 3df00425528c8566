package kv

import (
	"context"
	"errors"

	"strongroom/internal/errs"
)

// Coded gives an engine's error the code and the words that it has outside. An error that has a code, or is a
// context's, stays as it is, and so do those that whoever made the transaction decides by.
func Coded(err error) error {
	if err == nil {
		return nil
	}
	if coded := (*errs.Error)(nil); errors.As(err, &coded) {
		return err
	}
	switch {
	case errors.Is(err, ErrUnknown): // whatever the cause
		return errs.Wrap(err, errs.Unavailable, "it is not known whether this was done; look at it again before you "+
			"repeat it; the server's log says why")
	case errors.Is(err, ErrFull):
		var told interface{ Full() string }
		if errors.As(err, &told) {
			return errs.Wrap(err, errs.InsufficientStorage, "%s", told.Full())
		}
		return errs.Wrap(err, errs.InsufficientStorage, "the server's disk is full")
	case errors.Is(err, ErrFault):
		return errs.Wrap(err, errs.Unavailable, "the server's disk cannot be written to; the server's log says why")
	case errors.Is(err, ErrAway):
		return errs.Wrap(err, errs.Unavailable, "the server's data have been out of reach for some time; try it again "+
			"later, or at another server; the server's log says why")
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrDenied):
		return errs.Wrap(err, errs.Unavailable, "the server's data are out of reach at the moment; the server's "+
			"log says why")
	case errors.Is(err, ErrClosed):
		return errs.Wrap(err, errs.Unavailable, "the server is shutting down")
	}
	return err
}

// Unreadable reports of an engine's health whether nothing can be read: what is on a failing disk, or a full one, is
// read still. An engine that did not answer in time is out of reach, too.
func Unreadable(health error) bool {
	return errors.Is(health, ErrUnavailable) || errors.Is(health, ErrDenied) ||
		errors.Is(health, context.DeadlineExceeded)
}
