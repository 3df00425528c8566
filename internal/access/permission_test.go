package access

import (
	"encoding/json"
	"strings"
	"testing"

	"strongroom/internal/errs"
	"strongroom/internal/id"
)

// The rules of one permission held against one needed; test/api has them as callers meet them.
func TestCovers(t *testing.T) {
	const a, b id.ID = 0xa, 0xb
	for _, tc := range []struct {
		held, need Resource
		want       bool
	}{
		{Resource{Type: Instance}, Resource{Type: Secrets, OrgID: a}, true},
		{Resource{Type: Secrets}, Resource{Type: Instance}, false},
		{Resource{Type: Instance, OrgID: a}, Resource{Type: Secrets, OrgID: a}, true},
		{Resource{Type: Instance, OrgID: a}, Resource{Type: Orgs, ID: a}, true},
		{Resource{Type: Instance, OrgID: a}, Resource{Type: Secrets, OrgID: b}, false},
		{Resource{Type: Instance, OrgID: a}, Resource{Type: Secrets}, false},
		{Resource{Type: Instance, OrgID: a}, Resource{Type: Instance}, false},
		{Resource{Type: Instance, ID: a}, Resource{Type: Secrets, OrgID: a}, false},
		{Resource{Type: Secrets}, Resource{Type: Secrets, OrgID: a}, true},
		{Resource{Type: Secrets, OrgID: a}, Resource{Type: Secrets, OrgID: a}, true},
		{Resource{Type: Secrets, OrgID: a}, Resource{Type: Secrets, OrgID: b}, false},
		{Resource{Type: Secrets, OrgID: a}, Resource{Type: Secrets}, false},
		{Resource{Type: Buckets, OrgID: a}, Resource{Type: Secrets, OrgID: a}, false},
		{Resource{Type: Buckets, OrgID: a, ID: b}, Resource{Type: Buckets, OrgID: a, ID: b}, true},
		{Resource{Type: Buckets, OrgID: a, ID: b}, Resource{Type: Buckets, OrgID: a}, false},
		{Resource{Type: Buckets, ID: b}, Resource{Type: Buckets, OrgID: a, ID: b}, true},
		{Resource{Type: Buckets, OrgID: b, ID: b}, Resource{Type: Buckets, OrgID: a, ID: b}, false},

		// An organisation is named by its ID, by itself as its organisation, or by both.
		{Resource{Type: Orgs, ID: a}, Resource{Type: Orgs, ID: a}, true},
		{Resource{Type: Orgs, OrgID: a}, Resource{Type: Orgs, ID: a}, true},
		{Resource{Type: Orgs, ID: a}, Resource{Type: Orgs, OrgID: a}, true},
		{Resource{Type: Orgs, ID: a, OrgID: a}, Resource{Type: Orgs, ID: a}, true},
		{Resource{Type: Orgs, ID: a, OrgID: b}, Resource{Type: Orgs, ID: a}, false},
		{Resource{Type: Orgs, ID: a}, Resource{Type: Orgs, ID: a, OrgID: b}, true},
		{Resource{Type: Orgs, ID: a}, Resource{Type: Orgs}, false},
		{Resource{Type: Orgs, OrgID: b}, Resource{Type: Orgs, ID: a}, false},

		{Resource{Type: Secrets, OrgID: a, Name: "k"}, Resource{Type: Secrets, OrgID: a, Name: "k"}, true},
		{Resource{Type: Secrets, OrgID: a, Name: "k"}, Resource{Type: Secrets, OrgID: a, Name: "kk"}, false},
		{Resource{Type: Secrets, OrgID: a, Name: "k*"}, Resource{Type: Secrets, OrgID: a, Name: "kk"}, true},
		{Resource{Type: Secrets, OrgID: a, Name: "k*"}, Resource{Type: Secrets, OrgID: a, Name: "k*"}, true},
		{Resource{Type: Secrets, OrgID: a, Name: "kk*"}, Resource{Type: Secrets, OrgID: a, Name: "k*"}, false},
		{Resource{Type: Secrets, OrgID: a, Name: "k*"}, Resource{Type: Secrets, OrgID: a}, false},
		{Resource{Type: Secrets, OrgID: a, Name: "*"}, Resource{Type: Secrets, OrgID: a}, true},
		{Resource{Type: Secrets, OrgID: a, Name: "*"}, Resource{Type: Secrets, OrgID: a, Name: "k"}, true},
		// a name is for readers there
		{Resource{Type: Buckets, OrgID: a, Name: "x"}, Resource{Type: Buckets, OrgID: a}, true},
	} {
		held, need := To(Read, tc.held), To(Read, tc.need)
		if got := held.covers(need); got != tc.want {
			t.Errorf("%s (%q) covers %s (%q): %v, want %v", held, tc.held.Name, need, tc.need.Name, got, tc.want)
		}
		if To(Write, tc.held).covers(need) {
			t.Errorf("write covers read: %s", need)
		}
		for _, a := range []Action{Read, Write} {
			if To(a, tc.held).covers(To(Use, tc.need)) || To(Use, tc.held).covers(To(a, tc.need)) {
				t.Errorf("%s and use cover one another: %s", a, need)
			}
		}
	}
}

// No role uses secrets, nor does the operator: only a token that was made for it.
func TestNoRoleUsesSecrets(t *testing.T) {
	const a id.ID = 0xa
	need := To(Use, Resource{Type: Secrets, OrgID: a, Name: "k"})
	for who, ps := range map[string][]Permission{"operator": Operator(), "owner": Owner(a), "member": Member(a),
		"self": Self(7)} {
		if c := (&Caller{Principal: &Principal{Permissions: ps}}); c.May(need) || c.MaySome(Use, a) {
			t.Errorf("the %s may use secrets", who)
		}
	}
}

// What old clients read and send back comes back the same.
func TestPermissionJSON(t *testing.T) {
	for _, s := range []string{
		`{"action":"read","resource":{"type":"secrets","name":"db/*","orgID":"000000000000000a"}}`,
		`{"action":"write","resource":{"type":"buckets","id":"000000000000000b","orgID":"000000000000000a"}}`,
		`{"action":"read","resource":{"type":"instance"}}`,
	} {
		var p Permission
		if err := json.Unmarshal([]byte(s), &p); err != nil {
			t.Fatal(err)
		}
		if b, err := json.Marshal(p); err != nil || string(b) != s {
			t.Errorf("%s came back as %s (%v)", s, b, err)
		}
	}
	for _, s := range []string{`{"action":"read","resource":{"type":"buckets","id":"x"}}`, `{"action":1}`, `[]`,
		`{"resource":{"orgID":"0000000000000000"}}`} {
		if err := json.Unmarshal([]byte(s), new(Permission)); err == nil {
			t.Errorf("%s is taken", s)
		}
	}
}

// A name as long as is allowed is taken, and one byte more is not: it would be kept, and looked
// through, with every token.
func TestNamesAreBounded(t *testing.T) {
	p := To(Read, Resource{Type: Secrets, OrgID: 0xa, Name: strings.Repeat("\x01", maxPermissionName)})
	if err := p.Valid(); err != nil {
		t.Error(err)
	}
	p.Resource.Name += "x"
	if err := p.Valid(); !errs.Is(err, errs.Invalid) {
		t.Errorf("a longer name: %v", err)
	}
}
