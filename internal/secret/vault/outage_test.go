package vault

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestDeadConnections has the connections die without a word while new ones work: nobody's call fails, also where all
// requests go by one connection (HTTP/2).
func TestDeadConnections(t *testing.T) {
	authority := vaulttest.NewAuthority(t, "servers")
	for name, v := range map[string]*vaulttest.Server{"HTTP/1.1": vaulttest.Shared(t),
		"TLS": vaulttest.Start(t, vaulttest.WithTLS(t, authority, nil))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := vaulttest.Network(t, v)
			conf := Config{Address: n.Address, Place: Place{Mount: v.MountKV(t)}}
			if name == "TLS" {
				conf.CACert = authority.File(t, t.TempDir())
			}
			s, _ := open(t, v, conf)
			apply(t, s, set("a", "1"))
			n.Freeze()
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { wantKeysOf(t, s, "a") })
				wg.Go(func() {
					if _, err := secret.Get(t.Context(), s, org, "a"); err != nil {
						t.Errorf("Get: %v", err)
					}
				})
			}
			if name == "TLS" { // where pings tell a dead connection from a slow write
				apply(t, s, set("a", "2"))
			}
			wg.Wait()
			if s.conn.Opened() != 0 {
				t.Error("the breaker opened")
			}
		})
	}
}

// wantKeysOf is wantKeys for goroutines.
func wantKeysOf(t *testing.T, s *Store, want string) {
	if keys, err := s.Keys(t.Context(), org); err != nil || strings.Join(keys, " ") != want {
		t.Errorf("Keys: %q, %v", keys, err)
	}
}

// TestWaitersAreReleased has calls under way while Vault falls silent. They end when that has been found out, and do
// not wait for their own time, which here is more than the test has.
func TestWaitersAreReleased(t *testing.T) {
	t.Parallel()
	v := vaulttest.Shared(t)
	n := vaulttest.Network(t, v)
	s, log := open(t, v, Config{Address: n.Address, Place: Place{Mount: v.MountKV(t)}, ClientTimeout: new(time.Hour)})
	apply(t, s, set("a", "1"))
	n.Hang()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			_, err := secret.Get(t.Context(), s, org, "a")
			wantUnavailable(t, "Get", err, "the secret store did not answer in time", v)
		})
		wg.Go(func() {
			wantUnavailable(t, "Apply", errOf(s.Apply(t.Context(), org, set(fmt.Sprint(i), "1"))),
				"the secret store did not answer in time", v)
		})
	}
	wg.Wait()
	n.Pass()
	waitFor(t, func() bool { return s.Check(t.Context()) == nil })
	apply(t, s, set("a", "1"))
	log.want(t, "no answer within 1s", "Vault serves again")
}

// TestBalancer has what stands before Vault answer in its place: it is asked for its state, and callers are answered at
// once, until Vault is reached again.
func TestBalancer(t *testing.T) {
	v := vaulttest.Shared(t)
	for status, says := range map[int]string{502: "cannot be reached", 503: "cannot be reached",
		504: "cannot be reached", 429: "is busy"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			f := newFront(t, v)
			s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}})
			apply(t, s, set("a", "1"))
			f.set(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				http.Error(w, "<html>no server is available</html>", status)
			})
			waitFor(t, func() bool {
				_, err := secret.Get(t.Context(), s, org, "a")
				wantUnavailable(t, "Get", err, says, v)
				return s.conn.Reason() != nil
			})
			f.set(nil)
			waitFor(t, func() bool { return s.conn.Reason() == nil })
			wantKeys(t, s, "a")
		})
	}
}

// TestCutInItsBody cuts answers off in their middle: what reads is sent again, as where the connection is reset before.
func TestCutInItsBody(t *testing.T) {
	t.Parallel()
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: v.MountKV(t)}})
	apply(t, s, set("a", "1"))
	var cut atomic.Int64
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if cut.Add(1)%2 == 0 {
			vault.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		vault.ServeHTTP(answer, r)
		w.Header().Set("Content-Length", fmt.Sprint(answer.Body.Len()))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		panic(http.ErrAbortHandler)
	})
	for range 4 {
		if _, err := secret.Get(t.Context(), s, org, "a"); err != nil {
			t.Errorf("Get: %v", err)
		}
	}
	if _, err := s.Apply(t.Context(), org, set("b", "1")); err != nil && !errs.Is(err, errs.Unavailable) {
		t.Errorf("Apply: %v", err)
	}
	f.set(nil)
	wantKeys(t, s, "a", "b")
}
