package kv_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/kv/kvtest"
)

// TestSettledLostAnswers loses the answer to each kind of transaction, and the caller with it: what
// is told is what is so.
func TestSettledLostAnswers(t *testing.T) {
	put := func(k, v string) kv.Op { return kv.Put(k, []byte(v)) }
	for name, c := range map[string]struct {
		conds []kv.Cond
		ops   []kv.Op
		want  error
	}{
		"a new record":     {[]kv.Cond{kv.Missing("new")}, []kv.Op{put("new", "x")}, nil},
		"with a deletion":  {[]kv.Cond{kv.Missing("new")}, []kv.Op{put("new", "x"), kv.Delete("there")}, nil},
		"deletions alone":  {nil, []kv.Op{kv.Delete("there"), kv.DeletePrefix("below/")}, nil},
		"without any cond": {nil, []kv.Op{put("new", "x")}, nil},
		"a conflict":       {[]kv.Cond{kv.Missing("there")}, []kv.Op{put("new", "x")}, kv.ErrConflict},
	} {
		for way, leaves := range map[string]bool{"the answer": false, "the caller": true} {
			t.Run(name+", "+way, func(t *testing.T) {
				lossy := clustertest.New().Server()
				s := kv.Settled(lossy)
				if _, err := s.Txn(t.Context(), nil, []kv.Op{put("there", "1"), put("below/a", "1")}); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				lossy.Lose(1, func() {
					if leaves {
						cancel()
					}
				})
				rev, err := s.Txn(ctx, c.conds, c.ops)
				if !errors.Is(err, c.want) || err == nil && !lossy.Lost() {
					t.Fatalf("%v, want %v", err, c.want)
				}
				for _, op := range c.ops {
					r, err := s.Get(t.Context(), op.Key)
					switch there := err == nil; {
					case c.want != nil && there, c.want == nil && there != (op.Kind == kv.OpPut):
						t.Errorf("%s is there: %v", op.Key, there)
					case c.want == nil && there && r.Rev != rev:
						t.Errorf("revision %d was told, and it is %d", rev, r.Rev)
					}
				}
			})
		}
	}
}

// TestSettledOvertaken changes what the lost transaction has put before it can be asked for: it is told as a conflict,
// after which its maker reads everything again.
func TestSettledOvertaken(t *testing.T) {
	cluster := clustertest.New()
	lossy, other := cluster.Server(), cluster.Server()
	lossy.Lose(1, func() {
		if _, err := other.Txn(t.Context(), nil, []kv.Op{kv.Put("k", []byte("theirs"))}); err != nil {
			t.Error(err)
		}
	})
	_, err := kv.Settled(lossy).Txn(t.Context(), []kv.Cond{kv.Missing("k")}, []kv.Op{kv.Put("k", []byte("ours"))})
	if !errors.Is(err, kv.ErrConflict) {
		t.Errorf("%v, want %v", err, kv.ErrConflict)
	}
}

// faulty carries out the transaction and says that the disk has failed, as an engine does whose last sync did.
type faulty struct {
	kv.Store
	carryOut bool
}

func (f faulty) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if f.carryOut {
		if _, err := f.Store.Txn(ctx, conds, ops); err != nil {
			return 0, err
		}
	}
	return 0, kv.ErrFault
}

func TestSettledFault(t *testing.T) {
	for _, carriedOut := range []bool{true, false} {
		s := kv.Settled(faulty{clustertest.New().Server(), carriedOut})
		_, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put("k", []byte("v"))})
		if !errors.Is(err, kv.ErrFault) || errors.Is(err, kv.ErrUnknown) != carriedOut {
			t.Errorf("carried out: %v: %v", carriedOut, err)
		}
	}
}

func TestSettledEndedBefore(t *testing.T) {
	s := kv.Settled(clustertest.New().Server())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Txn(ctx, nil, []kv.Op{kv.Put("k", []byte("v"))}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("it was carried out: %v", err)
	}
}

func TestSettledConforms(t *testing.T) {
	kvtest.Test(t, func(t *testing.T) kv.Store { return kv.Settled(clustertest.New().Server()) })
}

// TestEach walks in pages of any size, while the engine fails, and until its caller has enough.
func TestEach(t *testing.T) {
	s := clustertest.New().Server()
	for _, k := range []string{"a/1", "a/2", "a/3", "b/1"} {
		if _, err := s.Txn(t.Context(), nil, []kv.Op{kv.Put(k, nil)}); err != nil {
			t.Fatal(err)
		}
	}
	for page := 1; page < 5; page++ {
		var got []string
		for r, err := range kv.Each(t.Context(), s, "a/", page) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.Key)
		}
		if !slices.Equal(got, []string{"a/1", "a/2", "a/3"}) {
			t.Errorf("by %d: %q", page, got)
		}
	}
	n := 0
	for _, err := range kv.Each(t.Context(), s, "a/", 2) {
		if n++; n == 1 {
			s.Cut()
		}
		if n == 3 && !errors.Is(err, kv.ErrUnavailable) || n != 3 && err != nil {
			t.Errorf("record %d: %v", n, err)
		}
	}
	if n != 3 {
		t.Errorf("%d were given", n)
	}
	s.Heal()
	for range kv.Each(t.Context(), s, "", 1) {
		break
	}
}

// mute is an engine that carries out once and tells nothing, until the try's time is over.
type mute struct {
	kv.Store
	says  error
	tries int
}

func (m *mute) Once([]kv.Cond, []kv.Op) (func(context.Context) (int64, error), func()) {
	return func(ctx context.Context) (int64, error) {
		if m.tries++; m.says != nil {
			return 0, m.says
		}
		<-ctx.Done()
		return 0, fmt.Errorf("%w: %w", kv.ErrUnknown, ctx.Err())
	}, func() {}
}

// TestSettledBound has an engine not tell what became of a transaction: nobody waits for it longer than for one that
// does, and for one that is away not at all.
func TestSettledBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, c := range map[string]struct {
			says error
			most time.Duration
			want error
		}{
			"silent":         {nil, 10 * time.Second, kv.ErrUnknown},
			"refuses":        {kv.ErrUnavailable, 10 * time.Second, kv.ErrUnavailable},
			"away":           {kv.ErrAway, 0, kv.ErrAway},
			"went away":      {fmt.Errorf("%w: %w", kv.ErrUnknown, kv.ErrAway), 0, kv.ErrUnknown},
			"is not reached": {context.DeadlineExceeded, 10 * time.Second, kv.ErrUnavailable},
		} {
			m, began := &mute{says: c.says}, time.Now()
			_, err := kv.Settled(m).Txn(t.Context(), nil, []kv.Op{kv.Put("k", nil)})
			if took := time.Since(began); !errors.Is(err, c.want) || took > c.most || c.most == 0 && m.tries != 1 {
				t.Errorf("%s: after %v and %d tries: %v", what, took, m.tries, err)
			}
		}
	})
}
