package service_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/id"
	"strongroom/internal/inflight"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
)

// large has more than a budget holds in each of its lists, and counts how many are read at once.
type large struct {
	secret.Store
	all      []secret.Info
	at, most atomic.Int64
}

func newLarge(s secret.Store) *large {
	l := &large{Store: s, all: make([]secret.Info, 50_000)}
	for i := range l.all {
		l.all[i].Key = fmt.Sprint("name ", i)
	}
	return l
}

func (l *large) list(p secret.Page) ([]secret.Info, error) {
	if p.Limit == 1 {
		return []secret.Info{{Key: "a"}}, nil
	}
	if p.After != "" {
		return nil, nil
	}
	n := l.at.Add(1)
	for m := l.most.Load(); n > m && !l.most.CompareAndSwap(m, n); m = l.most.Load() {
	}
	time.Sleep(time.Second)
	l.at.Add(-1)
	return slices.Clone(l.all), nil
}

func (l *large) Infos(_ context.Context, _ id.ID, p secret.Page) ([]secret.Info, error) {
	return l.list(p)
}
func (l *large) Deleted(_ context.Context, _ id.ID, p secret.Page) ([]secret.Info, error) {
	return l.list(p)
}

// TestASmallPageIsNoMeasure has somebody ask for next to nothing, in each way, and then for all, many times at once:
// that is read as if nobody knew how much it is.
func TestASmallPageIsNoMeasure(t *testing.T) {
	f := open(t, secret.Limits{})
	for _, small := range []secret.Page{{Limit: 1}, {Limit: 1_000_000_000, After: "zz"}, {After: "zz"},
		{Limit: 1_000_000_000, After: "zz", Before: time.Now()}} {
		for _, all := range []secret.Page{{}, {Limit: 1_000_000_000}, {Limit: 1_000_000_000, Before: time.Now()}} {
			for _, list := range []string{"Infos", "Deleted"} {
				t.Run(fmt.Sprintf("%s %+v %+v", list, small, all), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						l := newLarge(f.store)
						s := service.New(l, access.NewGuard(silent{}), orgs(org), nil, secret.Limits{})
						read, budget := s.Infos, inflight.New(32<<20)
						if list == "Deleted" {
							read = s.Deleted
						}
						ask := func(p secret.Page) {
							share := budget.Share("anna")
							defer share.Close()
							ctx := inflight.In(t.Context(), &share)
							_, _ = read(ctx, caller(may(access.Read, "")), org, p)
						}
						ask(small)
						var asking sync.WaitGroup
						for range 50 {
							asking.Go(func() { ask(all) })
						}
						asking.Wait()
						if n := l.most.Load(); n > 2 {
							t.Errorf("%d are read at once", n)
						}
						if n := budget.Used(); n != 0 {
							t.Errorf("%d bytes are left", n)
						}
					})
				})
			}
		}
	}
}

// TestPagesAreReadAtOnce has many ask for small pages where nobody has asked for all: none waits.
func TestPagesAreReadAtOnce(t *testing.T) {
	f := open(t, secret.Limits{})
	synctest.Test(t, func(t *testing.T) {
		l := newLarge(f.store)
		s := service.New(l, access.NewGuard(silent{}), orgs(org), nil, secret.Limits{})
		var asking sync.WaitGroup
		for range 20 {
			asking.Go(func() { _, _ = s.Infos(t.Context(), caller(may(access.Read, "")), org, secret.Page{Limit: 500}) })
		}
		asking.Wait()
		if n := l.most.Load(); n != 20 {
			t.Errorf("%d of 20 pages are read at once", n)
		}
	})
}

// moving renames a secret after each list that it gives.
type moving struct {
	secret.Store
	rename func()
}

func (m moving) Infos(ctx context.Context, o id.ID, p secret.Page) ([]secret.Info, error) {
	infos, err := m.Store.Infos(ctx, o, p)
	m.rename()
	return infos, err
}

// TestAPageOfDueSecretsIsOfOneMoment has the one secret that is due be renamed to a name that has been looked at.
func TestAPageOfDueSecretsIsOfOneMoment(t *testing.T) {
	f := open(t, secret.Limits{})
	set := secret.Change{Set: map[string]secret.Value{}}
	for i := range 600 {
		set.Set[fmt.Sprintf("k%04d", i)] = secret.NewValue([]byte("x"))
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := f.store.Apply(t.Context(), org, set)
	must(err)
	at := time.Now().Add(time.Hour)
	must(f.store.Describe(t.Context(), org, "k0599", secret.Description{Expires: at}))
	from, to := "k0599", "a"
	s := service.New(moving{f.store, func() {
		_, err := f.store.Apply(t.Context(), org, secret.Change{Set: values(to, "x"), Delete: []string{from},
			Moved: map[string]string{to: from}})
		must(err)
		from, to = to, from
	}}, access.NewGuard(f.trail), orgs(org), nil, secret.Limits{})
	for _, limit := range []int{0, 1, 10, 1000, 1_000_000_000} {
		infos, err := s.Infos(t.Context(), caller(may(access.Read, "")), org,
			secret.Page{Limit: limit, Before: at.Add(time.Hour)})
		if err != nil || len(infos) != 1 {
			t.Errorf("with a limit of %d there are %+v, %v; want one", limit, infos, err)
		}
	}
}

// silent keeps no record, and may be used by many.
type silent struct{}

func (silent) Record(context.Context, audit.Entry) error { return nil }
