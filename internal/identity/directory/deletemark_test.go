package directory_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"strongroom/internal/kv"
)

// renewing writes a mark of a deletion anew before the first transaction that is bound to it, as a rotation of the keys
// does, which seals it anew.
type renewing struct {
	kv.Store
	once sync.Map
	lose func() // called where it has done so; nil: nothing is
}

func (r *renewing) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	for _, c := range conds {
		if !strings.HasPrefix(c.Key, "deleting/") || c.Rev == 0 {
			continue
		}
		if _, again := r.once.LoadOrStore(c.Key, true); again {
			continue
		}
		mark, err := r.Store.Get(ctx, c.Key)
		if err == nil {
			_, err = r.Store.Txn(ctx, []kv.Cond{kv.Unchanged(mark)}, []kv.Op{kv.Put(c.Key, mark.Value)})
		}
		if err != nil {
			return 0, err
		}
		if r.lose != nil {
			r.lose()
		}
	}
	return r.Store.Txn(ctx, conds, ops)
}

// Settled marks its transactions as those of kv.Settled.
func (r *renewing) Settled() {}

// TestMarkRenewed has the mark of a deletion sealed anew while it goes on: nothing is left of what has ended.
func TestMarkRenewed(t *testing.T) {
	engine := &renewing{}
	f, o, u, _ := ending(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	if left, err := f.DeleteOrg(t.Context(), f.Root, o.ID); err != nil || left != "" {
		t.Errorf("deleting the organisation left %q, %v", left, err)
	}
	if left := leftovers(t, engine, o.ID.String()); len(left) > 0 {
		t.Errorf("left of the organisation: %q", left)
	}
	if err := f.DeleteUser(t.Context(), f.Root, u.ID); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, engine, u.ID.String()); len(left) > 0 {
		t.Errorf("left of the user: %q", left)
	}
	var renewed []string
	engine.once.Range(func(key, _ any) bool { renewed = append(renewed, key.(string)); return true })
	if slices.Sort(renewed); !slices.Equal(renewed, []string{"deleting/org/" + o.ID.String(),
		"deleting/user/" + u.ID.String()}) {
		t.Errorf("renewed were %q", renewed)
	}
}

// holding ends what is held for a deletion when lose is called, as for a server that stood still.
type holding struct{ *renewing }

func (h holding) Hold(ctx context.Context, name string) (context.Context, func(), error) {
	held, release, err := h.renewing.Hold(ctx, name)
	if err != nil || !strings.HasPrefix(name, "deleting/") {
		return held, release, err
	}
	held, h.lose = context.WithCancel(held)
	return held, release, nil
}

// TestHoldIsLost has a server lose its hold in the middle of a deletion, and another one go on with it: who asked hears
// that something is left, and not that nothing is.
func TestHoldIsLost(t *testing.T) {
	engine := holding{&renewing{}}
	f, o, _, _ := ending(t, func(s kv.Store) kv.Store { engine.Store = s; return engine })
	left, err := f.DeleteOrg(t.Context(), f.Root, o.ID)
	if err != nil || !strings.Contains(left, "still being removed") {
		t.Errorf("deleting the organisation left %q, %v", left, err)
	}
	if why := f.Unfinished(); why != "" {
		t.Errorf("it counts as failed: %s", why)
	}
	if err := f.FinishDeletions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t, engine, o.ID.String()); len(left) > 0 {
		t.Errorf("left of the organisation: %q", left)
	}
}
