package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"strongroom/internal/errs"
)

// ReadBody reads the whole body within the limit.
func (r *Request) ReadBody() ([]byte, error) {
	tooLarge := errs.New(errs.RequestTooLarge, "the request body is larger than %d bytes (--max-body-size)", r.maxBody)
	if r.Caller == nil {
		tooLarge = errs.New(errs.RequestTooLarge, "the request body is larger than %d bytes", r.maxBody)
	}
	if r.ContentLength > r.maxBody {
		return nil, tooLarge // before anything of it is sent, where the client asks first (Expect: 100-continue)
	}
	b, err := io.ReadAll(r.Body)
	var passed *http.MaxBytesError
	if errors.As(err, &passed) {
		return nil, tooLarge
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

// BadJSON words an error as InfluxDB does. The decoder's errors hold names of fields and types, and not what stood there.
func BadJSON(err error) error {
	var e *errs.Error
	if errors.As(err, &e) { // an ID in it, say
		return e
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return errs.New(errs.Invalid, "failed to unmarshal json: field %q cannot be a %s", wrong.Field, kindOf(wrong.Value))
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

// CheckText refuses what encoding/json would quietly replace: bytes that are not UTF-8, and halves of surrogate pairs.
func CheckText(b []byte) error {
	if !utf8.Valid(b) {
		return BadJSON(errors.New("the body is not valid UTF-8"))
	}
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		i++ // the escaped character
		if i >= len(b) || b[i] != 'u' {
			continue
		}
		switch u := unit(b, i+1); {
		case isLowHalf(u):
			return BadJSON(errors.New(`half of a surrogate pair: \uDC00 to \uDFFF without what comes before it`))
		case u >= 0xD800 && u <= 0xDBFF:
			if i+6 >= len(b) || b[i+5] != '\\' || b[i+6] != 'u' || !isLowHalf(unit(b, i+7)) {
				return BadJSON(errors.New(`half of a surrogate pair: \uD800 to \uDBFF without what comes after it`))
			}
			i += 10
		default:
			i += 4
		}
	}
	return nil
}

// unit reads the four hexadecimal digits at i, or gives -1.
func unit(b []byte, i int) int64 {
	if i+4 > len(b) {
		return -1
	}
	v, err := strconv.ParseUint(string(b[i:i+4]), 16, 16)
	if err != nil {
		return -1
	}
	return int64(v)
}

// isLowHalf reports whether the unit is the second half of a surrogate pair.
func isLowHalf(u int64) bool { return u >= 0xDC00 && u <= 0xDFFF }
