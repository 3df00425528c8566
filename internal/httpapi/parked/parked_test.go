package parked

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// texts is a sender of what it is given.
type texts struct {
	mu   sync.Mutex
	next []string
	over bool
	gone chan struct{}
}

func newTexts() *texts { return &texts{gone: make(chan struct{})} }

func (s *texts) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, text)
}

func (s *texts) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

func (s *texts) Next() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.next, "")
	s.next = nil
	return []byte(all), s.over
}

func (s *texts) Gone() { close(s.gone) }

func lot() *Lot {
	return New(Config{Pulse: []byte("pulse\n"), Every: 15 * time.Second, Write: 30 * time.Second})
}

// answer reads what a parked connection sends as a client of HTTP does.
func answer(t *testing.T, client net.Conn) *bufio.Reader {
	t.Helper()
	head := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
	res, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(head), client)), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return bufio.NewReader(res.Body)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What there is comes when it is woken for it, and a pulse where nothing did; the answer ends as one that is whole.
func TestParked(t *testing.T) {
	for name, ends := range map[string]func(s *texts, c *Conn){
		"by the sender": func(s *texts, c *Conn) { s.end(); c.Wake() },
		"by the time":   func(*texts, *Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				s, begun := newTexts(), time.Now()
				c := lot().Park(server, begun.Add(time.Minute), s)
				r := answer(t, client)
				s.say("one\n")
				c.Wake()
				if got := line(t, r); got != "one\n" || time.Since(begun) != 0 {
					t.Errorf("it was told %q after %v", got, time.Since(begun))
				}
				c.Wake() // for nothing
				if got := line(t, r); got != "pulse\n" || time.Since(begun) != 15*time.Second {
					t.Errorf("it was told %q after %v", got, time.Since(begun))
				}
				s.say("two\n")
				ends(s, c)
				if got := line(t, r); got != "two\n" {
					t.Errorf("it was told %q", got)
				}
				if rest, err := io.ReadAll(r); err != nil || strings.Trim(string(rest), "pulse\n") != "" {
					t.Errorf("the end: %q, %v", rest, err)
				}
				<-s.gone
				c.Wake()
				c.Close()
				synctest.Wait()
			})
		})
	}
}

// A client that leaves, or sends what nobody asked for, ends it.
func TestClientEnds(t *testing.T) {
	for name, end := range map[string]func(net.Conn) error{
		"leaves": net.Conn.Close,
		"sends": func(c net.Conn) error {
			_, err := c.Write(make([]byte, 2*maxAhead))
			if errors.Is(err, io.ErrClosedPipe) {
				return nil
			}
			return errors.New("all of it was taken")
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := net.Pipe()
			s := newTexts()
			lot().Park(server, time.Now().Add(time.Hour), s)
			if err := end(client); err != nil {
				t.Error(err)
			}
			<-s.gone
		})
	}
}

// Those who do not read keep nobody waiting, and are let go.
func TestSlowClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, until := lot(), time.Now().Add(time.Hour)
		var deaf []*texts
		for range 2*workers + 1 { // a pipe has no buffer
			_, server := net.Pipe()
			s := newTexts()
			s.say("lost\n")
			deaf = append(deaf, s)
			l.Park(server, until, s).Wake()
		}
		client, server := net.Pipe()
		s := newTexts()
		s.say("heard\n")
		l.Park(server, until, s).Wake()
		begun := time.Now()
		if got := line(t, answer(t, client)); got != "heard\n" || time.Since(begun) > 3*slow {
			t.Errorf("it was told %q after %v", got, time.Since(begun))
		}
		for _, s := range deaf {
			<-s.gone
		}
		client.Close()
		<-s.gone
		synctest.Wait()
		if l.working != 0 || l.first != nil || l.last != nil {
			t.Errorf("%d are at work, %v and %v wait", l.working, l.first, l.last)
		}
	})
}

// Whoever is woken while it is worked on is asked again; many at once lose nothing.
func TestManyWakes(t *testing.T) {
	l := lot()
	var all sync.WaitGroup
	for range 100 {
		client, server := net.Pipe()
		s := newTexts()
		c := l.Park(server, time.Now().Add(time.Hour), s)
		all.Go(func() {
			for range 20 {
				s.say("x\n")
				c.Wake()
			}
			s.end()
			c.Wake()
		})
		all.Go(func() {
			got, err := io.ReadAll(answer(t, client))
			if err != nil || strings.Count(string(got), "x") != 20 {
				t.Errorf("%q, %v", got, err)
			}
			<-s.gone
		})
	}
	all.Wait()
}
