package visit

import (
	"bytes"
	"encoding/csv"
	"strings"
)

// Sheet is a table for a spreadsheet, of which no cell is taken for a formula.
func Sheet(name string, rows [][]string) (*File, error) {
	for _, row := range rows {
		for i := range row {
			row[i] = harmless(row[i])
		}
	}
	var b bytes.Buffer
	err := csv.NewWriter(&b).WriteAll(rows)
	return &File{Name: name, Type: "text/csv; charset=utf-8", Body: b.Bytes()}, err
}

// harmless keeps a spreadsheet from taking a text for a formula, which names of secrets could be.
func harmless(s string) string {
	if s != "" && strings.IndexByte("=+-@\t\r", s[0]) >= 0 {
		return "'" + s
	}
	return s
}
