package ui

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"strongroom/internal/identity/authn"
	"strongroom/internal/kv"
)

// gone is data that are out of reach for a while.
type gone struct {
	kv.Store
	away atomic.Bool
}

func (g *gone) Get(ctx context.Context, key string) (kv.Record, error) {
	if g.away.Load() {
		return kv.Record{}, fmt.Errorf("%w: no member answers", kv.ErrUnavailable)
	}
	return g.Store.Get(ctx, key)
}

// TestDataOutOfReach takes the data away from somebody who is signed in: no page looks as if they were not, and all is as
// before once the data are there again. Where the server knows it already, nothing is read.
func TestDataOutOfReach(t *testing.T) {
	for _, why := range []error{nil, kv.ErrUnavailable, kv.ErrAway, kv.ErrDenied, context.DeadlineExceeded} {
		t.Run(fmt.Sprintf("the server knows of %v", why), func(t *testing.T) {
			knows := why != nil
			s, b := setUp(t)
			b.get("/").leads(t, s.at("/secrets"))
			store := &gone{Store: s.data}
			logins, err := authn.New(authn.Config{KV: store, Guard: s.guard, Logger: s.config.Logger, BcryptCost: 4})
			s.must(err) // it has nobody in memory
			var health atomic.Pointer[error]
			s.change(func(c *Config) {
				c.Authn = logins
				c.Data = func() error {
					if err := health.Load(); err != nil {
						return *err
					}
					return nil
				}
			})
			away := fmt.Errorf("etcd does not serve: %w", why)
			if store.away.Store(!knows); knows {
				health.Store(&away)
			}
			for _, path := range []string{"/", "/signin", "/orgs", "/store", s.at("/secrets"), "/docs"} {
				p := b.get(path)
				p.wants(t, 503, "out of reach", "Your session is kept", "Try again", "data-again")
				_, text, _ := strings.Cut(p.body, `<p class="why">`)
				text, _, _ = strings.Cut(text, "</p>")
				if n := strings.Count(text, "again"); n != 1 {
					t.Errorf("%s gives %d pieces of advice: %s", path, n, text)
				}
				if p.header.Get("Retry-After") == "" || len(p.header.Values("Set-Cookie")) > 0 {
					t.Errorf("%s: Retry-After %q, cookies %q", path, p.header.Get("Retry-After"),
						p.header.Values("Set-Cookie"))
				}
			}
			b.live = true
			p := b.post(s.at("/secrets/new"), form("key", "k", "value", value))
			if p.wants(t, 503, "out of reach"); p.header.Get("Strongroom-Session") != "" {
				t.Error("the form is told that the session has ended")
			}
			b.live = false
			if p := s.anonymous().get("/signin"); knows {
				if p.wants(t, 503, "out of reach"); strings.Contains(p.body, "Your session") {
					t.Error("somebody without a session is told of one")
				}
			}
			store.away.Store(false)
			health.Store(nil)
			b.get("/orgs").wants(t, 200, "Acme", ada)
			full := fmt.Errorf("%w: there is no room", kv.ErrFull)
			health.Store(&full)
			b.get("/orgs").wants(t, 200, "Acme", ada)
		})
	}
}

// TestInMemory has who is believed from memory read on what is in memory, too, while the data are out of reach.
func TestInMemory(t *testing.T) {
	s, b := setUp(t)
	var away error
	s.change(func(c *Config) { c.Data = func() error { return away } })
	b.get("/orgs").wants(t, 200, "Acme")
	away = kv.ErrUnavailable
	b.get("/orgs").wants(t, 200, "Acme", ada)
	s.logins.Forget()
	b.get("/orgs").wants(t, 503, "data are out of reach", "Your session is kept")
}
