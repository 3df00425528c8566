package embedded

import (
	"context"
	"errors"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/secret"
	"strongroom/internal/secret/secrettest"
)

// TestClusterLostAnswers loses the answer to each transaction of a change, and the caller with it: what was done is
// told as done, and is there for the other server, whole.
func TestClusterLostAnswers(t *testing.T) {
	t.Parallel()
	before, change, after := largeChange()
	for name, leaves := range map[string]bool{"the answer": false, "the caller": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				c, key := clustertest.New(), keyFile(t)
				server := c.Server()
				s := newStore(t, kv.Settled(clustertest.Once{Server: server}), key)
				apply(t, s, secret.Change{Set: before})
				ctx, cancel := context.WithCancel(t.Context())
				server.Lose(n, func() {
					if leaves {
						cancel()
					}
				})
				_, err := s.Apply(ctx, org, change)
				cancel()
				if err != nil && !(leaves && errors.Is(err, context.Canceled)) {
					t.Fatalf("transaction %d: told as failed: %v", n, err)
				}
				if err == nil {
					wantContent(t, newStore(t, kv.Settled(c.Server()), key), after)
				}
				if !server.Lost() {
					if n == 1 {
						t.Error("no transaction was seen")
					}
					return
				}
			}
		})
	}
}

// TestClusterCutOff cuts off one of two servers: it says so, the other goes on, and when it is back it sees what the
// other has done.
func TestClusterCutOff(t *testing.T) {
	t.Parallel()
	c, key := clustertest.New(), keyFile(t)
	server := c.Server()
	one, two := newStore(t, server, key), newStore(t, c.Server(), key)
	apply(t, one, secret.Change{Set: setOf("a", "1")})
	server.Cut()
	_, keysErr := one.Keys(t.Context(), org)
	_, getErr := secret.Get(t.Context(), one, org, "a")
	for what, err := range map[string]error{"a list": keysErr, "a read": getErr} {
		if !errs.Is(err, errs.Unavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	apply(t, two, secret.Change{Set: setOf("b", "2")})
	server.Heal()
	wantContent(t, one, setOf("a", "1", "b", "2"))
}

// TestSuiteCluster has two servers over one engine that is shaped like etcd.
func TestSuiteCluster(t *testing.T) {
	t.Parallel()
	secrettest.TestShared(t, func(t *testing.T) (secret.Store, secret.Store) {
		c, key := clustertest.New(), keyFile(t)
		open := func() *Store { return newStore(t, kv.Settled(clustertest.Once{Server: c.Server()}), key) }
		return open(), open()
	})
}
