package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The codes of Error that callers most often ask for; the server's contract has more.
const (
	CodeNotFound           = "not found"
	CodeUnauthorized       = "unauthorized"
	CodeConflict           = "conflict"
	CodeInvalid            = "invalid"
	CodeUnavailable        = "unavailable"
	CodePreconditionFailed = "precondition failed"
)

// ErrUnreachable is what errors.Is finds in the error of a request that got no answer: the server could not be reached,
// or did not answer in time. What was asked for may have happened.
var ErrUnreachable = errors.New("the server cannot be reached")

// noAnswer is such an error, with its cause.
type noAnswer struct {
	text  string
	cause error
}

func (e *noAnswer) Error() string   { return e.text }
func (e *noAnswer) Unwrap() []error { return []error{e.cause, ErrUnreachable} }

// Error is a request the server refused or could not do.
type Error struct {
	StatusCode int
	// Code is one of InfluxDB's error codes, such as "not found"; empty where the answer was not of this API.
	Code string
	// Message is for people.
	Message string

	// RetryAfter is how long the server asks to wait; zero where it does not.
	RetryAfter time.Duration
}

// Error is the message alone, as the server wrote it.
func (e *Error) Error() string { return e.Message }

func (c *Client) answerError(resp *http.Response) error {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorAnswer))
	if err != nil {
		return c.unreachable(err)
	}
	if e := newError(resp, raw); e.Code != "" || e.Message != "" {
		return e
	}
	return c.notOurs(resp)
}

// newError reads the API's form of an error; what is missing of it stays empty.
func newError(resp *http.Response, raw []byte) *Error {
	var body struct {
		Code, Message string
		Errors        []string // where Vault's API is spoken
	}
	// A body of another form leaves both empty, and answerError then says so.
	_ = json.Unmarshal(raw, &body)
	e := &Error{StatusCode: resp.StatusCode, Code: body.Code, Message: body.Message}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(min(seconds, 3600)) * time.Second
	}
	if body.Code == "" && body.Message == "" && len(body.Errors) > 0 {
		e.Message = strings.Join(body.Errors, "; ")
	}
	if body.Errors != nil && e.Message == "" && resp.StatusCode == http.StatusNotFound { // as Vault says it
		e.Code, e.Message = "not found", "not found"
	}
	if e.Code == "" {
		e.Code = resp.Header.Get("X-Platform-Error-Code")
	}
	if e.Message == "" && e.Code != "" {
		e.Message = e.Code
	}
	return e
}

// notOurs is an answer no server of this API gives; its body is not repeated, whatever it may hold.
func (c *Client) notOurs(resp *http.Response) *Error {
	status := strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	return &Error{
		StatusCode: resp.StatusCode,
		Message: fmt.Sprintf(
			"%s answered %s, and not in the form of the InfluxDB API; is it the right address?",
			c.host,
			status,
		),
	}
}
