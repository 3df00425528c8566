package ui

import (
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
	"strongroom/internal/ui/words"
)

type tokenRow struct {
	identity.Authorization
	User    string
	May     []string // what it may do, in words
	Expired bool
}

type tokenList struct {
	Tokens    []tokenRow
	Next      string
	MayCreate bool
}

func (v *visit) mayWriteTokens() bool {
	return v.caller.May(access.To(access.Write, access.Resource{Type: access.Authorizations, OrgID: v.org}))
}

func (u *UI) tokensPage(v *visit) (answer, error) {
	l := tokenList{MayCreate: v.mayWriteTokens()}
	page := directory.Page{Limit: secretsShown + 1}
	if s := v.URL.Query().Get("after"); s != "" {
		after, err := id.Parse(s)
		if err != nil {
			return answer{}, err
		}
		page.After = after
	}
	as, err := u.Identity.Authorizations(v.Context(), v.caller, directory.AuthorizationFilter{OrgID: v.org}, page)
	if err != nil {
		return answer{}, err
	}
	if len(as) > secretsShown {
		as = as[:secretsShown]
		l.Next = as[len(as)-1].ID.String()
	}
	names := make(map[id.ID]string)
	for _, a := range as {
		if _, ok := names[a.UserID]; !ok {
			if names[a.UserID], err = u.Identity.UserName(v.Context(), a.UserID); err != nil {
				return answer{}, err
			}
		}
		l.Tokens = append(l.Tokens, tokenRow{Authorization: a, User: names[a.UserID], May: u.inWords(v, a.Permissions),
			Expired: a.ExpiresAt != nil && a.ExpiresAt.Before(u.Now())})
	}
	return answer{page: "tokens.html", title: "API tokens", data: l}, nil
}

// lives are the lengths of life that the form offers, in days; 0 is for ever.
var lives = []struct {
	Days int
	Name string
}{{0, "until it is revoked"}, {1, "1 day"}, {7, "7 days"}, {30, "30 days"}, {90, "90 days"}, {365, "1 year"}}

func (u *UI) newTokenPage(v *visit) (answer, error) {
	return u.showTokenForm(v, tokenForm{Kind: kindSecrets, Read: true, Days: 90}), nil
}

func (u *UI) showTokenForm(v *visit, f tokenForm) answer {
	f.fill(v)
	return answer{page: "token-new.html", title: "Create a token", data: f}
}

func (u *UI) createToken(v *visit) (answer, error) {
	f, err := readTokenForm(v)
	if err != nil {
		return u.showTokenForm(v, f), err
	}
	wish := directory.NewAuthorization{OrgID: v.org, Description: f.Description, Permissions: f.permissions(v.org)}
	if f.Days > 0 {
		at := u.Now().AddDate(0, 0, f.Days)
		wish.ExpiresAt = &at
	}
	if len(wish.Permissions) == 0 {
		return u.showTokenForm(v, f), errs.New(errs.Invalid, "choose at least one thing that the token may do")
	}
	a, token, err := u.Identity.Authorize(v.Context(), v.caller, wish)
	if err != nil {
		return u.showTokenForm(v, f), err
	}
	return answer{page: "token-made.html", title: "Your new token", data: struct {
		Token, Description string
		May                []string
		ExpiresAt          *time.Time
	}{token, a.Description, u.inWords(v, a.Permissions), a.ExpiresAt}}, nil
}

func (u *UI) updateToken(v *visit) (answer, error) {
	auth, err := v.pathID("auth")
	if err != nil {
		return answer{}, err
	}
	status := identity.Status(v.field("status"))
	if _, err := u.Identity.UpdateAuthorization(v.Context(), v.caller, auth, &status, nil); err != nil {
		return answer{}, err
	}
	note := "The token works again."
	if status == identity.Inactive {
		note = "The token is switched off: it is refused from now on."
	}
	return answer{goTo: v.at("/tokens"), note: note}, nil
}

func (u *UI) deleteTokenPage(v *visit) (answer, error) {
	auth, err := v.pathID("auth")
	if err != nil {
		return answer{}, err
	}
	a, err := u.Identity.AuthorizationByID(v.Context(), v.caller, auth)
	if err != nil {
		return answer{}, err
	}
	name := a.Description
	if name == "" {
		name = "without a description"
	}
	used := "It was never used."
	if a.LastUsedAt != nil {
		used = "It was last used " + words.Ago(*a.LastUsedAt, u.Now()) + "."
	}
	return askFirst(confirm{
		Question: "Revoke this token?", Goes: []string{"the token “" + clip(name) + "”"},
		Back:   used + " Whatever uses it is refused from the next request on. It cannot be brought back; to stop it for a while, switch it off instead.",
		Action: v.at("/tokens/" + auth.String() + "/delete"), Button: "Revoke the token", Cancel: v.at("/tokens"),
	}), nil
}

func (u *UI) deleteToken(v *visit) (answer, error) {
	auth, err := v.pathID("auth")
	if err != nil {
		return answer{}, err
	}
	if err := u.Identity.DeleteAuthorization(v.Context(), v.caller, auth); err != nil {
		return answer{}, err
	}
	return answer{goTo: v.at("/tokens"), note: "The token is revoked."}, nil
}
