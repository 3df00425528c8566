package batch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/id"
)

const org id.ID = 1

var (
	errClosed = errors.New("closed")
	errMade   = errors.New("it was made, and this is how it ended")
	errMaybe  = errors.New("it was begun, and may be made")
)

// gated is a queue whose batches wait at a gate, and then answer errMade.
type gated struct {
	*Queue[string]
	gate    chan struct{}
	mu      sync.Mutex
	batches [][]string
}

func newGated(most int) *gated {
	g := &gated{gate: make(chan struct{})}
	g.Queue = New(Config[string]{
		Write: func(_ context.Context, _ id.ID, batch []*Item[string]) []*Item[string] {
			<-g.gate
			n := min(most, len(batch))
			g.mu.Lock()
			g.batches = append(g.batches, Changes(batch[:n]))
			g.mu.Unlock()
			Answer(batch[:n], errMade)
			return batch[n:]
		},
		Context: func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
		Left: func(ctx context.Context, begun bool) error {
			if begun {
				return errMaybe
			}
			return ctx.Err()
		},
		Closed: errClosed,
	})
	return g
}

// start has changes submitted one after the other, each when the one before is in its place.
func (g *gated) start(t *testing.T, ctx context.Context, changes ...string) (outcomes []chan error) {
	for _, c := range changes {
		outcome := make(chan error, 1)
		go func() { outcome <- g.Do(ctx, org, c) }()
		outcomes = append(outcomes, outcome)
		synctest.Wait()
	}
	return outcomes
}

func want(t *testing.T, outcome chan error, err error) {
	t.Helper()
	if got := <-outcome; !errors.Is(got, err) {
		t.Errorf("answered %v, want %v", got, err)
	}
}

// A caller who leaves before his change was begun takes it with him; what was begun is seen through, and its caller
// hears that it was.
func TestLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(10)
		ctx, leave := context.WithCancel(t.Context())
		begun := g.start(t, ctx, "begun")
		waits := g.start(t, ctx, "waits")
		stays := g.start(t, t.Context(), "stays")
		leave()
		want(t, begun[0], errMaybe)
		want(t, waits[0], context.Canceled)
		if n := g.Len(org); n != 1 {
			t.Errorf("%d changes wait, want 1", n)
		}
		close(g.gate)
		want(t, stays[0], errMade)
		if got := slices.Concat(g.batches...); !slices.Equal(got, []string{"begun", "stays"}) {
			t.Errorf("made were %q", got)
		}
		if err := g.Do(ctx, org, "late"); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
	})
}

// An outcome that is known is told, although the context has ended by then.
func TestKnownOutcomeIsTold(t *testing.T) {
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		q := New(Config[string]{
			Write: func(_ context.Context, _ id.ID, batch []*Item[string]) []*Item[string] {
				Answer(batch, errMade)
				cancel()
				return nil
			},
			Context: func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
		})
		if err := q.Do(ctx, org, "a"); err != errMade {
			t.Fatalf("answered %v, want %v", err, errMade)
		}
		q.Close()
	}
}

// Close waits for what is there and refuses what comes.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(1)
		outcomes := g.start(t, t.Context(), "a", "b", "c")
		closed := make(chan struct{})
		go func() {
			g.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Fatal("it has not waited")
		default:
		}
		if err := g.Do(t.Context(), org, "late"); err != errClosed {
			t.Errorf("a late one: %v", err)
		}
		g.Go(org, func(context.Context) error { t.Error("a late job has run"); return nil })
		close(g.gate)
		<-closed
		for _, o := range outcomes {
			want(t, o, errMade)
		}
	})
}

