package identity

import (
	"fmt"
	"strings"
	"time"

	"strongroom/internal/errs"
)

// Changed says for the record which fields a change sets, and to what: pairs of a name and a *string, *Status
// or *time.Duration, which is nil where the field stays.
func Changed(pairs ...any) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		var to string
		switch v := pairs[i+1].(type) {
		case *string:
			if v == nil {
				continue
			}
			to = *v
		case *Status:
			if v == nil || *v == "" {
				continue
			}
			to = string(*v)
		case *time.Duration:
			if v == nil {
				continue
			}
			to = v.String()
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%q", pairs[i], errs.Clip(to))
	}
	return b.String()
}

// Given is what Changed takes of a field that says nothing where it is empty.
func Given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
