package secrets

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/ui/paste"
	"strongroom/internal/ui/secrets/given"
	"strongroom/internal/ui/trail"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// pageNumber reads a page's number from a query, 0 where there is none.
func pageNumber(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<20 {
		return 0
	}
	return n
}

// secretForm is a secret being set. The value is never sent back: where the form is refused without JavaScript it has
// to be typed again, and the page says so.
type secretForm struct {
	Key      string
	Exists   bool   // the name was found taken; the reader may choose to replace it
	Refused  bool   // the secret was found gone or replaced by others; the reader may choose to save all the same
	Version  string // the one that the reader saw, so that two do not replace it unawares; "" where it is not known
	HadValue bool

	// While adding, where the store keeps them.
	Describes     bool
	Text, Expires string
}

func (h *handlers) newSecretPage(v *visit.Visit) (visit.Answer, error) {
	if err := h.Secrets.MayApply(v.Context(), v.Caller, v.Org); err != nil {
		return visit.Answer{}, err
	}
	return visit.Answer{Page: "secret-new.html", Title: "Add a secret",
		Data: secretForm{Key: v.URL.Query().Get("key"), Describes: h.Store.About(v.Org).History}}, nil
}

// createSecret has the store itself see to it that the name is new: in another tab somebody may be as far as this one.
func (h *handlers) createSecret(v *visit.Visit) (visit.Answer, error) {
	// Spaces belong to a name: the API takes them.
	form := secretForm{Key: v.PostFormValue("key"), Describes: h.Store.About(v.Org).History,
		Text: given.Lines(v.PostFormValue("description")), Expires: v.Field("expires")}
	page := visit.Answer{Page: "secret-new.html", Title: "Add a secret", Data: form}
	d, err := form.description()
	if err != nil {
		return page, err
	}
	page, err = h.saveSecret(v, page, form, secret.Change{Only: only(v, secret.IfNew, form.Key)})
	if err == nil && d != (secret.Description{}) && form.Describes {
		if err := h.Secrets.Describe(v.Context(), v.Caller, v.Org, form.Key, d); err != nil {
			page.Note += " The description could not be saved: " + errs.Message(err) + "."
		}
	}
	if errs.Is(err, errs.PreconditionFailed) {
		form.Exists, form.HadValue = true, true
		page.Data = form
		err = errs.New(errs.Conflict, "there is a secret named %q already; choose “replace it”, or another name",
			errs.Clip(form.Key))
	}
	return page, err
}

// description is what was noted while adding.
func (f secretForm) description() (d secret.Description, err error) {
	d.Text = f.Text
	if len(d.Text) > secret.MaxDescription {
		return d, errs.New(errs.Invalid, "a description is at most %d bytes of text", secret.MaxDescription)
	}
	if f.Expires != "" {
		d.Expires, err = readDay(f.Expires)
	}
	return d, err
}

// readDay reads what a field for a day has.
func readDay(s string) (time.Time, error) {
	t, err := time.Parse(day, s)
	if err != nil {
		err = errs.New(errs.Invalid, "the date is not complete; write it as year-month-day, for example 2027-01-31, "+
			"or leave it empty")
	}
	return t, err
}

// replaceSecret has the store itself see to it that the secret is still the one that the reader saw.
func (h *handlers) replaceSecret(v *visit.Visit) (visit.Answer, error) {
	form := secretForm{Key: v.PostFormValue("key"), Version: v.Field("version")}
	page := visit.Answer{Page: "secret-gone.html", Title: "Not saved"}
	change := secret.Change{Only: only(v, secret.IfExisting, form.Key)}
	if change.Only != secret.Anyway && form.Version != "" {
		n, err := strconv.Atoi(form.Version)
		if err != nil {
			page.Data = form
			return page, errs.New(errs.Invalid, "the form could not be read; load the page again and repeat")
		}
		change.Versions = map[string]int{form.Key: n}
	}
	page, err := h.saveSecret(v, page, form, change)
	if errs.Is(err, errs.PreconditionFailed) {
		form.Refused, form.HadValue = true, true
		page.Data = form
		err = h.whyNot(v, form.Key)
	}
	return page, err
}

// whyNot says what has become of a secret that could not be replaced.
func (h *handlers) whyNot(v *visit.Visit, key string) error {
	const choose = "; nothing was saved. Choose “save mine all the same”, or load the page again"
	there, err := h.hasSecret(v, key)
	if err == nil && !there {
		return errs.New(errs.Conflict, "the secret %q was deleted or renamed meanwhile"+choose, errs.Clip(key))
	}
	by := "somebody"
	if info, err := h.info(v, key); err == nil && info.By != "" {
		by = info.By
	}
	return errs.New(errs.Conflict, "%s has replaced the value of %q since you opened this page"+choose, by,
		errs.Clip(key))
}

// only is the condition of setting the key, unless the reader has decided, or may not know whether it exists.
func only(v *visit.Visit, c secret.Condition, key string) secret.Condition {
	if v.Field("replace") == "yes" || !v.Caller.May(access.To(access.Read, access.Resource{Type: access.Secrets,
		OrgID: v.Org, Name: key})) {
		return secret.Anyway
	}
	return c
}

