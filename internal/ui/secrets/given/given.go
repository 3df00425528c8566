// Package given reads the value of a secret from a form, as it was typed or as a file has it.
package given

import (
	"io"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/ui/visit"
)

// Value is what the form carries: the bytes of a file as they are, or else the text field, whose line ends browsers
// write as CRLF, whatever was typed. app.js sends the typed text as a file, so that it arrives as it was.
func Value(v *visit.Visit) (value []byte, given bool, err error) {
	if v.MultipartForm != nil {
		for _, f := range v.MultipartForm.File["file"] {
			if f.Size == 0 && f.Filename == "" {
				continue
			}
			r, err := f.Open()
			if err != nil {
				return nil, false, err
			}
			defer r.Close()
			b, err := io.ReadAll(r)
			if err != nil {
				return nil, false, err
			}
			return b, len(b) > 0, checkGiven(b)
		}
	}
	b := []byte(Lines(v.PostFormValue("value")))
	return b, len(b) > 0, checkGiven(b)
}

// Lines undoes what browsers do to the line ends of a text field.
func Lines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// checkGiven refuses the empty value: InfluxDB's API takes it, but in a form it is a field that was forgotten.
func checkGiven(b []byte) error {
	if len(b) == 0 {
		return errs.New(errs.EmptyValue, "the value is empty; type, paste or drop one")
	}
	return nil
}
