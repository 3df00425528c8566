package secrets

import (
	"encoding/json"
	"slices"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/ui/listing"
	"strongroom/internal/ui/rows"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// secretList is the list of an organisation's secrets. names.js fetches all of it and searches and sorts in the
// browser; without JavaScript the server does, a page at a time.
type secretList struct {
	listing.Page
	Tally        []listing.Choice // what is due or unused; nil where it was not looked up
	Sorts, Shows []listing.Choice
	Dated        bool // what is known beside the names stands in the rows
	History      bool // the store knows when a secret was set and by whom
	MayWrite     bool
	KeepsDeleted bool
	ReadOnly     bool     // whoever asks
	Unread       []string // secrets of which what is known does not open, the first of them
	AllUnread    int
	// Attention is what an operator should see to in the store.
	Attention []secret.Detail
}

// rowView is a row for the template. What a template asks for by a name is found at once where no field is embedded.
type rowView struct {
	Name              string
	Known             *listing.Known
	MayWrite, History bool
	At                string
}

// View is the row as the template shows it; Blank and BlankFolder are the patterns that names.js fills in.
func (l secretList) View(r listing.Row, at string) rowView {
	return rowView{r.Name, r.Known, l.MayWrite, l.History, at}
}
func (l secretList) Blank(at string) rowView   { return l.View(listing.Row{}, at) }
func (l secretList) BlankFolder() listing.Item { return listing.Item{} }

// Up to so many secrets, all that is known of them is looked up for the page itself: over a server, each is a request.
// Beyond, names.js asks for it behind the page.
const (
	lookedUp        = 1000
	lookedUpByVault = 100
	unreadShown     = 20
)

func (h *handlers) secretsPage(v *visit.Visit) (visit.Answer, error) {
	w := listing.Read(v.URL.Query())
	about := h.Store.About(v.Org)
	l := secretList{Sorts: listing.Sorts, Shows: listing.Shows, Dated: w.Dated() || h.looksUp(v),
		History: about.History, MayWrite: h.mayWrite(v), KeepsDeleted: h.keepsDeleted(v.Org), ReadOnly: about.ReadOnly}
	var rows []listing.Row
	var err error
	if l.Dated {
		rows, l.Unread, err = h.rowsThatOpen(v)
		l.AllUnread, l.Unread = len(l.Unread), l.Unread[:min(len(l.Unread), unreadShown)]
		l.Tally = listing.Count(rows).Says()
	} else {
		rows, err = h.names(v)
	}
	if err != nil {
		return visit.Answer{}, err
	}
	l.Page = listing.Make(rows, w)
	if v.Operator() {
		l.Attention = slices.DeleteFunc(slices.Clone(about.Details), func(d secret.Detail) bool { return d.OK })
	}
	return visit.Answer{Page: "secrets.html", Title: "Secrets", Data: l, Wide: true}, nil
}

// looksUp reports whether there are few enough secrets to look all of them up at once. It decides about
// what is asked for next, which is put on record; the number is shown to nobody.
func (h *handlers) looksUp(v *visit.Visit) bool {
	keys, err := h.Store.Keys(v.Context(), v.Org)
	most := lookedUp
	if h.StoreName == "vault" {
		most = lookedUpByVault
	}
	return err == nil && len(keys) <= most
}

// names are the secrets' names, in the order in which people look for them.
func (h *handlers) names(v *visit.Visit) ([]listing.Row, error) {
	keys, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org)
	if err != nil {
		return nil, err
	}
	keys = h.sorted.Of(keys)
	rows := make([]listing.Row, len(keys))
	for i, k := range keys {
		rows[i].Name = k
	}
	return rows, nil
}

// rows are the secrets with what is known of them, in the same order. It is an error where that of one does not open.
func (h *handlers) rows(v *visit.Visit) ([]listing.Row, error) {
	infos, err := h.Secrets.Infos(v.Context(), v.Caller, v.Org, secret.Page{})
	return rows.Of(infos, h.Now()), err
}

// rowsThatOpen is rows which goes on where what is known of secrets does not open: those have a row with the name
// alone, and are given.
func (h *handlers) rowsThatOpen(v *visit.Visit) (all []listing.Row, unread []string, err error) {
	infos, err := h.Secrets.Infos(v.Context(), v.Caller, v.Org, secret.Page{})
	some, err := secret.Apart(err)
	if some != nil {
		unread = some.Keys
	}
	return rows.Of(infos, h.Now(), unread...), unread, err
}

// namesList is the list of all names for names.js. Nothing of the request is in it, so that it can be compressed.
func (h *handlers) namesList(v *visit.Visit) (visit.Answer, error) {
	keys, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org)
	if err != nil {
		return visit.Answer{}, err
	}
	b, err := json.Marshal(slices.Concat([]string{}, h.sorted.Of(keys)))
	return visit.Answer{JSON: b}, err
}

