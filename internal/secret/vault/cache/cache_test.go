package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/id"
)

var (
	errOutage = errors.New("outage")
	errOther  = errors.New("refused")
)

// source counts its reads and gives their number.
type source struct {
	reads atomic.Int64
	err   atomic.Pointer[error]
	takes time.Duration
}

func (s *source) read(ctx context.Context, _ id.ID) (int64, error) {
	n := s.reads.Add(1)
	time.Sleep(s.takes)
	if err := s.err.Load(); err != nil {
		return 0, *err
	}
	return n, nil
}

func (s *source) cache(ttl, stale time.Duration, most int) *Cache[id.ID, int64] {
	return New(Config[id.ID, int64]{Read: s.read, TTL: ttl, Stale: stale, Max: most, Outage: func(err error) bool {
		return errors.Is(err, errOutage)
	}})
}

func want(t *testing.T, c *Cache[id.ID, int64], org id.ID, value int64, wantErr error) {
	t.Helper()
	got, err := c.Get(t.Context(), org)
	if got != value || !errors.Is(err, wantErr) {
		t.Errorf("got %d, %v; want %d, %v", got, err, value, wantErr)
	}
}

func TestErrorsAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := s.cache(5*time.Second, 0, 10)
		s.err.Store(&errOther)
		want(t, c, 1, 0, errOther)
		s.err.Store(&errOutage)
		want(t, c, 1, 0, errOutage)
		s.err.Store(nil)
		want(t, c, 1, 3, nil)
		c.Clear()
	})
}

func TestKeptForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := s.cache(5*time.Second, 0, 10)
		want(t, c, 1, 1, nil)
		time.Sleep(4 * time.Second)
		want(t, c, 1, 1, nil)
		time.Sleep(time.Second)
		want(t, c, 1, 2, nil)
		want(t, c, 2, 3, nil) // another organisation
		time.Sleep(time.Minute)
		if n := c.Counts(); n != (Counts{Hits: 1, Misses: 3}) {
			t.Errorf("counts %+v", n)
		}
	})
}

func TestOff(t *testing.T) {
	s := &source{}
	c := s.cache(0, 0, 10)
	want(t, c, 1, 1, nil)
	want(t, c, 1, 2, nil)
}

func TestStaleInAnOutageOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := s.cache(5*time.Second, time.Minute, 10)
		want(t, c, 1, 1, nil)
		time.Sleep(30 * time.Second)
		s.err.Store(&errOutage)
		want(t, c, 1, 1, nil)
		s.err.Store(&errOther)
		want(t, c, 1, 0, errOther)
		c.Drop(1) // a write: the old value must not come back
		s.err.Store(&errOutage)
		want(t, c, 1, 0, errOutage)
		s.err.Store(nil)
		want(t, c, 1, 5, nil)
		s.err.Store(&errOutage)
		time.Sleep(2 * time.Minute)
		want(t, c, 1, 0, errOutage)
	})
}

func TestDropDuringARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: time.Second}
		c := s.cache(time.Hour, 0, 10)
		var wg sync.WaitGroup
		wg.Go(func() { want(t, c, 1, 1, nil) })
		time.Sleep(500 * time.Millisecond)
		c.Drop(1)
		want(t, c, 1, 2, nil) // not the read that began before the write
		wg.Wait()
		want(t, c, 1, 2, nil)
		c.Clear()
	})
}

// A refusal is no outage, and an outage after it does not bring back what was read before.
func TestNotStaleAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := s.cache(time.Second, time.Hour, 10)
		want(t, c, 1, 1, nil)
		time.Sleep(2 * time.Second)
		refused := errors.New("refused")
		s.err.Store(&refused)
		want(t, c, 1, 0, refused)
		s.err.Store(&errOutage)
		want(t, c, 1, 0, errOutage)
		c.Clear()
	})
}

func TestOneReadForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: time.Second}
		c := s.cache(time.Hour, 0, 10)
		gone, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { // who starts the read leaves; the others still get its outcome
			if _, err := c.Get(gone, 1); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who left: %v", err)
			}
		})
		synctest.Wait()
		for range 32 {
			wg.Go(func() { want(t, c, 1, 1, nil) })
		}
		synctest.Wait()
		leave()
		wg.Wait()
		c.Clear()
	})
}

func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		c := s.cache(time.Hour, 0, 3)
		for org := range 100 {
			if _, err := c.Get(t.Context(), id.ID(org+1)); err != nil {
				t.Fatal(err)
			}
		}
		if n := c.Counts().Kept; n != 3 {
			t.Errorf("%d organisations are kept", n)
		}
		c.Clear()
	})
}
