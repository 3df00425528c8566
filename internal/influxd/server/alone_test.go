package server

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/background"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
)

// TestAloneCutOff cuts the server that does it off from the data: another goes on at once, and it waits, says so, and
// has its turn again when the other has ended.
func TestAloneCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New()
		one, two := c.Server(), c.Server()
		var said bytes.Buffer
		ctx, end := context.WithCancel(t.Context())
		begun := make(chan string)
		var running sync.WaitGroup
		begin := func(name string, s kv.Store, log slog.Handler) (stop func()) {
			ctx, stop := context.WithCancel(ctx)
			running.Go(func() {
				alone(ctx, s, slog.New(log), "x", func(held context.Context) {
					select {
					case begun <- name:
						<-held.Done()
					case <-held.Done():
					}
				})
			})
			return stop
		}
		begin("one", one, slog.NewTextHandler(&said, nil))
		if by := <-begun; by != "one" {
			t.Errorf("it was begun by %s", by)
		}
		stop := begin("two", two, slog.DiscardHandler)
		one.Cut()
		if by := <-begun; by != "two" {
			t.Errorf("while one is cut off, it was begun by %s", by)
		}
		synctest.Wait()
		one.Heal()
		stop()
		time.Sleep(kv.HoldTime) // of the bubble
		if by := <-begun; by != "one" {
			t.Errorf("when the other has ended, it was begun by %s", by)
		}
		end()
		running.Wait()
		if n := strings.Count(said.String(), "waits for the data"); n != 1 {
			t.Errorf("the log says %d times that it waits:\n%s", n, said.String())
		}
	})
}

// TestAloneLosesHold has the lease end under it: what it did ends, and one of the two does it again.
func TestAloneLosesHold(t *testing.T) {
	c := clustertest.New()
	servers := []*clustertest.Server{c.Server(), c.Server()}
	ctx, end := context.WithCancel(t.Context())
	begun := make(chan *clustertest.Server)
	var running sync.WaitGroup
	var doing sync.Mutex
	for _, s := range servers {
		running.Go(func() {
			alone(ctx, s, slog.New(slog.DiscardHandler), "x", func(held context.Context) {
				select {
				case begun <- s:
				case <-held.Done(): // a hold may come just when nobody waits any more
					return
				}
				doing.Lock() // what is lost ends before long, and another may have begun meanwhile
				defer doing.Unlock()
				<-held.Done()
			})
		})
	}
	for range 5 {
		(<-begun).LoseHolds()
	}
	<-begun
	end()
	running.Wait()
}

// TestAloneLetsGo has what is done under a hold panic: when it is begun again, it does not wait for itself.
func TestAloneLetsGo(t *testing.T) {
	s := clustertest.New().Server()
	log := slog.New(slog.DiscardHandler)
	begun := 0
	background.KeepOn(t.Context(), log, func(ctx context.Context) {
		alone(ctx, s, log, "x", func(context.Context) {
			if begun++; begun == 1 {
				panic("for the test")
			}
		})
	})
	if begun != 2 {
		t.Errorf("it was begun %d times", begun)
	}
}
