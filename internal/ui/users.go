package ui

import (
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
	"strongroom/internal/ui/words"
)

type userList struct {
	Users     []identity.User
	Search    string
	More      bool
	Name      string // as typed
	MayCreate bool
}

var writeUsers = access.To(access.Write, access.Resource{Type: access.Users})

func (u *UI) listUsers(v *visit, typed string) (answer, error) {
	l := userList{Name: typed, Search: strings.TrimSpace(v.URL.Query().Get("q")), MayCreate: v.caller.May(writeUsers)}
	users, err := u.Identity.Users(v.Context(), v.caller, "", directory.Page{})
	if err != nil {
		return answer{}, err
	}
	for _, m := range users {
		if !contains(m.Name, l.Search) {
			continue
		}
		if len(l.Users) == maxListed {
			l.More = true
			break
		}
		l.Users = append(l.Users, m)
	}
	return answer{page: "users.html", title: "People", data: l}, nil
}

func (u *UI) usersPage(v *visit) (answer, error) { return u.listUsers(v, "") }

// createUser makes a user with a password. A password that is refused takes the user away again, so that the form can be
// sent once more.
func (u *UI) createUser(v *visit) (answer, error) {
	name, password := v.field("name"), v.PostFormValue("password")
	if password == "" {
		return again(errs.New(errs.EmptyValue, "give a first password, which they can change when they have signed in"))(u.listUsers(v, name))
	}
	made, err := u.Identity.NewUser(v.Context(), v.caller, name, identity.Active)
	if err == nil {
		if err = u.Authn.SetPassword(v.Context(), v.caller, made.ID, password); err != nil {
			if undo := u.Identity.DeleteUser(v.Context(), v.caller, made.ID); undo != nil {
				u.Logger.Warn("a user was made whose password could not be set", "request", v.id, "user", made.ID, "error", undo)
			}
		}
	}
	if err != nil {
		return again(err)(u.listUsers(v, name))
	}
	return answer{goTo: "/users", note: made.Name + " can sign in now. Add them to an organisation under Members."}, nil
}

type userView struct {
	User      identity.User
	Name      string // as typed
	Self      bool
	MayStatus bool
	MayDelete bool
	Orgs      []identity.Org
}

// theUser is whom the path names.
func (u *UI) theUser(v *visit) (identity.User, error) {
	who, err := v.pathID("user")
	if err != nil {
		return identity.User{}, err
	}
	return u.Identity.UserByID(v.Context(), v.caller, who)
}

func (u *UI) showUser(v *visit, m identity.User, typed string) (answer, error) {
	p := userView{User: m, Name: typed, Self: m.ID == v.caller.UserID, MayStatus: v.caller.May(writeUsers), MayDelete: v.caller.May(writeUsers)}
	var err error
	p.Orgs, err = u.Identity.Orgs(v.Context(), v.caller, directory.OrgFilter{User: m.ID}, directory.Page{Limit: maxListed})
	return answer{page: "user.html", title: m.Name, data: p}, err
}

func (u *UI) userPage(v *visit) (answer, error) {
	m, err := u.theUser(v)
	if err != nil {
		return answer{}, err
	}
	return u.showUser(v, m, m.Name)
}

// updateUser changes the name, or the status: whichever the form has.
func (u *UI) updateUser(v *visit) (answer, error) {
	m, err := u.theUser(v)
	if err != nil {
		return answer{}, err
	}
	name, note := v.field("name"), "Saved."
	if s := identity.Status(v.field("status")); s != "" {
		_, err = u.Identity.UpdateUser(v.Context(), v.caller, m.ID, nil, &s)
		name, note = m.Name, m.Name+" can sign in again."
		if s == identity.Inactive {
			note = m.Name + " cannot sign in any more, and their tokens are refused."
		}
	} else {
		_, err = u.Identity.UpdateUser(v.Context(), v.caller, m.ID, &name, nil)
	}
	if err != nil {
		return again(err)(u.showUser(v, m, name))
	}
	return answer{goTo: "/users/" + m.ID.String(), note: note}, nil
}

func (u *UI) setPassword(v *visit) (answer, error) {
	m, err := u.theUser(v)
	if err != nil {
		return answer{}, err
	}
	if m.ID == v.caller.UserID {
		return answer{goTo: "/preferences"}, nil // which asks for the old one
	}
	if err := u.Authn.SetPassword(v.Context(), v.caller, m.ID, v.PostFormValue("password")); err != nil {
		return again(err)(u.showUser(v, m, m.Name))
	}
	return answer{goTo: "/users/" + m.ID.String(), note: "The password of " + m.Name + " is set, and all their sessions are ended."}, nil
}

func (u *UI) askDeleteUser(v *visit, m identity.User) (answer, error) {
	tokens, err := u.Identity.Authorizations(v.Context(), v.caller, directory.AuthorizationFilter{UserID: m.ID}, directory.Page{})
	if err != nil {
		return answer{}, err
	}
	return askFirst(confirm{
		Question: "Delete the user “" + m.Name + "”?",
		Goes:     []string{"their password and sessions", "their membership of organisations", words.Count(len(tokens), "token") + " of theirs, refused from then on"},
		Back:     "This cannot be brought back. The organisations and secrets stay. To keep somebody out for a while, switch the account off instead.",
		Action:   "/users/" + m.ID.String() + "/delete", Button: "Delete " + m.Name, Cancel: "/users/" + m.ID.String(),
	}), nil
}

func (u *UI) deleteUserPage(v *visit) (answer, error) {
	m, err := u.theUser(v)
	if err != nil {
		return answer{}, err
	}
	return u.askDeleteUser(v, m)
}

func (u *UI) deleteUser(v *visit) (answer, error) {
	m, err := u.theUser(v)
	if err != nil {
		return answer{}, err
	}
	if err := u.Identity.DeleteUser(v.Context(), v.caller, m.ID); err != nil {
		return again(err)(u.askDeleteUser(v, m))
	}
	if m.ID == v.caller.UserID {
		v.setCookie(sessionCookie, "", -1)
		return answer{goTo: "/signin", note: "Your account is deleted."}, nil
	}
	return answer{goTo: "/users", note: "The user “" + m.Name + "” is deleted."}, nil
}

// validID is an ID as a filter takes it: empty, or 16 hexadecimal characters.
func validID(s string) error {
	if s == "" {
		return nil
	}
	_, err := id.Parse(s)
	return err
}
