package kv

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"strongroom/internal/errs"
)

func TestCoded(t *testing.T) {
	if Coded(nil) != nil {
		t.Error("nothing has become an error")
	}
	for err, want := range map[error]errs.Code{
		ErrFull: errs.InsufficientStorage, ErrFault: errs.Unavailable, ErrUnavailable: errs.Unavailable,
		ErrClosed: errs.Unavailable, ErrUnknown: errs.Unavailable,
		fmt.Errorf("%w: %w", ErrUnknown, ErrFull): errs.Unavailable, ErrConflict: errs.Internal,
		ErrNotFound: errs.Internal, context.Canceled: errs.Internal,
		errs.Wrap(ErrFault, errs.NotFound, "it is not there"): errs.NotFound,
	} {
		got := Coded(fmt.Errorf("reading: %w", err))
		if errs.CodeOf(got) != want || !errors.Is(got, err) {
			t.Errorf("%v: %v, %s", err, got, errs.CodeOf(got))
		}
	}
}
