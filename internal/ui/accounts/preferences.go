package accounts

import (
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/identity/authn"
	"strongroom/internal/ui/visit"
)

type preferences struct {
	Theme      string
	Sessions   []authn.OpenedSession
	SignedInAt *time.Time
}

func (h *handlers) preferencesPage(v *visit.Visit) (visit.Answer, error) {
	p := preferences{Theme: v.Theme()}
	me, err := h.Directory.Me(v.Context(), v.Caller)
	if err != nil {
		return visit.Answer{}, err
	}
	p.SignedInAt = me.SignedInAt
	p.Sessions, err = h.Authn.Sessions(v.Context(), v.Caller, v.Caller.UserID, v.Session)
	return visit.Answer{Page: "preferences.html", Title: "Preferences", Data: p}, err
}

func (h *handlers) savePreferences(v *visit.Visit) (visit.Answer, error) {
	switch theme := v.Field("theme"); theme {
	case "light", "dark", "":
		v.KeepTheme(theme)
	default:
		return visit.Again(errs.New(errs.Invalid, "choose light, dark, or what the system says"))(h.preferencesPage(v))
	}
	return visit.Answer{GoTo: "/preferences", Note: "Saved."}, nil
}

// changePassword sets the reader's own password and signs them in anew: a new password ends all sessions.
func (h *handlers) changePassword(v *visit.Visit) (visit.Answer, error) {
	me, err := h.Directory.Me(v.Context(), v.Caller)
	if err != nil {
		return visit.Answer{}, err
	}
	password := v.PostFormValue("password")
	if password != v.PostFormValue("again") {
		return visit.Again(errs.New(errs.Invalid, "the two new passwords are not the same"))(h.preferencesPage(v))
	}
	caller := *v.Caller
	err = h.Authn.ChangePassword(v.Context(), &caller, me.Name, v.PostFormValue("old"), password)
	if errs.Is(err, errs.Unauthorized) {
		// Not the API's words: they are those of a session that is over.
		err = errs.Wrap(err, errs.Invalid, "the old password is not right")
	}
	if err != nil {
		return visit.Again(err)(h.preferencesPage(v))
	}
	caller = *v.Caller
	token, err := h.Authn.SignIn(v.Context(), &caller, me.Name, password)
	if err != nil {
		return visit.Answer{GoTo: "/signin", Note: "Your password is changed. Sign in with the new one."}, nil
	}
	v.KeepSession(token)
	return visit.Answer{GoTo: "/preferences", Note: "Your password is changed, and your other sessions are ended."}, nil
}
