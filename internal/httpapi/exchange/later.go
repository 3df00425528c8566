package exchange

import (
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/inflight"
	"strongroom/internal/kv"
)

// Later is what is left of a request whose connection was taken from net/http: who made it, and what it holds of the
// server's memory. Close it.
type Later struct {
	server *Server
	who    visitor
	token  string

	mu     sync.Mutex // of the share: the client may leave while there is work
	share  inflight.Share
	closed bool
}

// CanDetach reports whether the connection can be taken from net/http: it is the request's alone, and an answer whose
// length is not known goes over it in chunks. The answer must say that the connection ends with it.
func (r *Request) CanDetach() bool { return r.ProtoMajor == 1 && r.ProtoMinor == 1 }

// Detach takes the connection of an answer that has begun from net/http, and what the request holds with it. The
// handler must end then. It gives false where that cannot be, and the request is as it was.
func (r *Request) Detach(w http.ResponseWriter) (net.Conn, *Later, bool) {
	token, ok := tokenOf(r.Header)
	if !ok || !r.CanDetach() {
		return nil, nil, false
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, false
	}
	l := &Later{server: r.server, who: r.visitor(), token: strings.Clone(token), share: r.share}
	l.who.address = strings.Clone(l.who.address)
	r.share = inflight.Share{}
	return conn, l, true
}

// Work does some of the work, within the time that a request may take, after it was asked again who the caller is.
func (l *Later) Work(do func(ctx context.Context, c *access.Caller) error) (err error) {
	ctx, cancel := withDeadline(context.Background(), requestTime, &l.share)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			l.server.Logger.Error("work on a request panicked after its handler", "of", l.who.target,
				"request", l.who.id, "panic", p, "stack", string(debug.Stack()))
			err = errs.New(errs.Internal, "an internal error has occurred")
		}
	}()
	p, err := l.server.Authn.ByTokenFrom(ctx, l.token, l.who.address)
	if err != nil {
		return l.server.turnAway(ctx, l.who, p, err)
	}
	return kv.Coded(errs.Ended(do(ctx, l.who.caller(p)), context.Background(), ctx))
}

// Failed writes down why the work ended, where that was a fault of ours.
func (l *Later) Failed(err error) {
	if errs.CodeOf(err) == errs.Internal {
		l.server.Logger.Error("a request failed after its handler", "of", l.who.target, "request", l.who.id,
			"error", err)
	}
}

// Hold has what is left of the request hold so many bytes in all. It gives errs.Unavailable where there is no room.
func (l *Later) Hold(n int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	return l.share.Hold(n)
}

// Close gives back what the request held.
func (l *Later) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.share.Close()
}
