package accounts

import (
	"errors"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// maxListed bounds the organisations that the page of a user names.
const maxListed = 500

type orgForm struct{ Name, Description string }

// orgRow is an organisation with how many of its secrets are due soon, as far as that is known.
type orgRow struct {
	identity.Org
	Due int
}

// dueLooked is of how many organisations the list tells what is due.
const dueLooked = 20

type orgList struct {
	Orgs []orgRow
	pages
	Form      orgForm
	MayCreate bool
}

func (h *handlers) listOrgs(v *visit.Visit, form orgForm) (visit.Answer, error) {
	l := orgList{Form: form, MayCreate: v.Caller.May(access.To(access.Write, access.Resource{Type: access.Orgs}))}
	orgs, p, err := onePage(v, func(p identity.Part) ([]identity.Org, identity.Order, error) {
		return h.Directory.OrgsByName(v.Context(), v.Caller, p)
	})
	if err != nil {
		return visit.Answer{}, err
	}
	l.pages = p
	for _, o := range orgs {
		l.Orgs = append(l.Orgs, orgRow{Org: o})
	}
	if err := h.countDue(v, l.Orgs); err != nil {
		return visit.Answer{}, err
	}
	return visit.Answer{Page: "orgs.html", Title: "Organisations", Data: l}, nil
}

func (h *handlers) countDue(v *visit.Visit, orgs []orgRow) error {
	if len(orgs) > dueLooked {
		return nil
	}
	ids := make([]id.ID, len(orgs))
	for i, o := range orgs {
		ids[i] = o.ID
	}
	due, _, err := h.Due(v, ids)
	for i, o := range orgs {
		orgs[i].Due = due[o.ID]
	}
	return err
}

func (h *handlers) orgsPage(v *visit.Visit) (visit.Answer, error) { return h.listOrgs(v, orgForm{}) }

func (h *handlers) createOrg(v *visit.Visit) (visit.Answer, error) {
	form := orgForm{v.Field("name"), v.Field("description")}
	o, err := h.Directory.NewOrg(v.Context(), v.Caller, form.Name, form.Description)
	if err != nil {
		return visit.Again(err)(h.listOrgs(v, form))
	}
	return visit.Answer{GoTo: "/orgs/" + o.ID.String() + "/secrets",
		Note: "The organisation “" + o.Name + "” is made. Its secrets go here."}, nil
}

type orgPage struct {
	Org       identity.Org
	Form      orgForm
	MayChange bool
	Usage     Room
}

func (h *handlers) showOrg(v *visit.Visit, form *orgForm) (visit.Answer, error) {
	o, err := h.Directory.OrgByID(v.Context(), v.Caller, v.Org)
	if err != nil {
		return visit.Answer{}, err
	}
	p := orgPage{Org: o, Form: orgForm{o.Name, o.Description}, MayChange: mayWriteOrg(v)}
	if form != nil {
		p.Form = *form
	}
	if p.Usage, err = h.Usage(v); err != nil { // the store may be away: the settings are not in it
		p.Usage = Room{Lines: []string{"It cannot be counted just now how much the organisation has."}}
	}
	return visit.Answer{Page: "org.html", Title: "Settings of " + o.Name, Data: p}, nil
}

func mayWriteOrg(v *visit.Visit) bool {
	return v.Caller.May(access.To(access.Write, access.Resource{Type: access.Orgs, ID: v.Org}))
}

func (h *handlers) orgPage(v *visit.Visit) (visit.Answer, error) { return h.showOrg(v, nil) }

func (h *handlers) updateOrg(v *visit.Visit) (visit.Answer, error) {
	form := orgForm{v.Field("name"), v.Field("description")}
	if _, err := h.Directory.UpdateOrg(v.Context(), v.Caller, v.Org, &form.Name, &form.Description); err != nil {
		return visit.Again(err)(h.showOrg(v, &form))
	}
	return visit.Answer{GoTo: v.At(""), Note: "Saved."}, nil
}

func (h *handlers) askDeleteOrg(v *visit.Visit) (visit.Answer, error) {
	keys, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org)
	if err != nil {
		return visit.Answer{}, err
	}
	tokens, err := h.countTokens(v, authorizations.Filter{OrgID: v.Org})
	if err != nil {
		return visit.Answer{}, err
	}
	secrets := words.Count(len(keys), "secret") + " with their values"
	if h.ReadOnly(v.Org) {
		secrets = "sight of " + words.Count(len(keys), "secret") + ", whose values stay in the secret store"
	}
	return visit.Ask(visit.Confirm{
		Question: "Delete the organisation “" + v.OrgName + "”?",
		Goes: []string{secrets, tokens + ", refused from then on",
			"its memberships and buckets"},
		Back: "None of this can be undone: the tokens are refused and the values removed at once. Only a backup has " +
			"them still.",
		Action: v.At("/delete"), Button: "Delete the organisation", Cancel: v.At(""), Type: v.OrgName,
	}), nil
}

// tokensCounted is up to how many tokens a question says how many there are.
const tokensCounted = 10_000

// countTokens says how many tokens there are.
func (h *handlers) countTokens(v *visit.Visit, f authorizations.Filter) (string, error) {
	n, enough := 0, errors.New("enough")
	err := h.Directory.EachAuthorization(v.Context(), v.Caller, f, identity.Page{},
		func(identity.Authorization) error {
			if n == tokensCounted {
				return enough
			}
			n++
			return nil
		})
	if errors.Is(err, enough) {
		return "more than " + words.Count(n, "token"), nil
	}
	return words.Count(n, "token"), err
}

func (h *handlers) deleteOrgPage(v *visit.Visit) (visit.Answer, error) {
	if !mayWriteOrg(v) {
		return visit.Answer{}, visit.ErrMayNot
	}
	return h.askDeleteOrg(v)
}

func (h *handlers) deleteOrg(v *visit.Visit) (visit.Answer, error) {
	if v.Field("typed") != strings.TrimSpace(v.OrgName) {
		return visit.Again(errs.New(errs.Invalid, "type the name of the organisation as it stands there, to show "+
			"that you mean it"))(h.askDeleteOrg(v))
	}
	left, err := h.Directory.DeleteOrg(v.Context(), v.Caller, v.Org)
	if err != nil {
		return visit.Again(err)(h.askDeleteOrg(v))
	}
	v.DropOrg()
	note := "The organisation “" + v.OrgName + "” is deleted, and all that was in it."
	if left != "" {
		note = "The organisation “" + v.OrgName + "” is deleted. " + strings.ToUpper(left[:1]) + left[1:] + "."
	}
	return visit.Answer{GoTo: "/orgs", Note: note}, nil
}
