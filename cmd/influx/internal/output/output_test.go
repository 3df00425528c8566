package output_test

import (
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
