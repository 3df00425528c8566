package seen

import (
	"testing"
	"testing/synctest"
	"time"
)

// A deleted entry is looked at in every list at first, then now and then, and again in every list
// once it was found alive.
func TestDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDeleted()
		n := Deletion{1, "a", 3}
		want := func(when string, holds bool) {
			t.Helper()
			if d.Holds(n) != holds {
				t.Errorf("%s: it holds %v, want %v", when, !holds, holds)
			}
		}
		want("never looked at", false)
		for range 12 {
			d.Learn(n, true)
			want("deleted a moment ago", false)
			time.Sleep(unheard / 12)
		}
		d.Learn(n, true)
		want("deleted for a while", true)
		if d.Holds(Deletion{1, "a", 4}) || d.Holds(Deletion{2, "a", 3}) {
			t.Error("it holds for another version or organisation")
		}
		time.Sleep(again)
		want("not looked at for a while", false)
		d.Learn(n, true)
		want("looked at again", true)
		d.Learn(n, false)
		want("found alive", false)
		d.Learn(n, true)
		want("deleted anew", false)
	})
}
