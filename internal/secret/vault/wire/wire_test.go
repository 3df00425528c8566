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
	return getIn(Operation(t.Context()), t, w, url)
}

func getIn(ctx context.Context, t *testing.T, w *Wire, url string) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
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

// TestDeadConnection has the connection that is there fall silent: the request on it ends as dead once a new one is
// answered, and later ones go out on new connections.
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

// TestSlow has a server that answers slowly, and always: what was given up once is waited for when it is sent again,
// and then so is what comes later.
func TestSlow(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(60 * time.Millisecond)
	}))
	defer s.Close()
	w := &Wire{Base: new(http.Transport), Patience: 20 * time.Millisecond}
	w.Doubt = w.Answered // its state is told at once
	defer w.Close()
	ctx := Operation(t.Context())
	_, err := getIn(ctx, t, w, s.URL)
	if errors.Is(err, errDead) {
		_, err = getIn(ctx, t, w, s.URL)
	}
	if err != nil {
		t.Fatalf("sent again: %v", err)
	}
	served := 0
	for range 20 {
		if _, err := get(t, w, s.URL); err == nil {
			served++
		} else if !errors.Is(err, errDead) {
			t.Fatal(err)
		}
	}
	if served == 0 {
		t.Error("a slow server is taken for dead at each request")
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
