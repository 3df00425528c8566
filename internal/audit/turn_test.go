package audit

import (
	"sync"
	"sync/atomic"
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

// TestTurnComesRound has others take turn after turn: whoever waits gets one all the same.
func TestTurnComesRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := newTurn()
		var done atomic.Bool
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for !done.Load() {
					if !turn.take(time.Minute) {
						t.Error("not to be had")
						return
					}
					time.Sleep(time.Millisecond)
					turn.giveBack()
				}
			})
		}
		time.Sleep(time.Millisecond / 2)
		for range 100 {
			start := time.Now()
			if !turn.take(5 * time.Second) {
				t.Error("others took it all the time")
				break
			}
			if waited := time.Since(start); waited > 2*patience {
				t.Errorf("waited for %v", waited)
			}
			turn.giveBack()
			time.Sleep(time.Millisecond / 2)
		}
		done.Store(true)
		wg.Wait()
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
