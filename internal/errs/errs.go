// Package errs holds the one error type that may be shown to a caller of the API. Any other error reads "internal
// error" outside; its text goes to the log only.
package errs

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Code is one of InfluxDB's error codes; clients compare the strings.
type Code string

// The codes of the API, each with its HTTP status in Status.
const (
	Internal            Code = "internal error"
	NotImplemented      Code = "not implemented"
	Invalid             Code = "invalid"
	Unprocessable       Code = "unprocessable entity"
	EmptyValue          Code = "empty value"
	Conflict            Code = "conflict"
	NotFound            Code = "not found"
	Unavailable         Code = "unavailable"
	Forbidden           Code = "forbidden"
	TooManyRequests     Code = "too many requests"
	Unauthorized        Code = "unauthorized"
	MethodNotAllowed    Code = "method not allowed"
	RequestTooLarge     Code = "request too large"
	InsufficientStorage Code = "insufficient storage" // ours: the disk is full
	PreconditionFailed  Code = "precondition failed"  // ours: a condition that the caller made does not hold
)

var statuses = map[Code]int{
	Internal:            http.StatusInternalServerError,
	NotImplemented:      http.StatusNotImplemented,
	Invalid:             http.StatusBadRequest,
	Unprocessable:       http.StatusUnprocessableEntity,
	EmptyValue:          http.StatusBadRequest,
	Conflict:            http.StatusUnprocessableEntity,
	NotFound:            http.StatusNotFound,
	Unavailable:         http.StatusServiceUnavailable,
	Forbidden:           http.StatusForbidden,
	TooManyRequests:     http.StatusTooManyRequests,
	Unauthorized:        http.StatusUnauthorized,
	MethodNotAllowed:    http.StatusMethodNotAllowed,
	RequestTooLarge:     http.StatusRequestEntityTooLarge,
	InsufficientStorage: http.StatusInsufficientStorage,
	PreconditionFailed:  http.StatusPreconditionFailed,
}

// Codes are all codes, sorted.
func Codes() []Code { return slices.Sorted(maps.Keys(statuses)) }

// Status is the HTTP status that answers the code.
func (c Code) Status() int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// Error is an error whose code and message a caller may see. Its cause is for the log alone.
type Error struct {
	Code Code
	Msg  string
	// RetryAfter, where it is not zero, tells the caller how long to wait.
	RetryAfter time.Duration

	cause error
}

// New makes an error that has no cause.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Msg: fmt.Sprintf(format, args...)}
}

// Wrap makes an error that says the message to the caller and keeps the cause for the log. Where the cause has the same
// code, it also says how long to wait.
func Wrap(cause error, code Code, format string, args ...any) *Error {
	e := &Error{Code: code, Msg: fmt.Sprintf(format, args...), cause: cause}
	var inner *Error
	if errors.As(cause, &inner) && inner.Code == code {
		e.RetryAfter = inner.RetryAfter
	}
	return e
}

// Error is the whole text, cause included: for the log.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Msg + ": " + e.cause.Error()
	}
	return e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// CodeOf returns the code of the outermost Error in err's chain, and Internal for an error that has none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// Is reports whether err carries the code.
func Is(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// Message returns what a caller may read of err.
func Message(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Msg
	}
	return "an internal error has occurred; the server's log has the details"
}

// Clip shortens a caller's text for use in a message, or on record.
func Clip(s string) string { return ClipTo(64, s) }

// ClipTo shortens a text to the bytes of whole characters that limit has room for, and marks where it was cut.
func ClipTo(limit int, s string) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
