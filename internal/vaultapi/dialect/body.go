package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/inflight"
	"strongroom/internal/jsontext"
)

// Body is the members of a request's JSON object. What a member must be is for its reader to say:
// numbers may come as texts.
type Body map[string]json.RawMessage

const mergePatch = "application/merge-patch+json"

// ReadBody reads the body of a write or of a patch. Of a write the content type says nothing, since each client sends
// another: what begins with a brace is JSON. No body, and a form, are an object without members.
func (r *Request) ReadBody() (Body, error) {
	if r.Op == Patch {
		if err := checkPatchType(r.Header.Get("Content-Type")); err != nil {
			return nil, err
		}
	}
	b, err := inflight.ReadBody(r.Body, r.ContentLength, r.Hold)
	var passed *http.MaxBytesError
	switch {
	case errors.As(err, &passed):
		if r.Raise != "" {
			return nil, errs.New(errs.RequestTooLarge, "the request body is larger than %d bytes (%s)", passed.Limit,
				r.Raise)
		}
		return nil, errs.New(errs.RequestTooLarge, "the request body is larger than %d bytes", passed.Limit)
	case errs.Is(err, errs.Unavailable):
		return nil, err
	case err != nil:
		return nil, errs.Wrap(err, errs.Invalid, "the request body could not be read to its end")
	}
	defer clear(b) // it may hold secrets; what is kept of it is copied
	trimmed := bytes.TrimLeft(b, " \t\r\n")
	form := strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	switch {
	case len(trimmed) == 0, form && trimmed[0] != '{':
		return Body{}, nil
	case bytes.Equal(bytes.TrimSpace(b), []byte("null")): // what vault/api sends where it has nothing to say
		return Body{}, nil
	case trimmed[0] != '{':
		return nil, errJSON
	}
	if err := jsontext.Check(b); err != nil {
		return nil, Refuse("error parsing JSON: " + err.Error())
	}
	body := make(Body)
	if err := json.Unmarshal(b, &body); err != nil { // the error may quote a value
		return nil, errJSON
	}
	return body, nil
}

// Hold has the request hold so many bytes of memory more, until it is answered.
func (r *Request) Hold(bytes int64) error {
	if r.Share == nil {
		return nil
	}
	return r.Share.More(bytes)
}

var errJSON = Refuse("error parsing JSON")

func checkPatchType(header string) error {
	kind, _, err := mime.ParseMediaType(header)
	if err != nil {
		return Refuse(err.Error())
	}
	if kind != mergePatch {
		return &Error{Status: http.StatusUnsupportedMediaType, Errors: []string{
			fmt.Sprintf("PATCH requires Content-Type of %s, provided %s", mergePatch, errs.Clip(kind))}}
	}
	return nil
}

// maxIgnored bounds how many of them are named.
const maxIgnored = 8

// Ignored is the warning about members that are none of the known; nil where there are none.
func (b Body) Ignored(known ...string) []string {
	var others []string
	for k := range b {
		if !slices.Contains(known, k) {
			others = append(others, errs.Clip(k))
		}
	}
	if len(others) == 0 {
		return nil
	}
	slices.Sort(others)
	if len(others) > maxIgnored {
		others = append(others[:maxIgnored], "…")
	}
	return []string{fmt.Sprintf("Endpoint ignored these unrecognized parameters: %v", others)}
}

// Has reports whether there is the member, and it is not null.
func (b Body) Has(name string) bool {
	raw, ok := b[name]
	return ok && !isNull(raw)
}

func isNull(raw json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(raw), []byte("null")) }

// Kind names what a JSON value is, in the words of the API's errors.
func Kind(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "map"
	case '[':
		return "slice"
	case '"':
		return "string"
	case 't', 'f':
		return "bool"
	case 'n':
		return "null"
	}
	return "number"
}

// wrong is the error of a member that is of another kind. It holds nothing of the value, which may be secret.
func wrong(name, want string, raw json.RawMessage) error {
	return Refuse(fmt.Sprintf("error converting input for field %q: expected a %s, got '%s'", name, want, Kind(raw)))
}

// Map reads an object; nil where there is none.
func (b Body) Map(name string) (Body, error) {
	if !b.Has(name) {
		return nil, nil
	}
	if Kind(b[name]) != "map" {
		return nil, wrong(name, "map", b[name])
	}
	m := make(Body)
	if err := json.Unmarshal(b[name], &m); err != nil {
		return nil, errJSON
	}
	return m, nil
}

