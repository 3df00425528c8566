package exchange

import (
	"context"
	"net"
	"net/http"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity/authn"
	"strongroom/internal/peer"
)

// sessionCookie is the name of InfluxDB's cookie.
const sessionCookie = "influxdb-oss-session"

// identify finds out who is asking, from the authorization header or, where there is none, from the session's cookie.
func (s *Server) identify(r *Request) error {
	var p *access.Principal
	var err error
	address := r.Address()
	if token, ok := tokenOf(r.Header); ok {
		p, err = s.Authn.ByTokenFrom(r.Context(), token, address)
	} else if c, cookieErr := r.Cookie(sessionCookie); cookieErr == nil && r.Header.Get("Authorization") == "" {
		p, err = s.bySession(r, c.Value)
	} else {
		err = authn.ErrUnauthorized
	}
	if err != nil {
		return s.turnAway(r.Context(), r.visitor(), p, err)
	}
	r.Caller = &access.Caller{Principal: p, Address: address, RequestID: r.ID}
	return nil
}

// visitor is who makes a request, as far as that is known of anybody.
type visitor struct {
	address, id string
	target      string // what is asked for
	org         id.ID  // of which it is asked for; 0 where that is of none
}

func (r *Request) visitor() visitor {
	v := visitor{address: r.Address(), id: r.ID, target: r.Method + " " + r.Pattern}
	if org, err := r.PathID("orgID"); err == nil {
		v.org = org
	}
	return v
}

func (v visitor) caller(p *access.Principal) *access.Caller {
	return &access.Caller{Principal: p, Address: v.address, RequestID: v.id}
}

// turnAway puts on record that somebody was not let in, with whose the token was where that is known.
func (s *Server) turnAway(ctx context.Context, v visitor, p *access.Principal, why error) error {
	if !errs.Is(why, errs.Unauthorized) && !errs.Is(why, errs.Forbidden) {
		return why
	}
	if p == nil {
		p = &access.Principal{}
	}
	return s.Guard.TurnAway(ctx, v.caller(p), access.Act{Action: "authenticate", Target: v.target, Org: v.org}, why)
}

func (s *Server) bySession(r *Request, token string) (*access.Principal, error) {
	if err := s.sameOrigin(r); err != nil {
		return nil, err
	}
	r.Session = token
	return s.Authn.BySession(r.Context(), token)
}

// sameOrigin refuses what a page of another origin makes a browser send. Requests with a token need no such check: a
// page elsewhere does not have it unless somebody gave it one.
func (s *Server) sameOrigin(r *Request) error {
	if err := s.origin.Check(r.Request); err != nil {
		return errs.Wrap(err, errs.Forbidden, "a page of another origin may not do this; use an API token")
	}
	return nil
}

// refuseRebound refuses to let a page set up a server that listens on this machine alone under a name that is not this
// machine's. A page elsewhere can have its own name lead to 127.0.0.1: it is then of this origin to the browser, and
// would be the first to set a password. Later that gains it nothing: it knows no password, and has no cookie.
func refuseRebound(r *http.Request) error {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if r.Method != http.MethodPost || path != "/setup" && path != "/api/v2/setup" {
		return nil
	}
	if r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" { // no browser
		return nil
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() || namesMachine(r.Host) || peer.ViaOf(r).Proxied {
		return nil
	}
	return errs.New(errs.Forbidden, "a browser may set this server up only as http://localhost:%d, on the server's "+
		"own machine; or use `influx setup` there", local.Port)
}

// namesMachine reports whether the Host header is one that no name server leads elsewhere: localhost or an address.
func namesMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(strings.Trim(host, "[]")) != nil
}

// tokenOf reads "Token x" and "Bearer x", the scheme in any case.
func tokenOf(h http.Header) (string, bool) {
	scheme, token, ok := strings.Cut(h.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Token") && !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	token = strings.TrimSpace(token)
	return token, token != ""
}

// SetCookie hands the session's token to the browser, or takes it away where the token is empty. The cookie has no end
// of its own: the server knows when the session ends.
func (r *Request) SetCookie(w http.ResponseWriter, token string) {
	via := peer.ViaOf(r.Request)
	c := &http.Cookie{Name: sessionCookie, Value: token, Path: via.Base + "/api/", HttpOnly: true,
		Secure: r.server.Secure || via.Secure, SameSite: http.SameSiteStrictMode}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}
