package embedded

import (
	"context"
	"sync"
	"testing"

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