// What waits goes out together up to the next job, which runs alone and in its turn. What a batch leaves comes first in
// the next one, but not where its caller has left.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGated(3)
		ctx, leave := context.WithCancel(t.Context())
		outcomes := g.start(t, t.Context(), "first", "a", "b", "c")
		outcomes = append(outcomes, g.start(t, ctx, "left over")...)
		var order []string
		job := make(chan error, 1)
		go func() {
			job <- g.Alone(t.Context(), org, func(context.Context) error {
				g.mu.Lock()
				defer g.mu.Unlock()
				order = slices.Concat(g.batches...)
				return errMade
			})
		}()
		synctest.Wait()
		outcomes = append(outcomes, g.start(t, t.Context(), "behind")...)
		g.gate <- struct{}{} // the first
		synctest.Wait()
		leave()
		want(t, outcomes[4], errMaybe)
		close(g.gate)
		want(t, job, errMade)
		for _, i := range []int{0, 1, 2, 3, 5} {
			want(t, outcomes[i], errMade)
		}
		if !slices.Equal(order, []string{"first", "a", "b", "c"}) {
			t.Errorf("before the job came %q", order)
		}
		g.Close()
		if len(g.batches) != 3 || !slices.Equal(g.batches[2], []string{"behind"}) {
			t.Errorf("the batches are %q", g.batches)
		}
	})
}

// A batch's reading ends with the last of its callers, not with the first.
func TestWhileAnyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, leaveOne := context.WithCancel(t.Context())
		two, leaveTwo := context.WithCancel(t.Context())
		ctx, stop := WhileAnyWaits(t.Context(), []*Item[int]{{ctx: one}, {ctx: two}})
		defer stop()
		leaveOne()
		synctest.Wait()
		if ctx.Err() != nil {
			t.Error("it has ended while one waits")
		}
		leaveTwo()
		synctest.Wait()
		if ctx.Err() == nil {
			t.Error("it goes on while nobody waits")
		}
	})
}

// TestPanic answers a batch that panics with an error, and goes on with the next.
func TestPanic(t *testing.T) {
	q := New(Config[string]{
		Write: func(_ context.Context, _ id.ID, batch []*Item[string]) []*Item[string] {
			for _, c := range Changes(batch) {
				if c == "bad" {
					panic("a fault of ours")
				}
			}
			Answer(batch, nil)
			return nil
		},
		Context: func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
		Closed:  errClosed,
	})
	defer q.Close()
	for range 3 {
		if err := q.Do(t.Context(), org, "bad"); err == nil || !strings.Contains(err.Error(), "a fault of ours") {
			t.Errorf("a change that panics: %v", err)
		}
		if err := q.Do(t.Context(), org, "good"); err != nil {
			t.Errorf("the next change: %v", err)
		}
	}
}

// TestGather answers several together: the next batch waits until as many have come again, and no longer than a part of
// the time that the last one took.
func TestGather(t *testing.T) {
	for name, c := range map[string]struct {
		again int
		takes time.Duration
	}{
		"all come again": {4, 4 * time.Second}, // two writes
		"some do":        {2, 5 * time.Second}, // and half of one, in vain
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var batches []int
				q := New(Config[string]{
					Write: func(_ context.Context, _ id.ID, batch []*Item[string]) []*Item[string] {
						time.Sleep(2 * time.Second)
						batches = append(batches, len(batch))
						Answer(batch, nil)
						return nil
					},
					Context: func() (context.Context, context.CancelFunc) { return context.WithCancel(t.Context()) },
					Closed:  errClosed, Gather: 0.5,
				})
				first := make(chan error, 1)
				go func() { first <- q.Do(t.Context(), org, "first") }()
				synctest.Wait()
				var all sync.WaitGroup
				for i := range 4 {
					all.Go(func() {
						_ = q.Do(t.Context(), org, "once")
						if i < c.again {
							time.Sleep(time.Duration(i) * time.Millisecond) // one after the other
							_ = q.Do(t.Context(), org, "again")
						}
					})
				}
				want(t, first, nil)
				began := time.Now()
				all.Wait()
				q.Close()
				if !slices.Equal(batches, []int{1, 4, c.again}) {
					t.Errorf("the batches were of %v", batches)
				}
				if took := time.Since(began).Round(time.Second); took != c.takes {
					t.Errorf("they took %v, want %v", took, c.takes)
				}
			})
		})
	}
}
