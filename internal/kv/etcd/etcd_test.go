package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/kv/kvtest"
	"strongroom/internal/kv/near"
)

func TestMain(m *testing.M) {
	code := m.Run()
	etcdtest.StopShared()
	os.Exit(code)
}

func open(t *testing.T, c *etcdtest.Cluster, prefix string) *Store {
	t.Helper()
	return openAs(t, Config{Endpoints: c.Endpoints(), Prefix: prefix})
}

// openAs opens a store. On a machine that is busy an etcd may be silent for longer than a server would wait for it.
func openAs(t *testing.T, c Config) *Store {
	t.Helper()
	if c.Patience == 0 {
		c.Patience = time.Minute
	}
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestSuite(t *testing.T) {
	c := etcdtest.Start(t, 3)
	kvtest.Test(t, func(t *testing.T) kv.Store { return open(t, c, etcdtest.Prefix(t)) })
}

func TestNobodyThere(t *testing.T) {
	_, err := Open(t.Context(), Config{Endpoints: []string{"http://127.0.0.1:1"}, Prefix: "x/"})
	if !errors.Is(err, kv.ErrUnavailable) || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("without a cluster: %v", err)
	}
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("it opens without endpoints")
	}
}

// TestQuota fills etcd's space: writes are refused as on a full disk, reads go on.
func TestQuota(t *testing.T) {
	c := etcdtest.Start(t, 1, "-quota", fmt.Sprint(2<<20))
	s := open(t, c, "x/")
	big := []byte(strings.Repeat("x", 256<<10))
	for i := range 100 {
		_, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put(fmt.Sprint(i), big)})
		if err == nil {
			continue
		}
		if !errors.Is(err, kv.ErrFull) || !strings.Contains(err.Error(), "alarm disarm") {
			t.Fatalf("over the quota: %v", err)
		}
		if says := errs.Message(kv.Coded(err)); !strings.Contains(says, "etcd") || strings.Contains(says, "disk") {
			t.Errorf("a caller is told %q", says)
		}
		if _, err := s.Get(t.Context(), "0"); err != nil {
			t.Errorf("a read over the quota: %v", err)
		}
		return
	}
	t.Fatal("the quota was never reached")
}

