package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"strongroom/test/stack"
)

// secretValues goes through what agents do: tokens that use secrets, and nobody else, are given values.
func secretValues(t *testing.T, w *world) {
	const path = "/api/v2/orgs/{org}/secret-values"
	for _, v := range []string{"first-value", "second-value", "third-value"} {
		w.Hide(v)
	}
	w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets",
		`{"db/a":"first-value","db/<b>":"second-value\"\u2028","other":"third-value"}`, 204, nil)
	agent := func(permissions string) string {
		return w.newToken(t, w.names.Replace(`{"orgID":"{org}","permissions":[`+permissions+`]}`))
	}
	use := func(org, name string) string {
		return fmt.Sprintf(`{"action":"use","resource":{"type":"secrets","orgID":"%s","name":%q}}`, org, name)
	}
	all := agent(`{"action":"use","resource":{"type":"secrets","orgID":"{org}"}}`)
	some, two, none := agent(use("{org}", "db/*")), agent(use("{org}", "other")+","+use("{org}", "db/a")),
		agent(use("{org}", "nothing"))
	var gone struct{ ID string }
	w.must(t, "POST", "/api/v2/orgs", `{"name":"gone"}`, 201, &gone)
	orphan := agent(use(gone.ID, ""))
	w.must(t, "DELETE", "/api/v2/orgs/"+gone.ID, "", 204, nil)

	reader := agent(
		`{"action":"read","resource":{"type":"secrets","orgID":"{org}"}},{"action":"write","resource":{"type":"secrets","orgID":"{org}"}}`)
	as := func(token, path string) stack.Request { return stack.Request{Method: "GET", Path: path, Token: token} }
	for _, p := range []string{path, path + "/db%2Fa"} {
		for name, c := range map[string]struct {
			request stack.Request
			message string
		}{
			"by the operator": {get(p), "use:orgs/{org}/secrets is unauthorized"},
			"by who may read": {as(reader, p), "use:orgs/{org}/secrets is unauthorized"},
			"by a session": {stack.Request{Method: "GET", Path: p,
				Cookie: w.SignIn(t, "admin", stack.AdminPassword)}, "to API tokens only"},
			"of an org elsewhere": {as(all, strings.Replace(p, "{org}", "{umbrella}", 1)),
				"use:orgs/{umbrella}/secrets is unauthorized"},
		} {
			w.refuse(t, refusal{p + " " + name, c.request, 401, "unauthorized", w.names.Replace(c.message)})
		}
		w.refuse(t, refusal{p + " of an org that is gone", as(orphan, strings.Replace(p, "{org}", gone.ID, 1)), 404,
			"not found", "organization not found"})
	}
	for _, c := range []refusal{
		{"a missing one", as(all, path+"/missing"), 404, "not found", `secret \"missing\" not found`},
		{"one that is for others", as(some, path+"/other"), 404, "not found", `secret \"other\" not found`},
		{"the first that is missing", as(some, path+"?key=db/a&key=db/missing&key=other"), 404, "not found",
			`secret \"db/missing\" not found`},
		{"the first that is for others", as(some, path+"?key=db/a&key=other&key=db/missing"), 404, "not found",
			`secret \"other\" not found`},
		{"an empty one", as(all, path+"?key="), 404, "not found", `secret \"\" not found`},
		{"too many", as(all, path+"?key=x"+strings.Repeat("&key=x", 1000)), 400, "invalid", "at most 1000 keys"},
	} {
		w.refuse(t, c)
	}
	type values map[string]string
	everything := values{"db/a": "first-value", "db/<b>": "second-value\"\u2028", "other": "third-value"}
	for _, c := range []struct {
		token, query string
		want         values
	}{
		{all, "", everything},
		{all, "?key=other", values{"other": "third-value"}},
		{all, "?key=other&key=db%2Fa&key=other", values{"other": "third-value", "db/a": "first-value"}},
		{some, "", values{"db/a": "first-value", "db/<b>": "second-value\"\u2028"}},
		{two, "", values{"db/a": "first-value", "other": "third-value"}},
		{none, "", values{}},
	} {
		a := w.Do(t, stack.Request{Method: "GET", Path: w.names.Replace(path) + c.query,
			Header: map[string]string{"Authorization": "Bearer " + c.token}})
		var got values
		if err := json.Unmarshal([]byte(a.Body), &got); err != nil || a.Status != 200 || !maps.Equal(got, c.want) ||
			a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s %v, want %v", c.query, a.Status, a.Header, got, c.want)
		}
	}
	for k, v := range everything {
		var got struct{ Value string }
		if w.Must(t, as(all, w.names.Replace(path)+"/"+strings.NewReplacer("/", "%2F", "<", "%3C", ">",
			"%3E").Replace(k)), 200, &got); got.Value != v {
			t.Errorf("%s is %q", k, got.Value)
		}
	}

	// The last use is known at once, and the record tells of names.
	var info struct{ LastUsedAt string }
	if w.must(t, "GET", "/api/v2/orgs/{org}/secrets/db%2Fa", "", 200, &info); info.LastUsedAt == "" {
		t.Error("db/a was used, and nothing is known of it")
	}
	w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"unused":"x"}`, 204, nil)
	info.LastUsedAt = ""
	if w.must(t, "GET", "/api/v2/orgs/{org}/secrets/unused", "", 200, &info); info.LastUsedAt != "" {
		t.Errorf("unused was used at %s", info.LastUsedAt)
	}
	var record struct {
		Records []struct {
			Action, Outcome string
			Keys            []string
		}
	}
	w.must(t, "GET", "/api/v2/audit?action=secrets.use&limit=3", "", 200, &record)
	if len(record.Records) != 3 || record.Records[0].Outcome != "allowed" || len(record.Records[0].Keys) != 1 {
		t.Errorf("the record is %+v", record)
	}
}
