package secrets

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/ui/secrets/given"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// day is how a date field of a form writes a day.
const day = "2006-01-02"

// keepsDeleted says whether what is deleted can be restored.
func (h *handlers) keepsDeleted(org id.ID) bool {
	return h.Store.About(org).History && !h.NoHistory
}

// keptDays is secret.KeepDeleted as people say it.
func keptDays() string { return words.Count(int(secret.KeepDeleted/(24*time.Hour)), "day") }

// about is what the page tells of a secret, its value excepted.
type about struct {
	secret.Info
	Earlier []secret.Version // the newest first, without the current one
	Expired bool
	Form    describeForm
}

// describeForm is what a reader notes of a secret. Seen tells what the form was filled with, so that of two tabs the
// later one does not undo the other unknowingly.
type describeForm struct {
	Text, Expires, Seen string
	Changed             bool // others changed it meanwhile; the reader may choose to replace it
}

func (h *handlers) aboutOf(info secret.Info) *about {
	a := &about{Info: info, Expired: !info.Expires.IsZero() && !info.Expires.After(h.Now()),
		Form: describeForm{Text: info.Text, Expires: dateOf(info.Expires), Seen: seen(info.Description)}}
	if n := len(info.Versions); n > 0 {
		a.Earlier = slices.Clone(info.Versions[:n-1])
		slices.Reverse(a.Earlier)
	}
	return a
}

func dateOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(day)
}

func seen(d secret.Description) string {
	sum := sha256.Sum256([]byte(d.Text + "\x00" + words.Stamp(d.Expires)))
	return hex.EncodeToString(sum[:8])
}

// noSecret tells no difference between what is missing and what the reader may not see.
func noSecret(key string) error {
	return errs.New(errs.NotFound, "there is no secret named %q here; it may have been deleted, or you "+
		"may not see it", errs.Clip(key))
}

// noHistory says why a store knows nothing but values, by its name in the configuration; "" is for all others.
var noHistory = map[string]string{
	"": "This store keeps the current value alone: no dates, no description and no earlier versions.",
	"vault": "The organisation’s secrets are one entry of Vault, which knows no dates, description or earlier " +
		"versions of a single one; with --vault-layout secret each has its own.",
}

// known is what the store knows of a secret that is there; nil where it knows nothing but the value.
func (h *handlers) known(v *visit.Visit, key string) (*about, error) {
	if h.Store.About(v.Org).History {
		info, err := h.info(v, key)
		return h.aboutOf(info), err
	}
	there, err := h.hasSecret(v, key)
	if err == nil && !there {
		err = noSecret(key)
	}
	return nil, err
}

// info is what is known of a secret that is there.
func (h *handlers) info(v *visit.Visit, key string) (secret.Info, error) {
	info, err := h.Secrets.Info(v.Context(), v.Caller, v.Org, key)
	switch {
	case errs.Is(err, errs.NotFound), errs.Is(err, errs.Unauthorized):
		return info, noSecret(key)
	case err == nil && !info.Deleted.IsZero():
		return info, errs.New(errs.NotFound, "there is no secret named %q here: it was deleted %s, and can be "+
			"restored among the deleted secrets",
			errs.Clip(key), words.Ago(info.Deleted, h.Now()))
	}
	return info, err
}

func (h *handlers) describeSecret(v *visit.Visit) (visit.Answer, error) {
	key := v.PostFormValue("key")
	info, err := h.info(v, key)
	if err != nil {
		return visit.Answer{}, err
	}
	form := describeForm{Text: given.Lines(v.PostFormValue("description")), Expires: v.Field("expires"),
		Seen: v.Field("seen")}
	d := secret.Description{Text: form.Text, Expires: info.Expires}
	// A day that is left as it was keeps the time of day that the API may have given it.
	if form.Expires != dateOf(info.Expires) {
		d.Expires = time.Time{}
		if form.Expires != "" {
			d.Expires, err = readDay(form.Expires)
		}
	}
	switch {
	case err != nil:
	case form.Seen != seen(info.Description) && v.Field("replace") != "yes":
		form.Changed = true
		err = errs.New(errs.Conflict, "somebody changed the description or the date meanwhile; choose “save mine "+
			"instead”, or load the page again to see theirs")
	default:
		err = h.Secrets.Describe(v.Context(), v.Caller, v.Org, key, d)
	}
	if err != nil {
		a, shown := h.showSecret(v, key)
		if p, ok := a.Data.(secretView); shown == nil && ok && p.About != nil {
			p.About.Form = form
		}
		return visit.Again(err)(a, shown)
	}
	return visit.Answer{GoTo: v.At("/secret?key=" + url.QueryEscape(key)), Note: "The description is saved."}, nil
}

