package audit

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnIsWaitedForSoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := newTurn()
		if !turn.take(time.Second) {
			t.Fatal("a free turn was not to be had")
		}
		start := time.Now()
		if turn.take(time.Second) {
			t.Error("taken twice")
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited for %v", waited)
		}
		var got bool
		var wg sync.WaitGroup
		wg.Go(func() { got = turn.take(time.Minute) })
		synctest.Wait()
		turn.giveBack()
		wg.Wait()
		if !got {
			t.Error("it was given back, and the one that waited has not got it")
		}
		if turn.take(time.Second) {
			t.Error("taken twice")
		}
		turn.giveBack()
		if !turn.take(time.Second) {
			t.Error("a turn that was given back was not to be had")
		}
	})
}

// TestTurnsOneByOne has many take turns: nobody does so beside another, and nobody is forgotten.
func TestTurnsOneByOne(t *testing.T) {
	turn := newTurn()
	n := 0
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 500 {
				if !turn.take(time.Minute) {
					t.Error("forgotten")
					return
				}
				n++
				turn.giveBack()
			}
		})
	}
	wg.Wait()
	if n != 32*500 {
		t.Errorf("%d turns of %d counted: some were taken side by side", n, 32*500)
	}
}
