package ui

import (
	"context"
	"net/http"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/identity/directory"
)

// needsSetup reports whether nobody has set the server up.
func (u *UI) needsSetup(ctx context.Context) (bool, error) {
	if u.setUp.Load() {
		return false, nil
	}
	allowed, err := u.Identity.SetupAllowed(ctx)
	if err == nil && !allowed {
		u.setUp.Store(true)
	}
	return allowed, err
}

// home sends everybody where they want to go: the set-up, the sign-in, or the secrets of the organisation they were in last.
func (u *UI) home(v *visit) (answer, error) {
	fresh, err := u.needsSetup(v.Context())
	switch {
	case err != nil:
		return answer{}, err
	case fresh:
		return answer{goTo: "/setup"}, nil
	case v.session == "":
		return answer{goTo: "/signin"}, nil
	case v.org.Valid():
		return answer{goTo: v.at("/secrets")}, nil
	}
	orgs, err := u.Identity.Orgs(v.Context(), v.caller, directory.OrgFilter{}, directory.Page{Limit: 2})
	if err != nil {
		return answer{}, err
	}
	if len(orgs) == 1 {
		return answer{goTo: "/orgs/" + orgs[0].ID.String() + "/secrets"}, nil
	}
	return answer{goTo: "/orgs"}, nil
}

// setupForm is what was typed. Passwords are never sent back.
type setupForm struct {
	User, Org, Bucket string
}

func (u *UI) setupPage(v *visit) (answer, error) {
	fresh, err := u.needsSetup(v.Context())
	if err != nil {
		return answer{}, err
	}
	if !fresh {
		return answer{goTo: "/"}, nil
	}
	return answer{page: "setup.html", title: "Set up", data: setupForm{Bucket: "default"}}, nil
}

func (u *UI) setup(v *visit) (answer, error) {
	form := setupForm{User: v.field("username"), Org: v.field("org"), Bucket: v.field("bucket")}
	again := answer{page: "setup.html", title: "Set up", data: form}
	password := v.PostFormValue("password")
	// The API takes a set-up without a password; a page without one could never be entered again.
	if password == "" {
		return again, errs.New(errs.EmptyValue, "choose a password: without one nobody could sign in here")
	}
	if password != v.PostFormValue("again") {
		return again, errs.New(errs.Invalid, "the two passwords are not the same")
	}
	o, err := u.Identity.Onboard(v.Context(), v.caller, directory.Setup{User: form.User, Password: password, Org: form.Org, Bucket: form.Bucket})
	if err != nil {
		return again, err
	}
	token, err := u.Authn.SignIn(v.Context(), v.caller, form.User, password)
	if err != nil {
		return answer{}, err
	}
	v.setCookie(sessionCookie, token, 0)
	v.setCookie(orgCookie, o.Org.ID.String(), longCookie)
	return answer{page: "welcome.html", title: "Ready", data: struct{ Org, Token, Secrets string }{
		o.Org.Name, o.Token, "/orgs/" + o.Org.ID.String() + "/secrets"}}, nil
}

// signInForm is the sign-in page.
type signInForm struct {
	User, Next string
	Lost       bool // a form was sent by a session that had ended
}

func (u *UI) signInPage(v *visit) (answer, error) {
	fresh, err := u.needsSetup(v.Context())
	if err != nil {
		return answer{}, err
	}
	next := inside(v.URL.Query().Get("next"))
	switch {
	case fresh:
		return answer{goTo: "/setup"}, nil
	case v.session != "":
		return answer{goTo: next}, nil
	}
	return answer{page: "signin.html", title: "Sign in", data: signInForm{Next: next}}, nil
}

// signInAgain answers a form that came without JavaScript and without a session.
func (u *UI) signInAgain(*visit) (answer, error) {
	return answer{page: "signin.html", title: "Sign in", status: http.StatusUnauthorized, data: signInForm{Next: "/", Lost: true}}, nil
}

func (u *UI) signIn(v *visit) (answer, error) {
	// A name is taken as it was typed: a space at its end may be part of it.
	form := signInForm{User: v.PostFormValue("username"), Next: inside(v.PostFormValue("next"))}
	token, err := u.Authn.SignIn(v.Context(), v.caller, form.User, v.PostFormValue("password"))
	if errs.Is(err, errs.Unauthorized) {
		err = errs.Wrap(err, errs.Unauthorized, "name and password do not belong together, or the account is switched off")
	}
	if err != nil {
		return answer{page: "signin.html", title: "Sign in", data: form}, err
	}
	v.setCookie(sessionCookie, token, 0)
	return answer{goTo: form.Next}, nil
}

func (u *UI) signOut(v *visit) (answer, error) {
	if err := u.Authn.SignOut(v.Context(), v.caller, v.session); err != nil {
		return answer{}, err
	}
	v.setCookie(sessionCookie, "", -1)
	return answer{goTo: "/signin", note: "You are signed out."}, nil
}

// inside lets through the paths of our own pages alone, so that a link with ?next= leads nowhere else.
func inside(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
