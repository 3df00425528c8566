package vaultapi_test

import (
	"strings"
	"testing"

	"strongroom/internal/access"
)

// TestLargeBody refuses bodies over the limit that there is for the caller, and names the setting where there is one.
func TestLargeBody(t *testing.T) {
	p := start(t, nil)
	reader := p.token(t, p.root, access.Permission{Action: access.Use, Resource: access.Resource{Type: access.Secrets}})
	for _, c := range []struct {
		what, token string
		size        int
		raised      bool
	}{
		{"of who may write no secret", reader, 64<<10 + 1, false},
		{"of who may write secrets", p.root, 4<<20 + 1, true},
	} {
		a := p.want(t, 413, c.token, "PUT", "secret/data/acme/a", `{"data":{"a":"`+strings.Repeat("v", c.size)+`"}}`)
		if named := strings.Contains(a.said(), "--max-body-size"); named != c.raised {
			t.Errorf("the body %s is refused with %q", c.what, a.said())
		}
	}
}
