package vaultapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"strongroom/internal/access"
)

// loggedIn is what a log-in gives.
func (p *parts) logIn(t testing.TB, roleID, secretID string) answer {
	t.Helper()
	return p.call(t, "", "POST", "auth/approle/login", `{"role_id":"`+roleID+`","secret_id":"`+secretID+`"}`)
}

// field reads one text of an answer's data.
func field(t testing.TB, a answer, name string) string {
	t.Helper()
	var body struct{ Data map[string]any }
	must(t, json.Unmarshal([]byte(a.body), &body))
	s, ok := body.Data[name].(string)
	if !ok {
		t.Fatalf("there is no %s in %s", name, a.body)
	}
	return s
}

func TestAppRole(t *testing.T) {
	p := start(t, nil)
	p.want(t, 200, p.root, "PUT", "secret/data/acme", `{"data":{"db/a":"1","other":"2"}}`)
	const at = "auth/approle/role/telegraf"
	policy := "use:orgs/" + p.org.String() + "/secrets/db/*"
	p.want(t, 204, p.root, "POST", at, `{"token_policies":["`+policy+`"],"token_ttl":"20m","token_max_ttl":"1h"}`)
	roleID := field(t, p.want(t, 200, p.root, "GET", at+"/role-id", ""), "role_id")
	secretID := func(body string) string {
		t.Helper()
		return field(t, p.want(t, 200, p.root, "POST", at+"/secret-id", body), "secret_id")
	}
	good := secretID("")
	in := p.logIn(t, roleID, good)
	if in.status != 200 || in.Auth.LeaseDuration != 1200 || !in.Auth.Renewable {
		t.Fatalf("logged in: %s", in.body)
	}
	token := in.Auth.ClientToken
	p.want(t, 200, token, "GET", "secret/data/acme/db/a", "")
	p.want(t, 403, token, "GET", "secret/data/acme/other", "")
	p.want(t, 403, token, "PUT", "secret/data/acme/db/a", `{"data":{"value":"x"}}`)
	if a := p.want(t, 200, token, "PUT", "auth/token/renew-self", `{"increment":"10h"}`); a.Auth.LeaseDuration > 3600 ||
		len(a.Warnings) != 1 {
		t.Errorf("renewed beyond its bound: %s", a.body)
	}
	// Each log-in has a token of its own: who revokes one leaves the others.
	second := p.logIn(t, roleID, good).Auth.ClientToken
	p.want(t, 204, token, "PUT", "auth/token/revoke-self", "")
	p.want(t, 403, token, "GET", "secret/data/acme/db/a", "")
	p.want(t, 200, second, "GET", "secret/data/acme/db/a", "")

	// Uses, time and network of a secret ID.
	once := secretID(`{"num_uses":1}`)
	var wg sync.WaitGroup
	var let atomic.Int32
	for range 8 {
		wg.Go(func() {
			if p.logIn(t, roleID, once).status == 200 {
				let.Add(1)
			}
		})
	}
	wg.Wait()
	if let.Load() != 1 {
		t.Errorf("a secret ID for one use let %d in", let.Load())
	}
	brief := secretID(`{"ttl":"1s"}`)
	elsewhere := secretID(`{"cidr_list":["192.0.2.0/24"]}`)
	here := secretID(`{"cidr_list":["127.0.0.0/8"]}`)
	if a := p.logIn(t, roleID, elsewhere); a.status != 400 || !strings.Contains(a.said(), "source address") {
		t.Errorf("from another network: %s", a.body)
	}
	if a := p.logIn(t, roleID, here); a.status != 200 {
		t.Errorf("from its network: %s", a.body)
	}
	wait(t, 1100e6)
	for name, a := range map[string]answer{"ended": p.logIn(t, roleID, brief), "wrong": p.logIn(t, roleID, "wrong"),
		"another role": p.logIn(t, "0000000000000001", good)} {
		if a.status != 400 || !strings.HasPrefix(a.said(), "invalid ") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}

	// Handed over wrapped, once.
	req, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/v1/"+at+"/secret-id", nil)
	must(t, err)
	req.Header.Set("X-Vault-Token", p.root)
	req.Header.Set("X-Vault-Wrap-TTL", "5m")
	res, err := noRedirect.Do(req)
	must(t, err)
	defer res.Body.Close()
	var w struct {
		Data any
		Wrap struct{ Token string } `json:"wrap_info"`
	}
	must(t, json.NewDecoder(res.Body).Decode(&w))
	if w.Data != nil || w.Wrap.Token == "" {
		t.Fatalf("wrapped: %+v", w)
	}
	for what, a := range map[string]answer{
		"by its own": p.want(t, 200, w.Wrap.Token, "GET", "sys/wrapping/lookup", ""),
		"in a body":  p.want(t, 200, "", "POST", "sys/wrapping/lookup", `{"token":"`+w.Wrap.Token+`"}`),
	} {
		if got := field(t, a, "creation_path"); got != at+"/secret-id" || !strings.Contains(a.body, `"creation_ttl":300`) {
			t.Errorf("looked up %s: %s", what, a.body)
		}
	}
	unwrapped := p.want(t, 200, w.Wrap.Token, "PUT", "sys/wrapping/unwrap", "")
	if a := p.logIn(t, roleID, field(t, unwrapped, "secret_id")); a.status != 200 {
		t.Errorf("by what was wrapped: %s", a.body)
	}
	p.want(t, 400, w.Wrap.Token, "PUT", "sys/wrapping/unwrap", "")
	p.want(t, 400, "", "PUT", "sys/wrapping/unwrap", `{"token":"`+w.Wrap.Token+`"}`)
	p.want(t, 400, w.Wrap.Token, "GET", "sys/wrapping/lookup", "")
	p.want(t, 400, "", "GET", "sys/wrapping/lookup", "")

	// Destroyed, it lets nobody in; without its role, no token is good.
	accessor := field(t, p.want(t, 200, p.root, "POST", at+"/secret-id", ""), "secret_id_accessor")
	p.want(t, 204, p.root, "POST", at+"/secret-id-accessor/destroy", `{"secret_id_accessor":"`+accessor+`"}`)
	p.want(t, 204, p.root, "DELETE", at, "")
	p.want(t, 403, second, "GET", "secret/data/acme/db/a", "")
	if a := p.logIn(t, roleID, good); a.status != 400 {
		t.Errorf("of a role that is gone: %s", a.body)
	}
}

