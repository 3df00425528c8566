package secrets

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// secretsShown is how many names the page holds. names.js fetches all of them as one list and searches in it; without
// JavaScript the server does, a page at a time.
const secretsShown = 100

type secretList struct {
	Total, Matching int
	Shown           []string
	Search          string
	Descending      bool
	From, To        int    // of the matching ones, counted from 1
	Before, Next    string // links to the pages before and after, "" where there is none
	MayWrite        bool
	KeepsDeleted    bool
	ReadOnly        bool // whoever asks
	// Attention is what an operator should see to in the store.
	Attention []secret.Detail
}

func (h *handlers) secretsPage(v *visit.Visit) (visit.Answer, error) {
	keys, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org)
	if err != nil {
		return visit.Answer{}, err
	}
	keys = alphabetical(keys)
	q := v.URL.Query()
	l := secretList{Total: len(keys), Search: q.Get("q"), Descending: q.Get("sort") == "down", MayWrite: h.mayWrite(v),
		KeepsDeleted: h.keepsDeleted(v.Org), ReadOnly: h.Store.About(v.Org).ReadOnly}
	l.page(keys, pageNumber(q.Get("page")))
	if v.Operator() {
		l.Attention = slices.DeleteFunc(slices.Clone(h.Store.About(v.Org).Details), func(d secret.Detail) bool {
			return d.OK
		})
	}
	return visit.Answer{Page: "secrets.html", Title: "Secrets", Data: l}, nil
}

// alphabetical is the order in which people look for a name: capital and small letters are the same, unless nothing
// else differs. A store gives the order of the bytes, in which Z comes before a; where all letters are small they are
// the same, and the list is given back as it is.
func alphabetical(keys []string) []string {
	if slices.IsSortedFunc(keys, compareFolded) {
		return keys
	}
	return slices.SortedFunc(slices.Values(keys), compareFolded)
}

// compareFolded knows the capital letters of ASCII alone: 10,000 names are compared for each page.
func compareFolded(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := small(a[i]), small(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func small(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// page chooses what is shown of the keys.
func (l *secretList) page(keys []string, n int) {
	matching := keys
	if l.Search != "" {
		matching = nil
		for _, k := range keys {
			if words.Contains(k, l.Search) {
				matching = append(matching, k)
			}
		}
	}
	l.Matching = len(matching)
	from := min(n*secretsShown, max(0, (len(matching)-1)/secretsShown*secretsShown))
	to := min(from+secretsShown, len(matching))
	if l.Descending {
		l.Shown = slices.Clone(matching[len(matching)-to : len(matching)-from])
		slices.Reverse(l.Shown)
	} else {
		l.Shown = matching[from:to]
	}
	l.From, l.To = from+1, to
	rest := "?q=" + url.QueryEscape(l.Search)
	if l.Descending {
		rest += "&sort=down"
	}
	if from > 0 {
		l.Before = rest + "&page=" + strconv.Itoa(from/secretsShown-1)
	}
	if to < len(matching) {
		l.Next = rest + "&page=" + strconv.Itoa(from/secretsShown+1)
	}
}

// namesList is the list of all names for names.js. Nothing of the request is in it, so that it can be compressed.
func (h *handlers) namesList(v *visit.Visit) (visit.Answer, error) {
	keys, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org)
	if err != nil {
		return visit.Answer{}, err
	}
	b, err := json.Marshal(slices.Concat([]string{}, alphabetical(keys)))
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
