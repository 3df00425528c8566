package ui

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"strongroom/internal/ui/accounts"
	"strongroom/internal/ui/visit"
)

// gauge counts who is inside at once.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) enter() (leave func()) {
	n := g.now.Add(1)
	for m := g.most.Load(); n > m && !g.most.CompareAndSwap(m, n); m = g.most.Load() {
	}
	return func() { g.now.Add(-1) }
}

// slowPage is what a page of the template error.html shows: it counts how many are made at once.
type slowPage struct{ making *gauge }

// Text is what the page says.
func (p slowPage) Text() template.HTML {
	defer p.making.enter()()
	for range 100 {
		runtime.Gosched()
	}
	return "made"
}

// Again is where it leads to.
func (slowPage) Again() string { return "" }

// Advice is what it says to do.
func (slowPage) Advice() string { return "" }

// Path is where it offers to look.
func (slowPage) Path() string { return "" }

// TestManyPagesAtOnce has one address load a thousand pages at once. Few are worked on, some wait, and all others are
// answered 503 with when to try again. Another address is served meanwhile, and in the end those who waited are. Pages
// are made a few at a time, whoever they are for.
func TestManyPagesAtOnce(t *testing.T) {
	const pages, atOnce, waiting = 1000, 8, 56
	s := newSite(t)
	var working, making gauge
	begun, goOn := make(chan bool, pages), make(chan struct{})
	server, err := visit.New(visit.Config{Authn: s.config.Authn, Directory: s.config.Directory, Files: files,
		SignInAgain: accounts.SignInAgain, Logger: s.config.Logger, Now: s.config.Now},
		visit.Table{"GET /slow": visit.Open(func(v *visit.Visit) (visit.Answer, error) {
			defer working.enter()()
			begun <- true
			if v.Caller.Address == "192.0.2.1" {
				select {
				case <-goOn:
				case <-v.Context().Done():
					return visit.Answer{}, v.Context().Err()
				}
			}
			return visit.Answer{Page: "error.html", Data: slowPage{&making}}, nil
		})})
	s.must(err)
	load := func(ctx context.Context, address string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(ctx, "GET", "/slow", nil)
		r.RemoteAddr = address + ":1"
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		return w
	}
	var all sync.WaitGroup
	answers := make(chan *httptest.ResponseRecorder, pages)
	loading := func(ctx context.Context, n int) {
		for range n {
			all.Go(func() { answers <- load(ctx, "192.0.2.1") })
		}
	}
	leaving, leave := context.WithCancel(t.Context())
	loading(leaving, atOnce)
	for range atOnce {
		<-begun
	}
	loading(t.Context(), pages-atOnce)
	for n := range pages - atOnce - waiting {
		w := <-answers
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" ||
			!strings.Contains(w.Body.String(), "try again in a moment") {
			t.Fatalf("answer %d: %d, %v, %s", n, w.Code, w.Header(), w.Body)
		}
	}
	if n := working.most.Load(); n != atOnce {
		t.Errorf("%d pages were worked on at once", n)
	}
	for range 2 * waiting { // of others
		if w := load(t.Context(), "192.0.2.2"); w.Code != http.StatusOK {
			t.Errorf("another address is answered %d, %s", w.Code, w.Body)
		}
		<-begun
	}
	leave() // their places are for those who wait
	for range atOnce {
		<-answers
		<-begun
	}
	close(goOn)
	all.Wait()
	close(answers)
	codes := map[int]int{}
	for w := range answers {
		codes[w.Code]++
	}
	if fmt.Sprint(codes) != fmt.Sprintf("map[200:%d]", waiting) {
		t.Errorf("those who waited are answered %v", codes)
	}
	if n, most := making.most.Load(), int64(max(1, runtime.GOMAXPROCS(0)-1)); n == 0 || n > most {
		t.Errorf("%d pages were made at once, at most %d may be", n, most)
	}
	if w := load(t.Context(), "192.0.2.2"); w.Code != http.StatusOK {
		t.Errorf("in the end %d, %s", w.Code, w.Body)
	}
}

// stuck is a body that begins and does not go on until it is told to.
type stuck struct {
	begun chan bool
	goOn  chan struct{}
}

// Read waits.
func (s stuck) Read([]byte) (int, error) {
	s.begun <- true
	<-s.goOn
	return 0, io.EOF
}

// TestSlowForms has one address send forms slowly, as many as there are places: others behind the address are served.
func TestSlowForms(t *testing.T) {
	const atOnce = 8
	s := newSite(t)
	quick := visit.Open(func(*visit.Visit) (visit.Answer, error) { return visit.Answer{GoTo: "/"}, nil })
	server, err := visit.New(visit.Config{Authn: s.config.Authn, Directory: s.config.Directory, Files: files,
		SignInAgain: accounts.SignInAgain, Logger: s.config.Logger, Now: s.config.Now},
		visit.Table{"POST /form": quick, "GET /quick": quick})
	s.must(err)
	ask := func(method, path string, body io.Reader) int {
		r := httptest.NewRequestWithContext(t.Context(), method, path, body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = "192.0.2.1:1"
		w := httptest.NewRecorder()
		server.ServeHTTP(w, r)
		return w.Code
	}
	slow := stuck{make(chan bool), make(chan struct{})}
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			if code := ask("POST", "/form", slow); code != http.StatusSeeOther {
				t.Errorf("a form that has come at last: %d", code)
			}
		})
	}
	for range atOnce {
		<-slow.begun
	}
	if code := ask("GET", "/quick", nil); code != http.StatusSeeOther {
		t.Errorf("beside forms that do not come: %d", code)
	}
	close(slow.goOn)
	all.Wait()
}
