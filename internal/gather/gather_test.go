package gather

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// wire is a connection that keeps what is written, write by write, until it breaks.
type wire struct {
	net.Conn
	writes []string
	broken error
}

func (w *wire) Write(b []byte) (int, error) {
	if w.broken != nil {
		return 0, w.broken
	}
	w.writes = append(w.writes, string(b))
	return len(b), nil
}

func write(t *testing.T, w *Writes, to net.Conn, text string) {
	t.Helper()
	if n, err := w.Write(to, []byte(text)); n != len(text) || err != nil {
		t.Errorf("%q: %d bytes, %v", text, n, err)
	}
}

// TestBroken has the connection break at each of the writes.
func TestBroken(t *testing.T) {
	broken := errors.New("reset")
	to, w := &wire{broken: broken}, &Writes{}
	if n, err := w.Write(to, []byte("a")); n != 0 || !errors.Is(err, broken) {
		t.Errorf("a write by itself: %d bytes, %v", n, err)
	}
	w.Begin()
	write(t, w, to, "head")
	if n, err := w.Write(to, []byte("rest")); n != 0 || !errors.Is(err, broken) {
		t.Errorf("two together: %d bytes, %v", n, err)
	}
	w.End()
	w.Begin()
	write(t, w, to, "head")
	w.End()
	to.broken = nil
	write(t, w, to, "later")
	if got := strings.Join(to.writes, "|"); got != "later" {
		t.Errorf("after it broke, what was held comes again: %q", got)
	}
}

// TestOrder looks that all that is written arrives, in its order, and nothing is held after End.
func TestOrder(t *testing.T) {
	long := strings.Repeat("x", most+1)
	for name, parts := range map[string][]string{
		"nothing": {}, "one": {"head"}, "two": {"head", "rest"}, "three": {"head", "rest", "more"},
		"four": {"a", "b", "c", "d"}, "a long one": {long}, "a long one first": {long, "a", "b"},
	} {
		to, w := &wire{}, &Writes{}
		write(t, w, to, "before|")
		w.Begin()
		for _, p := range parts {
			write(t, w, to, p)
		}
		w.End()
		write(t, w, to, "|after")
		if got, want := strings.Join(to.writes, ""), "before|"+strings.Join(parts, "")+"|after"; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	var none *Writes
	none.Begin()
	none.End()
	if Of(t.Context()) != nil {
		t.Error("a context of no connection has writes")
	}
	if w := (&Writes{}); Of(In(t.Context(), w)) != w {
		t.Error("a connection's context has other writes than its own")
	}
}

// TestTogether writes to a real connection: what is held goes in front of what comes.
func TestTogether(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan []byte, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			got <- nil
			return
		}
		defer conn.Close()
		all, _ := io.ReadAll(conn)
		got <- all
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	head, rest := bytes.Repeat([]byte("h"), most), bytes.Repeat([]byte("r"), 300<<10)
	w := &Writes{}
	for range 2 {
		w.Begin()
		write(t, w, conn, string(head))
		write(t, w, conn, string(rest))
		w.End()
	}
	conn.Close()
	once := append(bytes.Clone(head), rest...)
	if all := <-got; !bytes.Equal(all, append(bytes.Clone(once), once...)) {
		t.Errorf("%d bytes arrived, or others than were sent", len(all))
	}
}
