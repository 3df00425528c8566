package accounts

import (
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/directory"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

type tokenRow struct {
	identity.Authorization
	User    string
	May     []string // what it may do, in words
	Expired bool
	Soon    bool // it ends within the next days
}

type tokenList struct {
	Tokens    []tokenRow
	Next      string
	MayCreate bool
}

// tokensShown is how many tokens a page lists, the newest first. One that ends within soon is marked.
const (
	tokensShown = 100
	soon        = 14 * 24 * time.Hour
)

func mayWriteTokens(v *visit.Visit) bool {
	return v.Caller.May(access.To(access.Write, access.Resource{Type: access.Authorizations, OrgID: v.Org}))
}

func (h *handlers) tokensPage(v *visit.Visit) (visit.Answer, error) {
	l := tokenList{MayCreate: mayWriteTokens(v)}
	page := directory.Page{Limit: tokensShown + 1, Descending: true}
	if s := v.URL.Query().Get("after"); s != "" {
		after, err := id.Parse(s)
		if err != nil {
			return visit.Answer{}, err
		}
		page.After = after
	}
	as, err := h.Directory.Authorizations(v.Context(), v.Caller, directory.AuthorizationFilter{OrgID: v.Org}, page)
	if err != nil {
		return visit.Answer{}, err
	}
	if len(as) > tokensShown {
		as = as[:tokensShown]
		l.Next = as[len(as)-1].ID.String()
	}
	names := make(map[id.ID]string)
	for _, a := range as {
		if _, ok := names[a.UserID]; !ok {
			if names[a.UserID], err = h.Directory.UserName(v.Context(), a.UserID); err != nil {
				return visit.Answer{}, err
			}
		}
		row := tokenRow{Authorization: a, User: names[a.UserID], May: inWords(v, a.Permissions)}
		if a.ExpiresAt != nil {
			row.Expired = !a.ExpiresAt.After(h.Now())
			row.Soon = !row.Expired && a.ExpiresAt.Before(h.Now().Add(soon))
		}
		l.Tokens = append(l.Tokens, row)
	}
	return visit.Answer{Page: "tokens.html", Title: "API tokens", Data: l}, nil
}

// lives are the lengths of life that the form offers, in days; 0 is for ever.
var lives = []struct {
	Days int
	Name string
}{{0, "until it is revoked"}, {1, "1 day"}, {7, "7 days"}, {30, "30 days"}, {90, "90 days"}, {365, "1 year"}}

func (h *handlers) newTokenPage(v *visit.Visit) (visit.Answer, error) {
	if !mayWriteTokens(v) {
		return visit.Answer{}, errs.New(errs.Unauthorized,
			"you may not make tokens in this organisation; ask one of its owners")
	}
	f := tokenForm{Kind: kindSecrets, Read: true, Days: 90}
	if use := v.URL.Query().Get("use"); use != "" {
		f.Read, f.Use, f.Names = false, true, use
	}
	return showTokenForm(v, f), nil
}

func showTokenForm(v *visit.Visit, f tokenForm) visit.Answer {
	f.fill(v)
	return visit.Answer{Page: "token-new.html", Title: "Create a token", Data: f}
}

func (h *handlers) createToken(v *visit.Visit) (visit.Answer, error) {
	f, err := readTokenForm(v)
	if err != nil {
		return showTokenForm(v, f), err
	}
	wish := directory.NewAuthorization{OrgID: v.Org, Description: f.Description, Permissions: f.permissions(v.Org)}
	if f.Days > 0 {
		at := h.Now().AddDate(0, 0, f.Days)
		wish.ExpiresAt = &at
	}
	if len(wish.Permissions) == 0 {
		return showTokenForm(v, f), errs.New(errs.Invalid, "choose at least one thing that the token may do")
	}
	a, token, err := h.Directory.Authorize(v.Context(), v.Caller, wish)
	if err != nil {
		return showTokenForm(v, f), err
	}
	return visit.Answer{Page: "token-made.html", Title: "Your new token", Data: struct {
		Token, Description string
		May                []string
		ExpiresAt          *time.Time
		Pastes             []paste
		Origin             string // as it stands in Pastes: app.js puts in the one that the browser knows
	}{token, a.Description, inWords(v, a.Permissions), a.ExpiresAt, pastes(v, a.Permissions), v.Origin()}}, nil
}

func (h *handlers) updateToken(v *visit.Visit) (visit.Answer, error) {
	auth, err := v.PathID("auth")
	if err != nil {
		return visit.Answer{}, err
	}
	status := identity.Status(v.Field("status"))
	if _, err := h.Directory.UpdateAuthorization(v.Context(), v.Caller, auth, &status, nil); err != nil {
		return visit.Answer{}, err
	}
	note := "The token works again."
	if status == identity.Inactive {
		note = "The token is disabled: it is refused from now on."
	}
	return visit.Answer{GoTo: v.At("/tokens"), Note: note}, nil
}

func (h *handlers) deleteTokenPage(v *visit.Visit) (visit.Answer, error) {
	auth, err := v.PathID("auth")
	if err != nil {
		return visit.Answer{}, err
	}
	a, err := h.Directory.AuthorizationByID(v.Context(), v.Caller, auth)
	if err != nil {
		return visit.Answer{}, err
	}
	name := a.Description
	if name == "" {
		name = "without a description"
	}
	used := "It was never used."
	if a.LastUsedAt != nil {
		used = "It was last used " + words.Ago(*a.LastUsedAt, h.Now()) + "."
	}
	return visit.Ask(visit.Confirm{
		Question: "Revoke this token?", Goes: []string{"the token “" + errs.Clip(name) + "”"},
		Back: used + " Whatever uses it is refused from the next request on. It cannot be restored; to stop it for " +
			"a while, disable it instead.",
		Action: v.At("/tokens/" + auth.String() + "/delete"), Button: "Revoke the token", Cancel: v.At("/tokens"),
	}), nil
}

func (h *handlers) deleteToken(v *visit.Visit) (visit.Answer, error) {
	auth, err := v.PathID("auth")
	if err != nil {
		return visit.Answer{}, err
	}
	if err := h.Directory.DeleteAuthorization(v.Context(), v.Caller, auth); err != nil {
		return visit.Answer{}, err
	}
	return visit.Answer{GoTo: v.At("/tokens"), Note: "The token is revoked."}, nil
}
