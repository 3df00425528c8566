package tokens

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/ui/visit"
)

// The kinds of token that the form offers.
const (
	kindSecrets  = "secrets"  // the organisation's secrets, all or some names
	kindOrg      = "org"      // everything in the organisation
	kindChosen   = "chosen"   // each type of resource by itself
	kindOperator = "operator" // everything
	kindLike     = "like"     // what another token may do, whose place it takes
)

// tokenForm is a token being made.
type tokenForm struct {
	Description string
	Kind        string
	Read, Write bool
	Use         bool   // values are given out to it
	Names       string // patterns, one a line; empty for all
	Chosen      map[string]bool
	Days        int
	Like        string   // the ID of the token whose place it takes
	May         []string // what that one may do, in words

	// What the form offers.
	Once  string // tells this form from all others: see sent
	Types []access.ResourceType
	Lives any
}

func (f *tokenForm) fill() {
	for _, t := range access.ResourceTypes {
		if t != access.Instance {
			f.Types = append(f.Types, t)
		}
	}
	slices.Sort(f.Types)
	f.Lives, f.Once = lives, rand.Text()
}

func readTokenForm(v *visit.Visit) (tokenForm, error) {
	f := tokenForm{Description: v.Field("description"), Kind: v.Field("kind"), Read: v.Field("read") != "",
		Write: v.Field("write") != "", Use: v.Field("use") != "", Names: v.Field("names"),
		Chosen: make(map[string]bool), Like: v.Field("like")}
	for _, c := range v.PostForm["may"] {
		f.Chosen[c] = true
	}
	days, err := strconv.Atoi(v.Field("days"))
	if err != nil || days < 0 || days > 36500 {
		return f, errs.New(errs.Invalid, "choose how long the token lives")
	}
	f.Days = days
	if !slices.Contains([]string{kindSecrets, kindOrg, kindChosen, kindOperator, kindLike}, f.Kind) {
		return f, errs.New(errs.Invalid, "choose what the token may do")
	}
	return f, nil
}

// renews fills in what the form shows of the token whose place the new one takes.
func (f *tokenForm) renews(v *visit.Visit, old identity.Authorization) {
	f.Like, f.May = old.ID.String(), inWords(v, old.Permissions)
}

// permissions are what the form asks for.
func (f *tokenForm) permissions(org id.ID) []access.Permission {
	switch f.Kind {
	case kindOperator:
		return access.Operator()
	case kindOrg:
		// Without what concerns all organisations, which an owner's session holds and a token of one
		// organisation must not.
		return slices.DeleteFunc(access.Owner(org), func(p access.Permission) bool {
			return p.Resource.Type == access.Instance
		})
	case kindSecrets:
		return f.secretPermissions(org)
	}
	var ps []access.Permission
	for _, t := range access.ResourceTypes {
		for _, a := range []access.Action{access.Read, access.Write} {
			if !f.Chosen[string(a)+":"+string(t)] || t == access.Instance {
				continue
			}
			r := access.Resource{Type: t, OrgID: org}
			if t == access.Orgs {
				r = access.Resource{Type: t, ID: org}
			}
			ps = append(ps, access.To(a, r))
		}
	}
	return ps
}

func (f *tokenForm) secretPermissions(org id.ID) []access.Permission {
	names := []string{""}
	if f.Names != "" {
		names = nil
		for line := range strings.Lines(f.Names) {
			if line = strings.TrimSpace(line); line != "" {
				names = append(names, line)
			}
		}
	}
	var ps []access.Permission
	for _, n := range names {
		r := access.Resource{Type: access.Secrets, OrgID: org, Name: n}
		if f.Read {
			ps = append(ps, access.To(access.Read, r))
		}
		if f.Write {
			ps = append(ps, access.To(access.Write, r))
		}
		if f.Use {
			ps = append(ps, access.To(access.Use, r))
		}
	}
	return ps
}

// inWords says what permissions allow, for people: a line for each type of resource, the actions together.
func inWords(v *visit.Visit, ps []access.Permission) []string {
	held := access.Caller{Principal: &access.Principal{Permissions: ps}}
	all := func(want []access.Permission) bool {
		return !slices.ContainsFunc(want, func(p access.Permission) bool { return !held.May(p) })
	}
	if all(access.Operator()) {
		return []string{"do everything, in every organisation"}
	}
	f := tokenForm{Kind: kindOrg}
	if v.Org.Valid() && all(f.permissions(v.Org)) {
		return []string{"do everything in this organisation"}
	}
	var order []string
	actions := make(map[string][]string)
	for _, p := range ps {
		what := string(p.Resource.Type)
		switch r := p.Resource; {
		case r.Name != "" && r.Type == access.Secrets:
			what = "secrets named " + r.Name
		case r.ID.Valid() && r.Type != access.Orgs:
			what += " " + r.ID.String()
		case !r.OrgID.Valid() && !r.ID.Valid():
			what += " of every organisation"
		case r.OrgID.Valid() && r.OrgID != v.Org:
			what += " of " + r.OrgID.String()
		}
		if actions[what] == nil {
			order = append(order, what)
		}
		if !slices.Contains(actions[what], string(p.Action)) {
			actions[what] = append(actions[what], string(p.Action))
		}
	}
	for i, what := range order {
		order[i] = strings.Join(actions[what], " and ") + " " + what
	}
	return order
}
