package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// streamed serves a list of so many items that ends with the error, by a server that a client asks.
func streamed(t *testing.T, items int, fails error) (res *http.Response, body []byte, log string, readErr error) {
	t.Helper()
	var said bytes.Buffer
	server := &Server{Config: Config{Logger: slog.New(slog.NewTextHandler(&said, nil))}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := &Request{Request: r, ctx: r.Context(), server: server}
		list := NewStream(w, "items")
		err := func() error {
			for i := range items {
				if err := list.Add(item(i)); err != nil {
					return err
				}
			}
			if fails != nil {
				return fails
			}
			return list.End("links", map[string]string{"self": "/<here>"})
		}()
		if err != nil {
			writeError(w, list.Fail(q, err))
		}
	}))
	res, err := s.Client().Get(s.URL)
	noError(t, err)
	body, readErr = io.ReadAll(res.Body)
	res.Body.Close()
	s.Close() // the handler has ended
	return res, body, said.String(), readErr
}

func item(i int) map[string]any { return map[string]any{"n": i, "text": strings.Repeat("<&>", 10)} }

// TestStream compares what is sent with what encoding/json makes of the whole.
func TestStream(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100, 5000} {
		all := make([]any, n)
		for i := range all {
			all[i] = item(i)
		}
		want, err := json.Marshal(map[string]any{"items": all, "links": map[string]string{"self": "/<here>"}})
		noError(t, err)
		res, body, _, err := streamed(t, n, nil)
		noError(t, err)
		if !bytes.Equal(body, want) || res.StatusCode != 200 || res.Header.Get("Content-Type") != jsonHeader[0] ||
			res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d items: %s, %v, %d bytes, want %d", n, res.Status, res.Header, len(body), len(want))
		}
		if whole := len(want) < streamBuffer; whole != (res.ContentLength >= 0) {
			t.Errorf("%d items: %d bytes are sent with the length %d", n, len(want), res.ContentLength)
		}
	}
}

// TestStreamFails ends a list with an error before and after its first bytes have gone.
func TestStreamFails(t *testing.T) {
	res, body, _, err := streamed(t, 10, errors.New("the disk is broken"))
	noError(t, err)
	if res.StatusCode != 500 || strings.Contains(string(body), "items") || strings.Contains(string(body), "broken") {
		t.Errorf("before the first byte: %s %s", res.Status, body)
	}
	res, body, log, err := streamed(t, 5000, errors.New("the disk is broken"))
	if err == nil || res.StatusCode != 200 || len(body) == 0 {
		t.Errorf("after the first byte: %s, %d bytes, %v; the client must see that it is cut off", res.Status,
			len(body), err)
	}
	if !strings.Contains(log, "a list ended early") || !strings.Contains(log, "the disk is broken") {
		t.Errorf("the log does not say why: %q", log)
	}
}

// leaving is a client that leaves after the first bytes.
type leaving struct {
	*httptest.ResponseRecorder
	writes int
}

func (l *leaving) Write([]byte) (int, error) { l.writes++; return 0, errors.New("broken pipe") }

// TestStreamToNobody ends at the first write that the client does not take, without a word in the log.
func TestStreamToNobody(t *testing.T) {
	var said bytes.Buffer
	server := &Server{Config: Config{Logger: slog.New(slog.NewTextHandler(&said, nil))}}
	w := &leaving{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	list := NewStream(w, "items")
	made := 0
	var err error
	for made = 0; made < 5000 && err == nil; made++ {
		err = list.Add(item(made))
	}
	if !errors.Is(err, errReader) || made == 5000 || w.writes != 1 {
		t.Errorf("%d items were made for %d writes: %v", made, w.writes, err)
	}
	defer func() {
		if p := recover(); p != http.ErrAbortHandler || said.Len() > 0 {
			t.Errorf("it ended with %v, and the log says %q", p, said.String())
		}
	}()
	_ = list.Fail(&Request{Request: r, ctx: r.Context(), server: server}, err)
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
