package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

func get(t *testing.T, w *Wire, url string) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(Operation(t.Context()), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.RoundTrip(r)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), resp.Body.Close()
}

// TestDeadConnection has the connection that is there fall silent: the request on it ends as dead once a new one is answered,
// and later ones go out on new connections.
func TestDeadConnection(t *testing.T) {
	var mu sync.Mutex
	var dead string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		silent := r.RemoteAddr == dead
		mu.Unlock()
		if silent {
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, r.RemoteAddr)
	}))
	defer s.Close()
	w := &Wire{Base: new(http.Transport), Patience: 20 * time.Millisecond}
	w.Doubt = func() { // on a slow machine of a later request, too
		r, err := http.NewRequestWithContext(Fresh(context.Background()), http.MethodGet, s.URL, nil)
		if err == nil {
			_, err = w.RoundTrip(r)
		}
		if err == nil {
			w.Answered()
		}
	}
	defer w.Close()
	first, err := get(t, w, s.URL)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	dead = first
	mu.Unlock()
	if _, err := get(t, w, s.URL); !errors.Is(err, errDead) {
		t.Fatalf("on the dead connection: %v", err)
	}
	second, err := get(t, w, s.URL)
	for errors.Is(err, errDead) { // which was slow
		second, err = get(t, w, s.URL)
	}
	if err != nil || second == first {
		t.Errorf("after it: %q, %v; the dead one is %q", second, err, first)
	}
}

// TestCutOff has an answer end in its middle.
func TestCutOff(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
	}))
	defer s.Close()
	w := &Wire{Base: new(http.Transport), Patience: time.Hour, Doubt: func() {}}
	defer w.Close()
	if body, err := get(t, w, s.URL); err == nil {
		t.Errorf("half an answer is taken for one: %q", body)
	}
}
