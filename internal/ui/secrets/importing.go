package secrets

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/ui/pairs"
	"strongroom/internal/ui/secrets/given"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// importForm is the page for several secrets at once. It shows names and sizes; the values stay in the reader's
// browser until they are saved.
type importForm struct {
	Seen    bool // the text was looked at: Rows say what is in it
	Rows    []importRow
	New     int
	Replace int
	More    int  // rows that are not shown
	Keep    bool // what is there already stays
	Prefix  string
	Offered string // the names of Rows, as JSON: those that are offered and not taken are left out
}

// importShown bounds the rows of the preview: those that are there already come first, for they are what one looks for.
const importShown = 500

type importRow struct {
	Name   string
	Size   int
	Exists bool
}

// Found is how many names the text has.
func (f importForm) Found() int { return f.New + f.Replace }

func (h *handlers) importPage(v *visit.Visit) (visit.Answer, error) {
	if err := h.Secrets.MayApply(v.Context(), v.Caller, v.Org); err != nil {
		return visit.Answer{}, err
	}
	return visit.Answer{Page: "import.html", Title: "Import secrets", Data: importForm{}}, nil
}

// importSecrets shows what the text would bring, or brings it.
func (h *handlers) importSecrets(v *visit.Visit) (visit.Answer, error) {
	form := importForm{Keep: v.Field("existing") == "keep", Prefix: v.Field("prefix")}
	page := func() visit.Answer { return visit.Answer{Page: "import.html", Title: "Import secrets", Data: form} }
	text, _, err := given.Value(v)
	if err != nil {
		return page(), err
	}
	found, err := pairs.Parse(text)
	if err != nil {
		return page(), errs.New(errs.Invalid, "%s; nothing was imported", err)
	}
	if len(found) == 0 {
		return page(), errs.New(errs.Invalid, "there is no name with a value in this text; nothing was imported")
	}
	found, err = leftIn(v, found, form.Prefix)
	if err == nil {
		err = h.checkAll(found)
	}
	if err != nil {
		return page(), err
	}
	if err := v.Hold(secret.ChangeCost * int64(len(found))); err != nil {
		return page(), err
	}
	keys, err := h.Secrets.Keys(v.Context(), v.Caller, v.Org)
	if err != nil {
		return page(), err
	}
	set := make(map[string]secret.Value, len(found))
	for _, p := range found {
		_, exists := slices.BinarySearch(keys, p.Name)
		if exists {
			form.Replace++
		} else {
			form.New++
		}
		form.Rows = append(form.Rows, importRow{p.Name, len(p.Value), exists})
		if !exists || !form.Keep {
			set[p.Name] = secret.NewValue(p.Value)
		}
	}
	if v.Field("do") != "import" {
		form.Seen = true
		slices.SortStableFunc(form.Rows, func(a, b importRow) int {
			switch {
			case a.Exists == b.Exists:
				return 0
			case a.Exists:
				return -1
			}
			return 1
		})
		form.More = max(0, len(form.Rows)-importShown)
		form.Rows = form.Rows[:len(form.Rows)-form.More]
		names := make([]string, len(form.Rows))
		for i, r := range form.Rows {
			names[i] = r.Name
		}
		offered, err := json.Marshal(names)
		form.Offered = string(offered)
		return page(), err
	}
	if _, err := h.Secrets.Apply(v.Context(), v.Caller, v.Org, secret.Change{Set: set}); err != nil {
		return page(), err
	}
	note := words.Count(form.New, "secret") + " added, " + words.Number(form.Replace) + " replaced."
	if form.Keep {
		note = words.Count(form.New, "secret") + " added; " + words.Number(form.Replace) +
			" of these names were there and stay as they are."
	}
	return visit.Answer{GoTo: v.At("/secrets"), Note: note}, nil
}

// leftIn are the pairs under their new names, without those that the preview offered and the reader did not take.
func leftIn(v *visit.Visit, found []pairs.Pair, prefix string) ([]pairs.Pair, error) {
	left := make(map[string]bool)
	if list := v.PostFormValue("offered"); list != "" && v.Field("do") == "import" {
		var offered []string
		if err := json.Unmarshal([]byte(list), &offered); err != nil {
			return nil, errs.Wrap(err, errs.Invalid, "the names could not be read; load the page again and repeat")
		}
		for _, name := range offered {
			left[name] = true
		}
		for _, name := range v.PostForm["take"] {
			delete(left, name)
		}
	}
	for i := range found {
		found[i].Name = prefix + found[i].Name
	}
	found = slices.DeleteFunc(found, func(p pairs.Pair) bool { return left[p.Name] })
	if len(found) == 0 {
		return nil, errs.New(errs.Invalid, "choose at least one name; nothing was imported")
	}
	return found, nil
}

// checkAll tells all that is wrong with the pairs at once.
func (h *handlers) checkAll(found []pairs.Pair) error {
	var wrong []string
	for _, p := range found {
		if len(p.Value) == 0 {
			wrong = append(wrong, fmt.Sprintf("%q has an empty value; give it one, or leave it out", errs.Clip(p.Name)))
		} else if err := h.Secrets.Valid(p.Name, secret.NewValue(p.Value)); err != nil {
			wrong = append(wrong, errs.Message(err))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	more := ""
	if n := len(wrong) - mostWrong; n > 0 {
		wrong, more = wrong[:mostWrong], " and "+words.Number(n)+" more."
	}
	return errs.New(errs.Invalid, "%s. Nothing was imported.%s", strings.Join(wrong, "; "), more)
}

// mostWrong bounds the mistakes that are told at once.
const mostWrong = 20
