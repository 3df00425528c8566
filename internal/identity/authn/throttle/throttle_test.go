package throttle

import (
	"strings"
	"testing"
	"time"

	"strongroom/internal/errs"
)

func TestThrottle(t *testing.T) {
	now := time.Now()
	th := New(func() time.Time { return now })
	try := func(account, address string, n int) (allowed int) {
		for range n {
			if th.Allow(account, address) == nil {
				allowed++
			}
		}
		return allowed
	}
	if got := try("ann", "192.0.2.1", 50); got != 10 {
		t.Errorf("%d tries of one account at one address were allowed, want 10", got)
	}
	err := th.Allow("ann", "192.0.2.1")
	if e, ok := err.(*errs.Error); !ok || e.Code != errs.TooManyRequests || e.RetryAfter <= 0 {
		t.Errorf("the refusal does not say when to try again: %v", err)
	}
	if got := try("ann", "192.0.2.2", 1); got != 1 {
		t.Error("guessing at one address locks the account out at another")
	}
	now = now.Add(10 * time.Second)
	if got := try("ann", "192.0.2.1", 5); got != 1 {
		t.Errorf("%d tries came back after ten seconds, want 1", got)
	}
	for range 1000 { // good sign-ins cost nothing
		if err := th.Allow("bob", "192.0.2.3"); err != nil {
			t.Fatal(err)
		}
		th.Succeeded("bob", "192.0.2.3")
	}
	many := 0
	for i := range 1000 {
		many += try("eve", "198.51.100."+string(rune('a'+i)), 1)
	}
	if many != 100 {
		t.Errorf("%d tries of one account from many addresses were allowed, want 100", many)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	th := New(time.Now)
	for i := range 3 * maxBudgets {
		_ = th.Allow(strings.Repeat("x", 2000)+string(rune(i)), string(rune(i)))
	}
	if n := len(th.budget); n > maxBudgets+3 {
		t.Errorf("the throttle remembers %d budgets, at most %d are allowed", n, maxBudgets+3)
	}
}
