//go:build !race

// Package matrix has no code: it holds the server to a table of who may do what. A row is an action, a column somebody
// who comes with a token, a session or nothing, and each of the cells was decided by hand. The tables in testdata are to
// be read by people; what their signs mean stands at their top.
//
// A route that the server has and that no row tries fails the test, as does a cell that is not as the table says. Besides,
// whoever is refused must be answered about something that is there as about something that is not (action.twin).
package matrix

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"strongroom/internal/audit"
)

// table is what a file of testdata says: the sign of each row's name and column.
type table struct {
	path  string
	head  string // what stands above the names of the columns
	cells map[string][]string
	rows  []string
}

// nameWidth is how wide the names of rows are, in characters.
const nameWidth = 44

// readTable reads a file. The names of the columns are written downwards above them.
func readTable(t *testing.T, name string, columns []column) table {
	t.Helper()
	tb := table{path: filepath.Join("testdata", name), cells: make(map[string][]string)}
	b, err := os.ReadFile(tb.path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	names := make([]strings.Builder, len(columns))
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "#"):
			tb.head += line + "\n"
		case strings.TrimSpace(line) == "":
		case strings.TrimSpace(line[:min(len(line), nameWidth)]) == "":
			for c, sign := range signs(line, len(columns)) {
				names[c].WriteString(sign)
			}
		default:
			row := strings.TrimSpace(line[:nameWidth])
			if tb.cells[row] != nil {
				t.Fatalf("%s:%d: there is a row %q already", tb.path, i+1, row)
			}
			tb.cells[row] = signs(line, len(columns))
			tb.rows = append(tb.rows, row)
		}
	}
	for i, c := range columns {
		if got := strings.TrimSpace(names[i].String()); got != c.name && len(tb.rows) > 0 {
			t.Errorf("%s: column %d is %q, which should be %q", tb.path, i+1, got, c.name)
		}
	}
	return tb
}

// signs are those of a line.
func signs(line string, n int) []string {
	all := make([]string, n)
	runes := []rune(line)
	for i := range all {
		all[i] = " "
		if at := nameWidth + 2*i; at < len(runes) {
			all[i] = string(runes[at])
		}
	}
	return all
}

// write is the table as it stands in the file.
func (tb table) write(columns []column, rows []string) string {
	var b strings.Builder
	b.WriteString(tb.head + "\n")
	longest := 0
	for _, c := range columns {
		longest = max(longest, len(c.name))
	}
	line := func(name string, sign func(i int) string) {
		b.WriteString(name + strings.Repeat(" ", nameWidth-utf8.RuneCountInString(name)))
		all := make([]string, len(columns))
		for i := range columns {
			all[i] = sign(i)
		}
		b.WriteString(strings.Join(all, " ") + "\n")
	}
	for row := range longest {
		line("", func(i int) string {
			padded := strings.Repeat(" ", longest-len(columns[i].name)) + columns[i].name
			return padded[row : row+1]
		})
	}
	b.WriteByte('\n')
	for _, r := range rows {
		line(r, func(i int) string { return tb.cells[r][i] })
	}
	return b.String()
}

// The signs. Each file says what they mean.
const (
	did      = "+"
	empty    = "o"
	unknown  = "."
	denied   = "-"
	forbids  = "F"
	noThing  = "0"
	elsewise = "?"
)

var otherSigns = map[int]string{400: "4", 405: "5", 409: "9", 412: "P", 413: "L", 422: "2", 429: "T", 500: "X", 501: "N",
	503: "S"}

// apiSign is the sign of an answer of InfluxDB's API.
func apiSign(a answer) string {
	var body struct{ Message string }
	_ = json.Unmarshal([]byte(a.body), &body) // an answer to HEAD has none
	switch {
	case a.status < 300:
		return did
	case a.status == 401 && (body.Message == "unauthorized access" || strings.HasPrefix(body.Message, "token ")),
		a.status == 403 && body.Message == "User is inactive":
		return unknown
	case a.status == 401:
		return denied
	case a.status == 403:
		return forbids
	case a.status == 404:
		return noThing
	}
	if s, ok := otherSigns[a.status]; ok {
		return s
	}
	return elsewise
}

// vaultSign is the sign of an answer of Vault's API.
func vaultSign(a answer) string {
	var body struct{ Errors []string }
	_ = json.Unmarshal([]byte(a.body), &body) // some have none
	switch said := strings.Join(body.Errors, " "); {
	case a.status == 403 && said == "permission denied":
		return unknown
	case a.status == 403 && said == "1 error occurred:\n\t* permission denied\n\n":
		return denied
	}
	return apiSign(a)
}

// pageSign is the sign of an answer of the web page.
func pageSign(a answer) string {
	if to := a.header.Get("Location"); a.status == http.StatusSeeOther {
		if a.method == "GET" && strings.HasPrefix(to, "/signin") { // a form is answered otherwise; signing out goes there
			return unknown
		}
		return did
	}
	switch {
	case a.header.Get("Strongroom-Session") == "ended", strings.Contains(a.body, "Your account is disabled"):
		return unknown
	case a.status == 401:
		return denied
	}
	return apiSign(a)
}

