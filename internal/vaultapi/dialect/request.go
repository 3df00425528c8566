package dialect

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/inflight"
	"strongroom/internal/peer"
)

// Op is what a request wants, whichever of its methods it came by.
type Op string

// The operations. POST and PUT are the same; a list is LIST, or GET with ?list=true.
const (
	Read   Op = "read"
	List   Op = "list"
	Write  Op = "write"
	Patch  Op = "patch"
	Delete Op = "delete"
)

// Request is an HTTP request below /v1/.
type Request struct {
	*http.Request
	ID     string
	Op     Op
	Path   string          // below /v1/, without its escapes
	Token  string          // "" where there is none
	Caller *access.Caller  // nil where nobody is known, which only open paths see
	Share  *inflight.Share // what it holds of the server's memory; nil has no bound
	Raise  string          // the setting that lets longer bodies in; "" where none does for this request

	ctx context.Context
}

// NewRequest makes a request whose work ends with ctx.
func NewRequest(ctx context.Context, r *http.Request, id string, op Op, path string) *Request {
	return &Request{Request: r, ID: id, Op: op, Path: path, Token: tokenOf(r.Header), ctx: ctx}
}

// Context is the context of the work on the request.
func (r *Request) Context() context.Context { return r.ctx }

// Address is the client's address without its port.
func (r *Request) Address() string {
	return peer.Host(r.RemoteAddr)
}

// tokenOf reads X-Vault-Token or, where there is none, Authorization: Bearer, or Token, as InfluxDB's clients have it.
func tokenOf(h http.Header) string {
	if t := h.Get("X-Vault-Token"); t != "" {
		return t
	}
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "Token") {
		return token
	}
	return ""
}

// OpOf tells the operation of a request. It gives an *Error for a method that means nothing here.
func OpOf(r *http.Request) (Op, error) {
	switch r.Method {
	case http.MethodGet:
		asked := r.URL.Query().Get("list")
		if asked == "" {
			return Read, nil
		}
		list, err := strconv.ParseBool(asked)
		if err != nil {
			return "", &Error{Status: http.StatusBadRequest}
		}
		if list {
			return List, nil
		}
		return Read, nil
	case "LIST":
		return List, nil
	case http.MethodPost, http.MethodPut:
		return Write, nil
	case http.MethodPatch:
		return Patch, nil
	case http.MethodDelete:
		return Delete, nil
	case http.MethodHead:
		return "", &Error{Status: http.StatusMethodNotAllowed, Empty: true}
	case http.MethodOptions:
		return "", Unsupported()
	}
	return "", &Error{Status: http.StatusMethodNotAllowed}
}
