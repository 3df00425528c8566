package gets

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/ranges"
)

// TestQueue has many read at the same time: nobody is answered by a call that began before he came, each gets what he
// asked for as his own, and what comes while calls are under way goes together.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var calls []int
		revision := int64(0)
		q := New(func(spans []Span) (answers []ranges.Answer, err error) {
			mu.Lock()
			calls = append(calls, len(spans))
			revision++
			rev := revision
			mu.Unlock()
			time.Sleep(time.Second)
			for _, s := range spans {
				answers = append(answers, ranges.Answer{Rev: rev,
					Found: []*mvccpb.KeyValue{{Key: []byte(s.From), Value: []byte(s.From + "-" + s.To),
						ModRevision: rev}}})
			}
			return answers, nil
		}, time.Hour)
		var all sync.WaitGroup
		read := func(s Span) {
			all.Go(func() {
				mu.Lock()
				before := revision
				mu.Unlock()
				a, err := q.Read(t.Context(), s)
				if err != nil || string(a.Found[0].Value) != s.From+"-"+s.To || a.Rev <= before {
					t.Errorf("%v: %v, %v, and revision %d was there before", s, a, err, before)
					return
				}
				a.Found[0].Value[0] = '!' // it is his
			})
		}
		for i := range maxCalls { // as many calls as there may be
			read(Span{From: fmt.Sprint("first", i)})
			synctest.Wait()
		}
		for i := range 100 {
			read(Span{From: fmt.Sprint("key", i%50)})
			read(Span{From: fmt.Sprint("key", i%50), To: "range"})
		}
		all.Wait()
		total := 0
		for _, n := range calls {
			total += n
			if n > maxReads {
				t.Errorf("a call is of %d", n)
			}
		}
		if len(calls) > maxCalls+4 || total < maxCalls+100 {
			t.Errorf("the calls were of %v", calls)
		}
	})
}

// TestQueueFails has a call fail, and a reader leave before he is answered.
func TestQueueFails(t *testing.T) {
	failure := errors.New("it fails")
	begun, goOn := make(chan struct{}, 1), make(chan struct{})
	q := New(func([]Span) ([]ranges.Answer, error) {
		begun <- struct{}{}
		<-goOn
		return nil, failure
	}, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := q.Read(ctx, Span{From: "a"})
		left <- err
	}()
	<-begun
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left heard %v", err)
	}
	close(goOn)
	if _, err := q.Read(t.Context(), Span{From: "a"}); !errors.Is(err, failure) {
		t.Errorf("a call that fails: %v", err)
	}
}

// TestQueuePatience has calls take as long as a reader waits at most: who comes while they go on waits no longer than
// that all the same.
func TestQueuePatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patience = 5 * time.Second
		q := New(func(spans []Span) ([]ranges.Answer, error) {
			time.Sleep(patience)
			return make([]ranges.Answer, len(spans)), nil
		}, patience)
		var all sync.WaitGroup
		for i := range 4 * maxCalls {
			all.Go(func() {
				began := time.Now()
				_, err := q.Read(t.Context(), Span{From: fmt.Sprint(i)})
				if err != nil && !errors.Is(err, kv.ErrUnavailable) || time.Since(began) > patience {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
			synctest.Wait()
			time.Sleep(time.Second)
		}
		all.Wait()
		q.Wait()
	})
}

// TestQueueWait waits for a call whose reader has left.
func TestQueueWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called := false
		q := New(func(spans []Span) ([]ranges.Answer, error) {
			time.Sleep(time.Minute)
			called = true
			return make([]ranges.Answer, len(spans)), nil
		}, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := q.Read(ctx, Span{From: "a"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who left heard %v", err)
		}
		if q.Wait(); !called {
			t.Error("a call is under way")
		}
	})
}