// TestMatrix tries every action as everybody. With STRONGROOM_MATRIX=write it writes what came of it into the tables
// instead of comparing: each cell that differs from the last commit is then to be decided.
func TestMatrix(all *testing.T) {
	w, t := newWorld(all), all
	defer func() { w.stop() }()
	routesAreThere(t, w)
	vaultRoutesAreThere(t, w)
	pageRoutesAreThere(t)
	for _, part := range []struct {
		file    string
		actions []action
		columns []column
		sign    func(answer) string
	}{
		{"api.txt", apiActions, w.columns, apiSign},
		{"vault.txt", vaultActions, w.columns, vaultSign},
		{"pages.txt", pageActions, onPages(w.columns), pageSign},
	} {
		t.Run(part.file, func(t *testing.T) {
			w.stop()
			w = newWorld(all)
			w.t = t
			tb := readTable(t, part.file, part.columns)
			decided := maps.Clone(tb.cells)
			got := table{head: tb.head, cells: make(map[string][]string)}
			var rows []string
			cells := 0
			for _, a := range part.actions {
				if got.cells[a.name] != nil {
					t.Fatalf("there are two actions %q", a.name)
				}
				rows = append(rows, a.name)
				got.cells[a.name] = make([]string, len(part.columns))
				want := tb.cells[a.name]
				if want == nil {
					t.Errorf("%s has no row for %q", tb.path, a.name)
				}
				clear(w.fresh)
				for i, c := range part.columns {
					mayKnow := a.twin == nil || slices.ContainsFunc(a.twin.known, func(row string) bool {
						return decided[row] != nil && decided[row][i] == did
					})
					sign, said := w.try(t, &w, a, c, part.sign, mayKnow)
					got.cells[a.name][i] = sign
					cells++
					if want != nil && want[i] != sign {
						t.Errorf("%s, as %s: %s, the table says %s; the answer was %s", a.name, c.name, sign, want[i],
							said[:min(len(said), 500)])
					}
				}
				delete(tb.cells, a.name)
			}
			for r := range tb.cells {
				t.Errorf("%s has a row %q, which nothing tries", tb.path, r)
			}
			t.Logf("%d actions × %d who come = %d cells", len(rows), len(part.columns), cells)
			if os.Getenv("STRONGROOM_MATRIX") == "write" {
				if err := os.WriteFile(tb.path, []byte(got.write(part.columns, rows)), 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// try does the action as somebody, and gives the sign of what came of it and the answer.
func (w *world) try(t *testing.T, current **world, a action, c column, sign func(answer) string,
	mayKnow bool) (s, said string) {
	method, _, _ := strings.Cut(a.name, " ")
	do := func(names map[string]string) answer {
		return w.send(c.name, method, w.fill(c.name, a.path, names), w.fill(c.name, a.body, names), a.headers)
	}
	got := do(nil)
	s, said = sign(got), fmt.Sprintf("%d %s", got.status, got.body)
	if !mayKnow && s != unknown && (s != did || a.twin.done) {
		real, none := []string{`\`, ``}, []string{`\`, ``}
		for name, stands := range a.twin.stands {
			if strings.Contains(a.path+a.body, "{"+name+"}") {
				real, none = append(real, w.named(name), "IT"), append(none, stands, "IT")
			}
		}
		missing := do(a.twin.stands)
		if got.status != missing.status || strings.NewReplacer(unescaped(real)...).Replace(plain(got.body)) !=
			strings.NewReplacer(unescaped(none)...).Replace(plain(missing.body)) {
			t.Errorf("%s, as %s, tells what is there from what is not: %d %s and %d %s", a.name, c.name, got.status, got.body,
				missing.status, missing.body)
		}
	}
	sees := w.fill(c.name, a.sees, nil)
	if s == did && !strings.Contains(got.body, sees) {
		s = empty
	}
	if s != did {
		return s, said
	}
	if w.recorded != a.name && method != "GET" && method != "HEAD" && method != "LIST" {
		w.recorded = a.name
		w.onRecord(t, a, got)
	}
	clear(w.fresh)
	if a.after != nil {
		a.after(w, c.name)
	}
	if a.ends {
		w.arrive(c)
		if c.name != "child of that" {
			delete(w.who, "child of that") // which ended with it, or comes again all the same
		}
	}
	if a.world {
		w.stop()
		*current = newWorld(w.all)
		(*current).t = t
	}
	return s, said
}

// unescaped takes the escapes of a path from texts.
func unescaped(texts []string) []string {
	for i, s := range texts {
		if u, err := url.PathUnescape(s); err == nil {
			texts[i] = u
		}
	}
	return texts
}

// plain leaves out what differs from answer to answer: IDs of requests and paths, and, of a page, all but what it says
// is wrong.
func plain(body string) string {
	if _, main, page := strings.Cut(body, "<main"); page {
		return main
	}
	var v map[string]any
	if json.Unmarshal([]byte(body), &v) != nil {
		return body
	}
	delete(v, "request_id")
	delete(v, "links")
	b, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return string(b)
}

// onRecord fails the test where the record does not say what a change was: to what, and, where that does not tell it, what
// it has become.
func (w *world) onRecord(t *testing.T, a action, done answer) {
	t.Helper()
	request := done.header.Get("X-Request-Id")
	var of struct {
		ID string `json:"request_id"`
	}
	if json.Unmarshal([]byte(done.body), &of) == nil && request == "" {
		request = of.ID
	}
	if request == "" || a.quiet { // pages, and answers without a body, do not say which request they were
		return
	}
	var log struct{ Records []audit.Record }
	if err := json.Unmarshal([]byte(w.send(root, "GET", "/api/v2/audit?limit=20", "", nil).body), &log); err != nil {
		t.Fatal(err)
	}
	for _, r := range log.Records {
		if r.RequestID == request {
			changes := (done.method == "PATCH" || done.method == "PUT") && !strings.HasSuffix(a.path, "password")
			if len(r.Keys) == 0 && r.Detail == "" && (changes || r.Target == "" && r.OrgID == "") {
				t.Errorf("%s: the record does not say what changed: %+v", a.name, r)
			}
			return
		}
	}
	t.Errorf("%s: there is no record of the request %s", a.name, request)
}
