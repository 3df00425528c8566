package transfer

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// Result is what became of one thing.
type Result string

// The results. Present is what an earlier import brought, or what is the same here: it was left as it is.
const (
	Brought    Result = "brought"
	Present    Result = "present"
	Conflicted Result = "conflict"
	Skipped    Result = "skipped"
)

// Item tells what became of one thing, or of Count things of a kind. It holds no token and no hash.
type Item struct {
	Kind   string `json:"kind"`
	ID     string `json:"id,omitempty"`
	Name   string `json:"name,omitempty"`
	Result Result `json:"result"`
	Why    string `json:"why,omitempty"`
	Count  int    `json:"count"`
}

func (i *Item) is(r Result, format string, args ...any) {
	i.Result, i.Why = r, fmt.Sprintf(format, args...)
}

// Report tells what became of everything. It holds names and IDs, and no token, hash or value.
type Report struct {
	From   string  `json:"from"`
	To     string  `json:"to,omitempty"` // "" for an import
	DryRun bool    `json:"dryRun"`
	Totals []Total `json:"totals"`
	Items  []Item  `json:"items"`
}

// Total counts the things of a kind by what became of them.
type Total struct {
	Kind     string `json:"kind"`
	Brought  int    `json:"brought"`
	Present  int    `json:"present"`
	Conflict int    `json:"conflict"`
	Skipped  int    `json:"skipped"`
}

func (r *Report) add(i Item) {
	r.Items = append(r.Items, i)
	at := -1
	for n := range r.Totals {
		if r.Totals[n].Kind == i.Kind {
			at = n
		}
	}
	if at < 0 {
		r.Totals, at = append(r.Totals, Total{Kind: i.Kind}), len(r.Totals)
	}
	switch t := &r.Totals[at]; i.Result {
	case Brought:
		t.Brought += i.Count
	case Present:
		t.Present += i.Count
	case Conflicted:
		t.Conflict += i.Count
	default:
		t.Skipped += i.Count
	}
}

// WriteJSON writes the whole report.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes the totals, and a line for everything that needs a reader's eye: what was not brought, and what was
// brought not whole.
func (r *Report) WriteText(w io.Writer) error {
	title, brought := "Imported from", "BROUGHT"
	if r.DryRun {
		title, brought = "Nothing was changed. An import would bring from", "TO BRING"
	}
	where := r.From
	switch {
	case r.To != "" && r.DryRun:
		title, where = "Nothing was changed. A copy would bring", r.From+" to "+r.To
	case r.To != "":
		title, where = "Copied, and read back,", r.From+" to "+r.To
	}
	fmt.Fprintf(w, "%s %s:\n\n", title, where)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "KIND\t%s\tTHERE ALREADY\tCONFLICT\tSKIPPED\n", brought)
	for _, k := range r.Totals {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", k.Kind, k.Brought, k.Present, k.Conflict, k.Skipped)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	heading := false
	for _, i := range r.Items {
		if i.Why == "" {
			continue
		}
		if !heading {
			fmt.Fprint(w, "\nTo look at:\n")
			heading = true
		}
		what := i.Kind
		if i.Count > 1 {
			what = fmt.Sprintf("%d × %s", i.Count, i.Kind)
		}
		if i.ID != "" {
			what += " " + i.ID
		}
		if i.Name != "" {
			what += fmt.Sprintf(" %q", i.Name)
		}
		if _, err := fmt.Fprintf(w, "  %s: %s: %s\n", what, i.Result, i.Why); err != nil {
			return err
		}
	}
	return nil
}
