package tokens

import (
	"slices"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/ui/visit"
)

// reach is who may do what with one secret: tokens, roles that programs log in as, owners and members.
type reach struct {
	Key             string
	Missing         bool // as far as the reader may know, there is none of this name now
	Tokens          []reachRow
	More            int // tokens that are not shown
	Roles           []reachRow
	Owners, Members people
	// Tokens are all that there are, those of the organisation alone, or those that the reader may see.
	AllOrgs, AllHere bool
}

// people are the first of those with a role.
type people struct {
	Names []string
	More  bool // who are not shown
}

type reachRow struct {
	Name, Org string // the organisation's name where it is another
	May       string
	Uses      bool // gets the value
	identity.Authorization
}

// reachShown bounds the tokens of the page, of which those that get the value come first, and the people of each role.
const reachShown = 200

// whoPage shows who can use a secret, by what their permissions say of its name now.
func (h *handlers) whoPage(v *visit.Visit) (visit.Answer, error) {
	r := reach{Key: v.URL.Query().Get("key"), AllOrgs: v.Operator(), AllHere: mayWriteTokens(v)}
	about := access.Resource{Type: access.Secrets, OrgID: v.Org, Name: r.Key}
	if r.Key == "" || !v.Caller.May(access.To(access.Read, about)) {
		return visit.Answer{}, errs.New(errs.NotFound, "there is no secret named %q here; it may have been deleted, "+
			"or you may not see it",
			errs.Clip(r.Key))
	}
	if keys, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org); err == nil { // or else it is not known now
		_, there := slices.BinarySearch(keys, r.Key)
		r.Missing = !there
	}
	if err := h.tokensThatReach(v, &r, about); err != nil {
		return visit.Answer{}, err
	}
	roles, err := h.Directory.Roles(v.Context(), v.Caller)
	if err != nil {
		return visit.Answer{}, err
	}
	for _, role := range roles {
		if may, uses := mayWith(role.Permissions, about); may != "" {
			r.Roles = append(r.Roles, reachRow{Name: role.Name, May: may, Uses: uses})
		}
	}
	for role, shown := range map[identity.Role]*people{identity.RoleOwner: &r.Owners,
		identity.RoleMember: &r.Members} {
		err := h.Directory.EachMember(v.Context(), v.Caller, v.Org, role, func(u identity.User) (bool, error) {
			if shown.More = len(shown.Names) == reachShown; !shown.More {
				shown.Names = append(shown.Names, u.Name)
			}
			return !shown.More, nil
		})
		if err != nil && !errs.Is(err, errs.Unauthorized) { // who may not see members is shown none
			return visit.Answer{}, err
		}
		slices.Sort(shown.Names)
	}
	return visit.Answer{Page: "secret-who.html", Title: "Who can use " + r.Key, Data: r}, nil
}

// tokensThatReach finds the tokens that are good now and whose permissions cover the secret.
func (h *handlers) tokensThatReach(v *visit.Visit, r *reach, about access.Resource) error {
	f := authorizations.Filter{OrgID: v.Org}
	if r.AllOrgs {
		f.OrgID = 0
	}
	// All are looked at, or the answer would be wrong; those that are shown alone are kept.
	first := func() {
		slices.SortStableFunc(r.Tokens, func(a, b reachRow) int {
			switch {
			case a.Uses == b.Uses:
				return b.CreatedAt.Compare(a.CreatedAt)
			case a.Uses:
				return -1
			}
			return 1
		})
		n := min(len(r.Tokens), reachShown)
		r.More += len(r.Tokens) - n
		r.Tokens = slices.Delete(r.Tokens, n, len(r.Tokens))
	}
	err := h.Directory.EachAuthorization(v.Context(), v.Caller, f, identity.Page{},
		func(a identity.Authorization) error {
			if a.Status != identity.Active || a.ExpiresAt != nil && !a.ExpiresAt.After(h.Now()) {
				return nil
			}
			if may, uses := mayWith(a.Permissions, about); may != "" {
				r.Tokens = append(r.Tokens, reachRow{Name: a.Description, May: may, Uses: uses, Authorization: a})
			}
			if len(r.Tokens) == 4*reachShown {
				first()
			}
			return nil
		})
	if err != nil && !errs.Is(err, errs.Unauthorized) && !errs.Is(err, errs.NotFound) { // none that the reader may see
		return err
	}
	first()
	names := map[id.ID]string{v.Org: ""}
	for i, t := range r.Tokens {
		if _, ok := names[t.OrgID]; !ok {
			if names[t.OrgID], err = h.Directory.OrgName(v.Context(), t.OrgID); err != nil {
				return err
			}
		}
		r.Tokens[i].Org = names[t.OrgID]
	}
	return nil
}

// mayWith says in words what permissions allow with one secret, "" for nothing, and whether they give out its value.
func mayWith(ps []access.Permission, about access.Resource) (may string, uses bool) {
	held := access.Caller{Principal: &access.Principal{Permissions: ps}}
	var all []string
	for _, a := range []struct {
		access.Action
		words string
	}{{access.Use, "get the value"}, {access.Write, "set and delete it"}, {access.Read, "see its name"}} {
		if held.May(access.To(a.Action, about)) {
			all = append(all, a.words)
		}
	}
	return strings.Join(all, ", "), held.May(access.To(access.Use, about))
}
