package ui

import (
	"strongroom/internal/errs"
)

type preferences struct {
	Theme string
}

func (u *UI) preferencesPage(v *visit) (answer, error) {
	return answer{page: "preferences.html", title: "Preferences", data: preferences{Theme: v.theme()}}, nil
}

func (u *UI) savePreferences(v *visit) (answer, error) {
	switch theme := v.field("theme"); theme {
	case "light", "dark":
		v.setCookie(themeCookie, theme, longCookie)
	case "":
		v.setCookie(themeCookie, "", -1)
	default:
		return again(errs.New(errs.Invalid, "choose light, dark, or what the system says"))(u.preferencesPage(v))
	}
	return answer{goTo: "/preferences", note: "Saved."}, nil
}

// changePassword sets the reader's own password and signs them in anew: a new password ends all sessions.
func (u *UI) changePassword(v *visit) (answer, error) {
	me, err := u.Identity.Me(v.Context(), v.caller)
	if err != nil {
		return answer{}, err
	}
	password := v.PostFormValue("password")
	if password != v.PostFormValue("again") {
		return again(errs.New(errs.Invalid, "the two new passwords are not the same"))(u.preferencesPage(v))
	}
	caller := *v.caller
	err = u.Authn.ChangePassword(v.Context(), &caller, me.Name, v.PostFormValue("old"), password)
	if errs.Is(err, errs.Unauthorized) {
		// Not the API's words: they are those of a session that is over.
		err = errs.Wrap(err, errs.Invalid, "the old password is not right")
	}
	if err != nil {
		return again(err)(u.preferencesPage(v))
	}
	caller = *v.caller
	token, err := u.Authn.SignIn(v.Context(), &caller, me.Name, password)
	if err != nil {
		return answer{goTo: "/signin", note: "Your password is changed. Sign in with the new one."}, nil
	}
	v.setCookie(sessionCookie, token, 0)
	return answer{goTo: "/preferences", note: "Your password is changed, and your other sessions are ended."}, nil
}
