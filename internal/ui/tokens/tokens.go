package tokens

import (
	"errors"
	"strings"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/ui/paste"
	"strongroom/internal/ui/visit"
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
	Search    string
	Ending    bool // those alone that end soon
	Next      string
	Partly    bool // not all were looked at for this page
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

// row is what the pages tell of a token. The names of users are looked up once.
func (h *handlers) row(v *visit.Visit, a identity.Authorization, names map[id.ID]string) (tokenRow, error) {
	var err error
	if _, ok := names[a.UserID]; !ok {
		if names[a.UserID], err = h.Directory.UserName(v.Context(), a.UserID); err != nil {
			return tokenRow{}, err
		}
	}
	row := tokenRow{Authorization: a, User: names[a.UserID], May: inWords(v, a.Permissions)}
	if a.ExpiresAt != nil {
		row.Expired = !a.ExpiresAt.After(h.Now())
		row.Soon = !row.Expired && a.ExpiresAt.Before(h.Now().Add(soon))
	}
	return row, nil
}

// tokensLooked is how many tokens a page looks at for those that are searched for.
const tokensLooked = 10_000

// errEnough ends a list that is full.
var errEnough = errors.New("enough")

func (h *handlers) tokensPage(v *visit.Visit) (visit.Answer, error) {
	q := v.URL.Query()
	l := tokenList{MayCreate: mayWriteTokens(v), Search: strings.TrimSpace(q.Get("q")), Ending: q.Get("ending") != ""}
	page := identity.Page{Descending: true}
	if s := q.Get("after"); s != "" {
		after, err := id.Parse(s)
		if err != nil {
			return visit.Answer{}, err
		}
		page.After = after
	}
	names := make(map[id.ID]string)
	looked, last := 0, id.ID(0)
	err := h.Directory.EachAuthorization(v.Context(), v.Caller, authorizations.Filter{OrgID: v.Org}, page,
		func(a identity.Authorization) error {
			row, err := h.row(v, a, names)
			if err != nil {
				return err
			}
			if looked == tokensLooked {
				q.Set("after", last.String())
				l.Next, l.Partly = "?"+q.Encode(), true
				return errEnough
			}
			looked, last = looked+1, a.ID
			if l.Search != "" && !row.matches(l.Search) || l.Ending && !row.Soon {
				return nil
			}
			if len(l.Tokens) == tokensShown {
				q.Set("after", l.Tokens[tokensShown-1].ID.String())
				l.Next = "?" + q.Encode()
				return errEnough
			}
			l.Tokens = append(l.Tokens, row)
			return nil
		})
	if err != nil && !errors.Is(err, errEnough) {
		return visit.Answer{}, err
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
	if like := v.URL.Query().Get("like"); like != "" {
		a, err := h.like(v, like)
		if err != nil {
			return visit.Answer{}, err
		}
		f.Kind, f.Description = kindLike, a.Description
		f.renews(v, a)
		return showTokenForm(f), nil
	}
	if use := v.URL.Query().Get("use"); use != "" {
		f.Read, f.Use, f.Names = false, true, use
	}
	return showTokenForm(f), nil
}

func showTokenForm(f tokenForm) visit.Answer {
	f.fill()
	return visit.Answer{Page: "token-new.html", Title: "Create a token", Data: f}
}

func (h *handlers) createToken(v *visit.Visit) (visit.Answer, error) {
	f, err := readTokenForm(v)
	if err != nil {
		return showTokenForm(f), err
	}
	wish := authorizations.Wanted{OrgID: v.Org, Description: f.Description}
	if f.Kind == kindLike {
		old, err := h.like(v, f.Like)
		if err != nil {
			return showTokenForm(f), err
		}
		f.renews(v, old)
		wish.Permissions, wish.UserID = old.Permissions, old.UserID
	} else {
		wish.Permissions = f.permissions(v.Org)
	}
	if f.Days > 0 {
		at := h.Now().AddDate(0, 0, f.Days)
		wish.ExpiresAt = &at
	}
	if len(wish.Permissions) == 0 {
		return showTokenForm(f), errs.New(errs.Invalid, "choose at least one thing that the token may do")
	}
	var a identity.Authorization
	var token string
	err = h.sent.make(form{v.Org, v.Field("once")}, func() (id.ID, error) {
		var err error
		a, token, err = h.Directory.Authorize(v.Context(), v.Caller, wish)
		if errs.Is(err, errs.Unauthorized) && mayWriteTokens(v) {
			err = errs.Wrap(err, errs.Unauthorized, "a token may do no more than you may, and you may not “%s”",
				strings.TrimSuffix(errs.Message(err), " is unauthorized"))
		}
		return a.ID, err
	})
	if err != nil {
		return showTokenForm(f), err
	}
	return visit.Answer{Page: "token-made.html", Title: "Your new token", Data: struct {
		Token, Description string
		ID                 id.ID
		Old                string // the ID of the one that it takes the place of
		May                []string
		ExpiresAt          *time.Time
		Pastes             []paste.Text
		Origin             string // as it stands in Pastes: app.js puts in the one that the browser knows
	}{token, a.Description, a.ID, f.Like, inWords(v, a.Permissions), a.ExpiresAt,
		paste.Token(paste.Place{Origin: v.Origin(), Org: v.Org}, a.Permissions), v.Origin()}}, nil
}

// like is the token that a new one takes the place of.
func (h *handlers) like(v *visit.Visit, s string) (identity.Authorization, error) {
	auth, err := id.Parse(s)
	if err != nil {
		return identity.Authorization{}, err
	}
	a, err := h.Directory.AuthorizationByID(v.Context(), v.Caller, auth)
	if err == nil && a.OrgID != v.Org {
		err = errs.New(errs.NotFound, "this token is of another organisation")
	}
	return a, err
}

// updateToken changes the description, or the status: whichever the form has.
func (h *handlers) updateToken(v *visit.Visit) (visit.Answer, error) {
	a, err := h.theToken(v)
	if err != nil {
		return visit.Answer{}, err
	}
	back := v.At("/tokens/" + a.ID.String())
	if v.Field("list") != "" {
		back = v.At("/tokens")
	}
	status := identity.Status(v.Field("status"))
	if status == "" {
		text := v.Field("description")
		if _, err := h.Directory.UpdateAuthorization(v.Context(), v.Caller, a.ID, nil, &text); err != nil {
			return visit.Again(err)(h.showToken(v, a, text))
		}
		return visit.Answer{GoTo: back, Note: "Saved."}, nil
	}
	if _, err := h.Directory.UpdateAuthorization(v.Context(), v.Caller, a.ID, &status, nil); err != nil {
		return visit.Again(err)(h.showToken(v, a, a.Description))
	}
	note := "The token works again."
	if status == identity.Inactive {
		note = "The token is disabled: it is refused from now on."
	}
	return visit.Answer{GoTo: back, Note: note}, nil
}
