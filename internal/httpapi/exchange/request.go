package exchange

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/inflight"
	"strongroom/internal/peer"
)

// Request is an HTTP request with who makes it.
type Request struct {
	*http.Request
	ID      string
	Caller  *access.Caller // nil where the endpoint is open
	Session string         // the session's token, where the request came with one

	query   url.Values      // nil until it is asked for
	ctx     context.Context // the request's own, with the time that it may take
	maxBody int64
	share   inflight.Share // what it holds of the server's memory
	server  *Server
	waits   bool          // Endpoint.Waits
	worked  time.Duration // how much of its time was not waiting
}

// Context is the context of the work on the request. (http.Request.WithContext would copy all of it to say the same.)
func (r *Request) Context() context.Context { return r.ctx }

// Address is the client's address without its port.
func (r *Request) Address() string { return peer.Host(r.RemoteAddr) }

// Work does some of the work on a request that waits, within the time that a request may take, after the caller has
// been asked for again: one who waited may not be known any more.
func (r *Request) Work(do func() error) error {
	begun, whole := time.Now(), r.ctx
	ctx, cancel := context.WithTimeout(whole, requestTime)
	r.ctx = ctx
	defer func() {
		cancel()
		r.ctx = whole
		r.worked += time.Since(begun)
	}()
	if err := r.server.identify(r); err != nil {
		return err
	}
	return errs.Ended(do(), whole, ctx)
}

// Nobody is the caller before anybody is known.
func (r *Request) Nobody() *access.Caller {
	return &access.Caller{Principal: &access.Principal{}, Address: r.Address(), RequestID: r.ID}
}

// Hold has the request hold so many bytes more of what all may, until it is answered. It gives errs.Unavailable
// where there is no room.
func (r *Request) Hold(bytes int64) error { return r.share.More(bytes) }

// PathID reads an ID from the path.
func (r *Request) PathID(name string) (id.ID, error) { return id.Parse(r.PathValue(name)) }

// Query is what the URL asks for, read once. Nobody may change it.
func (r *Request) Query() url.Values {
	if r.query == nil && r.URL.RawQuery != "" {
		r.query = r.URL.Query()
	}
	return r.query
}

// QueryID reads an optional ID from the query.
func (r *Request) QueryID(name string) (id.ID, error) {
	s := r.Query().Get(name)
	if s == "" {
		return 0, nil
	}
	return id.Parse(s)
}