// datesList is the same with what is known of each secret.
func (h *handlers) datesList(v *visit.Visit) (visit.Answer, error) {
	rows, err := h.rows(v)
	if err != nil {
		return visit.Answer{}, err
	}
	b, err := json.Marshal(listing.InColumns(rows))
	return visit.Answer{JSON: b}, err
}

func (h *handlers) mayWrite(v *visit.Visit) bool {
	return v.Caller.MaySome(access.Write, v.Org) && !h.Store.About(v.Org).ReadOnly
}

// deleteSecretsPage asks before it deletes one secret, by a link.
func (h *handlers) deleteSecretsPage(v *visit.Visit) (visit.Answer, error) {
	return h.askDeleteSecrets(v, v.URL.Query()["key"])
}

// confirmShown bounds the names that a question lists; the form holds all of them.
const confirmShown = 20

func (h *handlers) askDeleteSecrets(v *visit.Visit, keys []string) (visit.Answer, error) {
	if len(keys) == 0 {
		return visit.Answer{GoTo: v.At("/secrets"), Note: "Nothing was chosen, so nothing was deleted."}, nil
	}
	if err := h.Secrets.MayApply(v.Context(), v.Caller, v.Org); err != nil {
		return visit.Answer{}, err
	}
	c := visit.Confirm{
		Question: "Delete " + words.Count(len(keys), "secret") + "?",
		Goes:     keys[:min(len(keys), confirmShown)], More: max(0, len(keys)-confirmShown),
		Back:   "The values cannot be restored from this page, and whatever uses them will fail.",
		Action: v.At("/secrets/delete"), Button: "Delete " + words.Count(len(keys), "secret"), Cancel: v.At("/secrets"),
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return visit.Answer{}, err
	}
	c.Keys = string(list)
	if h.keepsDeleted(v.Org) {
		c.Back = "Whatever uses them will fail. They can be restored for " + keptDays() +
			", from the page of deleted secrets."
	}
	if len(keys) == 1 {
		c.Question, c.Button = "Delete this secret?", "Delete the secret"
		c.Back = "The value cannot be restored from this page, and whatever uses it will fail."
		if h.keepsDeleted(v.Org) {
			c.Back = "Whatever uses it will fail. It can be restored for " + keptDays() +
				", from the page of deleted secrets."
		}
	}
	return visit.Ask(c), nil
}

// chosen are the names that a form has: each in a field of its own, as ticked boxes send them, or all in one as JSON,
// for net/url reads 10,000 fields at most.
func chosen(v *visit.Visit) ([]string, error) {
	keys := slices.Clone(v.PostForm["key"])
	if list := v.PostFormValue("keys"); list != "" {
		var more []string
		if err := json.Unmarshal([]byte(list), &more); err != nil {
			return nil, errs.Wrap(err, errs.Invalid, "the names could not be read; load the page again and repeat")
		}
		keys = append(keys, more...)
	}
	if err := secret.HoldChange(v.Hold, 0, len(keys)); err != nil {
		return nil, err
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

func (h *handlers) deleteSecrets(v *visit.Visit) (visit.Answer, error) {
	keys, err := chosen(v)
	if err != nil {
		return visit.Answer{}, err
	}
	if v.Field("sure") != "yes" {
		return h.askDeleteSecrets(v, keys)
	}
	there, err := h.thereOf(v, keys)
	if err == nil {
		_, err = h.Secrets.Apply(v.Context(), v.Caller, v.Org, secret.Change{Delete: keys})
	}
	if err != nil {
		return visit.Again(err)(h.askDeleteSecrets(v, keys))
	}
	if len(there) == 0 {
		return visit.Answer{GoTo: v.At("/secrets"), Note: "Nothing was deleted: it was gone already."}, nil
	}
	keys = there
	note := words.Count(len(keys), "secret") + " deleted."
	if len(keys) == 1 {
		note = "“" + errs.Clip(keys[0]) + "” is deleted."
	}
	if h.keepsDeleted(v.Org) {
		note += " Deleted secrets can be restored for " + keptDays() + "."
	}
	return visit.Answer{GoTo: v.At("/secrets"), Note: note, Undo: h.undoOf(v, keys)}, nil
}

// thereOf are those of the keys that name a secret, in their order. Who may not read names is told of all of them.
func (h *handlers) thereOf(v *visit.Visit, keys []string) ([]string, error) {
	if !v.Caller.MaySome(access.Read, v.Org) {
		return keys, nil
	}
	all, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org)
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool {
		_, is := slices.BinarySearch(all, k)
		return !is && v.Caller.May(access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: v.Org, Name: k}))
	}), err
}
