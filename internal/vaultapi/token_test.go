package vaultapi_test

import (
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/identity"
)

// A child may do no more than its parent, and ends with it at once.
func TestChildToken(t *testing.T) {
	p := start(t, nil)
	p.want(t, 200, p.root, "PUT", "secret/data/acme", `{"data":{"a":"1","b":"2"}}`)
	auth, parent, err := p.users.Authorize(t.Context(), p.caller(t, p.root),
		newAuth(p, append(may(p.org, "", access.Use), may(p.org, "a", access.Use)...)))
	must(t, err)
	create := func(token, body string) string {
		t.Helper()
		return p.want(t, 200, token, "POST", "auth/token/create", body).Auth.ClientToken
	}
	child := create(parent, `{"ttl":"20m","display_name":"terraform","renewable":false}`)
	grandchild := create(child, "")
	narrow := create(parent, `{"policies":["default","use:orgs/`+p.org.String()+`/secrets/a"]}`)
	p.want(t, 200, grandchild, "GET", "secret/data/acme/b", "")
	p.want(t, 403, child, "PUT", "secret/data/acme/b", `{"data":{"value":"x"}}`)
	p.want(t, 200, narrow, "GET", "secret/data/acme/a", "")
	p.want(t, 403, narrow, "GET", "secret/data/acme/b", "")
	if a := p.want(t, 200, child, "GET", "auth/token/lookup-self", ""); a.Data.TTL < 1190 || a.Data.TTL > 1200 {
		t.Errorf("its time: %s", a.body)
	}
	if a := p.want(t, 400, child, "PUT", "auth/token/renew-self", ""); a.said() != "lease is not renewable" {
		t.Errorf("renewed: %s", a.body)
	}
	for _, body := range []string{`{"policies":["write:secrets"]}`, `{"num_uses":1}`, `{"type":"batch"}`,
		`{"period":"1h"}`, `{"id":"mine"}`, `{"ttl":"soon"}`, `{"ttl":"-1h"}`, `{"meta":"x"}`} {
		p.want(t, 400, parent, "POST", "auth/token/create", body)
	}
	p.want(t, 403, parent, "POST", "auth/token/create", `{"no_parent":true}`)

	// Inactive, all of them are refused; active again, they are good again.
	for status, want := range map[identity.Status]int{identity.Inactive: 403} {
		_, err = p.users.UpdateAuthorization(t.Context(), p.caller(t, p.root), auth.ID, &status, nil)
		must(t, err)
		for _, token := range []string{parent, child, grandchild} {
			p.want(t, want, token, "GET", "secret/data/acme/a", "")
		}
	}
	active := identity.Active
	_, err = p.users.UpdateAuthorization(t.Context(), p.caller(t, p.root), auth.ID, &active, nil)
	must(t, err)
	p.want(t, 200, grandchild, "GET", "secret/data/acme/a", "")

	// Whoever is revoked takes with it what hangs on it, and nothing else.
	p.want(t, 204, child, "POST", "auth/token/revoke-self", "")
	p.want(t, 403, child, "GET", "secret/data/acme/a", "")
	p.want(t, 403, grandchild, "GET", "secret/data/acme/a", "")
	p.want(t, 200, narrow, "GET", "secret/data/acme/a", "")
	must(t, p.users.DeleteAuthorization(t.Context(), p.caller(t, p.root), auth.ID))
	p.want(t, 403, narrow, "GET", "secret/data/acme/a", "")
	p.want(t, 403, narrow, "POST", "auth/token/create", "")
}

// Tokens that make tokens end somewhere.
func TestChildDepth(t *testing.T) {
	p := start(t, nil)
	token := p.root
	for range 20 {
		a := p.call(t, token, "POST", "auth/token/create", "")
		if a.status == 400 && strings.Contains(a.said(), "makes no other") {
			return
		}
		if a.status != 200 {
			t.Fatalf("%d: %s", a.status, a.body)
		}
		token = a.Auth.ClientToken
	}
	t.Error("twenty tokens hang on one another")
}

// A lasting token is told so, cannot be renewed, and can revoke itself.
func TestLastingToken(t *testing.T) {
	p := start(t, nil)
	token := p.token(t, p.root, may(p.org, "", access.Use)...)
	a := p.want(t, 200, token, "GET", "auth/token/lookup-self", "")
	if a.Data.TTL != 0 || !strings.Contains(a.body, `"expire_time":null`) || !strings.Contains(a.body,
		`"renewable":false`) {
		t.Errorf("it is told: %s", a.body)
	}
	if a := p.want(t, 400, token, "POST", "auth/token/renew-self", ""); a.said() != "lease is not renewable" {
		t.Errorf("renewed: %s", a.body)
	}
	p.want(t, 204, token, "PUT", "auth/token/revoke-self", "null")
	p.want(t, 403, token, "GET", "auth/token/lookup-self", "")
}