// Text reads a text; "" where there is none. A number is taken for its text.
func (b Body) Text(name string) (string, error) {
	if !b.Has(name) {
		return "", nil
	}
	s, ok := loose(b[name])
	if !ok {
		return "", wrong(name, "string", b[name])
	}
	return s, nil
}

// loose is the text of a JSON text, number or truth value.
func loose(raw json.RawMessage) (string, bool) {
	switch Kind(raw) {
	case "string":
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	case "number", "bool":
		return string(bytes.TrimSpace(raw)), true
	}
	return "", false
}

// Int reads a whole number, also from a text. It is 0 where there is none.
func (b Body) Int(name string) (int, error) {
	if !b.Has(name) {
		return 0, nil
	}
	n, err := intOf(b[name])
	if err != nil {
		return 0, fieldError(name, err)
	}
	return n, nil
}

func intOf(raw json.RawMessage) (int, error) {
	s, ok := loose(raw)
	if !ok {
		return 0, errors.New("it is no number")
	}
	return parseInt(s)
}

func parseInt(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errors.New("it is no whole number")
	}
	return int(n), nil
}

func fieldError(name string, err error) error {
	return Refuse(fmt.Sprintf("Field validation failed: error converting input for field %q: %v", name, err))
}

// QueryInt reads a whole number from the query; 0 where there is none.
func (r *Request) QueryInt(name string) (int, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := parseInt(s)
	if err != nil {
		return 0, fieldError(name, err)
	}
	return n, nil
}

// Bool reads a truth value, also from a text; false where there is none.
func (b Body) Bool(name string) (bool, error) {
	if !b.Has(name) {
		return false, nil
	}
	s, ok := loose(b[name])
	v, err := strconv.ParseBool(s)
	if !ok || err != nil {
		return false, fieldError(name, errors.New("it is neither true nor false"))
	}
	return v, nil
}

// Duration reads a number of seconds or a text such as 72h; 0 where there is none.
func (b Body) Duration(name string) (time.Duration, error) {
	s, err := b.Text(name)
	if err != nil || s == "" {
		return 0, err
	}
	d, err := ParseDuration(s)
	if err != nil {
		return 0, fieldError(name, err)
	}
	return d, nil
}

// ParseDuration reads a number of seconds, or a text such as 90m or 7d.
func ParseDuration(s string) (time.Duration, error) {
	const most = int64(1<<63-1) / int64(time.Second)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if n > most || n < -most {
			return 0, errors.New("it is out of range")
		}
		return time.Duration(n) * time.Second, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseInt(days, 10, 64); err == nil && n <= most/86400 && n >= -most/86400 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, errors.New("it is no duration, such as 90m")
	}
	return d, nil
}

// Versions reads numbers of versions: a list of numbers or texts, or a text with commas.
func (b Body) Versions() ([]int, error) {
	const name = "versions"
	if !b.Has(name) {
		return nil, nil
	}
	var list []json.RawMessage
	if Kind(b[name]) == "slice" {
		if err := json.Unmarshal(b[name], &list); err != nil {
			return nil, errJSON
		}
	} else {
		s, ok := loose(b[name])
		if !ok {
			return nil, wrong(name, "slice", b[name])
		}
		for part := range strings.SplitSeq(s, ",") {
			list = append(list, json.RawMessage(strings.TrimSpace(part)))
		}
	}
	out := make([]int, 0, len(list))
	for _, raw := range list {
		n, err := intOf(raw)
		if err != nil {
			return nil, fieldError(name, err)
		}
		out = append(out, n)
	}
	return out, nil
}

// Texts reads a list of texts; one text is a list of one, and may have commas.
func (b Body) Texts(name string) ([]string, error) {
	if !b.Has(name) {
		return nil, nil
	}
	if Kind(b[name]) == "string" {
		s, err := b.Text(name)
		if err != nil || s == "" {
			return nil, err
		}
		return strings.Split(s, ","), nil
	}
	var list []string
	if err := json.Unmarshal(b[name], &list); err != nil {
		return nil, wrong(name, "slice", b[name])
	}
	return list, nil
}

// TextMap reads an object of texts. A number is taken for its text, as all clients of the API may expect.
func (b Body) TextMap(name string) (map[string]string, error) {
	m, err := b.Map(name)
	if err != nil || m == nil {
		return nil, err
	}
	out := make(map[string]string, len(m))
	for k, raw := range m {
		s, ok := loose(raw)
		if !ok {
			return nil, Refuse(fmt.Sprintf("%s validation failed: expected type 'string', got '%s'", name, Kind(raw)))
		}
		out[k] = s
	}
	return out, nil
}
