package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/kv/etcd/reach"
)

// proxied opens a store with a proxy before each member.
func proxied(t *testing.T, members int, patience time.Duration) (*Store, []*etcdtest.Proxy) {
	t.Helper()
	var proxies []*etcdtest.Proxy
	var endpoints []string
	for _, m := range etcdtest.Start(t, members).Members {
		p := etcdtest.NewProxy(t, m)
		proxies, endpoints = append(proxies, p), append(endpoints, p.Endpoint)
	}
	return openAs(t, Config{Endpoints: endpoints, Prefix: "x/", Patience: patience}), proxies
}

// TestAway cuts a store off: who waits is told that etcd is away, and who comes is told so without etcd being asked.
// What was refused was not done. When etcd is back, all goes on.
func TestAway(t *testing.T) {
	s, proxies := proxied(t, 3, reach.Patience)
	settled := kv.Settled(s)
	ctx := t.Context()
	puts, removes := []kv.Op{kv.Put("a", nil)}, []kv.Op{kv.Delete("a")} // with a turn, and without
	if _, err := settled.Txn(ctx, nil, puts); err != nil {
		t.Fatal(err)
	}
	_, release, err := s.Hold(ctx, "held")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	calls := map[string]func() error{
		"Get":         func() error { _, err := s.Get(ctx, "a"); return err },
		"List":        func() error { _, err := s.List(ctx, "", "", 10); return err },
		"List of one": func() error { _, err := s.List(ctx, "", "", 1); return err },
		"ListBack":    func() error { _, err := s.ListBack(ctx, "", "", 10); return err },
		"Revision":    func() error { _, err := s.Revision(ctx); return err },
		"Held":        func() error { _, err := s.Held(ctx); return err },
		"Txn":         func() error { _, err := s.Txn(ctx, nil, puts); return err },
		"a settled":   func() error { _, err := settled.Txn(ctx, nil, puts); return err },
		"a removal":   func() error { _, err := settled.Txn(ctx, nil, removes); return err },
		"Hold":        func() error { _, _, err := s.Hold(ctx, "other"); return err },
		"Hold, waits": func() error { _, _, err := s.Hold(ctx, "held"); return err },
	}
	for _, p := range proxies {
		p.Pass(false, false)
	}
	var waiting sync.WaitGroup
	for what, call := range calls {
		waiting.Go(func() {
			if err := call(); !errors.Is(err, kv.ErrUnavailable) && !errors.Is(err, kv.ErrUnknown) {
				t.Errorf("%s, as it is cut off: %v", what, err)
			}
		})
	}
	waiting.Wait()
	for s.reach.Away() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	for what, call := range calls {
		if err := call(); !errors.Is(err, kv.ErrAway) || errors.Is(err, kv.ErrUnknown) {
			t.Errorf("%s, when etcd is away: %v", what, err)
		}
	}
	for _, p := range proxies {
		p.Pass(true, true)
	}
	for what, call := range calls {
		if what == "Hold, waits" {
			continue
		}
		for err := call(); err != nil && !errors.Is(err, kv.ErrNotFound); err = call() {
			if !errors.Is(err, kv.ErrUnavailable) && !errors.Is(err, kv.ErrUnknown) {
				t.Fatalf("%s, when etcd is back: %v", what, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// TestReadsOutliveConnections ends connections below reads that go together, and of which the client sends none again:
// etcd is there, and nobody is told otherwise.
func TestReadsOutliveConnections(t *testing.T) {
	s, proxies := proxied(t, 3, time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var reading sync.WaitGroup
	for i := range 8 {
		reading.Go(func() {
			for ctx.Err() == nil {
				_, err := s.Get(ctx, fmt.Sprint(i))
				if !errors.Is(err, kv.ErrNotFound) && !errors.Is(err, kv.ErrAway) && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 30 {
		time.Sleep(20 * time.Millisecond)
		proxies[i%len(proxies)].Reset()
	}
	stop()
	reading.Wait()
}
