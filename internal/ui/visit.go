package ui

import (
	"context"
	"errors"
	"mime"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/ui/words"
)

// visit is one request with who makes it.
type visit struct {
	*http.Request
	w       http.ResponseWriter
	ui      *UI
	caller  *access.Caller // without permissions where nobody is signed in
	session string
	live    bool // app.js sent the form, and keeps the page where it is refused
	id      string

	org     id.ID
	orgName string
}

// answer is what a handler wants shown.
type answer struct {
	page   string // a template's name
	title  string
	data   any
	status int    // 200 where 0
	goTo   string // a path to redirect to instead
	note   string // what the page redirected to says first
}

// route serves one pattern.
type route struct {
	ui   *UI
	do   handler
	open bool
}

// policy is what a page may load and do. There is no inline script or style, and nothing comes from elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func setHeaders(h http.Header, secure bool) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-write=(self), clipboard-read=()")
	h.Set("Cache-Control", "no-store")
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// ServeHTTP answers one request.
func (u *UI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header(), u.Secure)
	u.mux.ServeHTTP(w, r)
}

func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u := rt.ui
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	v := &visit{Request: r.WithContext(ctx), w: w, ui: u, live: r.Header.Get("Strongroom-Live") != "",
		id: u.idPrefix + strconv.FormatUint(u.idNext.Add(1), 36)}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	v.caller = &access.Caller{Principal: &access.Principal{}, Address: host, RequestID: v.id}
	a, err := rt.serve(v)
	if err != nil && errs.CodeOf(err) == errs.Internal && !errors.Is(err, context.Canceled) {
		u.Logger.Error("a page failed", "request", v.id, "method", r.Method, "pattern", r.Pattern, "error", err)
	}
	u.write(v, a, err)
}

// errSession is what somebody is told whose session is over.
var errSession = errs.New(errs.Unauthorized, "your session has ended; sign in again")

func (rt *route) serve(v *visit) (a answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			rt.ui.Logger.Error("a page panicked", "pattern", v.Pattern, "request", v.id, "panic", p, "stack", string(debug.Stack()))
			a, err = answer{}, errs.New(errs.Internal, "an internal error has occurred; the server's log has the details under request %s", v.id)
		}
	}()
	if err := rt.ui.origin.Check(v.Request); err != nil {
		return answer{}, errs.Wrap(err, errs.Forbidden, "a page of another origin may not do this")
	}
	if err := v.signedIn(); err != nil && !rt.open {
		if !errs.Is(err, errs.Unauthorized) {
			return answer{}, err
		}
		return v.askToSignIn()
	}
	if v.Body != nil {
		v.Body = http.MaxBytesReader(v.w, v.Body, rt.ui.MaxBody)
	}
	if v.Method == http.MethodPost {
		if err := v.parseForm(); err != nil {
			return answer{}, err
		}
	}
	if err := v.enterOrg(); err != nil {
		return answer{}, err
	}
	return rt.do(rt.ui, v)
}

// parseForm reads the whole form into memory: a part that were put into a temporary file would leave a value on the disk.
func (v *visit) parseForm() error {
	err := v.ParseForm()
	// Only where it must: for other forms it says that they are not multipart, and not that they could not be read.
	if kind, _, _ := mime.ParseMediaType(v.Header.Get("Content-Type")); err == nil && kind == "multipart/form-data" {
		err = v.ParseMultipartForm(v.ui.MaxBody)
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return errs.New(errs.RequestTooLarge, "that is larger than the %s that one request may have", words.Size(int(large.Limit)))
	}
	return errs.Wrap(err, errs.Invalid, "the form could not be read; load the page again and repeat")
}

// signedIn finds out who is asking, from the cookie.
func (v *visit) signedIn() error {
	c, err := v.Cookie(sessionCookie)
	if err != nil || c.Value == "" {
		return errSession
	}
	p, err := v.ui.Authn.BySession(v.Context(), c.Value)
	if err != nil {
		return err
	}
	v.session, v.caller.Principal = c.Value, p
	return nil
}

// askToSignIn sends a reader to sign in, and tells app.js to ask within the page, where what was typed stays.
func (v *visit) askToSignIn() (answer, error) {
	if v.live || v.Method != http.MethodGet {
		v.w.Header().Set("Strongroom-Session", "ended")
		if v.live {
			return answer{}, errSession
		}
		return v.ui.signInAgain(v)
	}
	next := ""
	if v.URL.Path != "/" {
		next = "?next=" + queryEscape(v.URL.RequestURI())
	}
	return answer{goTo: "/signin" + next}, nil
}

// enterOrg reads the organisation that the path names, and remembers it for the pages that name none.
func (v *visit) enterOrg() error {
	s := v.PathValue("org")
	inPath := s != ""
	if !inPath {
		if c, err := v.Cookie(orgCookie); err == nil {
			s = c.Value
		}
	}
	org, err := id.Parse(s)
	if err != nil {
		if inPath {
			return err
		}
		return nil
	}
	if !v.mayEnter(org) {
		if inPath {
			_, err := v.ui.Identity.OrgByID(v.Context(), v.caller, org)
			return err
		}
		return nil
	}
	name, err := v.ui.Identity.OrgName(v.Context(), org)
	if err != nil {
		return err
	}
	if name == "" {
		if inPath {
			return errs.New(errs.NotFound, "organization not found")
		}
		return nil
	}
	v.org, v.orgName = org, name
	if c, err := v.Cookie(orgCookie); inPath && (err != nil || c.Value != s) {
		v.setCookie(orgCookie, s, longCookie)
	}
	return nil
}

func (v *visit) mayEnter(org id.ID) bool {
	return v.caller.May(access.To(access.Read, access.Resource{Type: access.Orgs, ID: org})) ||
		v.caller.MaySome(access.Read, org) || v.caller.MaySome(access.Write, org)
}

// The cookies. The session's holds the token of authn.Service.SignIn under a name and path of its own: the API's has the path
// /api/, which pages are not below.
const (
	sessionCookie = "strongroom-session"
	orgCookie     = "strongroom-org"
	themeCookie   = "strongroom-theme"
	noteCookie    = "strongroom-note"

	longCookie = 365 * 24 * time.Hour
)

// setCookie sets a cookie for a while, until the browser ends where that is 0, or removes it where it is negative.
func (v *visit) setCookie(name, value string, d time.Duration) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: v.ui.Secure, SameSite: http.SameSiteStrictMode}
	switch {
	case d < 0:
		c.MaxAge = -1
	case d > 0:
		c.MaxAge = int(d.Seconds())
	}
	http.SetCookie(v.w, c)
}

func (v *visit) operator() bool {
	return v.caller.May(access.To(access.Read, access.Resource{Type: access.Instance}))
}

// field is a text of the form, without the spaces around it.
func (v *visit) field(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }

// at is the path of something in the visit's organisation.
func (v *visit) at(rest string) string { return "/orgs/" + v.org.String() + rest }

// pathID reads an ID from the path.
func (v *visit) pathID(name string) (id.ID, error) { return id.Parse(v.PathValue(name)) }