// Who may not make tokens makes no roles, and nobody makes one that may do more than they.
func TestAppRolePermissions(t *testing.T) {
	p := start(t, nil)
	const at = "auth/approle/role/agent"
	of := "orgs/" + p.org.String() + "/secrets"
	user := p.token(t, p.root, may(p.org, "", access.Use, access.Read, access.Write)...)
	p.want(t, 403, user, "POST", at, `{"token_policies":"read:`+of+`"}`)
	maker := p.token(t, p.root, append(may(p.org, "", access.Read),
		access.To(access.Write, access.Resource{Type: access.Authorizations, OrgID: p.org}))...)
	p.want(t, 204, maker, "POST", at, `{"token_policies":"read:`+of+`"}`)
	p.want(t, 403, maker, "POST", at, `{"token_policies":"write:`+of+`"}`)
	p.want(t, 403, maker, "POST", at, `{"token_policies":"use:`+of+`"}`)
	for _, body := range []string{`{"token_policies":"reader"}`, `{"token_policies":"use:buckets"}`,
		`{"token_policies":""}`, `{"token_num_uses":3}`, `{"bind_secret_id":false}`, `{"secret_id_bound_cidrs":["x"]}`,
		`{"token_ttl":"-1s"}`} {
		if a := p.want(t, 400, maker, "POST", "auth/approle/role/other", body); a.said() == "" {
			t.Errorf("%s is refused without a word", body)
		}
	}
	// A role that may do more than who asks gives them no secret ID.
	p.want(t, 204, p.root, "POST", "auth/approle/role/strong", `{"token_policies":"use:`+of+`"}`)
	p.want(t, 403, maker, "POST", "auth/approle/role/strong/secret-id", "")
	for _, path := range []string{at, at + "/role-id", "auth/approle/role/none"} {
		p.want(t, 403, user, "GET", path, "")
		p.want(t, 403, "", "GET", path, "")
	}
	p.want(t, 404, p.root, "GET", "auth/approle/role/none", "")
}
