package exchange

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/identity/authn"
	"strongroom/internal/kv"
)

// TestEngineErrors has an error of the engine reach the answer as it came, by whichever way: it is no fault of ours.
func TestEngineErrors(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{kv.ErrUnavailable, http.StatusServiceUnavailable},
		{fmt.Errorf("looking: %w", kv.ErrAway), http.StatusServiceUnavailable},
		{kv.ErrUnknown, http.StatusServiceUnavailable},
		{kv.ErrClosed, http.StatusServiceUnavailable},
		{kv.ErrFull, http.StatusInsufficientStorage},
		{kv.ErrForged, http.StatusInternalServerError},
	} {
		s, err := New(Config{Guard: new(access.Guard), Authn: new(authn.Service)}, Table{"/x": {"GET": Open(
			func(http.ResponseWriter, *Request) error { return tt.err })}})
		noError(t, err)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/x", nil))
		if w.Code != tt.want {
			t.Errorf("%v is answered %d: %s", tt.err, w.Code, w.Body)
		}
	}
}
