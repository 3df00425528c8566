package tokens

import (
	"slices"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/ui/trail"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// tokenView is the page of one token.
type tokenView struct {
	tokenRow
	MadeBy    string // who made it, where that is another than whom it stands for
	Form      string // the description as typed
	MayChange bool
	Reaches   reaches
	Activity  []trail.Row
	Missing   []audit.Absent // whose acts are not in it
	NoRecords string         // why the audit log was not asked, "" where it was
	MayLook   bool           // at the activity
}

// reaches are the secrets of the organisation that a token reaches now.
type reaches struct {
	Known            bool // the reader may see names
	Gets, Sets, Sees int
	Names            []reached
	More             int
}

// Says is what the token may do with how many of them, without what it may do with none.
func (r reaches) Says() string {
	var parts []string
	for _, p := range []struct {
		n    int
		does string
	}{{r.Gets, "gets the values of "}, {r.Sets, "sets and deletes "}, {r.Sees, "lists the names of "}} {
		if p.n > 0 {
			parts = append(parts, p.does+words.Number(p.n))
		}
	}
	if last := len(parts) - 1; last > 0 {
		parts[last] = "and " + parts[last]
	}
	between := ", "
	if len(parts) < 3 {
		between = " "
	}
	return "It " + strings.Join(parts, between) + "."
}

type reached struct{ Name, May string }

// reachedShown bounds the names that the page lists.
const reachedShown = 100

// actsShown is how many acts of a token its page has.
const actsShown = 8

func (h *handlers) theToken(v *visit.Visit) (identity.Authorization, error) {
	auth, err := v.PathID("auth")
	if err != nil {
		return identity.Authorization{}, err
	}
	a, err := h.Directory.AuthorizationByID(v.Context(), v.Caller, auth)
	if errs.Is(err, errs.NotFound) {
		err = errs.New(errs.NotFound, "there is no such token; it may have been revoked, or you may not see it")
	}
	if err == nil && a.OrgID != v.Org {
		err = errs.New(errs.NotFound, "this token is of another organisation")
	}
	return a, err
}

func (h *handlers) showToken(v *visit.Visit, a identity.Authorization, form string) (visit.Answer, error) {
	names := make(map[id.ID]string)
	row, err := h.row(v, a, names)
	if err != nil {
		return visit.Answer{}, err
	}
	p := tokenView{tokenRow: row, Form: form, MayChange: mayWriteTokens(v)}
	if a.MadeBy.Valid() && a.MadeBy != a.UserID {
		if p.MadeBy, err = h.Directory.UserName(v.Context(), a.MadeBy); err != nil {
			return visit.Answer{}, err
		}
	}
	if p.Reaches, err = h.reachedBy(v, a); err != nil {
		return visit.Answer{}, err
	}
	if p.MayLook = h.Trail.May(v.Caller, v.Org.String()); p.MayLook {
		page, err := h.Trail.Acts(v.Context(), v.Caller, audit.Filter{OrgID: v.Org.String(), Actor: a.ID.String(),
			Limit: 2 * actsShown}, audit.Before{})
		if err == nil {
			p.Activity, err = h.Trail.Tell(v.Context(), v.Caller, page.Records)
			p.Activity, p.Missing = p.Activity[:min(actsShown, len(p.Activity))], page.Missing
		}
		switch {
		case errs.Is(err, errs.NotImplemented):
			p.NoRecords = words.Sentence(errs.Message(err))
		case err != nil:
			h.Logger.Warn("a token's activity could not be read", "request", v.ID, "error", err)
			p.NoRecords = "The audit log cannot be read just now."
		}
	}
	title := a.Description
	if title == "" {
		title = "Token " + a.ID.String()
	}
	return visit.Answer{Page: "token.html", Title: title, Data: p}, nil
}

func (h *handlers) tokenPage(v *visit.Visit) (visit.Answer, error) {
	a, err := h.theToken(v)
	if err != nil {
		return visit.Answer{}, err
	}
	return h.showToken(v, a, a.Description)
}

// reachedBy finds the secrets that the token may do something with, those whose values it gets first.
func (h *handlers) reachedBy(v *visit.Visit, a identity.Authorization) (r reaches, err error) {
	if r.Known = v.Caller.MaySome(access.Read, v.Org); !r.Known {
		return r, nil
	}
	held := access.Caller{Principal: &access.Principal{Permissions: a.Permissions}}
	if !held.MaySome(access.Read, v.Org) && !held.MaySome(access.Write, v.Org) && !held.MaySome(access.Use, v.Org) {
		return r, nil
	}
	keys, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org)
	if err != nil {
		return r, err
	}
	var others []reached
	for _, k := range keys {
		about := access.Resource{Type: access.Secrets, OrgID: v.Org, Name: k}
		may, uses := mayWith(a.Permissions, about)
		if may == "" {
			continue
		}
		if uses {
			r.Gets++
			r.Names = append(r.Names, reached{k, may})
		} else {
			others = append(others, reached{k, may})
		}
		if held.May(access.To(access.Write, about)) {
			r.Sets++
		}
		if held.May(access.To(access.Read, about)) {
			r.Sees++
		}
	}
	r.Names = append(r.Names, others...)
	r.More = max(0, len(r.Names)-reachedShown)
	r.Names = slices.Clip(r.Names[:len(r.Names)-r.More])
	return r, nil
}

// matches reports whether a search finds the token: by its description, its ID, or whom it stands for.
func (r tokenRow) matches(search string) bool {
	search = strings.ToLower(search)
	return strings.Contains(strings.ToLower(r.Description), search) || strings.Contains(r.ID.String(), search) ||
		strings.Contains(strings.ToLower(r.User), search)
}
