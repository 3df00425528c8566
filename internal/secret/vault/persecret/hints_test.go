package persecret

import (
	"testing"
	"testing/synctest"
	"time"
)

// A deleted entry is looked at in every list at first, then now and then, and again in every list
// once it was found alive.
func TestHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHints()
		n := hint{1, "a", 3}
		want := func(when string, holds bool) {
			t.Helper()
			if h.holds(n) != holds {
				t.Errorf("%s: the hint holds %v, want %v", when, !holds, holds)
			}
		}
		want("never looked at", false)
		for range 12 {
			h.learn(n, true)
			want("deleted a moment ago", false)
			time.Sleep(unheard / 12)
		}
		h.learn(n, true)
		want("deleted for a while", true)
		if h.holds(hint{1, "a", 4}) || h.holds(hint{2, "a", 3}) {
			t.Error("it holds for another version or organisation")
		}
		time.Sleep(again)
		want("not looked at for a while", false)
		h.learn(n, true)
		want("looked at again", true)
		h.learn(n, false)
		want("found alive", false)
		h.learn(n, true)
		want("deleted anew", false)
	})
}
