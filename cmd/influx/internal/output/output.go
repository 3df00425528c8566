// Package output prints what commands found: tables with tabs between the columns, or JSON, in the original
// influx CLI's layout, which scripts cut apart. Errors are a line that begins with "Error:", or JSON in the
// form of the API's errors.
package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"strongroom/client"
	"strongroom/cmd/influx/internal/exit"
)

// Printer prints to one writer, normally standard output.
type Printer struct {
	Out         io.Writer
	AsJSON      bool
	HideHeaders bool
}

// JSON prints v indented with tabs.
func (p Printer) JSON(v any) error {
	enc := json.NewEncoder(p.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	return enc.Encode(v)
}

// Stamp is a time as a cell of a table has it, "" for none.
func Stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// Lines prints lines as they are.
func (p Printer) Lines(lines ...string) error {
	_, err := fmt.Fprintln(p.Out, strings.Join(lines, "\n"))
	return err
}

// Table prints a header and rows, the columns aligned with tabs.
func (p Printer) Table(headers []string, rows [][]string) error {
	w := tabwriter.NewWriter(p.Out, 0, 8, 1, '\t', 0)
	if !p.HideHeaders {
		if _, err := fmt.Fprintln(w, strings.Join(headers, "\t")); err != nil {
			return err
		}
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		if _, err := fmt.Fprintln(w, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// Pages prints a list that comes in pages, each as soon as it is there: a table, whose columns are aligned in each
// page, or one JSON array.
func Pages[T any](p Printer, headers []string, row func(T) []string, pages iter.Seq2[[]T, error]) error {
	items := 0
	for page, err := range pages {
		if err != nil {
			return err
		}
		if p.AsJSON {
			for _, item := range page {
				before := ",\n\t"
				if items == 0 {
					before = "[\n\t"
				}
				if err := p.element(before, item); err != nil {
					return err
				}
				items++
			}
			continue
		}
		rows := make([][]string, len(page))
		for i, item := range page {
			rows[i] = row(item)
		}
		if err := p.Table(headers, rows); err != nil {
			return err
		}
		p.HideHeaders = true
	}
	switch {
	case !p.AsJSON:
		return nil
	case items == 0:
		return p.Lines("[]")
	}
	return p.Lines("", "]")
}

// element prints an element of an array, as JSON prints it, behind what comes before it.
func (p Printer) element(before string, v any) error {
	if _, err := io.WriteString(p.Out, before); err != nil {
		return err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("\t", "\t")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := p.Out.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return err
}

// misleads reports whether a character moves the cursor, is not seen, or turns the direction of the text around it. The
// audit log escapes the same.
func misleads(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// printable keeps a name with such characters from breaking the table, driving the terminal, or looking like another.
func printable(s string) string {
	if !strings.ContainsFunc(s, misleads) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !misleads(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// Error prints why a command failed; as JSON in one line, with the exit code.
func Error(w io.Writer, err error, asJSON bool) {
	if !asJSON {
		_, _ = fmt.Fprintln(w, "Error:", err)
		return
	}
	code := exit.Of(err)
	word := code.Word()
	var refused *client.Error
	if errors.As(err, &refused) && refused.Code != "" {
		word = refused.Code
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(struct {
		Code     string    `json:"code"`
		Message  string    `json:"message"`
		ExitCode exit.Code `json:"exitCode"`
	}{word, err.Error(), code})
}
