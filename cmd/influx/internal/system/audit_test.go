package system

import (
	"strings"
	"testing"

	"strongroom/client"
)

// TestSubjectFits: one record cannot make a table unreadable.
func TestSubjectFits(t *testing.T) {
	many := make([]string, 10000)
	for i := range many {
		many[i] = "bulk/00000"
	}
	long := strings.Repeat("ü", 1000)
	for name, tc := range map[string]struct {
		record client.AuditRecord
		want   string
	}{
		"nothing": {client.AuditRecord{}, ""},
		"target":  {client.AuditRecord{Target: "my-org"}, "my-org"},
		"keys":    {client.AuditRecord{Keys: []string{"a", "b"}}, "a b"},
		"both":    {client.AuditRecord{Target: "t", Keys: []string{"a"}}, "t a"},
		"many": {client.AuditRecord{Keys: many}, strings.TrimSpace(strings.Repeat("bulk/00000 ", 5)) +
			" and 9995 more"},
		"omitted":        {client.AuditRecord{Keys: []string{"a"}, KeysOmitted: 7}, "a and 7 more"},
		"one long key":   {client.AuditRecord{Keys: []string{long}}, strings.Repeat("ü", 63) + "…"},
		"a long key too": {client.AuditRecord{Keys: []string{"a", long}}, "a and 1 more"},
	} {
		if got := subject(tc.record); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
