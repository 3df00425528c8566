package api

import (
	"fmt"
	"strings"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/test/stack"
)

// history goes through what is known of a secret, restores a version, and brings back what was deleted.
func history(t *testing.T, w *world) {
	const path = "/api/v2/orgs/{org}/secrets/db%2Fpassword"
	bob := w.SignIn(t, "bob", bobPassword)
	for _, c := range []refusal{
		{"of nothing", get(path), 404, "not found", "not found"},
		{"of an organisation that is not there", get("/api/v2/orgs/{nobody}/secrets/x"), 404, "not found",
			"organization not found"},
		{"deleted of an organisation that is not there", get("/api/v2/orgs/{nobody}/deleted-secrets"), 404,
			"not found", ""},
		{"all of an organisation that is not there", get("/api/v2/orgs/{nobody}/secret-infos"), 404, "not found", ""},
		{"how many an organisation has that is not there", get("/api/v2/orgs/{nobody}/secret-usage"), 404, "not found", ""},
		{"those before no time", get("/api/v2/orgs/{org}/secret-infos?expiringBefore=tomorrow"), 400, "invalid",
			"expiringBefore"},
		{"those before two times", get("/api/v2/orgs/{org}/secret-infos?expiringBefore=2030-01-31T00:00:00Z&" +
			"expiringBefore=2030-01-31T00:00:00Z"), 400, "invalid", "expiringBefore"},
		{"a page of none", get("/api/v2/orgs/{org}/secret-infos?limit=0"), 400, "invalid", "limit"},
		{"a page of two sizes", get("/api/v2/orgs/{org}/secret-infos?limit=1&limit=2"), 400, "invalid", "limit"},
		{"a page behind no text", get("/api/v2/orgs/{org}/secret-infos?after=%FF"), 400, "invalid", "after"},
		{"deleted, a page of no number", get("/api/v2/orgs/{org}/deleted-secrets?limit=many"), 400, "invalid", "limit"},
		{"deleted, behind two keys", get("/api/v2/orgs/{org}/deleted-secrets?after=a&after=b"), 400, "invalid", "after"},
		{"restoring nothing", send("POST", path+"/restore", `{}`), 404, "not found", "not found"},
		{"restoring less than nothing", send("POST", path+"/restore", `{"version":-1}`), 400, "invalid", "version"},
		{"describing nothing", send("PUT", path+"/description", `{"description":"x"}`), 404, "not found", "not found"},
		{"a description that is long", send("PUT", path+"/description", `{"description":"`+strings.Repeat("x",
			1025)+`"}`), 400, "invalid", "1024 bytes"},
		{"a date that is none", send("PUT", path+"/description", `{"expiresAt":"tomorrow"}`), 400, "invalid", ""},
		{"a member restoring", stack.Request{Method: "POST", Path: path + "/restore", Cookie: bob, Body: `{}`}, 401,
			"unauthorized", "write:orgs/{org}/secrets"},
		{"a member describing", stack.Request{Method: "PUT", Path: path + "/description", Cookie: bob, Body: `{}`}, 401,
			"unauthorized", ""},
	} {
		c.message = w.names.Replace(c.message)
		w.refuse(t, c)
	}
	for i := range 12 {
		value := fmt.Sprintf("value-number-%d", i+1)
		w.Hide(value)
		w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"db/password":"`+value+`"}`, 204, nil)
	}
	type secretInfo struct {
		Key, UpdatedBy, Description, ExpiresAt, DeletedAt, DeletedBy, KeptUntil string
		Version                                                                 int
		Links                                                                   map[string]string
		Versions                                                                []struct {
			Version    int
			CreatedBy  string
			Restorable bool
		}
	}
	read := func() (s secretInfo) {
		t.Helper()
		a := w.Do(t, stack.Request{Method: "GET", Path: w.names.Replace(path), Cookie: bob}) // who may read
		if strings.Contains(a.Body, "value-number") {
			t.Errorf("it holds a value: %s", a.Body)
		}
		w.must(t, "GET", path, "", 200, &s)
		return s
	}
	s := read()
	if s.Key != "db/password" || s.Version != 12 || s.UpdatedBy != "admin" || len(s.Versions) != 10 ||
		s.Versions[0].Version != 3 || !s.Versions[0].Restorable ||
		!strings.HasSuffix(s.Links["self"], "/secrets/db%2Fpassword") {
		t.Errorf("after twelve changes: %+v", s)
	}
	w.must(t, "PUT", path+"/description",
		`{"description":"the database's","expiresAt":"2030-01-31T12:00:00Z"}`, 204, nil)
	w.must(t, "POST", path+"/restore", `{"version":3}`, 204, nil)
	if s = read(); s.Version != 13 || s.Description != "the database's" || s.ExpiresAt != "2030-01-31T12:00:00Z" {
		t.Errorf("described and restored: %+v", s)
	}
	for query, want := range map[string]int{"": 1, "?expiringBefore=2030-02-01T00:00:00Z": 1,
		"?expiringBefore=2030-01-31T12:00:00Z": 0} {
		var all struct{ Secrets []secretInfo }
		w.must(t, "GET", "/api/v2/orgs/{org}/secret-infos"+query, "", 200, &all)
		got := 0
		for _, one := range all.Secrets {
			if one.Key == "db/password" {
				got++
				if one.Version != 13 || one.UpdatedBy != "admin" || one.ExpiresAt != "2030-01-31T12:00:00Z" {
					t.Errorf("among all: %+v", one)
				}
			}
		}
		if got != want {
			t.Errorf("%q: it is there %d times, want %d", query, got, want)
		}
	}
	org, err := id.Parse(w.OrgID)
	if err != nil {
		t.Fatal(err)
	}
	wantValue := func(want string) {
		t.Helper()
		if v, err := secret.Get(t.Context(), w.Store, org, "db/password"); err != nil || string(v.Bytes()) != want {
			t.Errorf("the value is not %q: %v", want, err)
		}
	}
	wantValue("value-number-3")
	w.refuse(t, refusal{"a version that has gone", send("POST", path+"/restore", `{"version":2}`), 404, "not found",
		"version 2"})

	w.must(t, "DELETE", path, "", 204, nil)
	if s = read(); s.DeletedAt == "" || s.DeletedBy != "admin" || s.KeptUntil <= s.DeletedAt {
		t.Errorf("deleted: %+v", s)
	}
	var list struct{ Secrets []secretInfo }
	w.must(t, "GET", "/api/v2/orgs/{org}/deleted-secrets", "", 200, &list)
	if len(list.Secrets) != 1 || list.Secrets[0].Key != "db/password" {
		t.Errorf("deleted secrets: %+v", list)
	}
	w.must(t, "POST", path+"/restore", `{}`, 204, nil)
	var usage struct{ Secrets int }
	if w.must(t, "GET", "/api/v2/orgs/{org}/secret-usage", "", 200, &usage); usage.Secrets == 0 {
		t.Error("no secret is counted")
	}
	wantValue("value-number-3")
	if w.must(t, "GET", "/api/v2/orgs/{org}/deleted-secrets", "", 200, &list); len(list.Secrets) != 0 {
		t.Errorf("brought back, and still listed: %+v", list)
	}
}
