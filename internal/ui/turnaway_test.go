package ui

import (
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/pause"
)

// TestStrangersArePaused counts the visits of those who are not signed in for whether they are to wait, and no others.
func TestStrangersArePaused(t *testing.T) {
	s, b := setUp(t)
	pauses := pause.New()
	var away error
	s.change(func(c *Config) { c.Pauses, c.Data = pauses, func() error { return away } })
	counted := func() uint64 {
		c := pauses.Counts()
		return c.AtOnce + c.Waited + c.Closed
	}
	for _, path := range []string{"/", "/orgs", s.at("/secrets"), "/docs"} {
		b.get(path)
	}
	if n := counted(); n != 0 {
		t.Errorf("%d visits of somebody who is signed in are counted", n)
	}
	stranger := s.anonymous()
	for n, path := range []string{"/", "/signin", "/orgs", "/arrive", "/nowhere"} {
		stranger.get(path)
		if counted() != uint64(n+1) {
			t.Errorf("after %s, %d visits of a stranger are counted", path, counted())
		}
	}
	stranger.post("/signin", form("username", "nobody", "password", "x"))
	if counted() != 6 {
		t.Errorf("a sign-in that fails is counted as %d", counted()-5)
	}
	stranger.get("/static/app.css")
	if counted() != 6 {
		t.Error("a style sheet is counted")
	}
	// Whose session cannot be read owes nothing once it can be: that is counted apart.
	away = kv.ErrUnavailable
	s.logins.Forget()
	b.get("/orgs").wants(t, 503)
	if counted() != 7 {
		t.Errorf("%d are counted", counted())
	}
}
