package embedded

import (
	"context"
	"strconv"
	"sync"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
)

// meanwhile is an engine that has something done after a record was read the first time, and before another is.
type meanwhile struct {
	kv.Store
	first, then string
	do          func()
	done        sync.Once
	over        chan struct{}
}

func (m *meanwhile) Get(ctx context.Context, key string) (kv.Record, error) {
	if key == m.then {
		<-m.over
	}
	r, err := m.Store.Get(ctx, key)
	if key == m.first {
		m.done.Do(func() { m.do(); close(m.over) })
	}
	return r, err
}

// TestMixedMoments has another server set a secret while a change reads what is there of it: its metadata before, and
// its value after. That is no damage, and the change is made.
func TestMixedMoments(t *testing.T) {
	t.Parallel()
	c, key := clustertest.New(), keyFile(t)
	other := newStore(t, kv.Settled(c.Server()), key)
	apply(t, other, secret.Change{Set: setOf("b", "1")})
	engine := &meanwhile{Store: kv.Settled(c.Server()), over: make(chan struct{}),
		do: func() { apply(t, other, secret.Change{Set: setOf("a", "theirs")}) }}
	s := newStore(t, engine, key)
	s.far = true
	at, err := s.from.Places(org, "a", s.ring.Names())
	if err != nil {
		t.Fatal(err)
	}
	engine.first, engine.then = at.Now.Slot(records.Meta).Key, at.Now.Slot(records.Value).Key
	apply(t, s, secret.Change{Set: setOf("a", "ours")})
	wantContent(t, other, setOf("a", "ours", "b", "1"))
}

// crowded is an engine of which another server changes something before each read of the head.
type crowded struct {
	kv.Store
	on   bool
	head string
	do   func()
}

func (b *crowded) Get(ctx context.Context, key string) (kv.Record, error) {
	if b.on && key == b.head {
		b.do()
	}
	return b.Store.Get(ctx, key)
}

// TestRefusedInBusyOrg has another server change other secrets all the time: what does not hold is told, and not that
// others were faster.
func TestRefusedInBusyOrg(t *testing.T) {
	t.Parallel()
	c, key := clustertest.New(), keyFile(t)
	other := newStore(t, kv.Settled(c.Server()), key)
	apply(t, other, secret.Change{Set: setOf("a", "1")})
	n := 0
	engine := &crowded{Store: kv.Settled(c.Server()), head: records.Head(org), do: func() {
		n++
		apply(t, other, secret.Change{Set: setOf("b", strconv.Itoa(n))})
	}}
	s := newStore(t, engine, key)
	s.far = true
	engine.on = true
	version := int64(1)
	for what, change := range map[string]secret.Change{
		"it exists":       {Set: setOf("a", "2"), Only: secret.IfNew},
		"another version": {Set: setOf("a", "2"), Versions: map[string]int{"a": 7}},
		"an older list":   {Set: setOf("a", "2"), At: &version},
	} {
		before := n
		if _, err := s.Apply(t.Context(), org, change); !errs.Is(err, errs.PreconditionFailed) {
			t.Errorf("%s: %v", what, err)
		}
		if n-before > 10 {
			t.Errorf("%s: %d looks", what, n-before)
		}
	}
	if _, err := s.Restore(t.Context(), org, "a", 7, "ann"); !errs.Is(err, errs.NotFound) {
		t.Errorf("no such version: %v", err)
	}
	if _, err := s.Apply(t.Context(), org, secret.Change{Delete: []string{"none"}}); err != nil {
		t.Errorf("nothing to do: %v", err)
	}
}
