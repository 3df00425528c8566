package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/inflight"
	"strongroom/internal/jsontext"
)

// ReadBody reads the whole body within the limit.
func (r *Request) ReadBody() ([]byte, error) {
	tooLarge := errs.New(errs.RequestTooLarge, "the request body is larger than %d bytes", r.maxBody)
	if r.maxBody == r.server.MaxBody && r.Caller != nil {
		tooLarge = errs.New(errs.RequestTooLarge,
			"the request body is larger than %d bytes (--max-body-size)", r.maxBody)
	}
	if r.ContentLength > r.maxBody {
		return nil, tooLarge // before anything of it is sent, where the client asks first (Expect: 100-continue)
	}
	b, err := inflight.ReadBody(r.Body, r.ContentLength, r.Hold)
	var passed *http.MaxBytesError
	if errors.As(err, &passed) {
		return nil, tooLarge
	}
	var ours *errs.Error
	if errors.As(err, &ours) {
		return nil, err
	}
	if err != nil {
		return nil, errs.Wrap(err, errs.Invalid, "the request body could not be read to its end")
	}
	return b, nil
}

// Decode reads a JSON object into v: one document, valid UTF-8, nothing behind it.
func (r *Request) Decode(v any) error {
	b, err := r.ReadBody()
	if err != nil {
		return err
	}
	return decodeObject(b, v)
}

func decodeObject(b []byte, v any) error {
	if err := CheckText(b); err != nil {
		return err
	}
	if first := bytes.TrimLeft(b, " \t\r\n"); len(first) > 0 && first[0] != '{' && json.Valid(b) {
		return BadJSON(errors.New("the body must be a JSON object"))
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(v); err != nil {
		return BadJSON(err)
	}
	return AtEnd(dec)
}

// BadJSON words an error as InfluxDB does. The decoder's errors hold names of fields and types,
// and not what stood there.
func BadJSON(err error) error {
	var e *errs.Error
	if errors.As(err, &e) { // an ID in it, say
		return e
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return errs.New(errs.Invalid, "failed to unmarshal json: field %q cannot be a %s", wrong.Field,
			kindOf(wrong.Value))
	}
	return errs.New(errs.Invalid, "failed to unmarshal json: %v", err)
}

// kindOf is the kind of JSON value in an UnmarshalTypeError, without the number that may follow it.
func kindOf(value string) string {
	kind, _, _ := strings.Cut(value, " ")
	return kind
}

// AtEnd refuses what comes behind the document.
func AtEnd(dec *json.Decoder) error {
	if _, err := dec.Token(); err != io.EOF {
		return BadJSON(errors.New("there is more behind the JSON object"))
	}
	return nil
}

// CheckText refuses what encoding/json would quietly replace (see jsontext.Check).
func CheckText(b []byte) error {
	if err := jsontext.Check(b); err != nil {
		return BadJSON(err)
	}
	return nil
}
