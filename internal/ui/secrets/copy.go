package secrets

import (
	"net/url"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret/service"
	"strongroom/internal/ui/across"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// copyForm asks for where a secret is to be copied or moved to.
type copyForm struct {
	Key string // which it is
	To  string // the new name
	Org string // and organisation, by its ID, or by its name as typed
	across.Choice
	MayMove bool
	History bool // its earlier versions go along, where the other organisation keeps them, too
	Moves   bool // within the organisation as they are, in one change
}

// mayCopy reports whether the reader could come by the value, by a token: so a copy gives away nothing.
func mayCopy(v *visit.Visit, key string) bool {
	return v.Caller.MayGrant(access.To(access.Use, access.Resource{Type: access.Secrets, OrgID: v.Org, Name: key}))
}

func (h *handlers) askCopy(v *visit.Visit, f copyForm) (visit.Answer, error) {
	if there, err := h.hasSecret(v, f.Key); err != nil || !there || !mayCopy(v, f.Key) {
		if err == nil {
			err = noSecret(f.Key)
		}
		return visit.Answer{}, err
	}
	about := h.Store.About(v.Org)
	f.MayMove, f.History, f.Moves = h.mayWrite(v), about.History, about.Moves
	offered, err := h.Orgs.Offer(v, func(org id.ID) bool {
		return v.Caller.MaySome(access.Write, org) && !h.Store.About(org).ReadOnly
	})
	if err != nil {
		return visit.Answer{}, err
	}
	f.Choice = offered
	return visit.Answer{Page: "secret-copy.html", Title: "Rename or copy", Data: f}, nil
}

func (h *handlers) copyPage(v *visit.Visit) (visit.Answer, error) {
	key := v.URL.Query().Get("key")
	return h.askCopy(v, copyForm{Key: key, To: key, Org: v.Org.String()})
}

func (h *handlers) copySecret(v *visit.Visit) (visit.Answer, error) {
	f := copyForm{Key: v.PostFormValue("key"), To: v.PostFormValue("to"), Org: v.Field("org")}
	into, err := h.Orgs.Named(v.Context(), v.Caller, f.Org)
	if err != nil {
		return visit.Again(err)(h.askCopy(v, f))
	}
	move := v.Field("do") == "move"
	to := service.Place{Org: into.ID, Key: f.To}
	n, err := h.Secrets.Copy(v.Context(), v.Caller, service.Place{Org: v.Org, Key: f.Key}, to, move)
	if errs.Is(err, errs.PreconditionFailed) {
		err = errs.New(errs.Conflict, "there is a secret named %q already; choose another name", errs.Clip(f.To))
	}
	if err != nil {
		return visit.Again(err)(h.askCopy(v, f))
	}
	note := "“" + errs.Clip(f.Key) + "” is copied"
	if move {
		note = "“" + errs.Clip(f.Key) + "” is moved"
	}
	if n > 1 {
		note += ", with " + words.Count(n-1, "earlier version")
	}
	note += "."
	if move && h.keepsDeleted(v.Org) {
		note += " Under its old name it can be restored for " + keptDays() + "."
	}
	return visit.Answer{GoTo: "/orgs/" + into.ID.String() + "/secret?key=" + url.QueryEscape(f.To), Note: note}, nil
}
