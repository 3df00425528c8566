package directory

import (
	"fmt"
	"strings"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/identity"
)

// changed says for the record which fields a change sets, and to what: pairs of a name and a *string, *identity.Status
// or *time.Duration, which is nil where the field stays.
func changed(pairs ...any) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		var to string
		switch v := pairs[i+1].(type) {
		case *string:
			if v == nil {
				continue
			}
			to = *v
		case *identity.Status:
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

// given is what changed takes of a field that says nothing where it is empty.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
