package vaultapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
)

// What the recordings do not have: how entries and the other APIs see one another.
func TestEntry(t *testing.T) {
	p := start(t, nil)
	caller := p.caller(t, p.root)
	// A text is the secret's value, whichever API set it.
	p.want(t, 200, p.root, "PUT", "secret/data/acme/db/password", `{"data":{"value":"one"}}`)
	if v, err := p.secrets.Use(t.Context(), caller, p.org, "db/password"); err != nil || string(v.Bytes()) != "one" {
		t.Errorf("over the other API: %s, %v", v.Bytes(), err)
	}
	// An object comes back as it came, and is a text to the other API.
	p.want(t, 200, p.root, "PUT", "secret/data/acme/db/object",
		`{"data":{"user":"u","n":12345678901234567890,"f":1.50,"<":["&"]}}`)
	a := p.want(t, 200, p.root, "GET", "secret/data/acme/db/object", "")
	if want := `"data":{"\u003c":["\u0026"],"f":1.50,"n":12345678901234567890,"user":"u"}`; !strings.Contains(a.body,
		want) {
		t.Errorf("%s does not hold %s", a.body, want)
	}
	v, err := p.secrets.Use(t.Context(), caller, p.org, "db/object")
	if want := `{"\u003c":["\u0026"],"f":1.50,"n":12345678901234567890,"user":"u"}`; err != nil ||
		string(v.Bytes()) != want {
		t.Errorf("over the other API: %s, %v", v.Bytes(), err)
	}
	// The organisation's map has both as texts; written back, the object stays one.
	all := p.want(t, 200, p.root, "GET", "secret/data/acme", "")
	if diff := cmp.Diff(map[string]any{"db/password": "one", "db/object": string(v.Bytes())},
		all.Data.Data); diff != "" {
		t.Error(diff)
	}
	p.want(t, 200, p.root, "PUT", "secret/data/acme",
		strings.Replace(all.body[strings.Index(all.body, `"data":{"data"`)+7:strings.Index(all.body, `,"metadata"`)]+
			"}", `"one"`, `"two"`, 1))
	a = p.want(t, 200, p.root, "GET", "secret/data/acme/db/object", "")
	if a.Data.Data["user"] != "u" || a.Data.Metadata.Version != 1 {
		t.Errorf("the object after the map was written back: %s", a.body)
	}
	a = p.want(t, 200, p.root, "GET", "secret/data/acme/db/password", "")
	if a.Data.Data["value"] != "two" || a.Data.Metadata.Version != 2 {
		t.Errorf("the text after the map was written back: %s", a.body)
	}
	// The mark of an object is no way to make one of what is none.
	p.want(t, 400, p.root, "PUT", "secret/data/acme/x", `{"data":{"value":"\u0000document\u0000no object"}}`)
	p.want(t, 404, p.root, "GET", "secret/data/acme/x", "")
}

// Names that are no paths are left out of lists, in which clients would go round in circles, and are told of.
func TestListLeavesOut(t *testing.T) {
	p := start(t, nil)
	p.want(t, 200, p.root, "PUT", "secret/data/acme", `{"data":{"a/b":"1","a//c":"2","/d":"3","e/":"4","..":"5"}}`)
	a := p.want(t, 200, p.root, "LIST", "secret/metadata/acme", "")
	if diff := cmp.Diff([]string{"a/"}, a.Data.Keys); diff != "" || len(a.Warnings) != 1 {
		t.Errorf("%s, with %v", diff, a.Warnings)
	}
	// They have a path all the same, escaped.
	p.want(t, 200, p.root, "GET", "secret/data/acme/a%2F%2Fc", "")
}

// The metadata may come before the first value, as the External Secrets Operator has it.
func TestMetadataFirst(t *testing.T) {
	p := start(t, nil)
	const at = "acme/pushed"
	p.want(t, 404, p.root, "GET", "secret/data/"+at, "")
	p.want(t, 204, p.root, "PUT", "secret/metadata/"+at, `{"custom_metadata":{"managed-by":"external-secrets"}}`)
	p.want(t, 404, p.root, "GET", "secret/data/"+at, "")
	a := p.want(t, 200, p.root, "LIST", "secret/metadata/acme", "")
	if diff := cmp.Diff([]string{"pushed"}, a.Data.Keys); diff != "" {
		t.Error(diff)
	}
	p.want(t, 200, p.root, "PUT", "secret/data/"+at, `{"data":{"k":"v"},"options":{"cas":0}}`)
	if a := p.want(t, 200, p.root, "GET", "secret/metadata/"+at,
		""); a.Data.CustomMetadata["managed-by"] != "external-secrets" || a.Data.CurrentVersion != 1 {
		t.Errorf("the metadata: %s", a.body)
	}
	p.want(t, 204, p.root, "DELETE", "secret/data/"+at, "")
	p.want(t, 204, p.root, "DELETE", "secret/metadata/"+at, "")
	p.want(t, 404, p.root, "GET", "secret/metadata/"+at, "")
}

