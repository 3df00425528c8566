package ui

import (
	"slices"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
)

type memberList struct {
	Members   []identity.Membership
	Form      memberForm
	Known     []string // names of users that could be added
	MayChange bool
}

type memberForm struct {
	User string
	Role string
}

// knownShown bounds the names that the form proposes.
const knownShown = 200

func (u *UI) listMembers(v *visit, form memberForm) (answer, error) {
	l := memberList{Form: form, MayChange: v.mayWriteOrg()}
	in := make(map[id.ID]bool)
	for _, role := range []identity.Role{identity.RoleOwner, identity.RoleMember} {
		users, err := u.Identity.Members(v.Context(), v.caller, v.org, role)
		if err != nil {
			return answer{}, err
		}
		slices.SortFunc(users, func(a, b identity.User) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
		for _, m := range users {
			in[m.ID] = true
			l.Members = append(l.Members, identity.Membership{User: m, Role: role})
		}
	}
	if l.MayChange {
		users, err := u.Identity.Users(v.Context(), v.caller, "", directory.Page{Limit: knownShown})
		if err != nil {
			return answer{}, err
		}
		for _, other := range users {
			if !in[other.ID] {
				l.Known = append(l.Known, other.Name)
			}
		}
	}
	return answer{page: "members.html", title: "Members", data: l}, nil
}

func (u *UI) membersPage(v *visit) (answer, error) {
	return u.listMembers(v, memberForm{Role: string(identity.RoleMember)})
}

// role reads a role from outside.
func role(s string) (identity.Role, error) {
	r := identity.Role(s)
	if r != identity.RoleMember && r != identity.RoleOwner {
		return "", errs.New(errs.Invalid, "choose a role, member or owner")
	}
	return r, nil
}

func (u *UI) addMember(v *visit) (answer, error) {
	form := memberForm{User: v.field("user"), Role: v.field("role")}
	r, err := role(form.Role)
	if err != nil {
		return again(err)(u.listMembers(v, form))
	}
	users, err := u.Identity.Users(v.Context(), v.caller, form.User, directory.Page{})
	switch {
	case form.User == "":
		err = errs.New(errs.EmptyValue, "name the user to add")
	case errs.Is(err, errs.NotFound):
		err = errs.New(errs.NotFound, "there is no user named %q, or you may not see them; an operator can add users under People", clip(form.User))
	}
	if err == nil {
		_, err = u.Identity.AddMember(v.Context(), v.caller, v.org, users[0].ID, r)
	}
	if err != nil {
		return again(err)(u.listMembers(v, form))
	}
	return answer{goTo: v.at("/members"), note: form.User + " is " + aRole(r) + " now."}, nil
}

func aRole(r identity.Role) string {
	if r == identity.RoleOwner {
		return "an owner"
	}
	return "a member"
}

// changeRole makes a member an owner, or the other way round, which takes two steps: an owner is removed and added again.
func (u *UI) changeRole(v *visit) (answer, error) {
	who, err := v.pathID("user")
	if err != nil {
		return answer{}, err
	}
	to, err := role(v.field("role"))
	if err != nil {
		return answer{}, err
	}
	if to == identity.RoleMember {
		if err := u.keepsAnOwner(v, who); err != nil {
			return again(err)(u.membersPage(v))
		}
		if err := u.Identity.RemoveMember(v.Context(), v.caller, v.org, who, identity.RoleOwner); err != nil {
			return again(err)(u.membersPage(v))
		}
	}
	m, err := u.Identity.AddMember(v.Context(), v.caller, v.org, who, to)
	if err != nil {
		return again(err)(u.membersPage(v))
	}
	return answer{goTo: v.at("/members"), note: m.Name + " is " + aRole(to) + " now."}, nil
}

// keepsAnOwner refuses to leave the organisation to nobody. The API allows it; a click must not.
func (u *UI) keepsAnOwner(v *visit, without id.ID) error {
	owners, err := u.Identity.Members(v.Context(), v.caller, v.org, identity.RoleOwner)
	if err != nil {
		return err
	}
	if len(owners) == 1 && owners[0].ID == without {
		return errs.New(errs.Conflict, "%s is the only owner; make somebody else an owner first", owners[0].Name)
	}
	return nil
}

// membership finds the user's name and role.
func (u *UI) membership(v *visit) (identity.Membership, error) {
	who, err := v.pathID("user")
	if err != nil {
		return identity.Membership{}, err
	}
	for _, r := range []identity.Role{identity.RoleOwner, identity.RoleMember} {
		users, err := u.Identity.Members(v.Context(), v.caller, v.org, r)
		if err != nil {
			return identity.Membership{}, err
		}
		for _, m := range users {
			if m.ID == who {
				return identity.Membership{User: m, Role: r}, nil
			}
		}
	}
	return identity.Membership{}, errs.New(errs.NotFound, "this user does not belong to the organisation any more")
}

func (u *UI) askRemoveMember(v *visit, m identity.Membership) (answer, error) {
	goes := "their membership"
	if m.Role == identity.RoleOwner {
		goes = "their ownership"
	}
	return askFirst(confirm{
		Question: "Remove " + m.User.Name + " from “" + v.orgName + "”?",
		Goes:     []string{goes + ": their sign-ins see nothing of it any more"},
		Back:     "Tokens that they made go on working until they are revoked. They can be added again at any time.",
		Action:   v.at("/members/" + m.User.ID.String() + "/remove"), Button: "Remove " + m.User.Name, Cancel: v.at("/members"),
	}), nil
}

func (u *UI) removeMemberPage(v *visit) (answer, error) {
	m, err := u.membership(v)
	if err != nil {
		return answer{}, err
	}
	return u.askRemoveMember(v, m)
}

func (u *UI) removeMember(v *visit) (answer, error) {
	m, err := u.membership(v)
	if err != nil {
		return answer{}, err
	}
	if m.Role == identity.RoleOwner {
		err = u.keepsAnOwner(v, m.User.ID)
	}
	if err == nil {
		err = u.Identity.RemoveMember(v.Context(), v.caller, v.org, m.User.ID, m.Role)
	}
	if err != nil {
		return again(err)(u.askRemoveMember(v, m))
	}
	if m.User.ID == v.caller.UserID && !v.operator() {
		return answer{goTo: "/orgs", note: "You do not belong to “" + v.orgName + "” any more."}, nil
	}
	return answer{goTo: v.at("/members"), note: m.User.Name + " is removed from this organisation."}, nil
}
