package ui

import (
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
	"strongroom/internal/secret"
	"strongroom/internal/ui/words"
)

// maxListed bounds what a list shows at once; a search finds the rest.
const maxListed = 500

type orgForm struct{ Name, Description string }

type orgList struct {
	Orgs      []identity.Org
	Search    string
	More      bool
	Form      orgForm
	MayCreate bool
}

func (u *UI) listOrgs(v *visit, form orgForm) (answer, error) {
	l := orgList{Form: form, Search: strings.TrimSpace(v.URL.Query().Get("q")),
		MayCreate: v.caller.May(access.To(access.Write, access.Resource{Type: access.Orgs}))}
	orgs, err := u.Identity.Orgs(v.Context(), v.caller, directory.OrgFilter{}, directory.Page{})
	if err != nil {
		return answer{}, err
	}
	for _, o := range orgs {
		if !contains(o.Name, l.Search) && !contains(o.Description, l.Search) {
			continue
		}
		if len(l.Orgs) == maxListed {
			l.More = true
			break
		}
		l.Orgs = append(l.Orgs, o)
	}
	return answer{page: "orgs.html", title: "Organisations", data: l}, nil
}

// contains compares without regard to case; everything contains the empty text.
func contains(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

func (u *UI) orgsPage(v *visit) (answer, error) { return u.listOrgs(v, orgForm{}) }

func (u *UI) createOrg(v *visit) (answer, error) {
	form := orgForm{v.field("name"), v.field("description")}
	o, err := u.Identity.NewOrg(v.Context(), v.caller, form.Name, form.Description)
	if err != nil {
		return again(err)(u.listOrgs(v, form))
	}
	return answer{goTo: "/orgs/" + o.ID.String() + "/secrets", note: "The organisation “" + o.Name + "” is made. Its secrets go here."}, nil
}

// again shows the form's page once more with why it was refused.
func again(why error) func(answer, error) (answer, error) {
	return func(a answer, err error) (answer, error) {
		if err != nil {
			return answer{}, err
		}
		return a, why
	}
}

type orgPage struct {
	Org       identity.Org
	Form      orgForm
	MayChange bool
}

func (u *UI) showOrg(v *visit, form *orgForm) (answer, error) {
	o, err := u.Identity.OrgByID(v.Context(), v.caller, v.org)
	if err != nil {
		return answer{}, err
	}
	p := orgPage{Org: o, Form: orgForm{o.Name, o.Description}, MayChange: v.mayWriteOrg()}
	if form != nil {
		p.Form = *form
	}
	return answer{page: "org.html", title: "Settings of " + o.Name, data: p}, nil
}

func (v *visit) mayWriteOrg() bool {
	return v.caller.May(access.To(access.Write, access.Resource{Type: access.Orgs, ID: v.org}))
}

func (u *UI) orgPage(v *visit) (answer, error) { return u.showOrg(v, nil) }

func (u *UI) updateOrg(v *visit) (answer, error) {
	form := orgForm{v.field("name"), v.field("description")}
	if _, err := u.Identity.UpdateOrg(v.Context(), v.caller, v.org, &form.Name, &form.Description); err != nil {
		return again(err)(u.showOrg(v, &form))
	}
	return answer{goTo: v.at(""), note: "Saved."}, nil
}

// confirm is the page before a deletion: what will go, and whether it can come back.
type confirm struct {
	Question string
	Goes     []string // each a line
	More     int      // lines that are not shown
	Back     string   // whether it can be brought back
	Action   string   // where the form goes
	Button   string
	Cancel   string
	Type     string // a name to be typed before the form is taken
	Keys     string // the names that it is about, as JSON
}

func askFirst(c confirm) answer {
	return answer{page: "confirm.html", title: c.Question, data: c}
}

func (u *UI) askDeleteOrg(v *visit) (answer, error) {
	keys, err := u.Secrets.Keys(v.Context(), v.caller, v.org)
	if err != nil {
		return answer{}, err
	}
	tokens, err := u.Identity.Authorizations(v.Context(), v.caller, directory.AuthorizationFilter{OrgID: v.org}, directory.Page{})
	if err != nil {
		return answer{}, err
	}
	secrets := words.Count(len(keys), "secret") + " with their values"
	if secret.ReadOnly(u.Store, v.org) {
		secrets = "sight of " + words.Count(len(keys), "secret") + ", whose values stay in the secret store"
	}
	return askFirst(confirm{
		Question: "Delete the organisation “" + v.orgName + "”?",
		Goes:     []string{secrets, words.Count(len(tokens), "token") + ", refused from then on", "its memberships and buckets"},
		Back:     "None of this can be brought back.",
		Action:   v.at("/delete"), Button: "Delete the organisation", Cancel: v.at(""), Type: v.orgName,
	}), nil
}

func (u *UI) deleteOrgPage(v *visit) (answer, error) { return u.askDeleteOrg(v) }

func (u *UI) deleteOrg(v *visit) (answer, error) {
	if v.field("typed") != strings.TrimSpace(v.orgName) {
		return again(errs.New(errs.Invalid, "type the name of the organisation as it stands there, to show that you mean it"))(u.askDeleteOrg(v))
	}
	if err := u.Identity.DeleteOrg(v.Context(), v.caller, v.org); err != nil {
		return again(err)(u.askDeleteOrg(v))
	}
	v.setCookie(orgCookie, "", -1)
	return answer{goTo: "/orgs", note: "The organisation “" + v.orgName + "” is deleted, and all that was in it."}, nil
}
