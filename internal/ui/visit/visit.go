package visit

import (
	"errors"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/inflight"
	"strongroom/internal/peer"
	"strongroom/internal/ui/words"
)

// Visit is one request with who makes it.
type Visit struct {
	*http.Request
	ID      string         // the request's, as the log and the audit log have it
	Caller  *access.Caller // without permissions where nobody is signed in
	Session string         // the session's token, "" where nobody is signed in

	// The organisation that the path names, or else the one that the reader was in last; not valid where there is none.
	Org     id.ID
	OrgName string

	w      http.ResponseWriter
	server *Server
	via    peer.Via
	share  inflight.Share // what it holds of the server's memory
	live   bool           // app.js sent the form, and keeps the page where it is refused

	leave   func() // ends its turn among the pages of its caller; nil before it has one
	crowded bool   // it was refused a turn
}

// errSession is what somebody is told whose session is over.
var errSession = errs.New(errs.Unauthorized, "your session has ended; sign in again")

// parseForm reads the whole form into memory: a part that were put into a temporary file would
// leave a value on the disk.
func (v *Visit) parseForm() error {
	err := v.ParseForm()
	// Only where it must: for other forms it says that they are not multipart, and not that they could not be read.
	if kind, _, _ := mime.ParseMediaType(v.Header.Get("Content-Type")); err == nil && kind == "multipart/form-data" {
		err = v.ParseMultipartForm(v.server.MaxBody)
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errs.Is(err, errs.Unavailable): // no room in memory
		return err
	case errors.As(err, &large):
		return errs.New(errs.RequestTooLarge, "that is larger than the %s that one request may have",
			words.Size(int(large.Limit)))
	}
	return errs.Wrap(err, errs.Invalid, "the form could not be read; load the page again and repeat")
}

// Hold has the visit hold so many bytes more of what all may, until it is answered. It gives errs.Unavailable where
// there is no room.
func (v *Visit) Hold(bytes int64) error { return v.share.More(bytes) }

// signedIn finds out who is asking, from the cookie. Where the data are known to be out of reach, it says so at once
// of those who are not in memory: a reading would wait for its time, and then find the same.
func (v *Visit) signedIn() error {
	var away error
	if v.server.Data != nil {
		away = v.server.Data()
	}
	c, err := v.Cookie(sessionCookie)
	switch {
	case away != nil && err == nil && v.server.Authn.SessionInMemory(c.Value):
	case away != nil:
		return away
	case err != nil || c.Value == "":
		return errSession
	}
	p, err := v.server.Authn.BySession(v.Context(), c.Value)
	if err != nil {
		return err
	}
	v.Session, v.Caller.Principal = c.Value, p
	return nil
}

// Unread reports whether there is a session of which it is not known whose it is.
func (v *Visit) Unread() bool {
	c, err := v.Cookie(sessionCookie)
	return v.Session == "" && err == nil && c.Value != ""
}

// askToSignIn sends a reader to sign in, and tells app.js to ask within the page, where what was typed stays.
func (v *Visit) askToSignIn() (Answer, error) {
	if v.live || v.Method != http.MethodGet {
		v.w.Header().Set("Strongroom-Session", "ended")
		if v.live {
			return Answer{}, errSession
		}
		return v.server.SignInAgain(v)
	}
	next := ""
	if v.URL.Path != "/" {
		next = "?next=" + url.QueryEscape(v.URL.RequestURI())
	}
	a := Answer{GoTo: "/signin" + next}
	if _, err := v.Cookie(sessionCookie); err == nil {
		v.DropSession()
		a.Note = "Your session has ended. Sign in again to go on."
	}
	return a, nil
}

// enterOrg reads the organisation that the path names, and remembers it for the pages that name none.
func (v *Visit) enterOrg() error {
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
			_, err := v.server.Directory.OrgByID(v.Context(), v.Caller, org)
			return err
		}
		return nil
	}
	name, err := v.server.Directory.OrgName(v.Context(), org)
	if err != nil {
		return err
	}
	if name == "" {
		if inPath {
			return errs.New(errs.NotFound, "there is no such organisation, or you may not see it")
		}
		return nil
	}
	v.Org, v.OrgName = org, name
	if c, err := v.Cookie(orgCookie); inPath && (err != nil || c.Value != org.String()) {
		v.KeepOrg(org)
	}
	return nil
}

func (v *Visit) mayEnter(org id.ID) bool {
	return v.Caller.May(access.To(access.Read, access.Resource{Type: access.Orgs, ID: org})) ||
		v.Caller.MaySome(access.Read, org) || v.Caller.MaySome(access.Write, org)
}

// Operator reports whether the reader may see what concerns all organisations.
func (v *Visit) Operator() bool {
	return v.Caller.May(access.ReadServer)
}

// Field is a text of the form, without the spaces around it.
func (v *Visit) Field(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }

// At is the path of something in the visit's organisation.
func (v *Visit) At(rest string) string { return "/orgs/" + v.Org.String() + rest }

// PathID reads an ID from the path.
func (v *Visit) PathID(name string) (id.ID, error) { return id.Parse(v.PathValue(name)) }

// Origin is the server as the reader's browser knows it, with the path below which it is, unless a proxy that is not
// trusted speaks TLS for it. A Host header that names no machine is not repeated.
func (v *Visit) Origin() string {
	scheme, host := "http://", v.Host
	if v.server.Secure || v.via.Secure {
		scheme = "https://"
	}
	if !namesHost(host) {
		host = "localhost:9999"
	}
	return scheme + host + v.via.Base
}

// namesHost reports whether the text is a name or an address, with a port or without one.
func namesHost(host string) bool {
	if name, port, err := net.SplitHostPort(host); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
		host = name
	}
	if net.ParseIP(strings.Trim(host, "[]")) != nil {
		return true
	}
	for label := range strings.SplitSeq(strings.ToLower(strings.TrimSuffix(host, ".")), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return len(host) <= 253
}
