package embedded

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/records"
	"strongroom/internal/secret/metered"
)

// TestOrder has the records of sealed names lie in the order that the store tells, also through what decorates it. Names
// in clear have no other order.
func TestOrder(t *testing.T) {
	plain := newStore(t, openKV(t), keyFile(t))
	if plain.Order(org) != nil {
		t.Error("names in clear have an order of their own")
	}
	s := newStore(t, openKV(t), keyFile(t))
	inSeal.begin(t, s)
	ordered, ok := secret.As[secret.Ordered](metered.New(s, "bolt", prometheus.NewRegistry(), nil, nil))
	if !ok {
		t.Fatal("the store has no order")
	}
	place := ordered.Order(org)
	c := secret.Change{Set: map[string]secret.Value{}}
	var places []string
	for n := range 50 {
		name := fmt.Sprint("name ", n)
		c.Set[name] = secret.NewValue([]byte("v"))
		at, err := place(name)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, at)
	}
	apply(t, s, c)
	slices.Sort(places)
	pre := records.Of(org, records.Form(s.ring.Names().Form), records.Value)
	recs, err := s.kv.List(t.Context(), pre, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var lie []string
	for _, r := range recs {
		lie = append(lie, strings.TrimPrefix(r.Key, pre))
	}
	if !slices.Equal(places, lie) {
		t.Errorf("the records lie as %q, and their order is told as %q", lie, places)
	}
}
