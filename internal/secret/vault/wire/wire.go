// Package wire is how requests get to Vault: it finds out connections that have died without a word, reads answers
// whole, and follows the files of certificates. It knows nothing of what is asked.
package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/pemfile"
	"strongroom/internal/tracing"
)

// maxAnswer bounds what is read of an answer: the largest entry that Vault takes by default, in its longest JSON form.
const maxAnswer = 256 << 20

// Wire is an http.RoundTripper. It reads an answer whole, so that one that is cut off is a failure of the request and
// not of who reads it. Where nothing is heard for a while, the connections are given up: later requests go out on new
// ones. So they do where a certificate's file has changed. Its fields are set before it is used.
type Wire struct {
	Base *http.Transport // what connections are made with; it makes none itself
	// Pair is the client's certificate, and Pool the authorities; nil where they are not from files.
	Pair, Pool *pemfile.Follower
	Patience   time.Duration // after which silence is looked into
	Doubt      func()        // is told of it

	usual    atomic.Int64 // how long the last answer took, in nanoseconds, where that was longer than Patience
	mu       sync.Mutex
	line     *line
	suspects []*line // on which nothing was heard for a while
}

// line are connections that stand or fall together.
type line struct {
	*http.Transport
	versions [2]int       // of the files that it was made with
	heard    atomic.Int64 // when something came back last, in nanoseconds since 1970
	under    atomic.Int64 // requests under way
	retired  atomic.Bool
	dead     context.Context // ends when others, made later, were answered and this never was again
	kill     context.CancelFunc
}

type fresh struct{}

// Fresh has the requests of a context go out on connections of their own.
func Fresh(ctx context.Context) context.Context { return context.WithValue(ctx, fresh{}, true) }

// errDead ends a request on a connection that has died without a word.
var errDead = errors.New("the connection does not answer while new ones do")

type patient struct{}

// Operation is a context for the requests of one operation, of which one at most is sent again since its connection was
// taken for dead: the next slow answer is waited for.
func Operation(ctx context.Context) context.Context {
	return context.WithValue(ctx, patient{}, new(atomic.Bool))
}

// RoundTrip implements http.RoundTripper.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	r = tracing.Outgoing(r)
	if r.Context().Value(fresh{}) != nil {
		l := w.make()
		defer l.CloseIdleConnections()
		return whole(l.RoundTrip(r))
	}
	l := w.now()
	l.under.Add(1)
	defer l.done()
	began := time.Now()
	// What comes back to others says nothing of a connection that is this request's alone.
	var alone atomic.Bool
	silent := func() bool { return alone.Load() || l.heard.Load() < began.UnixNano() }
	timer := time.AfterFunc(max(w.Patience, 2*time.Duration(w.usual.Load())), func() {
		if silent() {
			w.suspect(l)
		}
	})
	defer timer.Stop()
	ctx, cancel := context.WithCancelCause(httptrace.WithClientTrace(r.Context(),
		&httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
			secure, is := c.Conn.(*tls.Conn)
			alone.Store(c.Reused && !(is && secure.ConnectionState().NegotiatedProtocol == "h2"))
		}}))
	defer cancel(nil)
	// Only what reads is given up: a write that is slow must not begin again and again.
	if waited, ok := ctx.Value(patient{}).(*atomic.Bool); ok && reads(r) && !waited.Load() {
		defer context.AfterFunc(l.dead, func() {
			if silent() {
				waited.Store(true)
				cancel(errDead)
			}
		})()
	}
	resp, err := l.RoundTrip(r.WithContext(ctx))
	if err == nil {
		l.heard.Store(time.Now().UnixNano())
		// A Vault that is slow, as one may be, is not taken for dead again at each request.
		switch took := time.Since(began); {
		case took > w.Patience:
			w.usual.Store(int64(took))
		case took < w.Patience/2:
			w.usual.Store(0)
		}
	}
	resp, err = whole(resp, err)
	if err != nil && context.Cause(ctx) == errDead && r.Context().Err() == nil {
		err = errDead
	}
	return resp, err
}

// reads reports whether a request changes nothing.
func reads(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == "LIST"
}

// whole reads an answer to its end.
func whole(resp *http.Response, err error) (*http.Response, error) {
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer was cut off: %w", err)
	case len(body) > maxAnswer:
		return nil, errors.New("the answer is longer than any entry")
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// now are the connections for the next request.
func (w *Wire) now() *line {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.line == nil || w.line.versions != w.versions() {
		w.replace()
	}
	return w.line
}

// Files returns the followers of the files that the connection is made with.
func (w *Wire) Files() (all []*pemfile.Follower) {
	for _, f := range []*pemfile.Follower{w.Pair, w.Pool} {
		if f != nil {
			all = append(all, f)
		}
	}
	return all
}

func (w *Wire) versions() (v [2]int) {
	for i, f := range w.Files() {
		_, _, v[i] = f.Get()
	}
	return v
}

// replace has later requests use new connections. The lock is held.
func (w *Wire) replace() {
	if w.line != nil {
		w.line.retired.Store(true)
		w.line.CloseIdleConnections()
	}
	w.line = w.make()
}

// TLS is what the next connection is secured with.
func (w *Wire) TLS() *tls.Config { return w.now().TLSClientConfig.Clone() }

func (w *Wire) make() *line {
	l := &line{Transport: w.Base.Clone(), versions: w.versions()}
	if w.Pool != nil {
		_, l.TLSClientConfig.RootCAs, _ = w.Pool.Get()
	}
	if w.Pair != nil {
		l.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, _, _ := w.Pair.Get()
			return pair, nil
		}
	}
	l.dead, l.kill = context.WithCancel(context.Background())
	return l
}

// suspect gives connections up on which nothing is heard, and has Vault looked for.
func (w *Wire) suspect(l *line) {
	w.mu.Lock()
	if w.line == l {
		w.replace()
	}
	if !slices.Contains(w.suspects, l) {
		w.suspects = append(w.suspects, l)
	}
	w.mu.Unlock()
	w.Doubt()
}

// Answered is told that Vault answers on new connections. Those that are silent still are dead.
func (w *Wire) Answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.suspects {
		l.kill()
	}
	w.suspects = nil
}

// Drop has later requests use new connections, since those there are have failed.
func (w *Wire) Drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.line != nil {
		w.replace()
	}
}

// Close ends the connections that are not in use.
func (w *Wire) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.line != nil {
		w.line.CloseIdleConnections()
	}
}

func (l *line) done() {
	if l.under.Add(-1) == 0 && l.retired.Load() {
		l.CloseIdleConnections()
	}
}

// ThroughProxy reports whether requests to the URL go through a proxy.
func (w *Wire) ThroughProxy(u *url.URL) bool {
	if w.Base.Proxy == nil {
		return false
	}
	proxy, err := w.Base.Proxy(&http.Request{URL: u})
	return err != nil || proxy != nil
}
