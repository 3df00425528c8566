package authn_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/barrier"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
)

// counted is a server's engine that counts reads.
type counted struct {
	kv.Store
	server *clustertest.Server
	reads  atomic.Int64
}

func (c *counted) Get(ctx context.Context, key string) (kv.Record, error) {
	c.reads.Add(1)
	return c.Store.Get(ctx, key)
}

// twoServers is a fixture over an engine, and the engine of a second server.
func twoServers(t *testing.T) (*identitytest.Fixture, *counted) {
	t.Helper()
	c := clustertest.New()
	f := identitytest.OnboardedOver(t, func(kv.Store) kv.Store { return c.Server() })
	second := c.Server()
	return f, &counted{Store: barrier.New(second, f.Keys, identity.Sealed), server: second}
}

// other is a second server's service over the fixture's data.
func other(t *testing.T, f *identitytest.Fixture, store kv.Store, stale time.Duration) *authn.Service {
	t.Helper()
	s, err := authn.New(authn.Config{KV: store, Guard: f.Guard, Now: f.Clock.Now, Shared: true, Stale: stale})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Follow(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// remembers waits until the service knows the token without asking the engine.
func remembers(t *testing.T, s *authn.Service, engine *counted, token string) {
	t.Helper()
	for {
		if _, err := s.ByToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		before := engine.reads.Load()
		if _, err := s.ByToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if engine.reads.Load() == before {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("the token is never remembered")
		}
	}
}

// refusedSoon waits until the token is refused.
func refusedSoon(t *testing.T, s *authn.Service, token string) {
	t.Helper()
	for {
		_, err := s.ByToken(t.Context(), token)
		if errs.Is(err, errs.Unauthorized) || errs.Is(err, errs.Forbidden) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if t.Context().Err() != nil {
			t.Fatal("the token is never refused")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestFollowsOtherServers(t *testing.T) {
	f, engine := twoServers(t)
	second := other(t, f, engine, time.Hour)
	ada := f.AddUser(t, "ada")
	inactive, active := identity.Inactive, identity.Active
	for name, revoke := range map[string]func(identity.Authorization) error{
		"token off": func(a identity.Authorization) error {
			_, err := f.UpdateAuthorization(t.Context(), f.Root, a.ID, &inactive, nil)
			return err
		},
		"token deleted": func(a identity.Authorization) error {
			return f.DeleteAuthorization(t.Context(), f.Root, a.ID)
		},
		"user off": func(identity.Authorization) error {
			_, err := f.UpdateUser(t.Context(), f.Root, ada.ID, nil, &inactive)
			return err
		},
	} {
		a, token := f.AddToken(t, ada.ID, nil)
		remembers(t, second, engine, token)
		if err := revoke(a); err != nil {
			t.Fatal(name, err)
		}
		refusedSoon(t, second, token)
		if _, err := f.UpdateUser(t.Context(), f.Root, ada.ID, nil, &active); err != nil {
			t.Fatal(err)
		}
	}

	session := f.MustSignIn(t, "ada", identitytest.UserPassword)
	if _, err := second.BySession(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	if err := f.SignOut(t.Context(), f.CallerBySession(t, session), session); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := second.BySession(t.Context(), session); errs.Is(err, errs.Unauthorized) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestBehindOthers asks the engine each time while it cannot know what others change.
func TestBehindOthers(t *testing.T) {
	f, engine := twoServers(t)
	ada := f.AddUser(t, "ada")
	inactive := identity.Inactive

	never := other(t, f, engine, 0)
	a, token := f.AddToken(t, ada.ID, nil)
	for range 3 {
		if _, err := never.ByToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.UpdateAuthorization(t.Context(), f.Root, a.ID, &inactive, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := never.ByToken(t.Context(), token); !errs.Is(err, errs.Unauthorized) {
		t.Errorf("a server that believes nothing takes a token that is off: %v", err)
	}

	second := other(t, f, engine, time.Hour)
	b, token := f.AddToken(t, ada.ID, nil)
	remembers(t, second, engine, token)
	engine.server.BreakWatches(kv.ErrUnavailable)
	// Until a watch has ended: from then on what was just asked for is asked for again, each time.
	for asked := 0; asked < 5; {
		before := engine.reads.Load()
		if _, err := second.ByToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if engine.reads.Load() > before {
			asked++
			continue
		}
		asked = 0
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := f.UpdateAuthorization(t.Context(), f.Root, b.ID, &inactive, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := second.ByToken(t.Context(), token); !errs.Is(err, errs.Unauthorized) {
		t.Errorf("a server that hears nothing takes a token that is off: %v", err)
	}
	engine.server.BreakWatches(nil)
	_, token = f.AddToken(t, ada.ID, nil)
	remembers(t, second, engine, token)

	// Who cannot be asked about is not let in.
	lost := errors.New("lost")
	deaf := other(t, f, &unreadable{Store: f.KV, err: lost}, 0)
	if _, err := deaf.ByToken(t.Context(), token); !errors.Is(err, lost) {
		t.Errorf("without the engine: %v", err)
	}
}

type unreadable struct {
	kv.Store
	err error
}

func (u *unreadable) Get(context.Context, string) (kv.Record, error) { return kv.Record{}, u.err }

// late is an engine whose watches tell what the engine said an hour ago, as one does whose process stood still.
type late struct{ *counted }

func (l late) Watch(ctx context.Context, prefix string, after int64, tell func(kv.Update)) error {
	return l.counted.Watch(ctx, prefix, after, func(u kv.Update) {
		if !u.Known.IsZero() {
			u.Known = u.Known.Add(-time.Hour)
		}
		tell(u)
	})
}

// TestWakesUp believes nothing from memory for answers that have waited for longer than memory is good.
func TestWakesUp(t *testing.T) {
	f, engine := twoServers(t)
	ada := f.AddUser(t, "ada")
	woken := other(t, f, late{engine}, time.Minute)
	_, token := f.AddToken(t, ada.ID, nil)
	for end := time.Now().Add(3 * kv.WatchPulse / 2); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		before := engine.reads.Load()
		if _, err := woken.ByToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if engine.reads.Load() == before {
			t.Fatal("a token is believed that was true an hour ago")
		}
	}
	remembers(t, other(t, f, late{engine}, 2*time.Hour), engine, token)
}
