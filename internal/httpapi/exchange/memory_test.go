package exchange

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/inflight"
)

// slowly is a body that is announced as long and sends little.
type slowly struct{ left int }

func (s *slowly) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	s.left--
	b[0] = 'x'
	return 1, nil
}

// TestBodyHoldsWhatCame: what is announced and not sent holds no memory; what is sent does, until
// the request is answered.
func TestBodyHoldsWhatCame(t *testing.T) {
	budget := inflight.New(100 << 10)
	body := func(r io.Reader, announced int64) (*Request, error) {
		q := &Request{Request: httptest.NewRequest("POST", "/", r), server: &Server{Config: Config{MaxBody: 1 << 20}},
			maxBody: 1 << 20, share: budget.Share("ann")}
		q.ContentLength = announced
		_, err := q.ReadBody()
		return q, err
	}
	q, err := body(&slowly{10}, 1<<20)
	if !errs.Is(err, errs.Invalid) || budget.Used() > inflight.BodyCost*4<<10 {
		t.Errorf("ten bytes hold %d, %v", budget.Used(), err)
	}
	q.share.Close()
	q, err = body(bytes.NewReader(make([]byte, 8000)), -1)
	if err != nil || budget.Used() < 8000 {
		t.Errorf("8,000 bytes hold %d, %v", budget.Used(), err)
	}
	if _, err := body(bytes.NewReader(make([]byte, 8000)), 8000); !errs.Is(err, errs.Unavailable) {
		t.Errorf("beside it: %v", err)
	}
	q.share.Close()
}

// TestAnswersAreBounded has readers that take nothing of a long answer: only so many are given one.
func TestAnswersAreBounded(t *testing.T) {
	const size = 1 << 20
	s := &Server{Config: Config{Budget: inflight.New(8 * size)}}
	answer := make([]byte, size)
	codes := make(map[int]int)
	var open []*statusWriter
	for range 50 {
		rec := httptest.NewRecorder()
		share := s.Budget.Share("eve")
		w := &statusWriter{of: t.Context(), ResponseWriter: rec, share: &share}
		WriteBytes(w, http.StatusOK, answer)
		codes[w.status()]++
		open = append(open, w)
		if w.status() == http.StatusServiceUnavailable &&
			(rec.Header().Get("Retry-After") != "1" || !strings.Contains(rec.Body.String(), "try again")) {
			t.Errorf("refused with %v %s", rec.Header(), rec.Body)
		}
	}
	if codes[200] != 4 || codes[503] != 46 {
		t.Errorf("answered %v", codes)
	}
	for _, w := range open {
		w.share.Close()
	}
	if s.Budget.Used() != 0 {
		t.Errorf("%d are left", s.Budget.Used())
	}
}
