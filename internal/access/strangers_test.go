package access

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"strongroom/internal/audit"
)

// kept is a log in memory.
type kept struct {
	mu      sync.Mutex
	entries []audit.Entry
}

func (k *kept) Record(_ context.Context, e audit.Entry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.entries = append(k.entries, e)
	return nil
}

// TestStrangersAreCounted: however often they are refused, few lines are written, and the lines account for all of it.
func TestStrangersAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &kept{}
		s := newStrangers(log)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.run(ctx); close(done) }()
		const each, minutes = 5_000, 3
		for range minutes {
			for i := range each {
				for _, e := range []audit.Entry{
					{Address: "203.0.113.9", Action: "setup", Code: "conflict"},
					{Address: "203.0.113.9", Action: "signin", User: fmt.Sprint("user", i), Code: "too many requests"},
					{Address: "198.51.100.1", Action: "authenticate", UserID: "031c8cbefe101000", Code: "unauthorized"},
					{Address: fmt.Sprintf("2001:db8:0:%x::1", i), Action: "authenticate", Code: "unauthorized"},
				} {
					if err := s.refused(t.Context(), e); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(time.Minute)
		}
		stop()
		<-done
		if n := len(log.entries); n > strangersAtOnce+minutes*(60*strangersSecond+maxStrangers+8) {
			t.Errorf("%d lines of %d refusals", n, 4*each*minutes)
		}
		told := make(map[string]int)
		for _, e := range log.entries {
			if e.Outcome != audit.Denied {
				t.Fatalf("outcome %q", e.Outcome)
			}
			if e.Repeated > 0 && e.User != "" {
				t.Errorf("a name that somebody gave stands for others: %+v", e)
			}
			told[e.Action+e.UserID] += max(1, e.Repeated)
		}
		for _, what := range []string{"setup", "signin", "authenticate031c8cbefe101000", "authenticate"} {
			if told[what] != each*minutes {
				t.Errorf("%s: the lines tell of %d, want %d", what, told[what], each*minutes)
			}
		}
	})
}
