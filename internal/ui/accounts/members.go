package accounts

import (
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/ui/visit"
)

type memberList struct {
	Members []identity.Membership
	pages
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

func (h *handlers) listMembers(v *visit.Visit, form memberForm) (visit.Answer, error) {
	l := memberList{Form: form, MayChange: mayWriteOrg(v)}
	var err error
	l.Members, l.pages, err = onePage(v, func(p identity.Part) ([]identity.Membership, identity.Order, error) {
		return h.Directory.MembersByName(v.Context(), v.Caller, v.Org, p)
	})
	if err != nil {
		return visit.Answer{}, err
	}
	if l.MayChange {
		users, err := h.Directory.NotMembers(v.Context(), v.Caller, v.Org, knownShown)
		if err != nil {
			return visit.Answer{}, err
		}
		for _, other := range users {
			l.Known = append(l.Known, other.Name)
		}
	}
	return visit.Answer{Page: "members.html", Title: "Members", Data: l}, nil
}

func (h *handlers) membersPage(v *visit.Visit) (visit.Answer, error) {
	return h.listMembers(v, memberForm{Role: string(identity.RoleMember)})
}

// role reads a role from outside.
func role(s string) (identity.Role, error) {
	r := identity.Role(s)
	if r != identity.RoleMember && r != identity.RoleOwner {
		return "", errs.New(errs.Invalid, "choose a role, member or owner")
	}
	return r, nil
}

func (h *handlers) addMember(v *visit.Visit) (visit.Answer, error) {
	form := memberForm{User: v.Field("user"), Role: v.Field("role")}
	r, err := role(form.Role)
	if err != nil {
		return visit.Again(err)(h.listMembers(v, form))
	}
	users, err := h.Directory.Users(v.Context(), v.Caller, form.User, identity.Page{})
	switch {
	case form.User == "":
		err = errs.New(errs.EmptyValue, "name the user to add")
	case errs.Is(err, errs.NotFound):
		err = errs.New(errs.NotFound, "there is no user named %q, or you may not see them; an operator can add users "+
			"under People", errs.Clip(form.User))
	}
	if err == nil {
		_, err = h.Directory.AddMember(v.Context(), v.Caller, v.Org, users[0].ID, r)
	}
	if err != nil {
		return visit.Again(err)(h.listMembers(v, form))
	}
	return visit.Answer{GoTo: v.At("/members"), Note: form.User + " is " + aRole(r) + " now."}, nil
}

func aRole(r identity.Role) string {
	if r == identity.RoleOwner {
		return "an owner"
	}
	return "a member"
}

// changeRole makes a member an owner, or the other way round, which takes two steps: an owner is
// removed and added again. Somebody who has just been removed is added anew: that is what Undo sends.
func (h *handlers) changeRole(v *visit.Visit) (visit.Answer, error) {
	who, err := v.PathID("user")
	if err != nil {
		return visit.Answer{}, err
	}
	to, err := role(v.Field("role"))
	if err != nil {
		return visit.Answer{}, err
	}
	was, err := h.Directory.MembershipOf(v.Context(), v.Caller, v.Org, who)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return visit.Answer{}, err
	}
	if to == identity.RoleMember && was.Role == identity.RoleOwner {
		if err := h.keepsAnOwner(v, who); err != nil {
			return visit.Again(err)(h.membersPage(v))
		}
		if err := h.Directory.RemoveMember(v.Context(), v.Caller, v.Org, who, identity.RoleOwner); err != nil {
			return visit.Again(err)(h.membersPage(v))
		}
	}
	m, err := h.Directory.AddMember(v.Context(), v.Caller, v.Org, who, to)
	if err != nil {
		return visit.Again(err)(h.membersPage(v))
	}
	return visit.Answer{GoTo: v.At("/members"), Note: m.Name + " is " + aRole(to) + " now."}, nil
}

// keepsAnOwner refuses to leave the organisation to nobody. The API allows it; a click must not.
func (h *handlers) keepsAnOwner(v *visit.Visit, without id.ID) error {
	only, others := "", false
	err := h.Directory.EachMember(v.Context(), v.Caller, v.Org, identity.RoleOwner,
		func(u identity.User) (bool, error) {
			if u.ID == without {
				only = u.Name
			} else {
				others = true
			}
			return !others, nil
		})
	if err == nil && only != "" && !others {
		err = errs.New(errs.Conflict, "%s is the only owner; make somebody else an owner first", only)
	}
	return err
}

// membership finds the user's name and role.
func (h *handlers) membership(v *visit.Visit) (identity.Membership, error) {
	who, err := v.PathID("user")
	if err != nil {
		return identity.Membership{}, err
	}
	m, err := h.Directory.MembershipOf(v.Context(), v.Caller, v.Org, who)
	if errs.Is(err, errs.NotFound) {
		err = errs.New(errs.NotFound, "this user does not belong to the organisation any more")
	}
	return m, err
}

func (h *handlers) askRemoveMember(v *visit.Visit, m identity.Membership) (visit.Answer, error) {
	goes := "their membership"
	if m.Role == identity.RoleOwner {
		goes = "their ownership"
	}
	return visit.Ask(visit.Confirm{
		Question: "Remove " + m.User.Name + " from “" + v.OrgName + "”?",
		Goes:     []string{goes + ": their sign-ins see nothing of it any more"},
		Back:     "Tokens that they made go on working until they are revoked. They can be added again at any time.",
		Action:   v.At("/members/" + m.User.ID.String() + "/remove"), Button: "Remove " + m.User.Name,
		Cancel: v.At("/members"),
	}), nil
}

func (h *handlers) removeMemberPage(v *visit.Visit) (visit.Answer, error) {
	if !mayWriteOrg(v) {
		return visit.Answer{}, visit.ErrMayNot
	}
	m, err := h.membership(v)
	if err != nil {
		return visit.Answer{}, err
	}
	return h.askRemoveMember(v, m)
}

func (h *handlers) removeMember(v *visit.Visit) (visit.Answer, error) {
	m, err := h.membership(v)
	if err != nil {
		return visit.Answer{}, err
	}
	if m.Role == identity.RoleOwner {
		err = h.keepsAnOwner(v, m.User.ID)
	}
	if err == nil {
		err = h.Directory.RemoveMember(v.Context(), v.Caller, v.Org, m.User.ID, m.Role)
	}
	if err != nil {
		return visit.Again(err)(h.askRemoveMember(v, m))
	}
	if m.User.ID == v.Caller.UserID && !v.Operator() {
		return visit.Answer{GoTo: "/orgs", Note: "You do not belong to “" + v.OrgName + "” any more."}, nil
	}
	return visit.Answer{GoTo: v.At("/members"), Note: m.User.Name + " is removed from this organisation.",
		Undo: &visit.Undo{Member: m.User.ID, Role: string(m.Role)}}, nil
}
