// Package report is what whoever moves things is told: what became of each, and how many of a kind did.
package report

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/influxdb"
)

// Result is what became of one thing.
type Result string

// The results. Present is what an earlier import brought, or what is the same here: it was left as it is.
const (
	Brought    Result = "brought"
	Replaced   Result = "replaced" // by what the source has by now
	Deleted    Result = "deleted"  // as it was in the source
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

// Report tells what became of everything. It holds names and IDs, and no token, hash or value.
type Report struct {
	From   string  `json:"from"`
	To     string  `json:"to,omitempty"` // "" for an import
	DryRun bool    `json:"dryRun"`
	Totals []Total `json:"totals"`
	Items  []Item  `json:"items"`
	// Source counts what a copy has deleted from where it came; nil where it was not to.
	Source *SourceCount `json:"source,omitempty"`

	// Told is given the items in the place of Items; nil for a report that keeps them.
	Told func(Item) `json:"-"`
}

// SourceCount counts what was deleted from the source, and what stayed since it had changed after it was copied.
type SourceCount struct {
	Deleted int `json:"deleted"`
	Kept    int `json:"kept"`
}

// Total counts the things of a kind by what became of them.
type Total struct {
	Kind     string `json:"kind"`
	Brought  int    `json:"brought"`
	Replaced int    `json:"replaced"`
	Deleted  int    `json:"deleted"`
	Present  int    `json:"present"`
	Conflict int    `json:"conflict"`
	Skipped  int    `json:"skipped"`
}

// Add tells of one more thing.
func (r *Report) Add(i Item) {
	if r.Told != nil {
		r.Told(i)
	} else {
		r.Items = append(r.Items, i)
	}
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
	case Replaced:
		t.Replaced += i.Count
	case Deleted:
		t.Deleted += i.Count
	case Present:
		t.Present += i.Count
	case Conflicted:
		t.Conflict += i.Count
	default:
		t.Skipped += i.Count
	}
}

// Skip tells of what cannot be brought.
func (r *Report) Skip(s influxdb.Skip) {
	r.Add(Item{Kind: s.Kind, Name: s.Name, Result: Skipped, Why: s.Why, Count: s.Count})
}

// InOrder does n things, so many at the same time, and gives what became of them in their order, also before an error.
func InOrder(ctx context.Context, n, atOnce int, one func(context.Context, int) ([]Item, error)) ([]Item, error) {
	some := make([][]Item, n)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range some {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() (err error) {
			some[i], err = one(gctx, i)
			return err
		})
	}
	err := g.Wait()
	return slices.Concat(some...), err
}

// Incomplete says how much of a kind was not brought, for whoever runs this in a script; nil where all was.
func (r *Report) Incomplete(kind string) error {
	for _, t := range r.Totals {
		if t.Kind != kind || t.Conflict+t.Skipped == 0 {
			continue
		}
		was := "was"
		if r.DryRun {
			was = "would be"
		}
		return fmt.Errorf("not everything %s brought over: of the %ss, %d in conflict and %d skipped; the report "+
			"tells of each", was, kind, t.Conflict, t.Skipped)
	}
	return nil
}

// StreamJSON writes a report as WriteJSON does, each thing as it is told, so that it need not be kept; the totals are
// in the end. end gives the error of writing.
func StreamJSON(w io.Writer) (told func(Item), end func(*Report) error) {
	out := bufio.NewWriter(w)
	before := "{\n  \"items\": [\n    "
	told = func(i Item) {
		b, err := json.Marshal(i)
		if err != nil {
			panic("report: an item that cannot be encoded: " + err.Error()) // it is texts and numbers
		}
		out.WriteString(before)
		_, _ = out.Write(b) // a bufio.Writer keeps its error for Flush
		before = ",\n    "
	}
	return told, func(r *Report) error {
		if before[0] == '{' {
			out.WriteString("{\n  \"items\": [")
		}
		rest, err := json.MarshalIndent(struct {
			From   string  `json:"from"`
			DryRun bool    `json:"dryRun"`
			Totals []Total `json:"totals"`
		}{r.From, r.DryRun, r.Totals}, "", "  ")
		if err != nil {
			return err
		}
		out.WriteString("\n  ],")
		_, _ = out.Write(rest[1:]) // without the brace
		out.WriteString("\n")
		return out.Flush()
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
	changes := func(string, ...any) string { return "" }
	if r.To != "" {
		changes = fmt.Sprintf
	}
	fmt.Fprintf(t, "KIND\t%s\t%sTHERE ALREADY\tCONFLICT\tSKIPPED\n", brought, changes("REPLACED\tDELETED\t"))
	for _, k := range r.Totals {
		fmt.Fprintf(t, "%s\t%d\t%s%d\t%d\t%d\n", k.Kind, k.Brought, changes("%d\t%d\t", k.Replaced, k.Deleted),
			k.Present, k.Conflict, k.Skipped)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if s := r.Source; s != nil {
		fmt.Fprintf(w, "\nDeleted from %s: %d; changed there meanwhile, and kept: %d\n", r.From, s.Deleted, s.Kept)
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