// TestMembersLost kills and pauses members below a writer and a watch: with one lost all goes on, with two nothing is
// written, and when they are back nothing that was acknowledged is missing.
func TestMembersLost(t *testing.T) {
	c := etcdtest.Start(t, 3)
	s := open(t, c, "x/")
	acknowledged := make(map[string]bool)
	n := 0
	write := func(ctx context.Context) error {
		n++
		key := fmt.Sprintf("w/%04d", n)
		_, err := s.Txn(ctx, nil, []kv.Op{kv.Put(key, []byte("1"))})
		if err == nil {
			acknowledged[key] = true
		}
		return err
	}
	// until writes until one is acknowledged, as a caller that tries again does.
	until := func(what string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for {
			err := write(ctx)
			if err == nil {
				return
			}
			if ctx.Err() != nil || !errors.Is(err, kv.ErrUnavailable) {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	var mu sync.Mutex
	told := make(map[string]bool)
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stands, stand := context.WithCancel(t.Context())
	watching.Go(func() {
		var after int64
		for ctx.Err() == nil {
			err := s.Watch(ctx, "w/", after, func(u kv.Update) {
				mu.Lock()
				defer mu.Unlock()
				for _, e := range u.Events {
					told[e.Key] = true
				}
				after = u.Rev
				stand()
			})
			if ctx.Err() == nil && !errors.Is(err, kv.ErrUnavailable) {
				t.Errorf("the watch ended: %v", err)
			}
		}
	})
	<-stands.Done() // a watch of what is new tells nothing of what was written before it stands
	until("at rest")
	for i, m := range c.Members {
		m.Kill()
		until(fmt.Sprintf("with member %d killed", i))
		m.Restart(t)
		m.Pause()
		until(fmt.Sprintf("with member %d paused", i))
		m.Resume()
	}
	c.Members[0].Pause()
	c.Members[1].Pause()
	if err := write(t.Context()); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("a write without a majority: %v", err)
	}
	if _, err := s.Get(t.Context(), "w/0001"); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("a read without a majority: %v", err)
	}
	c.Members[0].Resume()
	c.Members[1].Resume()
	until("with all back")

	for key := range acknowledged {
		if _, err := s.Get(t.Context(), key); err != nil {
			t.Errorf("what was acknowledged, %s: %v", key, err)
		}
		for {
			mu.Lock()
			ok := told[key]
			mu.Unlock()
			if ok {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	cancel()
	watching.Wait()
}

// TestOneWatch has many follow: etcd has one watch for all of them.
func TestOneWatch(t *testing.T) {
	s := open(t, etcdtest.Shared(t), etcdtest.Prefix(t))
	told := make(chan kv.Update, 20)
	for _, prefix := range []string{"", "a/", "b/", "c/", "b/"} {
		go func() { _ = s.Watch(t.Context(), prefix, 0, func(u kv.Update) { told <- u }) }()
		<-told
	}
	rev, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put("b/1", []byte("x"))})
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 3; { // the others hear nothing of it
		if u := <-told; len(u.Events) > 0 {
			n++
			if u.Rev != rev || string(u.Events[0].Value) != "x" {
				t.Errorf("told %+v, want revision %d", u, rev)
			}
		}
	}
	if n := s.watches.Load(); n != 1 {
		t.Errorf("etcd has %d watches", n)
	}
}

// TestHasten has another user of the etcd write beside the records: the watch tells, before its time, that it has come
// to the revision that there is then, to all who follow.
func TestHasten(t *testing.T) {
	c := etcdtest.Shared(t)
	s, other := open(t, c, etcdtest.Prefix(t)), open(t, c, etcdtest.Prefix(t)+"other/")
	var told [2]chan kv.Update
	for i, prefix := range []string{"", "a/"} {
		told[i] = make(chan kv.Update, 1000)
		go func() { _ = s.Watch(t.Context(), prefix, 0, func(u kv.Update) { told[i] <- u }) }()
		<-told[i]
	}
	for early := 0; early < 3; { // it may have been its time
		rev, err := other.Txn(t.Context(), nil, []kv.Op{kv.Put("k", nil)})
		if err != nil {
			t.Fatal(err)
		}
		s.Hasten()
		soon := true
		for _, by := range told {
			u := <-by
			for ; u.Rev < rev; u = <-by {
			}
			soon = soon && u.Known.IsZero()
		}
		if soon {
			early++
		}
	}
}

// TestOthersWrite has another user of the etcd write beside the records all the time. What is in memory is still found
// to be current, and has what was there.
func TestOthersWrite(t *testing.T) {
	c := etcdtest.Shared(t)
	s, other := open(t, c, etcdtest.Prefix(t)), open(t, c, etcdtest.Prefix(t)+"other/")
	memory := near.New(kv.Settled(s), near.Config{Prefixes: []string{"a/"}, Limit: 1 << 20, Largest: 1 << 16,
		Revision: s.Revision, Hasten: s.Hasten})
	var all sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer all.Wait()
	defer stop()
	all.Go(func() { memory.Follow(ctx, func(error) {}) })
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				_, _ = other.Txn(ctx, nil, []kv.Op{kv.Put("k", nil)})
			}
		})
	}
	asked, current := 0, 0
	for began := time.Now(); current < 20; asked++ {
		if time.Since(began) > time.Minute {
			t.Fatalf("asked %d times, it was current %d times", asked, current)
		}
		rev, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put("a/k", []byte(strconv.Itoa(asked)))})
		if err == nil {
			_, err = memory.Get(t.Context(), "a/k")
		}
		if err != nil {
			t.Fatal(err)
		}
		if !memory.Current(t.Context()) {
			time.Sleep(time.Millisecond)
			continue
		}
		current++
		if r, known := memory.Recall("a/k"); known && r.Rev < rev {
			t.Fatalf("it is current, and has revision %d, and not %d", r.Rev, rev)
		}
	}
	t.Logf("asked %d times, it was current %d times", asked, current)
}
