package vault

import (
	"net/http"
	"sync/atomic"
	"testing"

	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestStandby has a node that sends every request on to the active one, as a standby without forwarding does.
func TestStandby(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}})
	var sentOn atomic.Int64
	f.set(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		sentOn.Add(1)
		http.Redirect(w, r, v.Address+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	})
	apply(t, s, set("a", "1"))
	apply(t, s, set("b", "2"))
	wantKeys(t, s, "a", "b")
	apply(t, s, secret.Change{Delete: []string{"a"}})
	wantKeys(t, s, "b")
	if sentOn.Load() == 0 {
		t.Error("no request went to the standby")
	}
}

// TestPerformanceStandby has a node whose health is that of a performance standby (473, or what the request asks for in
// its place): it serves.
func TestPerformanceStandby(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}})
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if r.URL.Path != "/v1/sys/health" {
			vault.ServeHTTP(w, r)
			return
		}
		status := 473
		if r.URL.Query().Get("performancestandbycode") == "299" {
			status = 299
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"initialized":true,"sealed":false,"standby":true,"performance_standby":true}`))
	})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	apply(t, s, set("a", "1"))
	wantKeys(t, s, "a")
}

// TestQuota has Vault refuse two requests by a rate limit, and say when to come again.
func TestQuota(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}})
	var refused atomic.Int64
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if refused.Add(1) <= 2 {
			w.Header().Set("Retry-After", "0")
			http.Error(w, `{"errors":["request path: rate limit quota exceeded"]}`, http.StatusTooManyRequests)
			return
		}
		vault.ServeHTTP(w, r)
	})
	wantKeys(t, s)
	if n := refused.Load(); n != 3 {
		t.Errorf("%d requests, want two that are refused and one", n)
	}
	if s.conn.Opened() != 0 {
		t.Error("a quota opened the breaker")
	}
}
