package vault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestSoak puts mixed load on a store whose token lasts 20 s, with a fault at intervals, for a few seconds here and for
// STRONGROOM_SOAK (10m by make soak) on request. Each of its workers owns a key and knows what it may hold: the value
// of the last change that was acknowledged, or of one since then whose outcome was not told.
func TestSoak(t *testing.T) { eachLayout(t, soak) }

func soak(t *testing.T, l kv2.Layout) {
	length, ttl := 10*time.Second, "4s"
	if text := os.Getenv("STRONGROOM_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("STRONGROOM_SOAK: %v", err)
		}
		ttl = "20s"
	}
	between := max(length/40, 700*time.Millisecond)
	v := vaulttest.Start(t, vaulttest.Persistent(t))
	n := vaulttest.Network(t, v)
	mount := v.MountKV(t)
	p := Place{Mount: mount, Path: kv2.DefaultPath, Layout: l}
	conf := appRoleWith(t, v, policy(p), ttl)
	before := runtime.NumGoroutine()
	s, err := New(t.Context(), Config{Address: n.Address, Place: p, Login: conf, ClientTimeout: new(2 * time.Second),
		CacheTTL: 100 * time.Millisecond, Logger: new(logs).logger()})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithTimeout(t.Context(), length)
	defer stop()
	workers := make([]*worker, 16)
	for i := range workers {
		workers[i] = &worker{store: s, org: org + id.ID(i%4), key: fmt.Sprintf("key-%02d", i),
			may: map[string]bool{"": true}}
		wg.Go(func() { workers[i].work(ctx, t) })
	}
	faults := []func(){
		n.Reset,
		func() { n.Cut(); time.Sleep(between / 3); n.Pass() },
		func() { n.Hang(); time.Sleep(between / 3); n.Pass() },
		func() { n.LoseAnswers(); time.Sleep(between / 3); n.Pass() },
		func() { n.Slow(50 * time.Millisecond); time.Sleep(between / 3); n.Pass() },
		func() { v.Seal(t); time.Sleep(between / 3); v.Unseal(t) },
		func() { v.Revoke(t, s.conn.Client.Token()) },
		func() { v.Kill(); time.Sleep(between / 3); v.Restart(t) },
	}
	heap := heapInUse()
	for i := 0; ctx.Err() == nil; i++ {
		select {
		case <-ctx.Done():
		case <-time.After(between):
			faults[i%len(faults)]()
		}
	}
	wg.Wait()
	n.Pass()
	waitFor(t, func() bool { return s.Check(t.Context()) == nil })
	var done, refused int
	for _, w := range workers {
		done, refused = done+w.done, refused+w.refused
		w.settle(t)
	}
	if done == 0 || refused == 0 {
		t.Errorf("%d calls served and %d refused: the load or the faults were not there", done, refused)
	}
	state := s.conn.Session.State()
	if grown := int64(heapInUse()) - int64(heap); grown > 32<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	s.Close()
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before+2 })
	t.Logf("%d calls served, %d refused; %d log-ins, %d renewals; the breaker opened %d times", done, refused,
		state.LogIns, state.Renewals, s.conn.Opened())
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// worker changes and reads one key.
type worker struct {
	store         *Store
	org           id.ID
	key           string
	may           map[string]bool // what the key may hold; "" is nothing
	done, refused int
}

func (w *worker) work(ctx context.Context, t *testing.T) {
	for i := 0; ctx.Err() == nil && !t.Failed(); i++ {
		switch rand.N(4) {
		case 0, 1:
			w.set(ctx, t, fmt.Sprint(i))
		case 2:
			w.set(ctx, t, "")
		case 3:
			w.read(ctx, t)
		}
		time.Sleep(rand.N(5 * time.Millisecond))
	}
}

// set stores the value, or deletes the key where it is "".
func (w *worker) set(ctx context.Context, t *testing.T, value string) {
	c := secret.Change{Delete: []string{w.key}}
	if value != "" {
		c = set(w.key, value)
	}
	if rand.N(3) == 0 { // with another name that nobody looks at
		if value != "" {
			c.Set[w.key+"/twin"] = c.Set[w.key]
		} else {
			c.Delete = append(c.Delete, w.key+"/twin")
		}
	}
	_, err := w.store.Apply(ctx, w.org, c)
	switch {
	case err == nil:
		w.may = map[string]bool{value: true}
		w.done++
	case errs.Is(err, errs.Unavailable) || errors.Is(err, ctx.Err()):
		w.may[value] = true
		w.refused++
	default:
		t.Errorf("Apply: %v", err)
	}
}

func (w *worker) read(ctx context.Context, t *testing.T) {
	get := secret.Get
	if rand.N(2) == 0 {
		get = useOne // sees this store's changes at once
	}
	v, err := get(ctx, w.store, w.org, w.key)
	switch value := string(v.Bytes()); {
	case err == nil || errs.Is(err, errs.NotFound):
		if !w.may[value] {
			t.Errorf("%s holds %q and may hold %v", w.key, value, w.may)
		}
		w.done++
	case errs.Is(err, errs.Unavailable) || errors.Is(err, ctx.Err()):
		w.refused++
	default:
		t.Errorf("reading: %v", err)
	}
}

// settle compares what the key holds in the end.
func (w *worker) settle(t *testing.T) {
	v, err := secret.Get(t.Context(), w.store, w.org, w.key)
	if err != nil && !errs.Is(err, errs.NotFound) {
		t.Errorf("at the end: %v", err)
	} else if !w.may[string(v.Bytes())] {
		t.Errorf("at the end %s holds %q and may hold %v: an acknowledged change is lost", w.key, v.Bytes(), w.may)
	}
}
