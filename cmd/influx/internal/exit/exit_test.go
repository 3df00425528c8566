package exit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"strongroom/client"
	"strongroom/cmd/influx/internal/exit"
)

func TestOf(t *testing.T) {
	for want, errs := range map[exit.Code][]error{
		exit.OK: {nil},
		exit.Failure: {errors.New("x"), &client.Error{StatusCode: 500, Code: "internal error"},
			&client.Error{StatusCode: 404}},
		exit.Usage: {exit.With(exit.Usage, context.Canceled),
			&client.Error{StatusCode: 400, Code: client.CodeInvalid}},
		exit.NotFound: {&client.Error{StatusCode: 404, Code: client.CodeNotFound}},
		exit.Denied: {&client.Error{StatusCode: 401, Code: client.CodeUnauthorized},
			&client.Error{StatusCode: 403}},
		exit.Unreachable: {client.ErrUnreachable, &client.Error{StatusCode: 503, Code: client.CodeUnavailable}},
		exit.Conflict: {&client.Error{StatusCode: 422, Code: client.CodeConflict},
			&client.Error{StatusCode: 412, Code: client.CodePreconditionFailed}},
		exit.Interrupted: {context.Canceled},
	} {
		for _, err := range errs {
			wrapped := err
			if err != nil {
				wrapped = fmt.Errorf("failed: %w", err)
			}
			if got := exit.Of(wrapped); got != want {
				t.Errorf("%v: %d, want %d", err, got, want)
			}
		}
	}
	for _, row := range exit.Codes {
		if row.Code.Word() != row.Word {
			t.Errorf("%d is called %q, want %q", row.Code, row.Code.Word(), row.Word)
		}
	}
}