// restoring is the question before an earlier version becomes the current one.
type restoring struct {
	Key     string
	Version secret.Version
	Current int
}

// Next is the number that the restored value gets.
func (r restoring) Next() int { return r.Current + 1 }

func (h *handlers) restorePage(v *visit.Visit) (visit.Answer, error) {
	return h.askRestore(v, v.URL.Query().Get("key"), v.URL.Query().Get("version"))
}

func (h *handlers) askRestore(v *visit.Visit, key, version string) (visit.Answer, error) {
	if err := h.Secrets.MayApply(v.Context(), v.Caller, v.Org); err != nil {
		return visit.Answer{}, err
	}
	info, err := h.info(v, key)
	if err != nil {
		return visit.Answer{}, err
	}
	n, err := strconv.Atoi(version)
	i := slices.IndexFunc(info.Versions, func(of secret.Version) bool { return of.Number == n })
	if err != nil || i < 0 || !info.Versions[i].Restorable {
		return visit.Answer{}, errs.New(errs.NotFound, "there is no version %q of %q that could be restored; it may "+
			"be too old by now", errs.Clip(version), errs.Clip(key))
	}
	if n == info.Version {
		return visit.Answer{GoTo: v.At("/secret?key=" + url.QueryEscape(key)),
			Note: fmt.Sprintf("Version %d is the current one already.", n)}, nil
	}
	return visit.Answer{Page: "secret-restore.html", Title: fmt.Sprintf("Restore version %d?", n),
		Data: restoring{Key: key, Version: info.Versions[i], Current: info.Version}}, nil
}

func (h *handlers) restoreSecret(v *visit.Visit) (visit.Answer, error) {
	key, version := v.PostFormValue("key"), v.Field("version")
	a, err := h.askRestore(v, key, version)
	if err != nil || a.GoTo != "" || v.Field("sure") != "yes" {
		return a, err
	}
	n := a.Data.(restoring).Version.Number
	if err := h.Secrets.Restore(v.Context(), v.Caller, v.Org, key, n); err != nil {
		return a, err
	}
	return visit.Answer{GoTo: v.At("/secret?key=" + url.QueryEscape(key)),
		Note: fmt.Sprintf("The value of version %d is the current one again.", n)}, nil
}

// deletedShown bounds the deleted secrets that one page lists.
const deletedShown = 100

type deletedList struct {
	Kept            bool // the store keeps what is deleted
	Total, Matching int
	Shown           []deletedSecret
	Search          string
	MayWrite        bool
	Days            string
	Before, Next    string // links to the pages before and after, "" where there is none
}

type deletedSecret struct {
	secret.Info
	Until time.Time // when it is gone for good
}

func (h *handlers) deletedPage(v *visit.Visit) (visit.Answer, error) {
	q := v.URL.Query()
	l := deletedList{Kept: h.keepsDeleted(v.Org), Search: q.Get("q"), MayWrite: h.mayWrite(v), Days: keptDays()}
	page := visit.Answer{Page: "secrets-deleted.html", Title: "Deleted secrets"}
	if l.Kept {
		infos, err := h.Secrets.Deleted(v.Context(), v.Caller, v.Org, secret.Page{})
		if err != nil {
			return visit.Answer{}, err
		}
		l.page(infos, pageNumber(q.Get("page")))
	}
	page.Data = l
	return page, nil
}

func (l *deletedList) page(infos []secret.Info, n int) {
	l.Total = len(infos)
	infos = slices.DeleteFunc(infos, func(i secret.Info) bool { return !words.Contains(i.Key, l.Search) })
	l.Matching = len(infos)
	from := min(n*deletedShown, max(0, (len(infos)-1)/deletedShown*deletedShown))
	to := min(from+deletedShown, len(infos))
	for _, i := range infos[from:to] {
		l.Shown = append(l.Shown, deletedSecret{i, i.Deleted.Add(secret.KeepDeleted)})
	}
	rest := "?q=" + url.QueryEscape(l.Search) + "&page="
	if from > 0 {
		l.Before = rest + strconv.Itoa(from/deletedShown-1)
	}
	if to < len(infos) {
		l.Next = rest + strconv.Itoa(from/deletedShown+1)
	}
}
