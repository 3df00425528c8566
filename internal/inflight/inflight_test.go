package inflight

import (
	"sync"
	"testing"

	"strongroom/internal/errs"
)

func TestBudget(t *testing.T) {
	b := New(100)
	refused := func(s *Share, n int64) {
		t.Helper()
		err := s.More(n)
		if e, ok := err.(*errs.Error); !ok || e.Code != errs.Unavailable || e.RetryAfter == 0 {
			t.Errorf("%d more: %v", n, err)
		}
	}
	granted := func(s *Share, n int64) {
		t.Helper()
		if err := s.More(n); err != nil {
			t.Errorf("%d more: %v", n, err)
		}
	}
	ann, ann2, bob, eve := b.Share("ann"), b.Share("ann"), b.Share("bob"), b.Share("eve")
	granted(&ann, 30)
	refused(&ann2, 30) // half of it is one caller's, whatever the requests
	granted(&ann2, 20)
	granted(&bob, 45)
	refused(&eve, 10)
	granted(&eve, 5)
	if err := ann.Hold(10); err != nil || b.Used() != 80 {
		t.Errorf("fewer: %v, %d are used", err, b.Used())
	}
	refused(&ann2, 500) // not alone: another request of hers holds something
	if b.Refused() != 3 || b.Size() != 100 {
		t.Errorf("%d of %d bytes were refused", b.Refused(), b.Size())
	}
	bob.Close()
	eve.Close()
	granted(&bob, 5)
	granted(&bob, 500) // alone
	refused(&eve, 1)
	for _, s := range []*Share{&ann, &ann2, &bob, &eve} {
		s.Close()
		s.Close()
	}
	if b.Used() != 0 || len(b.by) != 0 {
		t.Errorf("%d are left, of %v", b.Used(), b.by)
	}
	var none *Budget
	s := none.Share("x")
	granted(&s, 1<<60)
	s.Close()
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
