package pause

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/errs"
)

// TestRefused has one client ask again at once on many connections, and another now and then.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New()
		began := time.Now()
		var group sync.WaitGroup
		var mu sync.Mutex
		n := 0
		for range 200 {
			group.Go(func() {
				for time.Since(began) < 10*time.Second {
					if p.Refused(t.Context(), "192.0.2.1", errs.TooManyRequests) {
						t.Error("its connection is closed")
					}
					mu.Lock()
					n++
					mu.Unlock()
					time.Sleep(time.Microsecond)
				}
			})
		}
		for range 10 {
			time.Sleep(time.Second)
			before := time.Now()
			p.Refused(t.Context(), "192.0.2.2", errs.Unauthorized)
			if waited := time.Since(before); waited > 0 {
				t.Errorf("another client waits %v", waited)
			}
		}
		group.Wait()
		if most := int((11*time.Second + ahead) / each); n > most {
			t.Errorf("refused %d times, at most %d", n, most)
		}
		time.Sleep(ahead + longest)
		before := time.Now()
		if p.Refused(t.Context(), "192.0.2.1", errs.Unauthorized); time.Since(before) > 0 {
			t.Error("it waits after it has rested")
		}
	})
}

// TestMany has more wait than may, of many clients: none waits longer than the longest, and the rest are sent away.
func TestMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New()
		var mu sync.Mutex
		var group sync.WaitGroup
		closed := 0
		for i := range 20_000 {
			group.Go(func() {
				before := time.Now()
				if p.Refused(t.Context(), string(rune('a'+i%1000)), errs.Unavailable) {
					mu.Lock()
					closed++
					mu.Unlock()
				}
				if waited := time.Since(before); waited > longest {
					t.Errorf("one waits %v", waited)
				}
			})
		}
		group.Wait()
		if closed < 20_000-int(ahead/ofAll)-waiting-1 || p.waits != 0 {
			t.Errorf("%d are sent away, %d wait still", closed, p.waits)
		}
	})
}

// TestBackAgain has a client ask again and again while the data are away. Once they are back it owes nothing, and nor
// does anybody else.
func TestBackAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := New(), time.Now()
		ended, end := context.WithCancel(t.Context())
		end()
		for range 10_000 {
			p.Refused(ended, "a", errs.Unavailable)
		}
		if c := p.Counts(); c.Waited == 0 || c.AtOnce+c.Waited+c.Closed != 10_000 {
			t.Errorf("while they are away: %+v", c)
		}
		for _, network := range []string{"a", "b"} {
			if p.Refused(t.Context(), network, errs.Unauthorized); time.Since(began) > 0 {
				t.Errorf("%s waits once they are back", network)
			}
		}
	})
}

func TestNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, none, began := New(), (*Pauses)(nil), time.Now()
		ended, end := context.WithCancel(t.Context())
		end()
		for range 10_000 {
			p.Refused(t.Context(), "a", errs.NotFound)
			none.Refused(t.Context(), "a", errs.Unauthorized)
		}
		for range 10_000 {
			p.Refused(ended, "a", errs.Unauthorized)
		}
		if time.Since(began) > 0 {
			t.Error("somebody has waited")
		}
	})
}
