package influxd

import (
	"testing"

	"strongroom/internal/audit"
)

// What is asked for without a query has a next page, too.
func TestAuditPages(t *testing.T) {
	r := start(t, t.TempDir())
	token, secrets := r.onboard(t)
	for range audit.DefaultLimit + 10 {
		r.call(t, "GET", secrets, token, "", 200, nil)
	}
	type page struct {
		Links   struct{ Next string }
		Records []struct{ Action string }
	}
	var first, second page
	r.call(t, "GET", "/api/v2/audit", token, "", 200, &first)
	if len(first.Records) != audit.DefaultLimit || first.Links.Next == "" {
		t.Fatalf("the first page has %d records, and the next is %q", len(first.Records), first.Links.Next)
	}
	r.call(t, "GET", first.Links.Next, token, "", 200, &second)
	if len(second.Records) == 0 {
		t.Error("the second page has no record")
	}
}
