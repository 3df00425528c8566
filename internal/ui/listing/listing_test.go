package listing

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/natural"
)

func TestSortedOnce(t *testing.T) {
	var s Sorted
	names := []string{"b10", "b2"}
	first := s.Of(names)
	if !slices.Equal(first, []string{"b2", "b10"}) || !slices.Equal(names, []string{"b10", "b2"}) {
		t.Fatalf("%q of %q", first, names)
	}
	if again := s.Of(names); &again[0] != &first[0] {
		t.Error("the same list was sorted again")
	}
	for i := range 40 {
		s.Of([]string{fmt.Sprint("x", i+10), "b"})
	}
	if len(s.Of(nil)) != 0 || !slices.Equal(s.Of([]string{"b10", "b2"}), first) {
		t.Error("another list of the same names is not sorted")
	}
}

func rows(names ...string) (all []Row) {
	for _, n := range names {
		all = append(all, Row{Name: n})
	}
	return all
}

func shown(p Page) string {
	var all []string
	for _, i := range p.Items {
		if i.Folder != "" {
			all = append(all, fmt.Sprintf("%s(%d)", i.Folder, i.Count))
			continue
		}
		all = append(all, i.Name)
	}
	return strings.Join(all, " ")
}

func wish(query string) Wish {
	q, err := url.ParseQuery(query)
	if err != nil {
		panic(err)
	}
	return Read(q)
}

func TestFolders(t *testing.T) {
	names := []string{"a", "b/"}
	for i := range 40 {
		names = append(names, fmt.Sprintf("db/%d/user", i), fmt.Sprintf("db/%d/password", i))
	}
	names = append(names, "one/alone", "z")
	slices.SortFunc(names, natural.Compare)
	for query, want := range map[string]string{
		"":                "a b/ db/(80) one/alone z",
		"sort=down":       "z one/alone db/(80) b/ a",
		"in=db":           "",
		"in=db/7/":        "db/7/password db/7/user",
		"in=nothing/":     "",
		"q=7/pass":        "db/7/password db/17/password db/27/password db/37/password",
		"sort=nonsense":   "a b/ db/(80) one/alone z",
		"q=nothing":       "",
		"in=db/&page=99":  "",
		"in=db/1/&page=1": "db/1/password db/1/user",
	} {
		p := Make(rows(names...), wish(query))
		if strings.HasPrefix(query, "in=db&") || query == "in=db" || query == "in=db/&page=99" {
			if len(p.Items) != 40 || p.Items[2].Folder != "db/2/" || p.Items[2].Link != "?in=db%2F2%2F" ||
				len(p.Crumbs) != 1 || p.Crumbs[0] != (Crumb{"db/", "?in=db%2F"}) {
				t.Errorf("%q: %s", query, shown(p))
			}
			continue
		}
		if got := shown(p); got != want {
			t.Errorf("%q: %s", query, got)
		}
	}
	if p := Make(rows(names...), wish("flat=1")); p.All != 84 || !p.Folds || p.Turn() != "?" {
		t.Errorf("%d names without folders", p.All)
	}
	// Folders whose names differ in capital letters alone stay apart.
	var mixed []string
	for i := range 20 {
		mixed = append(mixed, fmt.Sprintf("DB/%d", 2*i), fmt.Sprintf("db/%d", 2*i+1))
	}
	slices.SortFunc(mixed, natural.Compare)
	if p := Make(rows(mixed...), wish("")); shown(p) != "DB/(20) db/(20)" {
		t.Errorf("two folders: %s", shown(p))
	}
	// A short list has no folders.
	if p := Make(rows("db/1", "db/2"), wish("")); shown(p) != "db/1 db/2" || p.Folds {
		t.Errorf("a short list: %s", shown(p))
	}
}

func TestSortAndFilter(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	known := map[string]Known{
		"a": {Updated: now.Add(-day), By: "grace", Used: now.Add(-100 * day)},
		"b": {Updated: now.Add(-200 * day), By: "Ada", Due: now.Add(10 * day)},
		"c": {Updated: now.Add(-2 * day), Created: now.Add(-300 * day), Due: now.Add(-day), Used: now},
		"d": {Updated: now, By: "ada", Due: now.Add(31 * day)},
	}
	var all []Row
	for _, n := range []string{"a", "b", "c", "d"} {
		k := known[n]
		k.Judge(now)
		all = append(all, Row{n, &k})
	}
	all = append(all, Row{Name: "e"})
	for query, want := range map[string]string{
		"": "a b c d e", "sort=updated": "d a c b e", "sort=updated-up": "b c a d e", "sort=by": "b d a c e",
		"sort=by-down": "a b d c e", "sort=used": "c a b d e", "sort=used-up": "a c b d e", "sort=due": "c b d a e",
		"sort=due-down": "d b c a e", "show=due": "b c", "show=unused": "a b", "show=never": "b d",
		"show=due&sort=due": "c b", "show=due&q=B": "b",
	} {
		if got := shown(Make(all, wish(query))); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	if c := Count(all); c != (Tally{1, 2, 2, 2}) {
		t.Errorf("counted %+v", c)
	}
	if says := Count(all).Says(); says[0].Words != "2 due within 30 days" || says[1].Words != "2 unused for 90 days" ||
		Count(nil).Says() != nil {
		t.Errorf("it says %q", says)
	}
	b, err := json.Marshal(InColumns(all[2:]))
	if want := fmt.Sprintf(`{"names":["c","d","e"],"updated":[%d,%d,0],"by":[0,1,0],"used":[%d,0,0],`+
		`"due":[%d,%d,0],"since":[%d,%d,0],"people":["","ada"]}`, now.Add(-2*day).Unix(), now.Unix(), now.Unix(),
		now.Add(-day).Unix(), now.Add(31*day).Unix(), now.Unix(), now.Unix()); err != nil || string(b) != want {
		t.Errorf("columns: %s, want %s: %v", b, want, err)
	}
}

func TestPages(t *testing.T) {
	var names []string
	for i := range 250 {
		names = append(names, fmt.Sprintf("K%d", i))
	}
	for query, want := range map[string][3]string{
		"":                {"K0", "", "?page=1"},
		"page=2":          {"K100", "?page=1", "?page=3"},
		"page=4":          {"K200", "?page=3", ""},
		"page=99":         {"K200", "?page=3", ""},
		"page=-1":         {"K0", "", "?page=1"},
		"sort=down":       {"K249", "", "?page=1&sort=down"},
		"q=k1":            {"K1", "", "?page=1&q=k1"},
		"sort=down&q=k24": {"K249", "", ""},
	} {
		p := Make(rows(names...), wish(query))
		if got := [3]string{p.Items[0].Name, p.Before, p.Next}; got != want || p.Total != 250 {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
	if a := wish("in=x&sort=due").By("due"); a != "?in=x%2F&sort=due-down" {
		t.Errorf("the column leads to %s", a)
	}
}
