package accounts

import (
	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/directory"
	"strongroom/internal/natural"
	"strongroom/internal/ui/visit"
)

type userList struct {
	Users []identity.User
	pages
	Name      string // as typed
	MayCreate bool
}

var writeUsers = access.To(access.Write, access.Resource{Type: access.Users})

func (h *handlers) listUsers(v *visit.Visit, typed string) (visit.Answer, error) {
	l := userList{Name: typed, MayCreate: v.Caller.May(writeUsers)}
	var err error
	l.Users, l.pages, err = onePage(v, func(p identity.Part) ([]identity.User, identity.Order, error) {
		return h.Directory.UsersByName(v.Context(), v.Caller, p)
	})
	if err != nil {
		return visit.Answer{}, err
	}
	return visit.Answer{Page: "users.html", Title: "People", Data: l}, nil
}

func (h *handlers) usersPage(v *visit.Visit) (visit.Answer, error) { return h.listUsers(v, "") }

// createUser makes a user with a password. A password that is refused takes the user away again, so that the form
// can be sent once more.
func (h *handlers) createUser(v *visit.Visit) (visit.Answer, error) {
	name, password := v.Field("name"), v.PostFormValue("password")
	if password == "" {
		return visit.Again(errs.New(errs.EmptyValue,
			"give a first password, which they can change when they have signed in"))(h.listUsers(v, name))
	}
	made, err := h.Directory.NewUser(v.Context(), v.Caller, name, identity.Active)
	if err == nil {
		if err = h.Authn.SetPassword(v.Context(), v.Caller, made.ID, password); err != nil {
			if undo := h.Directory.DeleteUser(v.Context(), v.Caller, made.ID); undo != nil {
				h.Logger.Warn("a user was made whose password could not be set", "request", v.ID, "user", made.ID,
					"error", undo)
			}
		}
	}
	if err != nil {
		return visit.Again(err)(h.listUsers(v, name))
	}
	return visit.Answer{GoTo: "/users", Note: made.Name +
		" can sign in now. Add them to an organisation under Members."}, nil
}

type userView struct {
	User      identity.User
	Name      string // as typed
	Self      bool
	MayStatus bool
	MayDelete bool
	Orgs      []identity.Org
	Sessions  []authn.OpenedSession
}

// theUser is whom the path names.
func (h *handlers) theUser(v *visit.Visit) (identity.User, error) {
	who, err := v.PathID("user")
	if err != nil {
		return identity.User{}, err
	}
	return h.Directory.UserByID(v.Context(), v.Caller, who)
}

func (h *handlers) showUser(v *visit.Visit, m identity.User, typed string) (visit.Answer, error) {
	p := userView{User: m, Name: typed, Self: m.ID == v.Caller.UserID, MayStatus: v.Caller.May(writeUsers),
		MayDelete: v.Caller.May(writeUsers)}
	var err error
	p.Orgs, err = h.Directory.Orgs(v.Context(), v.Caller, directory.OrgFilter{User: m.ID},
		identity.Page{Limit: maxListed})
	natural.SortPeople(p.Orgs, func(o identity.Org) string { return o.Name })
	if err == nil && (p.Self || p.MayStatus) {
		p.Sessions, err = h.Authn.Sessions(v.Context(), v.Caller, m.ID, v.Session)
	}
	return visit.Answer{Page: "user.html", Title: m.Name, Data: p}, err
}

func (h *handlers) userPage(v *visit.Visit) (visit.Answer, error) {
	m, err := h.theUser(v)
	if err != nil {
		return visit.Answer{}, err
	}
	return h.showUser(v, m, m.Name)
}

// updateUser changes the name, or the status: whichever the form has.
func (h *handlers) updateUser(v *visit.Visit) (visit.Answer, error) {
	m, err := h.theUser(v)
	if err != nil {
		return visit.Answer{}, err
	}
	name, note := v.Field("name"), "Saved."
	if s := identity.Status(v.Field("status")); s != "" {
		_, err = h.Directory.UpdateUser(v.Context(), v.Caller, m.ID, nil, &s)
		name, note = m.Name, m.Name+" can sign in again."
		if s == identity.Inactive {
			note = m.Name + " cannot sign in any more, and their tokens are refused."
		}
	} else {
		_, err = h.Directory.UpdateUser(v.Context(), v.Caller, m.ID, &name, nil)
	}
	if err != nil {
		return visit.Again(err)(h.showUser(v, m, name))
	}
	return visit.Answer{GoTo: "/users/" + m.ID.String(), Note: note}, nil
}

func (h *handlers) setPassword(v *visit.Visit) (visit.Answer, error) {
	m, err := h.theUser(v)
	if err != nil {
		return visit.Answer{}, err
	}
	if m.ID == v.Caller.UserID {
		return visit.Answer{GoTo: "/preferences"}, nil // which asks for the old one
	}
	if err := h.Authn.SetPassword(v.Context(), v.Caller, m.ID, v.PostFormValue("password")); err != nil {
		return visit.Again(err)(h.showUser(v, m, m.Name))
	}
	return visit.Answer{GoTo: "/users/" + m.ID.String(),
		Note: "The password of " + m.Name + " is set, and all their sessions are ended."}, nil
}

// endSession ends one session of a user, who may be the reader.
func (h *handlers) endSession(v *visit.Visit) (visit.Answer, error) {
	who, err := v.PathID("user")
	if err != nil {
		return visit.Answer{}, err
	}
	if err := h.Authn.EndSession(v.Context(), v.Caller, who, v.Field("session")); err != nil {
		return visit.Answer{}, err
	}
	back := "/users/" + who.String()
	if who == v.Caller.UserID {
		back = "/preferences"
	}
	return visit.Answer{GoTo: back, Note: "The session is ended."}, nil
}

func (h *handlers) askDeleteUser(v *visit.Visit, m identity.User) (visit.Answer, error) {
	tokens, err := h.countTokens(v, authorizations.Filter{UserID: m.ID})
	if err != nil {
		return visit.Answer{}, err
	}
	return visit.Ask(visit.Confirm{
		Question: "Delete the user “" + m.Name + "”?",
		Goes: []string{"their password and sessions", "their membership of organisations",
			tokens + " of theirs, refused from then on"},
		Back: "This cannot be undone: the password and the tokens are not kept. The organisations and secrets stay. " +
			"To keep somebody out for a while, disable the account instead.",
		Action: "/users/" + m.ID.String() + "/delete", Button: "Delete " + m.Name, Cancel: "/users/" + m.ID.String(),
	}), nil
}

func (h *handlers) deleteUserPage(v *visit.Visit) (visit.Answer, error) {
	if !v.Caller.May(writeUsers) {
		return visit.Answer{}, visit.ErrMayNot
	}
	m, err := h.theUser(v)
	if err != nil {
		return visit.Answer{}, err
	}
	return h.askDeleteUser(v, m)
}

func (h *handlers) deleteUser(v *visit.Visit) (visit.Answer, error) {
	m, err := h.theUser(v)
	if err != nil {
		return visit.Answer{}, err
	}
	if err := h.Directory.DeleteUser(v.Context(), v.Caller, m.ID); err != nil {
		return visit.Again(err)(h.askDeleteUser(v, m))
	}
	if m.ID == v.Caller.UserID {
		v.DropSession()
		return visit.Answer{GoTo: "/signin", Note: "Your account is deleted."}, nil
	}
	return visit.Answer{GoTo: "/users", Note: "The user “" + m.Name + "” is deleted."}, nil
}
