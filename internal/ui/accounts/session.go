package accounts

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
	"strongroom/internal/ui/visit"
)

// needsSetup reports whether nobody has set the server up.
func (h *handlers) needsSetup(ctx context.Context) (bool, error) {
	if h.setUp.Load() {
		return false, nil
	}
	allowed, err := h.Directory.SetupAllowed(ctx)
	if err == nil && !allowed {
		h.setUp.Store(true)
	}
	return allowed, err
}

// home sends everybody where they want to go: the set-up, the sign-in, or the secrets of the
// organisation they were in last.
func (h *handlers) home(v *visit.Visit) (visit.Answer, error) {
	fresh, err := h.needsSetup(v.Context())
	switch {
	case err != nil:
		return visit.Answer{}, err
	case fresh:
		return visit.Answer{GoTo: "/setup"}, nil
	case v.Session == "":
		return visit.Answer{GoTo: "/signin"}, nil
	case v.Org.Valid():
		return visit.Answer{GoTo: v.At("/secrets")}, nil
	}
	orgs, err := h.Directory.Orgs(v.Context(), v.Caller, directory.OrgFilter{}, identity.Page{Limit: 2})
	if err != nil {
		return visit.Answer{}, err
	}
	if len(orgs) == 1 {
		return visit.Answer{GoTo: "/orgs/" + orgs[0].ID.String() + "/secrets"}, nil
	}
	return visit.Answer{GoTo: "/orgs"}, nil
}

// setupForm is what was typed. Passwords are never sent back.
type setupForm struct {
	User, Org, Bucket string
}

func (h *handlers) setupPage(v *visit.Visit) (visit.Answer, error) {
	fresh, err := h.needsSetup(v.Context())
	if err != nil {
		return visit.Answer{}, err
	}
	if !fresh {
		return visit.Answer{GoTo: "/"}, nil
	}
	return visit.Answer{Page: "setup.html", Title: "Set up", Data: setupForm{Bucket: "default"}}, nil
}

func (h *handlers) setup(v *visit.Visit) (visit.Answer, error) {
	form := setupForm{User: v.Field("username"), Org: v.Field("org"), Bucket: v.Field("bucket")}
	again := visit.Answer{Page: "setup.html", Title: "Set up", Data: form}
	password := v.PostFormValue("password")
	// The API takes a set-up without a password; a page without one could never be entered again.
	if password == "" {
		return again, errs.New(errs.EmptyValue, "choose a password: without one nobody could sign in here")
	}
	if password != v.PostFormValue("again") {
		return again, errs.New(errs.Invalid, "the two passwords are not the same")
	}
	o, err := h.Directory.Onboard(v.Context(), v.Caller, directory.Setup{User: form.User, Password: password,
		Org: form.Org, Bucket: form.Bucket})
	if err != nil {
		return again, err
	}
	token, err := h.Authn.SignIn(v.Context(), v.Caller, form.User, password)
	if err != nil {
		return visit.Answer{}, err
	}
	v.KeepSession(token)
	v.KeepOrg(o.Org.ID)
	return visit.Answer{Page: "welcome.html", Title: "Ready", Data: struct{ Org, Token, Secrets string }{
		o.Org.Name, o.Token, "/orgs/" + o.Org.ID.String() + "/secrets"}}, nil
}

// signInForm is the sign-in page.
type signInForm struct {
	User, Next string
	To         string // what Next leads to, in words; "" where that is nothing in particular
	Lost       bool   // a form was sent by a session that had ended
}

func (h *handlers) signInPage(v *visit.Visit) (visit.Answer, error) {
	fresh, err := h.needsSetup(v.Context())
	if err != nil {
		return visit.Answer{}, err
	}
	next := inside(v.URL.Query().Get("next"))
	switch {
	case fresh:
		return visit.Answer{GoTo: "/setup"}, nil
	case v.Session != "":
		return visit.Answer{GoTo: next}, nil
	}
	return visit.Answer{Page: "signin.html", Title: "Sign in", Data: signInForm{Next: next, To: leadsTo(next)}}, nil
}

// places are what the pages are called by the last part of their paths.
var places = map[string]string{
	"secrets": "the list of secrets", "deleted": "the deleted secrets", "import": "the import of secrets",
	"tokens": "the tokens", "members": "the members", "compare": "the comparison of names", "users": "the people",
	"activity": "the activity", "store": "the store", "due": "the due secrets", "preferences": "your preferences",
	"orgs": "the organisations",
}

// leadsTo says what a path leads to, as far as the path alone tells it: nobody has signed in yet. It says it in words
// of our own, never in those of the address: whoever made a link chose them.
func leadsTo(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return ""
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case parts[0] == "docs":
		return "the documentation"
	case len(parts) == 3 && parts[2] == "secret" && u.Query().Has("key"):
		return "a secret"
	case len(parts) > 3 && parts[2] == "tokens":
		return "a token"
	case len(parts) == 2 && parts[0] == "orgs":
		return "an organisation"
	case len(parts) == 2 && parts[0] == "users":
		return "a user"
	}
	return places[parts[len(parts)-1]]
}

// SignInAgain answers a form that came without JavaScript and without a session.
func SignInAgain(*visit.Visit) (visit.Answer, error) {
	return visit.Answer{Page: "signin.html", Title: "Sign in", Status: http.StatusUnauthorized,
		Data: signInForm{Next: "/", Lost: true}}, nil
}

func (h *handlers) signIn(v *visit.Visit) (visit.Answer, error) {
	// A name is taken as it was typed: a space at its end may be part of it.
	form := signInForm{User: v.PostFormValue("username"), Next: inside(v.PostFormValue("next"))}
	form.To = leadsTo(form.Next)
	token, err := h.Authn.SignIn(v.Context(), v.Caller, form.User, v.PostFormValue("password"))
	if errs.Is(err, errs.Unauthorized) {
		err = errs.Wrap(err, errs.Unauthorized, "wrong name or password, or the account is disabled")
	}
	if err != nil {
		return visit.Answer{Page: "signin.html", Title: "Sign in", Data: form}, err
	}
	v.KeepSession(token)
	return visit.Answer{GoTo: form.Next}, nil
}

func (h *handlers) signOut(v *visit.Visit) (visit.Answer, error) {
	if err := h.Authn.SignOut(v.Context(), v.Caller, v.Session); err != nil {
		return visit.Answer{}, err
	}
	v.DropSession()
	return visit.Answer{GoTo: "/signin", Note: "You are signed out."}, nil
}

// arrive sends a reader who comes by a link of another site on to where it leads. From here on the request is one of
// this site, and the browser sends the session's cookie along.
func (h *handlers) arrive(v *visit.Visit) (visit.Answer, error) {
	return visit.Answer{Page: "arrive.html", Title: "One moment", Data: inside(v.URL.Query().Get("next"))}, nil
}

// inside lets through the paths of our own pages alone, so that a link with ?next= leads nowhere else.
func inside(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
