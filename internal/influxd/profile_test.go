package influxd

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestProfiles: operators take profiles of a running server, nobody else does, and no profile has a value or a token.
func TestProfiles(t *testing.T) {
	r := start(t, t.TempDir(), "--http-write-timeout=5s")
	token, secrets := r.onboard(t)
	const canary = "sesame-of-the-profile"
	r.call(t, "PATCH", secrets, token, `{"db":"`+canary+`"}`, 204, nil)
	agent, values := r.agent(t, token, secrets)
	r.call(t, "GET", "/debug/pprof/heap", "", "", 401, nil)
	r.call(t, "GET", "/debug/pprof/heap", agent, "", 401, nil)
	r.call(t, "GET", "/debug/pprof/cmdline", token, "", 404, nil)
	for _, seconds := range []string{"0", "61", "-1", "x", "1e9"} {
		r.call(t, "GET", "/debug/pprof/profile?seconds="+seconds, token, "", 400, nil)
	}
	take := func(path string) (int, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+path, http.NoBody)
		must(t, err)
		req.Header.Set("Authorization", "Token "+token)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		must(t, err)
		return res.StatusCode, b
	}
	for _, path := range []string{"heap", "allocs", "goroutine?debug=2", "threadcreate",
		"profile?seconds=6", "trace?seconds=1"} {
		r.call(t, "GET", values, agent, "", 200, nil)
		status, b := take("/debug/pprof/" + path)
		if status != 200 || len(b) == 0 {
			t.Errorf("%s: %d, %d bytes", path, status, len(b))
			continue
		}
		if z, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
			b, err = io.ReadAll(z)
			must(t, err)
		} else if !strings.HasPrefix(path, "trace") {
			t.Errorf("%s is no profile for go tool pprof: %v", path, err)
		}
		if bytes.Contains(b, []byte(canary)) || bytes.Contains(b, []byte(token)) {
			t.Errorf("%s has a value or a token", path)
		}
	}
	// Two cannot watch at a time.
	first := make(chan int, 1)
	go func() {
		status, _ := take("/debug/pprof/trace?seconds=2")
		first <- status
	}()
	for {
		status, b := take("/debug/pprof/trace?seconds=1")
		if status == 422 && bytes.Contains(b, []byte("another profile")) {
			break
		}
		select {
		case s := <-first:
			// Ours was the one that the other met.
			if s == 422 {
				return
			}
			t.Fatalf("two profiles were taken at a time: %d", s)
		default:
		}
	}
	if s := <-first; s != 200 {
		t.Errorf("the first ended with %d", s)
	}
}