// What may be done by whom: read by use, list and metadata by read, writes by write; refused
// whether it is there or not.
func TestPermissions(t *testing.T) {
	p := start(t, nil)
	other := p.newOrg(t, "other")
	secrets := func(name string, actions ...access.Action) string {
		return p.token(t, p.root, may(p.org, name, actions...)...)
	}
	tokens := map[string]string{
		"use": secrets("", access.Use), "read": secrets("", access.Read), "write": secrets("", access.Write),
		"use x": secrets("x", access.Use), "write x": secrets("x", access.Write, access.Read),
		"elsewhere": p.token(t, p.root, may(other, "", access.Use, access.Read, access.Write)...),
		"none":      p.token(t, p.root, access.To(access.Read, access.Resource{Type: access.Buckets, OrgID: p.org})),
	}
	for _, tt := range []struct {
		method, path, body string
		good               int
		may                string // the tokens that may
	}{
		{"GET", "data/acme", "", 200, "use,use x"},
		{"GET", "data/acme/x", "", 200, "use,use x"},
		{"GET", "data/acme/y", "", 200, "use"},
		{"GET", "data/acme/none", "", 404, "use"},
		{"GET", "data/no-org/x", "", 404, ""},
		{"GET", "metadata/acme", "", 200, "read,write x"},
		{"LIST", "metadata/acme", "", 200, "read,write x"},
		{"GET", "metadata/acme/x", "", 200, "read,write x"},
		{"GET", "metadata/acme/none", "", 404, "read"},
		{"GET", "subkeys/acme/y", "", 200, "read"},
		{"GET", "subkeys/acme", "", 200, "read,write x"},
		{"PUT", "data/acme/x", `{"data":{"value":"1"}}`, 200, "write,write x"},
		{"PUT", "data/acme/y", `{"data":{"value":"1"}}`, 200, "write"},
		{"PUT", "data/acme", `{"data":{"x":"1","y":"1"}}`, 200, ""},
		{"PATCH", "data/acme", `{"data":{"y":"1"}}`, 200, "write"},
		{"PATCH", "data/acme", `{"data":{"x":"1"}}`, 200, "write,write x"},
		{"PATCH", "data/acme/x", `{"data":{"value":"1"}}`, 200, "write x"},
		{"PATCH", "data/acme/none", `{"data":{"value":"1"}}`, 404, ""},
		{"PUT", "metadata/acme/x", `{"custom_metadata":{"a":"b"}}`, 204, "write,write x"},
		{"PUT", "delete/acme/z", `{"versions":[1]}`, 204, "write"},
		{"PUT", "undelete/acme/z", `{"versions":[1]}`, 204, "write"},
		{"PUT", "destroy/acme/z", `{"versions":[7]}`, 204, "write"},
		{"DELETE", "data/acme/z", "", 204, "write"},
		{"DELETE", "metadata/acme/z", "", 204, "write"},
	} {
		p.want(t, 200, p.root, "PUT", "secret/data/acme", `{"data":{"x":"1","y":"1","z":"1"}}`)
		for name, token := range tokens {
			good := false
			for n := range strings.SplitSeq(tt.may, ",") {
				good = good || n == name
			}
			want := 403
			if good {
				want = tt.good
			}
			if a := p.call(t, token, tt.method, "secret/"+tt.path, tt.body); a.status != want {
				t.Errorf("%s: %s %s %s: %d, not %d: %s", name, tt.method, tt.path, tt.body, a.status, want, a.body)
			}
		}
		if a := p.call(t, "", tt.method, "secret/"+tt.path, tt.body); a.status != 403 ||
			a.said() != "permission denied" {
			t.Errorf("nobody: %s %s: %d: %s", tt.method, tt.path, a.status, a.body)
		}
	}
	// What a token is told that it may do is what it may.
	for name, want := range map[string]string{"use": "read", "read": "deny", "write": "create delete update",
		"use x": "read", "write x": "create delete patch update", "elsewhere": "deny"} {
		a := p.want(t, 200, tokens[name], "POST", "sys/capabilities-self", `{"path":"secret/data/acme/x"}`)
		if got := strings.Join(a.Data.Capabilities, " "); got != want {
			t.Errorf("%s is told %q, not %q", name, got, want)
		}
	}
}

// A session opens nothing here, by whichever header.
func TestNoSession(t *testing.T) {
	p := start(t, nil)
	session, err := p.logins.SignIn(t.Context(), p.caller(t, p.root), "admin", "the password")
	must(t, err)
	p.want(t, 403, session, "GET", "secret/data/acme", "")
	p.want(t, 403, session, "GET", "auth/token/lookup-self", "")
}

// Notes that are refused leave nothing behind: no name is listed of what was never written.
func TestRefusedNotesLeaveNothing(t *testing.T) {
	p := start(t, nil)
	p.want(t, 400, p.root, "PUT", "secret/metadata/acme/never", `{"custom_metadata":{"a":""}}`)
	p.want(t, 404, p.root, "LIST", "secret/metadata/acme", "")
}