// saveSecret stores the form's value, where the conditions of the change hold.
func (h *handlers) saveSecret(v *visit.Visit, page visit.Answer, form secretForm,
	change secret.Change) (visit.Answer, error) {
	value, typed, err := given.Value(v)
	form.HadValue = typed
	page.Data = form
	if err != nil {
		clear(value)
		return page, err
	}
	change.Set = map[string]secret.Value{form.Key: secret.NewValue(value)}
	if _, err = h.Secrets.Apply(v.Context(), v.Caller, v.Org, change); err != nil {
		return page, err
	}
	return visit.Answer{GoTo: v.At("/secret?key=" + url.QueryEscape(form.Key)),
		Note: "The value is saved (" + words.Size(len(value)) + ")."}, nil
}

// hasSecret asks for all names: the service has no question about one. Who may not read names cannot be told.
func (h *handlers) hasSecret(v *visit.Visit, key string) (bool, error) {
	if !v.Caller.MaySome(access.Read, v.Org) {
		return false, nil
	}
	keys, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org)
	if err != nil {
		return false, err
	}
	_, found := slices.BinarySearch(keys, key)
	return found, nil
}

type secretView struct {
	Key       string
	MayWrite  bool
	Version   string // "" where it is not known, or cannot be a condition
	Pastes    []paste.Text
	MayCopy   bool // to another name or organisation
	MayToken  bool // make tokens that use it
	Curl      string
	Origin    string // the server's, as it stands in Curl: app.js puts in the one that the browser knows
	CLI       string
	About     *about // nil where the store keeps nothing but values
	NoHistory string // why that is so
	ReadOnly  bool   // whoever asks
	Days      string // how long it can be restored; "" where it cannot
	Activity  []trail.Row
	Missing   []audit.Absent // whose acts are not in it
	MayLook   bool           // at the activity
	NoRecords string         // why the audit log was not asked, "" where it was
}

// deletedView is the page of a secret that is deleted and can be restored.
type deletedView struct {
	secret.Info
	Until    time.Time // when it is gone for good
	MayWrite bool
}

func (h *handlers) secretPage(v *visit.Visit) (visit.Answer, error) {
	return h.showSecret(v, v.URL.Query().Get("key"))
}

func (h *handlers) showSecret(v *visit.Visit, key string) (visit.Answer, error) {
	known, err := h.known(v, key)
	if err != nil && known != nil && !known.Deleted.IsZero() {
		return visit.Answer{Page: "secret-deleted.html", Title: "Deleted", Status: http.StatusNotFound,
			Data: deletedView{known.Info, known.Deleted.Add(secret.KeepDeleted), h.mayWrite(v)}}, nil
	}
	if err != nil {
		return visit.Answer{}, err
	}
	at := paste.Place{Origin: v.Origin(), Org: v.Org}
	p := secretView{Key: key, About: known, ReadOnly: h.Store.About(v.Org).ReadOnly, MayWrite: h.mayWrite(v),
		Pastes: paste.Secret(at, key), MayCopy: mayCopy(v, key), Origin: v.Origin(), Curl: paste.SetByCurl(at, key),
		CLI: paste.SetByCommand(at, key)}
	p.MayToken = p.MayCopy && v.Caller.May(access.To(access.Write, access.Resource{Type: access.Authorizations,
		OrgID: v.Org}))
	if known != nil && h.Store.About(v.Org).SecretVersions {
		p.Version = strconv.Itoa(known.Version)
	}
	if known == nil {
		p.NoHistory = cmp.Or(noHistory[h.StoreName], noHistory[""])
	}
	if h.keepsDeleted(v.Org) {
		p.Days = keptDays()
	}
	if p.MayLook = h.Trail.Kept() && h.Trail.May(v.Caller, v.Org.String()); p.MayLook {
		p.Activity, p.Missing, err = h.lately(v, key)
		if errs.Is(err, errs.NotImplemented) {
			p.NoRecords = words.Sentence(errs.Message(err))
		} else if err != nil {
			h.Logger.Warn("a secret's activity could not be read", "request", v.ID, "error", err)
			p.NoRecords = "The audit log cannot be read just now."
		}
	}
	return visit.Answer{Page: "secret.html", Title: key, Data: p}, nil
}

// lately is what was done with a secret last, and what was refused. Every look at its page and every use by an agent is
// on record too, and would fill it.
func (h *handlers) lately(v *visit.Visit, key string) ([]trail.Row, []audit.Absent, error) {
	page, err := h.Trail.Acts(v.Context(), v.Caller, audit.Filter{OrgID: v.Org.String(), Key: key,
		Changes: true, Limit: 2 * actsShown}, audit.Before{}) // a move is two acts
	if err != nil {
		return nil, nil, err
	}
	rows, err := h.Trail.Tell(v.Context(), v.Caller, page.Records)
	return rows[:min(actsShown, len(rows))], page.Missing, err
}

// actsShown is how many acts with a secret its page has.
const actsShown = 8
