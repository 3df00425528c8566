// Package importing is the page that brings several secrets at once.
package importing

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/ui/pairs"
	"strongroom/internal/ui/secrets/given"
	"strongroom/internal/ui/visit"
	"strongroom/internal/ui/words"
)

// Page is the page for several secrets at once.
type Page struct{ Secrets *service.Service }

// form is what it shows: names and sizes. The values stay in the reader's browser until they are saved.
type form struct {
	Seen    bool // the text was looked at: Rows say what is in it
	Rows    []row
	New     int
	Replace int
	More    int  // rows that are not shown
	Keep    bool // what is there already stays
	Prefix  string
	Offered string // the names of Rows, as JSON: those that are offered and not taken are left out
}

// mostShown bounds the rows of the preview: those that are there already come first, for they are what one looks for.
const mostShown = 500

type row struct {
	Name   string
	Size   int
	Exists bool
}

// Found is how many names the text has.
func (f form) Found() int { return f.New + f.Replace }

// Show asks for them.
func (p Page) Show(v *visit.Visit) (visit.Answer, error) {
	if err := p.Secrets.MayApply(v.Context(), v.Caller, v.Org); err != nil {
		return visit.Answer{}, err
	}
	return visit.Answer{Page: "import.html", Title: "Import secrets", Data: form{}}, nil
}

// Import shows what the text would bring, or brings it.
func (p Page) Import(v *visit.Visit) (visit.Answer, error) {
	f := form{Keep: v.Field("existing") == "keep", Prefix: v.Field("prefix")}
	page := func() visit.Answer { return visit.Answer{Page: "import.html", Title: "Import secrets", Data: f} }
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
	found, err = leftIn(v, found, f.Prefix)
	if err == nil {
		err = p.checkAll(found)
	}
	if err != nil {
		return page(), err
	}
	if err := secret.HoldChange(v.Hold, 0, len(found)); err != nil {
		return page(), err
	}
	keys, err := p.Secrets.Keys(v.Context(), v.Caller, v.Org)
	if err != nil {
		return page(), err
	}
	set := make(map[string]secret.Value, len(found))
	for _, one := range found {
		_, exists := slices.BinarySearch(keys, one.Name)
		if exists {
			f.Replace++
		} else {
			f.New++
		}
		f.Rows = append(f.Rows, row{one.Name, len(one.Value), exists})
		if !exists || !f.Keep {
			set[one.Name] = secret.NewValue(one.Value)
		}
	}
	if v.Field("do") != "import" {
		f.Seen = true
		slices.SortStableFunc(f.Rows, func(a, b row) int {
			switch {
			case a.Exists == b.Exists:
				return 0
			case a.Exists:
				return -1
			}
			return 1
		})
		f.More = max(0, len(f.Rows)-mostShown)
		f.Rows = f.Rows[:len(f.Rows)-f.More]
		names := make([]string, len(f.Rows))
		for i, r := range f.Rows {
			names[i] = r.Name
		}
		offered, err := json.Marshal(names)
		f.Offered = string(offered)
		return page(), err
	}
	if _, err := p.Secrets.Apply(v.Context(), v.Caller, v.Org, secret.Change{Set: set}); err != nil {
		return page(), err
	}
	note := words.Count(f.New, "secret") + " added, " + words.Number(f.Replace) + " replaced."
	if f.Keep {
		note = words.Count(f.New, "secret") + " added; " + words.Number(f.Replace) +
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
func (p Page) checkAll(found []pairs.Pair) error {
	var wrong []string
	for _, one := range found {
		if len(one.Value) == 0 {
			wrong = append(wrong, fmt.Sprintf("%q has an empty value; give it one, or leave it out",
				errs.Clip(one.Name)))
		} else if err := p.Secrets.Valid(one.Name, secret.NewValue(one.Value)); err != nil {
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
