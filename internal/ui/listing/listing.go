// Package listing chooses what a list of secrets shows: which match, in which order, in which folder, on which page.
// names.js does the same in the browser, over the same rows.
package listing

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/natural"
	"strongroom/internal/ui/words"
)

// Row is what is told of one secret.
type Row struct {
	Name   string
	*Known // nil where only the name was asked for
}

// Known is what is known of a secret. A zero time is none, or not known.
type Known struct {
	Created, Updated, Used, Due  time.Time
	By                           string
	Overdue, Soon, Unused, Never bool
}

const (
	// Soon is how long before its day a secret counts as due.
	Soon = 30 * 24 * time.Hour
	// Idle is after how long without a use a secret counts as unused.
	Idle = 90 * 24 * time.Hour
	// Shown is how many items a page holds.
	Shown = 50
	// Folded is from how many names on they are put into folders.
	Folded = 30
)

// Judge says what hangs on the time.
func (k *Known) Judge(now time.Time) {
	if !k.Due.IsZero() {
		k.Overdue = !k.Due.After(now)
		k.Soon = k.Due.Before(now.Add(Soon))
	}
	k.Never = k.Used.IsZero()
	since := k.since()
	k.Unused = !since.IsZero() && since.Before(now.Add(-Idle))
}

// since is the last use, or else when it was made: what was made today is not unused for long.
func (k *Known) since() time.Time {
	switch {
	case !k.Used.IsZero():
		return k.Used
	case !k.Created.IsZero():
		return k.Created
	}
	return k.Updated
}

// Since is the time that unused is counted from, in seconds of the Unix clock, for names.js; 0 where it is not known.
func (k *Known) Since() int64 { return seconds(k.since()) }

// Wish is what the reader asks for: the query of the list's address.
type Wish struct {
	Search string
	In     string // the folder, "" or ending with a slash
	Sort   string // one of Sorts
	Show   string // one of Shows
	Flat   bool   // names alone, without folders
	Page   int
}

// Choice is an entry of the form: what the address has, and what the reader sees.
type Choice struct{ Name, Words string }

// Sorts are the orders. Shows are the filters.
var (
	Sorts = []Choice{{"", "A to Z"}, {"down", "Z to A"}, {"updated", "Updated last"}, {"updated-up", "Updated first"},
		{"by", "By whom"}, {"by-down", "By whom, Z to A"}, {"used", "Used last"}, {"used-up", "Used first"},
		{"due", "Due first"}, {"due-down", "Due last"}}
	Shows = []Choice{{"", "All"}, {"due", "Due within 30 days"}, {"unused", "Unused for 90 days"},
		{"never", "Never used"}}
)

