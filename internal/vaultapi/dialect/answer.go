// Package dialect is what all requests and answers of the KV v2 HTTP API have in common: the operations, the envelope
// of answers, the form of errors, and how loosely bodies are read.
package dialect

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"strongroom/internal/errs"
)

// Answer is what a handler answers. One without Data, Raw, Auth and Warnings is 204, unless it says a Status.
type Answer struct {
	Status int
	Data   any
	// Raw is Data where it is JSON already.
	Raw json.RawMessage
	// Top stands beside the envelope's own members, as some answers of sys/ have it.
	Top           map[string]any
	Auth          any
	WrapInfo      any // in the place of what was wrapped
	Warnings      []string
	LeaseDuration int // seconds
	// Bare is the whole body, without an envelope.
	Bare any
	// Wipe says that Raw holds secret values, and is overwritten when it has been sent.
	Wipe bool
	// Held says that the request holds the memory of it already.
	Held bool
}

// Error is an error that says its status and its texts itself.
type Error struct {
	Status int
	Errors []string
	// Answer, where it is not nil, is the body in the place of the texts: an entry whose version is
	// deleted is 404 with data.
	Answer *Answer
	// Empty leaves the body out.
	Empty bool

	cause error
}

func (e *Error) Error() string {
	switch {
	case e.cause != nil:
		return e.cause.Error()
	case len(e.Errors) > 0:
		return e.Errors[0]
	}
	return http.StatusText(e.Status)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// As gives the error the code that it has on record, where it was not made of another.
func (e *Error) As(target any) bool {
	t, ok := target.(**errs.Error)
	if !ok || e.cause != nil {
		return false
	}
	code := errs.Invalid
	switch e.Status {
	case http.StatusForbidden:
		code = errs.Forbidden
	case http.StatusNotFound:
		code = errs.NotFound
	case http.StatusMethodNotAllowed:
		code = errs.MethodNotAllowed
	}
	*t = errs.New(code, "%s", e.Error())
	return true
}

// Refuse makes an error of 400 with the sentence.
func Refuse(text string) *Error { return &Error{Status: http.StatusBadRequest, Errors: []string{text}} }

// NotFound is the answer where nothing is, to somebody who may know. It says nothing more: clients take any
// error text for a failure.
func NotFound() *Error { return &Error{Status: http.StatusNotFound} }

// The texts that clients look for.
const (
	Denied      = "permission denied"
	CASMismatch = "check-and-set parameter did not match the current version"
	CASNeeded   = "check-and-set parameter required for this call"
)

// NotKnown is the refusal of somebody who is nobody known.
func NotKnown(cause error) *Error {
	return &Error{Status: http.StatusForbidden, Errors: []string{Denied}, cause: cause}
}

// NotAllowed is the refusal of somebody known who may not do this.
func NotAllowed(cause error) *Error {
	return &Error{Status: http.StatusForbidden, Errors: []string{"1 error occurred:\n\t* " + Denied + "\n\n"},
		cause: cause}
}

// Unsupported is the refusal of an operation that the path lacks.
func Unsupported() *Error {
	return &Error{Status: http.StatusMethodNotAllowed,
		Errors: []string{"1 error occurred:\n\t* unsupported operation\n\n"}}
}

// ErrorOf gives any error the form it has outside. It is never 429, which old clients take for success, nor 412, which
// new ones send again (a condition that does not hold is 400).
func ErrorOf(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	text := func(status int) *Error {
		return &Error{Status: status, Errors: []string{errs.Message(err)}, cause: err}
	}
	switch errs.CodeOf(err) {
	case errs.Unauthorized:
		return NotAllowed(err)
	case errs.Forbidden:
		return &Error{Status: http.StatusForbidden, Errors: []string{Denied + ": " + errs.Message(err)}, cause: err}
	case errs.NotFound:
		return &Error{Status: http.StatusNotFound, cause: err}
	case errs.PreconditionFailed:
		return &Error{Status: http.StatusBadRequest, Errors: []string{CASMismatch}, cause: err}
	case errs.Invalid, errs.EmptyValue, errs.Unprocessable, errs.NotImplemented:
		return text(http.StatusBadRequest)
	case errs.RequestTooLarge:
		return text(http.StatusRequestEntityTooLarge)
	case errs.MethodNotAllowed:
		return Unsupported()
	case errs.Unavailable, errs.TooManyRequests, errs.Conflict:
		return text(http.StatusServiceUnavailable)
	}
	return text(http.StatusInternalServerError)
}

var (
	jsonHeader    = []string{"application/json"}
	noStoreHeader = []string{"no-store"}
)

// head sets the headers that every answer has.
func head(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"] = jsonHeader
	h["Cache-Control"] = noStoreHeader
}

// SendError answers with an error.
func SendError(w http.ResponseWriter, requestID string, e *Error) {
	var ours *errs.Error
	if errors.As(e.cause, &ours) && ours.RetryAfter > 0 && e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(int(ours.RetryAfter.Seconds()+0.5)))
	}
	switch {
	case e.Empty:
		head(w)
		w.WriteHeader(e.Status)
	case e.Answer != nil:
		a := *e.Answer
		a.Status = e.Status
		_ = Send(w, requestID, &a, nil) // what such an answer holds always encodes
	default:
		list := e.Errors
		if list == nil {
			list = []string{}
		}
		b, err := json.Marshal(map[string][]string{"errors": list})
		if err != nil {
			b = []byte(`{"errors":[]}`)
		}
		put(w, e.Status, append(b, '\n'))
	}
}

