package visit

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/peer"
)

// How many pages of one user, or of one address that is not signed in, are worked on at once, and how many more wait.
// A page may wait for Vault: so one user's do not wait for another's, until they are made (Server.making).
const (
	pagesAtOnce  = 8
	pagesWaiting = 56
)

// making is how many pages are made of what was read for them at once: one processor is left for all else.
func making() chan struct{} { return make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)) }

// crowd lets some pages of each caller in at once. The zero value is ready.
type crowd struct {
	mu sync.Mutex
	by map[string]*line
}

// line is one caller's.
type line struct {
	places chan struct{} // one in it for each page that is worked on
	pages  int           // those that wait, too
}

// enter waits for a place. It gives errs.Unavailable where too many wait already, or else ctx's error.
func (c *crowd) enter(ctx context.Context, caller string) (leave func(), err error) {
	c.mu.Lock()
	if c.by == nil {
		c.by = make(map[string]*line)
	}
	l := c.by[caller]
	if l == nil {
		l = &line{places: make(chan struct{}, pagesAtOnce)}
		c.by[caller] = l
	}
	if l.pages == pagesAtOnce+pagesWaiting {
		c.mu.Unlock()
		e := errs.New(errs.Unavailable, "too many of your pages are being loaded; try again in a moment")
		e.RetryAfter = time.Second
		return nil, e
	}
	l.pages++
	c.mu.Unlock()
	gone := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if l.pages--; l.pages == 0 {
			delete(c.by, caller)
		}
	}
	select {
	case l.places <- struct{}{}:
		return sync.OnceFunc(func() {
			<-l.places
			gone()
		}), nil
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}

// enter has the visit worked on in its caller's turn, until it is answered.
func (v *Visit) enter() error {
	who := "of " + peer.Network(v.Caller.Address)
	if v.Session != "" {
		who = v.Caller.UserID.String()
	}
	leave, err := v.server.crowd.enter(v.Context(), who)
	if err != nil {
		v.crowded = true
		return err
	}
	v.leave = leave
	return nil
}

// left says that all the work is done: from here on the answer is sent, for as long as its reader takes.
func (v *Visit) left() {
	if v.leave != nil {
		v.leave()
	}
}

// make has a page made in its turn; false where the time was up before it came, and that is the answer.
func (v *Visit) make(page func()) bool {
	select {
	case v.server.making <- struct{}{}:
	case <-v.Context().Done():
		v.busy("too much is under way just now; load the page again in a moment")
		return false
	}
	defer func() { <-v.server.making }()
	page()
	return true
}

// busy answers without a page that there is no room for one.
func (v *Visit) busy(why string) {
	v.left()
	v.w.Header().Set("Retry-After", "1")
	http.Error(v.w, why, http.StatusServiceUnavailable)
}
