package exchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// streamBuffer is how much of a list is held before it is sent, in bytes. An answer that fits is sent whole.
const streamBuffer = 64 << 10

// Stream is a list that is sent while it is made, so that a long one is never in memory as a whole: an object whose
// first member is the list.
type Stream struct {
	w     http.ResponseWriter
	buf   []byte
	Items int  // so far
	begun bool // some of it has been sent, with the status 200
}

// errReader is a client that does not take the rest of its answer.
var errReader = errors.New("the client takes no more of the answer")

// NewStream begins an object whose first member has the name.
func NewStream(w http.ResponseWriter, name string) *Stream {
	return &Stream{w: w, buf: append(AppendString([]byte{'{'}, name), ":["...)}
}

// Add puts one more item into the list.
func (s *Stream) Add(item any) error {
	b, err := json.Marshal(item)
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	if s.Items > 0 {
		s.buf = append(s.buf, ',')
	}
	s.Items++
	s.buf = append(s.buf, b...)
	if len(s.buf) < streamBuffer {
		return nil
	}
	if !s.begun {
		s.begun = true
		Begin(s.w)
	}
	if _, err := s.w.Write(s.buf); err != nil {
		return errReader
	}
	s.buf = s.buf[:0]
	return nil
}

// End closes the list and adds the object's last member. A client that has gone is no error of ours.
func (s *Stream) End(name string, value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	s.buf = append(append(append(AppendString(append(s.buf, "],"...), name), ':'), b...), '}')
	if !s.begun {
		WriteBytes(s.w, http.StatusOK, s.buf)
		return nil
	}
	_, _ = s.w.Write(s.buf)
	return nil
}

// Fail passes on an error before anything was sent. After that it ends the connection, so that the client does not take
// what it has for the whole list; the log says why.
func (s *Stream) Fail(r *Request, err error) error {
	if !s.begun {
		return err
	}
	if !errors.Is(err, errReader) && r.Context().Err() == nil {
		r.server.Logger.Error("a list ended early", "request", r.ID, "path", r.Pattern, "error", err)
	}
	panic(http.ErrAbortHandler)
}
