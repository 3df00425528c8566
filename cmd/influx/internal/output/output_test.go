package output_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/cmd/influx/internal/output"
)

// TestTable pins the layout of the original CLI: tabs, columns aligned at multiples of eight.
func TestTable(t *testing.T) {
	for name, tc := range map[string]struct {
		rows [][]string
		hide bool
		want string
	}{
		"no rows": {nil, false, "Key\tOrganization ID\n"},
		"aligned": {[][]string{{"data data data", "1111111111111111"}}, false, "Key\t\tOrganization ID\ndata data " +
			"data\t1111111111111111\n"},
		"hidden":       {[][]string{{"k", "1111111111111111"}}, true, "k\t1111111111111111\n"},
		"look-alikes":  {[][]string{{"a\u202eb\u200b", "é 名"}}, true, `a\u202eb\u200b` + "\té 名\n"},
		"control code": {[][]string{{"a\n\x1b[31m", "x\ty"}}, true, `a\x0a\x1b[31m` + "\t" + `x\x09y` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := (output.Printer{Out: &b, HideHeaders: tc.hide}).Table([]string{"Key", "Organization ID"},
				tc.rows); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	if err := (output.Printer{Out: &b}).JSON([]map[string]string{{"key": "a<b>&c"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("[\n\t{\n\t\t\"key\": \"a<b>&c\"\n\t}\n]\n", b.String()); diff != "" {
		t.Error(diff)
	}
}

// TestPages prints a list in pages as it is printed in one piece, and what there is before an error.
func TestPages(t *testing.T) {
	type item struct {
		Key  string   `json:"key"`
		Tags []string `json:"tags"`
	}
	all := []item{{"a<b", []string{"x"}}, {"c", nil}, {"d", []string{}}}
	headers, row := []string{"Key"}, func(i item) []string { return []string{i.Key} }
	broken := errors.New("broken")
	for name, pages := range map[string][][]item{
		"one": {all}, "several": {all[:1], all[1:]}, "an empty one behind": {all[:1], all[1:], nil}, "none": {},
		"only an empty one": {nil}, "broken": {all[:2]},
	} {
		for _, asJSON := range []bool{true, false} {
			var want, got strings.Builder
			list := slices.Concat(pages...)
			in := output.Printer{Out: &want, AsJSON: asJSON}
			if asJSON {
				must(t, in.JSON(append([]item{}, list...)))
			} else if len(pages) > 0 {
				var rows [][]string
				for _, i := range list {
					rows = append(rows, row(i))
				}
				must(t, in.Table(headers, rows))
			}
			in.Out = &got
			err := output.Pages(in, headers, row, func(yield func([]item, error) bool) {
				for _, page := range pages {
					if !yield(page, nil) {
						return
					}
				}
				if name == "broken" {
					yield(nil, broken)
				}
			})
			if name == "broken" {
				if !errors.Is(err, broken) || !strings.HasPrefix(want.String(), got.String()) || got.Len() == 0 {
					t.Errorf("%s: %v, and there is\n%s", name, err, got.String())
				}
				continue
			}
			must(t, err)
			if diff := cmp.Diff(want.String(), got.String()); diff != "" {
				t.Errorf("%s, JSON %v: (-in one piece +in pages):\n%s", name, asJSON, diff)
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
