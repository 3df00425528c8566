package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/kv/kvtest"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// slow is an engine that counts how many reads go on at the same time.
type slow struct {
	kv.Store
	now, most atomic.Int64
}

func (s *slow) Get(ctx context.Context, key string) (kv.Record, error) {
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	time.Sleep(5 * time.Millisecond)
	return s.Store.Get(ctx, key)
}

// TestReadAhead asks a far engine at the same time for what a change reads, and one in the process after each other.
func TestReadAhead(t *testing.T) {
	for _, far := range []bool{true, false} {
		engine := &slow{Store: openKV(t)}
		s := newStore(t, engine, keyFile(t))
		s.far = far
		engine.most.Store(0)
		change := secret.Change{Set: map[string]secret.Value{"a": secret.NewValue([]byte("1")),
			"b": secret.NewValue([]byte("2"))}}
		if _, err := s.Apply(t.Context(), id.ID(1), change); err != nil {
			t.Fatal(err)
		}
		if most := engine.most.Load(); far != (most > 1) {
			t.Errorf("far %v: at most %d reads went on at a time", far, most)
		}
	}
}

// TestReadsGoTogether reads many secrets, and what is known of deleted ones, from a far engine, which answers none of
// the reads before it has been asked for as many as there can be at a time.
func TestReadsGoTogether(t *testing.T) {
	engine := &kvtest.Gathering{Store: openKV(t)}
	s := newStore(t, engine, keyFile(t))
	const org, page = id.ID(1), content.Page
	change := secret.Change{Set: make(map[string]secret.Value)}
	var names []string
	for i := range 8 * page {
		names = append(names, fmt.Sprintf("name-%03d", i))
		change.Set[names[i]] = secret.NewValue([]byte(names[i]))
	}
	some, gone := names[:2*page], names[2*page:4*page]
	for _, c := range []secret.Change{change, {Delete: gone}} {
		if _, err := s.Apply(t.Context(), org, c); err != nil {
			t.Fatal(err)
		}
	}
	s.far = true
	ways := []struct {
		name string
		many int
		read func() (n int, err error)
		want int
	}{
		{"values", 2 * page, func() (int, error) {
			snap, err := s.Read(t.Context(), org, secret.Query{Keys: some, Versions: true})
			for name, one := range snap.Secrets {
				if !one.Value.Equal(secret.NewValue([]byte(name))) || one.Version != 1 {
					t.Errorf("%q has version %d, or another's value", name, one.Version)
				}
			}
			return len(snap.Secrets), err
		}, 2 * page},
		{"values alone", page, func() (int, error) {
			snap, err := s.Read(t.Context(), org, secret.Query{Keys: some})
			return len(snap.Secrets), err
		}, 2 * page},
		{"one value", 2, func() (int, error) {
			snap, err := s.Read(t.Context(), org, secret.Query{Keys: some[1:2], Versions: true})
			return len(snap.Secrets), err
		}, 1},
		{"infos of some", page, func() (int, error) {
			infos, err := s.Infos(t.Context(), org, secret.Page{Want: func(key string) bool { return key < names[page] }})
			return len(infos), err
		}, page},
		{"deleted", 2 * page, func() (int, error) {
			infos, err := s.Deleted(t.Context(), org, secret.Page{})
			return len(infos), err
		}, 2 * page},
		{"info", 2, func() (int, error) {
			info, err := s.Info(t.Context(), org, some[0])
			return len(info.Versions), err
		}, 1},
	}
	for _, way := range ways {
		engine.Want(way.many, func(key string) bool { return key != records.Head(org) })
		if n, err := way.read(); n != way.want || err != nil {
			t.Errorf("%s: %d, %v; %d are wanted", way.name, n, err, way.want)
		}
	}
	engine.Want(0, nil)
	engine.Fail(kv.ErrUnavailable)
	for _, way := range ways {
		if n, err := way.read(); n != 0 || !errors.Is(err, kv.ErrUnavailable) {
			t.Errorf("%s of an engine that cannot serve: %d, %v", way.name, n, err)
		}
	}
}

// distant is an engine for which each read takes a second.
type distant struct{ kv.Store }

func (d distant) Get(ctx context.Context, key string) (kv.Record, error) {
	time.Sleep(time.Second)
	return d.Store.Get(ctx, key)
}

func (d distant) List(ctx context.Context, prefix, after string, limit int) ([]kv.Record, error) {
	time.Sleep(time.Second)
	return d.Store.List(ctx, prefix, after, limit)
}

// TestManyNames asks for many names of which there is nothing, between others: a distant engine is asked for many at a
// time, and not for each and what else it could have left behind, nor for all that there is.
func TestManyNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, distant{clustertest.New().Server()}, keyFile(t))
		s.far = true
		org := id.ID(1)
		if _, err := s.Apply(t.Context(), org, secret.Change{Set: map[string]secret.Value{
			"a": secret.NewValue([]byte("1")), "n0150+": secret.NewValue([]byte("2")),
			"z": secret.NewValue([]byte("3"))}}); err != nil {
			t.Fatal(err)
		}
		var names []string
		set := make(map[string]secret.Value)
		for i := range 300 {
			names = append(names, fmt.Sprintf("n%04d", i))
			set[fmt.Sprintf("m%04d", i)] = secret.NewValue([]byte("x"))
		}
		for what, do := range map[string]func() error{
			"delete": func() error {
				_, err := s.Apply(t.Context(), org, secret.Change{Delete: names})
				return err
			},
			"set": func() error {
				_, err := s.Apply(t.Context(), org, secret.Change{Set: set})
				return err
			},
			"read": func() error {
				got, err := s.Read(t.Context(), org, secret.Query{Keys: append(names, "n0150+"), Versions: true})
				if err == nil && (len(got.Secrets) != 1 || string(got.Secrets["n0150+"].Value.Bytes()) != "2") {
					t.Errorf("read: %v", got.Secrets)
				}
				return err
			},
		} {
			began := time.Now()
			if err := do(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if took := time.Since(began); took > time.Duration(len(names)/4)*time.Second {
				t.Errorf("%s: %v of reads that each take a second", what, took)
			}
		}
		s.Close()
	})
}