// Read reads a wish. What it does not know is as if it were not there.
func Read(q url.Values) Wish {
	w := Wish{Search: q.Get("q"), In: q.Get("in"), Sort: q.Get("sort"), Show: q.Get("show"), Flat: q.Get("flat") != ""}
	if !known(Sorts, w.Sort) {
		w.Sort = ""
	}
	if !known(Shows, w.Show) {
		w.Show = ""
	}
	if w.In != "" && !strings.HasSuffix(w.In, "/") {
		w.In += "/"
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && 0 < n && n < 1<<20 {
		w.Page = n
	}
	return w
}

func known(cs []Choice, name string) bool {
	return slices.ContainsFunc(cs, func(c Choice) bool { return c.Name == name })
}

// Dated reports whether more than the names is needed.
func (w Wish) Dated() bool { return w.Show != "" || w.Sort != "" && w.Sort != "down" }

// query is the wish as the query of an address, without the page.
func (w Wish) query() url.Values {
	q := url.Values{}
	for k, v := range map[string]string{"q": w.Search, "in": w.In, "sort": w.Sort, "show": w.Show} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if w.Flat {
		q.Set("flat", "1")
	}
	return q
}

// Link is the address of the wish.
func (w Wish) Link() string {
	q := w.query()
	if w.Page > 0 {
		q.Set("page", strconv.Itoa(w.Page))
	}
	return "?" + q.Encode()
}

// By is the address for the column's other order: what it is sorted by already is turned round.
func (w Wish) By(column string) string {
	other := map[string]string{"": "down", "updated": "updated-up", "by": "by-down", "used": "used-up",
		"due": "due-down"}[column]
	if w.Sort == column {
		column = other
	}
	w.Sort, w.Page = column, 0
	return w.Link()
}

// With is the address with another filter.
func (w Wish) With(show string) string { return Wish{Show: show}.Link() }

// Item is a line of the list: a secret, or a folder with how many there are in it.
type Item struct {
	Row
	Folder string // its whole name, ending with a slash; "" for a secret
	Count  int
	Link   string // a folder's
}

// Page is what the list shows.
type Page struct {
	Wish
	Total    int // all that there are
	Matching int // secrets that match
	Items    []Item
	Folds    bool // there are folders to be opened, or names to be put into folders
	From, To int  // of the items, counted from 1
	All      int  // items
	Crumbs   []Crumb

	Before, Next string // links, "" where there is none
}

// Crumb is a step on the way to the folder that is open.
type Crumb struct{ Name, Link string }

// Make chooses what is shown of the rows, which are in the natural order of their names.
func Make(rows []Row, w Wish) Page {
	p := Page{Wish: w, Total: len(rows)}
	search := strings.ToLower(w.Search)
	var matching []Row
	if w == (Wish{Sort: w.Sort, Page: w.Page, Flat: w.Flat}) {
		matching = rows
	} else {
		for _, r := range rows {
			if w.takes(r, search) {
				matching = append(matching, r)
			}
		}
	}
	p.Matching = len(matching)
	matching = w.sort(matching)
	folds := p.fold(matching)
	p.All = len(folds)
	from := min(w.Page*Shown, max(0, (len(folds)-1)/Shown*Shown))
	to := min(from+Shown, len(folds))
	p.From, p.To = from+1, to
	open := Wish{Sort: w.Sort}
	for _, f := range folds[from:to] {
		if f.count == 1 {
			p.Items = append(p.Items, Item{Row: matching[f.first], Count: 1})
			continue
		}
		open.In = w.folder(matching[f.first].Name)
		p.Items = append(p.Items, Item{Folder: open.In, Count: f.count, Link: open.Link()})
	}
	if from > 0 {
		w.Page = from/Shown - 1
		p.Before = w.Link()
	}
	if to < len(folds) {
		w.Page = from/Shown + 1
		p.Next = w.Link()
	}
	p.crumbs()
	return p
}

func (w Wish) takes(r Row, search string) bool {
	if !strings.HasPrefix(r.Name, w.In) || !strings.Contains(strings.ToLower(r.Name), search) {
		return false
	}
	switch {
	case w.Show == "":
		return true
	case r.Known == nil:
		return false
	case w.Show == "due":
		return r.Soon
	case w.Show == "unused":
		return r.Unused
	}
	return r.Never
}

// orders are the columns of Sorts, and whether they begin at the other end.
var orders = map[string]struct {
	column string
	turned bool
}{"down": {"", true}, "updated": {"updated", false}, "updated-up": {"updated", true}, "by": {"by", false},
	"by-down": {"by", true}, "used": {"used", false}, "used-up": {"used", true}, "due": {"due", false},
	"due-down": {"due", true}}

// sort puts the rows into the wish's order. Those of which the column says nothing come last.
func (w Wish) sort(rows []Row) []Row {
	o := orders[w.Sort]
	if o.column == "" && !o.turned {
		return rows
	}
	rows = slices.Clone(rows)
	if o.column == "" {
		slices.Reverse(rows)
		return rows
	}
	compare := map[string]func(a, b *Known) (none, c int){
		"by": func(a, b *Known) (int, int) {
			return last(a.By == "", b.By == ""), strings.Compare(strings.ToLower(a.By), strings.ToLower(b.By))
		},
		"due":  func(a, b *Known) (int, int) { return last(a.Due.IsZero(), b.Due.IsZero()), a.Due.Compare(b.Due) },
		"used": func(a, b *Known) (int, int) { return last(a.Used.IsZero(), b.Used.IsZero()), b.Used.Compare(a.Used) },
		"updated": func(a, b *Known) (int, int) {
			return last(a.Updated.IsZero(), b.Updated.IsZero()), b.Updated.Compare(a.Updated)
		},
	}[o.column]
	slices.SortStableFunc(rows, func(a, b Row) int {
		if a.Known == nil || b.Known == nil {
			return last(a.Known == nil, b.Known == nil)
		}
		none, c := compare(a.Known, b.Known)
		if o.turned {
			c = -c
		}
		return cmp.Or(none, c)
	})
	return rows
}

func last(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// fold is a line of the list: the first of its rows, and how many are in the same folder.
type fold struct{ first, count int }

// folder is the folder that the name is in, below the one that is open; "" for none.
func (w Wish) folder(name string) string {
	i := strings.IndexByte(name[len(w.In):], '/')
	if i < 0 || len(w.In)+i == len(name)-1 {
		return ""
	}
	return name[:len(w.In)+i+1]
}

// fold puts names that begin alike into folders, where there are many and nothing particular is looked for. A folder
// with one name is shown as that name.
func (p *Page) fold(rows []Row) []fold {
	can := p.Search == "" && !p.Wish.Dated() && len(rows) > Folded
	all := make([]fold, 0, len(rows))
	for i, r := range rows {
		folder := ""
		if can {
			folder = p.folder(r.Name)
		}
		if folder != "" && p.Flat {
			p.Folds, folder = true, ""
		}
		if n := p.same(rows, all, folder); n >= 0 {
			all[n].count++
			p.Folds = true
			continue
		}
		all = append(all, fold{i, 1})
	}
	return all
}

// same finds the line of the folder. It is the last one, or one before that differs in capital letters or zeros alone:
// the names in such folders lie among each other.
func (p *Page) same(rows []Row, all []fold, folder string) int {
	for n := len(all) - 1; n >= 0 && folder != ""; n-- {
		before := p.folder(rows[all[n].first].Name)
		if before == folder {
			return n
		}
		if before == "" || natural.Loosely(before, folder) != 0 {
			break
		}
	}
	return -1
}

func (p *Page) crumbs() {
	for i := range len(p.In) {
		if p.In[i] == '/' {
			in := p.In[:i+1]
			start := strings.LastIndexByte(in[:i], '/') + 1
			p.Crumbs = append(p.Crumbs, Crumb{in[start:], Wish{Sort: p.Sort, In: in}.Link()})
		}
	}
}

// Up is the address of all names, without the folder.
func (p Page) Up() string { return Wish{Sort: p.Sort}.Link() }

// Turn is the address with folders, or without.
func (p Page) Turn() string {
	w := p.Wish
	w.Flat, w.Page = !w.Flat, 0
	return w.Link()
}

// Tally counts what the line above the list tells.
type Tally struct{ Overdue, Soon, Unused, Never int }

// Count counts rows.
func Count(rows []Row) (t Tally) {
	for _, r := range rows {
		if r.Known == nil {
			continue
		}
		if r.Overdue {
			t.Overdue++
		}
		if r.Soon {
			t.Soon++
		}
		if r.Unused {
			t.Unused++
		}
		if r.Never {
			t.Never++
		}
	}
	return t
}

// Columns are all rows for names.js, a column each, which compresses well: times in seconds, 0 for none.
type Columns struct {
	Names   []string `json:"names"`
	Updated []int64  `json:"updated"`
	By      []int    `json:"by"` // an index of People
	Used    []int64  `json:"used"`
	Due     []int64  `json:"due"`
	Since   []int64  `json:"since"` // the last use, or else when it was made
	People  []string `json:"people"`
}

// InColumns turns rows into columns.
func InColumns(rows []Row) Columns {
	c := Columns{Names: []string{}, People: []string{""}}
	people := map[string]int{"": 0}
	for _, r := range rows {
		if r.Known == nil {
			r.Known = new(Known)
		}
		if _, ok := people[r.By]; !ok {
			people[r.By] = len(c.People)
			c.People = append(c.People, r.By)
		}
		c.Names = append(c.Names, r.Name)
		c.Updated = append(c.Updated, seconds(r.Updated))
		c.By = append(c.By, people[r.By])
		c.Used = append(c.Used, seconds(r.Used))
		c.Due = append(c.Due, seconds(r.Due))
		c.Since = append(c.Since, r.Since())
	}
	return c
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// Says is the line above the list: "3 due within 30 days, 12 unused for 90 days", as links.
func (t Tally) Says() []Choice {
	var all []Choice
	if t.Soon > 0 {
		all = append(all, Choice{"due", words.Number(t.Soon) + " due within 30 days"})
	}
	if t.Unused > 0 {
		all = append(all, Choice{"unused", words.Number(t.Unused) + " unused for 90 days"})
	}
	return all
}
