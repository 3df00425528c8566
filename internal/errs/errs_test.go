package errs

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A caller reads the message of the outermost Error and never a cause.
func TestCausesStayInside(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.1:8200: refused, token hvs.secret")
	for _, err := range []error{
		Wrap(cause, Unavailable, "the store cannot be reached"),
		fmt.Errorf("listing: %w", Wrap(cause, Unavailable, "the store cannot be reached")),
	} {
		if Message(err) != "the store cannot be reached" || CodeOf(err) != Unavailable || !Is(err, Unavailable) {
			t.Errorf("outside it reads %q, code %q", Message(err), CodeOf(err))
		}
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "hvs.secret") {
			t.Errorf("the log does not get the cause: %v", err)
		}
	}
	if m := Message(cause); strings.Contains(m, "hvs") || CodeOf(cause) != Internal || Is(cause, Internal) {
		t.Errorf("an error that is not ours reads %q outside", m)
	}
	if Message(Wrap(New(Invalid, "inner"), NotFound, "outer")) != "outer" {
		t.Error("the outermost message does not count")
	}
}

// TestWrapWaits keeps how long to wait where what is said is of the same kind.
func TestWrapWaits(t *testing.T) {
	busy := New(Unavailable, "busy")
	busy.RetryAfter = time.Second
	if e := Wrap(fmt.Errorf("again: %w", busy), Unavailable, "half of it was done"); e.RetryAfter != time.Second {
		t.Errorf("it says to wait %v", e.RetryAfter)
	}
	if e := Wrap(busy, Internal, "broken"); e.RetryAfter != 0 {
		t.Errorf("what is of another kind says to wait %v", e.RetryAfter)
	}
}

func TestStatus(t *testing.T) {
	for code, want := range map[Code]int{Invalid: 400, EmptyValue: 400, Unauthorized: 401, Forbidden: 403,
		NotFound: 404, MethodNotAllowed: 405, RequestTooLarge: 413, Conflict: 422, Unprocessable: 422,
		TooManyRequests: 429, Internal: 500, NotImplemented: 501, Unavailable: 503, InsufficientStorage: 507,
		"no such code": http.StatusInternalServerError} {
		if got := code.Status(); got != want {
			t.Errorf("%q is %d, want %d", code, got, want)
		}
	}
}

// TestCodes finds each code that the source names among Codes.
func TestCodes(t *testing.T) {
	source, err := os.ReadFile("errs.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?m)^\t[A-Z]\w+\s+Code = "([^"]+)"`).FindAllSubmatch(source, -1)
	if len(named) != len(Codes()) {
		t.Errorf("%d codes are named, and %d have a status", len(named), len(Codes()))
	}
	for _, m := range named {
		if !slices.Contains(Codes(), Code(m[1])) {
			t.Errorf("%q has no status", m[1])
		}
	}
}

func TestClip(t *testing.T) {
	for s, want := range map[string]string{
		"":                            "",
		strings.Repeat("k", 64):       strings.Repeat("k", 64),
		strings.Repeat("k", 65):       strings.Repeat("k", 64) + "…",
		strings.Repeat("k", 63) + "é": strings.Repeat("k", 63) + "…",
	} {
		if got := Clip(s); got != want {
			t.Errorf("%q is clipped to %q, want %q", s, got, want)
		}
	}
}
