package vaultapi_test

import (
	"strings"
	"testing"

	"strongroom/internal/access"
)

// TestOddRequests: what no client sends is refused without a word of what was sent, changes nothing, and gives a token
// that is narrowed to some names nothing of the others.
func TestOddRequests(t *testing.T) {
	p := start(t, nil)
	p.want(t, 200, p.root, "PUT", "secret/data/acme/db/a", `{"data":{"value":"1"}}`)
	p.want(t, 200, p.root, "PUT", "secret/data/acme/other", `{"data":{"value":"hidden"}}`)
	numbers := strings.TrimSuffix(strings.Repeat("7,", 10_000), ",")
	for what, c := range map[string]struct {
		status       int
		method, path string
		body         string
	}{
		"a cas of more than 64 bits": {400, "PUT", "secret/data/acme/db/a",
			`{"data":{"value":"x"},"options":{"cas":99999999999999999999}}`},
		"a cas beyond all numbers": {400, "PUT", "secret/data/acme/db/a",
			`{"data":{"value":"x"},"options":{"cas":1e400}}`},
		"a cas with a fraction": {400, "PUT", "secret/data/acme/db/a", `{"data":{"value":"x"},"options":{"cas":1.5}}`},
		"the largest cas": {400, "PUT", "secret/data/acme/db/a",
			`{"data":{"value":"x"},"options":{"cas":9223372036854775807}}`},
		"the largest cas of the map": {400, "PUT", "secret/data/acme",
			`{"data":{"a":"x"},"options":{"cas":9223372036854775807}}`},
		"ten thousand versions":          {204, "PUT", "secret/destroy/acme/db/a", `{"versions":[` + numbers + `]}`},
		"ten thousand versions, a text":  {204, "PUT", "secret/delete/acme/db/a", `{"versions":"` + numbers + `"}`},
		"a version of more than 64 bits": {400, "PUT", "secret/undelete/acme/db/a", `{"versions":[99999999999999999999]}`},
		"a version that is too large":    {400, "GET", "secret/data/acme/db/a?version=99999999999999999999", ""},
		"a depth without an end": {400, "PUT", "secret/data/acme/deep",
			`{"data":` + strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000) + "}"},
	} {
		if a := p.want(t, c.status, p.root, c.method, c.path, c.body); strings.Contains(a.body, "9999999") {
			t.Errorf("%s: what was sent is said again: %s", what, a.body)
		}
	}
	if a := p.want(t, 200, p.root, "GET", "secret/data/acme", ""); len(a.Data.Data) != 2 || a.Data.Data["db/a"] != "1" {
		t.Errorf("it has become %v", a.Data.Data)
	}

	narrow := p.token(t, p.root, may(p.org, "db/*", access.Use, access.Read)...)
	for _, c := range []struct {
		status       int
		method, path string
	}{
		{200, "GET", "secret/metadata/acme?list=true"}, {200, "GET", "secret/metadata/acme/?list=true"},
		{200, "LIST", "secret/metadata/acme"}, {200, "GET", "secret/data/acme"}, {200, "GET", "secret/subkeys/acme"},
		{403, "GET", "secret/metadata/acme/other"}, {403, "GET", "secret/subkeys/acme/other"},
		{403, "GET", "secret/data/acme/other?version=1"}, {403, "GET", "secret/data/acme%2Fother"},
	} {
		if a := p.want(t, c.status, narrow, c.method, c.path, ""); strings.Contains(a.body, "other") ||
			strings.Contains(a.body, "hidden") {
			t.Errorf("%s %s shows what the token may not see: %s", c.method, c.path, a.body)
		}
	}
}
