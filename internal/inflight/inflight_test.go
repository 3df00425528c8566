package inflight

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/errs"
)

func refused(t *testing.T, s *Share, n int64) {
	t.Helper()
	err := s.More(n)
	if e, ok := err.(*errs.Error); !ok || e.Code != errs.Unavailable || e.RetryAfter == 0 {
		t.Errorf("%d more: %v", n, err)
	}
}

func granted(t *testing.T, s *Share, n int64) {
	t.Helper()
	if err := s.More(n); err != nil {
		t.Errorf("%d more: %v", n, err)
	}
}

func TestBudget(t *testing.T) {
	b := New(100)
	ann, ann2, bob, eve := b.Share("ann"), b.Share("ann"), b.Share("bob"), b.Share("eve")
	granted(t, &ann, 30)
	refused(t, &ann2, 30) // half of it is one caller's, whatever the requests
	granted(t, &ann2, 20)
	refused(t, &bob, 26)
	granted(t, &bob, 25) // half of what is left
	granted(t, &eve, 12)
	refused(t, &eve, 5)
	if err := ann.Hold(10); err != nil || b.Used() != 67 {
		t.Errorf("fewer: %v, %d are used", err, b.Used())
	}
	granted(t, &eve, 5) // what one gives back, others have
	if b.Refused() != 3 || b.Size() != 100 {
		t.Errorf("%d of %d bytes were refused", b.Refused(), b.Size())
	}
	for _, s := range []*Share{&ann, &ann2, &bob, &eve} {
		s.Close()
		s.Close()
	}
	if b.Used() != 0 || len(b.by) != 0 {
		t.Errorf("%d are left, of %v", b.Used(), b.by)
	}
	var none *Budget
	s := none.Share("x")
	granted(t, &s, 1<<60)
	s.Close()
}

// TestNobodyTakesTheLast has many callers hold all that they can: another one finds room.
func TestNobodyTakesTheLast(t *testing.T) {
	b := New(1 << 20)
	var all []Share
	for i := range 10 {
		for {
			s := b.Share(fmt.Sprint(i))
			if s.More(1000) != nil {
				break
			}
			all = append(all, s)
		}
	}
	last := b.Share("last")
	granted(t, &last, 400)
	last.Close()
	for i := range all {
		all[i].Close()
	}
	if b.Used() != 0 {
		t.Errorf("%d are left", b.Used())
	}
}

// TestLargeGoesAlone has one request hold more than there is: others have their half as before.
func TestLargeGoesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100)
		ann, ann2, bob, eve, tom := b.Share("ann"), b.Share("ann"), b.Share("bob"), b.Share("eve"), b.Share("tom")
		granted(t, &ann2, 1)
		refused(t, &ann, 500) // another request of hers holds something
		ann2.Close()
		granted(t, &ann, 5)
		granted(t, &ann, 500)
		granted(t, &ann, 500) // as it grows
		granted(t, &bob, 25)
		refused(t, &bob, 1)
		granted(t, &eve, 12)
		if b.Used() != 1042 {
			t.Errorf("%d are used", b.Used())
		}
		bob.Close()
		eve.Close()

		refused(t, &bob, 500) // one at a time
		refused(t, &eve, 500)
		ann.Close()
		refused(t, &ann, 500) // bob was refused first
		refused(t, &eve, 500)
		granted(t, &bob, 500)
		refused(t, &ann, 500)
		bob.Close()
		time.Sleep(turnKept + time.Second) // ann does not come back
		granted(t, &eve, 500)
		eve.Close()
		granted(t, &tom, 60)
		tom.Close()
		if b.Used() != 0 || len(b.by) != 0 || b.large != 0 {
			t.Errorf("%d are left, of %v", b.Used(), b.by)
		}
	})
}

// TestMiddleSizesGo has what is larger than what would fit, and smaller than half, go beside somebody who holds little.
func TestMiddleSizesGo(t *testing.T) {
	for size := int64(1); size <= 200; size++ {
		b := New(100)
		ann, bob, eve := b.Share("ann"), b.Share("bob"), b.Share("eve")
		granted(t, &ann, 1)
		granted(t, &bob, size)
		if size > 50 {
			refused(t, &eve, 50)
		}
		granted(t, &eve, 12) // and others have room
		for _, s := range []*Share{&ann, &bob, &eve} {
			s.Close()
		}
		if b.Used() != 0 {
			t.Fatalf("%d are left", b.Used())
		}
	}
	b := New(100)
	ann, bob := b.Share("ann"), b.Share("bob")
	granted(t, &ann, 30)
	refused(t, &bob, 40) // nobody takes the last
}

// TestMoreIsGivenBackThanIsHeld gives back what was never held: the bound stays.
func TestMoreIsGivenBackThanIsHeld(t *testing.T) {
	b := New(100)
	s, other := b.Share("ann"), b.Share("ann")
	granted(t, &other, 15)
	granted(t, &s, 1)
	if err := s.More(-30); err != nil || b.Used() != 15 {
		t.Errorf("%d are used, %v", b.Used(), err)
	}
	s.Close()
	other.Close()
	if b.Used() != 0 || len(b.by) != 0 {
		t.Errorf("%d are left, of %v", b.Used(), b.by)
	}
}

// TestScopes has one who may have little read before one who may have all, whose answer is counted as if nobody had.
func TestScopes(t *testing.T) {
	sizes := NewSizes()
	read := func(scope string, size int64) (first int64) {
		t.Helper()
		if err := sizes.Hold(t.Context(), func(n int64) error {
			if first == 0 {
				first = n
			}
			return nil
		}, scope, 0, func() (int64, error) { return size, nil }); err != nil {
			t.Fatal(err)
		}
		return first
	}
	read("org", 10<<20)
	read("org use narrow", 10)
	if n := read("org", 10<<20); n != 10<<20*valuesCost {
		t.Errorf("all that there is counts %d before it is read", n)
	}
	if n := read("org use narrow", 10); n != 10*valuesCost {
		t.Errorf("the little counts %d before it is read", n)
	}
}

// TestStrangers has many who are not known hold all that they can: it is a quarter, and takes nothing from others.
func TestStrangers(t *testing.T) {
	b := New(1 << 20)
	for i := range 100 {
		s := b.Stranger(fmt.Sprint(i))
		for s.More(100) == nil {
		}
	}
	if b.Used() > 1<<18 {
		t.Errorf("strangers hold %d", b.Used())
	}
	one := b.Stranger("another")
	refused(t, &one, 1<<20) // nothing goes alone
	known := b.Share("1")   // of the same name as a network
	granted(t, &known, 1<<18)
}

// TestBudgetIsNeverPassed has many requests at once.
func TestBudgetIsNeverPassed(t *testing.T) {
	b := New(1000)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			for n := range 1000 {
				s := b.Share(string(rune('a' + i%5)))
				if s.More(int64(n%400)) == nil && b.Used() > 1000 {
					t.Error("passed")
				}
				s.Close()
			}
		})
	}
	group.Wait()
	if b.Used() != 0 {
		t.Errorf("%d are left", b.Used())
	}
}