// longAnswer is from which size on, in bytes, an answer counts for what the request holds.
const longAnswer = 64 << 10

// Send answers in the envelope. A long answer whose memory the request does not hold yet is given to hold, where that
// is not nil, as long as it is sent: a client may take its time. Where there is no room, Send gives the error and has
// sent nothing.
func Send(w http.ResponseWriter, requestID string, a *Answer, hold func(bytes int64) error) error {
	if a == nil || a.empty() {
		head(w)
		status := http.StatusNoContent
		if a != nil && a.Status != 0 {
			status = a.Status
		}
		w.WriteHeader(status)
		return nil
	}
	body, err := a.body(requestID)
	if err == nil && len(body) > longAnswer && a.Raw == nil && hold != nil {
		err = hold(2 * int64(len(body))) // with what it was made of
	}
	if err != nil {
		return err
	}
	status := a.Status
	if status == 0 {
		status = http.StatusOK
	}
	put(w, status, body)
	if a.Wipe {
		clear(body)
		clear(a.Raw)
	}
	return nil
}

// Size is how many bytes of memory an answer takes that is JSON already, with the copy that is sent; 0 where they are
// held. How long another one is, Send knows.
func (a *Answer) Size() int64 {
	if a == nil || a.Held {
		return 0
	}
	return 2 * int64(len(a.Raw))
}

func (a *Answer) empty() bool {
	return a.Data == nil && a.Raw == nil && a.Auth == nil && a.Bare == nil && a.WrapInfo == nil && len(a.Warnings) == 0
}

// body is the envelope with what is in it, a newline at its end.
func (a *Answer) body(requestID string) ([]byte, error) {
	if a.Bare != nil {
		b, err := json.Marshal(a.Bare)
		return append(b, '\n'), err
	}
	data := a.Raw
	if data == nil {
		var err error
		if data, err = json.Marshal(a.Data); err != nil {
			return nil, err
		}
	}
	b := make([]byte, 0, len(data)+256)
	b = append(b, '{')
	if len(a.Top) > 0 {
		top, err := json.Marshal(a.Top)
		if err != nil {
			return nil, err
		}
		b = append(append(b, top[1:len(top)-1]...), ',')
	}
	b = append(b, `"request_id":"`...)
	b = append(b, requestID...)
	b = append(b, `","lease_id":"","renewable":false,"lease_duration":`...)
	b = strconv.AppendInt(b, int64(a.LeaseDuration), 10)
	b = append(append(b, `,"data":`...), data...)
	wrap, err := json.Marshal(a.WrapInfo)
	if err != nil {
		return nil, err
	}
	b = append(append(b, `,"wrap_info":`...), wrap...)
	b = append(b, `,"warnings":`...)
	warnings, err := json.Marshal(a.Warnings)
	if err != nil {
		return nil, err
	}
	b = append(append(b, warnings...), `,"auth":`...)
	auth, err := json.Marshal(a.Auth)
	if err != nil {
		return nil, err
	}
	return append(append(b, auth...), '}', '\n'), nil
}

func put(w http.ResponseWriter, status int, body []byte) {
	head(w)
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone is no error of ours
}
