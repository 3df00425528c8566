package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/test/stack"
)

type named struct {
	ID, Name, Status, Role, Description string
	Links                               map[string]string
}

func namesOf(list []named) []string {
	names := []string{}
	for _, n := range list {
		names = append(names, n.Name)
	}
	return names
}

// setup is the one setup of a server that is new, what it refuses first.
func setup(t *testing.T, w *world) {
	fresh := &world{Stack: stack.Start(t, stack.Options{Document: w.Document()}), names: strings.NewReplacer()}
	var allowed struct{ Allowed bool }
	for _, c := range []refusal{
		{"without a user", send("POST", "/api/v2/setup", `{"password":"long enough","org":"o","bucket":"b"}`), 400,
			"empty value", "onboard failed, missing value"},
		{"without an org", send("POST", "/api/v2/setup", `{"username":"u","bucket":"b"}`), 400, "empty value",
			"onboard failed, missing value"},
		{"without a bucket", send("POST", "/api/v2/setup", `{"username":"u","org":"o"}`), 400, "empty value",
			"onboard failed, missing value"},
		{"with a short password", send("POST", "/api/v2/setup",
			`{"username":"u","password":"short","org":"o","bucket":"b"}`), 400, "invalid", "between 8 and 72"},
		{"with a short token", send("POST", "/api/v2/setup", `{"username":"u","org":"o","bucket":"b","token":"short"}`),
			400, "invalid", "between 22 and 1024"},
		{"for less than nothing", send("POST", "/api/v2/setup",
			`{"username":"u","org":"o","bucket":"b","retentionPeriodSeconds":-1}`), 422, "unprocessable entity",
			"out of range"},
		{"for too many hours", send("POST", "/api/v2/setup",
			`{"username":"u","org":"o","bucket":"b","retentionPeriodHrs":9223372036854775807}`), 422,
			"unprocessable entity", "out of range"},
	} {
		c.request.Token = "nobody's"
		fresh.refuse(t, c)
		if fresh.Must(t, get("/api/v2/setup"), 200, &allowed); !allowed.Allowed {
			t.Fatal("a setup that was refused ended the setup")
		}
	}
	var o struct {
		User, Org named
		Bucket    struct {
			named
			RetentionRules []struct{ EverySeconds int }
		}
		Auth authorization
	}
	fresh.Must(t, send("POST", "/api/v2/setup",
		`{"username":"ann","org":"acme","bucket":"metrics","retentionPeriodHrs":24,"token":"a-token-of-my-own-choice"}`), 201, &o)
	if o.Auth.Token != "a-token-of-my-own-choice" || o.Auth.Description != "ann's Token" || o.User.Name != "ann" ||
		o.Org.Name != "acme" ||
		o.Bucket.RetentionRules[0].EverySeconds != 86400 || o.Auth.UserID != o.User.ID || o.Auth.OrgID != o.Org.ID {
		t.Errorf("it made %+v", o)
	}
	if fresh.Must(t, get("/api/v2/setup"), 200, &allowed); allowed.Allowed {
		t.Error("a second setup is allowed")
	}
	fresh.Must(t, stack.Request{Method: "GET", Path: "/api/v2/config", Token: "a-token-of-my-own-choice"}, 200, nil)
	fresh.refuse(t, refusal{"signing in without a password", stack.Request{Method: "POST", Path: "/api/v2/signin",
		Basic: "ann:"}, 401, "unauthorized", ""})
}

func sessions(t *testing.T, w *world) {
	signin := func(basic string) stack.Request {
		return stack.Request{Method: "POST", Path: "/api/v2/signin", Basic: basic}
	}
	for name, basic := range map[string]string{"a wrong password": "bob:wrong password",
		"an unknown user": "nobody:wrong password", "a name in the wrong case": "Bob:" + bobPassword,
		"an inactive user": "mallory:whatever else"} {
		w.refuse(t, refusal{name, signin(basic), 401, "unauthorized", "unauthorized access"})
	}
	a := w.Do(t, signin("bob:"+bobPassword))
	cookie := (&http.Response{Header: a.Header}).Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/api/" ||
		cookie.Name != "influxdb-oss-session" {
		t.Errorf("the cookie is %s", a.Header.Get("Set-Cookie"))
	}
	var me named
	w.Must(t, stack.Request{Method: "GET", Path: "/api/v2/me", Cookie: cookie.Value}, 200, &me)
	if me.Name != "bob" {
		t.Errorf("bob is %q", me.Name)
	}
	elsewhere := map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
	w.refuse(t, refusal{"a page elsewhere with the cookie", stack.Request{Method: "POST", Path: "/api/v2/signout",
		Cookie: cookie.Value, Header: elsewhere}, 403, "forbidden", "another origin"})
	w.refuse(t, refusal{"the cookie beside a token that is none", stack.Request{Method: "GET", Path: "/api/v2/me",
		Cookie: cookie.Value, Token: "nonsense"}, 401, "unauthorized", ""})
	w.refuse(t, refusal{"the session as a token", stack.Request{Method: "GET", Path: "/api/v2/me", Token: cookie.Value},
		401, "unauthorized", ""})
	w.refuse(t, refusal{"a token as the cookie", stack.Request{Method: "GET", Path: "/api/v2/me", Cookie: w.Token}, 401,
		"unauthorized", ""})

	t.Run("use renews, disuse ends", func(t *testing.T) {
		c := w.SignIn(t, "bob", bobPassword)
		for range 3 {
			w.Clock.Advance(50 * time.Minute)
			w.Must(t, stack.Request{Method: "GET", Path: "/api/v2/me", Cookie: c}, 200, nil)
		}
		w.Clock.Advance(61 * time.Minute)
		w.refuse(t, refusal{"after an hour", stack.Request{Method: "GET", Path: "/api/v2/me", Cookie: c}, 401,
			"unauthorized", ""})
	})
	t.Run("signing out ends one session", func(t *testing.T) {
		one, other := w.SignIn(t, "bob", bobPassword), w.SignIn(t, "bob", bobPassword)
		w.Must(t, stack.Request{Method: "POST", Path: "/api/v2/signout", Cookie: one}, 204, nil)
		w.refuse(t, refusal{"the one", stack.Request{Method: "GET", Path: "/api/v2/me", Cookie: one}, 401,
			"unauthorized", ""})
		w.Must(t, stack.Request{Method: "GET", Path: "/api/v2/me", Cookie: other}, 200, nil)
	})
	t.Run("a new password ends all", func(t *testing.T) {
		c := w.SignIn(t, "bob", bobPassword)
		w.Hide("another long password")
		w.refuse(t, refusal{"with the wrong old one", stack.Request{Method: "PUT", Path: "/api/v2/me/password",
			Basic: "bob:not this one", Body: `{"password":"another long password"}`}, 401, "unauthorized", ""})
		w.Must(t, stack.Request{Method: "PUT", Path: "/api/v2/me/password", Basic: "bob:" + bobPassword,
			Body: `{"password":"another long password"}`}, 204, nil)
		w.refuse(t, refusal{"the session", stack.Request{Method: "GET", Path: "/api/v2/me", Cookie: c}, 401,
			"unauthorized", ""})
		w.refuse(t, refusal{"the old password", signin("bob:" + bobPassword), 401, "unauthorized", ""})
		w.SignIn(t, "bob", "another long password")
	})
	t.Run("guessing", func(t *testing.T) {
		for _, q := range []stack.Request{signin("admin:a guess"), {Method: "PUT", Path: "/api/v2/me/password",
			Basic: "admin:a guess", Body: `{"password":"long enough"}`}} {
			throttled := false
			for range 12 {
				a := w.Do(t, q)
				throttled = throttled || a.Status == 429 && a.Header.Get("Retry-After") != ""
			}
			if !throttled {
				t.Error("twelve guesses were all tried")
			}
		}
		w.refuse(t, refusal{"the right password meanwhile", signin("admin:" + stack.AdminPassword), 429,
			"too many requests", "try again in"})
		w.Must(t, stack.Request{Method: "GET", Path: "/api/v2/me", Token: w.Token}, 200, nil)
		w.Clock.Advance(time.Hour)
		w.SignIn(t, "admin", stack.AdminPassword)
	})
}

func users(t *testing.T, w *world) {
	var u named
	w.must(t, "POST", "/api/v2/users", `{"name":"Zoë","status":"inactive"}`, 201, &u)
	if u.Name != "Zoë" || u.Status != "inactive" || u.Links["self"] != "/api/v2/users/"+u.ID {
		t.Errorf("made %+v", u)
	}
	w.must(t, "PATCH", "/api/v2/users/"+u.ID, `{"name":"zoe","status":"active"}`, 200, &u)
	var same named
	w.must(t, "GET", "/api/v2/users/"+strings.ToUpper(u.ID), "", 200, &same)
	if diff := cmp.Diff(u, same); diff != "" || u.Name != "zoe" || u.Status != "active" {
		t.Errorf("%+v, then %s", u, diff)
	}
	for _, method := range []string{"POST", "PUT"} {
		w.must(t, method, "/api/v2/users/"+u.ID+"/password", `{"password":"`+method+` it there"}`, 204, nil)
		w.SignIn(t, "zoe", method+" it there")
	}
	var list struct {
		Users []named
		Links map[string]string
	}
	for query, want := range map[string]string{
		"": "admin,bob,mallory,zoe", "?limit=2": "admin,bob", "?offset=1&limit=2": "bob,mallory",
		"?after=" + w.names.Replace("{bob}"): "mallory,zoe", "?descending=true&limit=1": "zoe", "?name=bob": "bob",
		"?id=" + u.ID: "zoe", "?name=": "admin,bob,mallory,zoe",
	} {
		w.must(t, "GET", "/api/v2/users"+query, "", 200, &list)
		if got := strings.Join(namesOf(list.Users), ","); got != want {
			t.Errorf("%s lists %s, not %s", query, got, want)
		}
	}
	w.must(t, "GET", "/api/v2/users?offset=1&limit=2", "", 200, &list)
	want := map[string]string{"self": "/api/v2/users?offset=1&limit=2", "next": "/api/v2/users?limit=2&offset=3",
		"prev": "/api/v2/users?limit=2&offset=0"}
	if diff := cmp.Diff(want, list.Links); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	token := w.newToken(t, `{"userID":"`+u.ID+
		`","orgID":"{org}","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`)
	cookie := w.SignIn(t, "zoe", "PUT it there")
	w.must(t, "DELETE", "/api/v2/users/"+u.ID, "", 204, nil)
	w.refuse(t, refusal{"the user", get("/api/v2/users/" + u.ID), 404, "not found", ""})
	w.refuse(t, refusal{"the user's token", stack.Request{Method: "GET", Path: "/api/v2/me", Token: token}, 401,
		"unauthorized", ""})
	w.refuse(t, refusal{"the user's session", stack.Request{Method: "GET", Path: "/api/v2/me", Cookie: cookie}, 401,
		"unauthorized", ""})
	w.newUser(t, "zoe") // the name is free again
}

func organizations(t *testing.T, w *world) {
	var o named
	w.must(t, "POST", "/api/v2/orgs", `{"name":"stark & sons","description":"armour"}`, 201, &o)
	if o.Description != "armour" || o.Links["secrets"] != "/api/v2/orgs/"+o.ID+"/secrets" ||
		o.Links["buckets"] != "/api/v2/buckets?org=stark+%26+sons" {
		t.Errorf("made %+v", o)
	}
	w.must(t, "PATCH", "/api/v2/orgs/"+o.ID, `{"name":"stark"}`, 200, &o)
	var same named
	w.must(t, "GET", "/api/v2/orgs/"+o.ID, "", 200, &same)
	if diff := cmp.Diff(o, same); diff != "" || o.Name != "stark" {
		t.Errorf("renamed to %q; read again (-want +got):\n%s", o.Name, diff)
	}
	var list struct{ Orgs, Users []named }
	for query, want := range map[string]string{
		"": "acme,umbrella,stark", "?org=stark": "stark", "?orgID=" + o.ID: "stark", "?limit=1&offset=1": "umbrella",
		"?descending=true": "stark,umbrella,acme", "?userID={bob}": "acme", "?userID={user}": "acme,umbrella,stark",
		"?userID={nobody}": "",
	} {
		w.must(t, "GET", "/api/v2/orgs"+query, "", 200, &list)
		if got := strings.Join(namesOf(list.Orgs), ","); got != want {
			t.Errorf("%s lists %s, not %s", query, got, want)
		}
	}
	role := func(many, want string) {
		t.Helper()
		w.must(t, "GET", "/api/v2/orgs/"+o.ID+"/"+many, "", 200, &list)
		if got := strings.Join(namesOf(list.Users), ","); got != want {
			t.Errorf("%s are %q, not %q", many, got, want)
		}
	}
	role("owners", "admin")
	role("members", "")
	var m named
	for range 2 { // a second time is no error
		if w.must(t, "POST", "/api/v2/orgs/"+o.ID+"/members", `{"id":"{bob}"}`, 201, &m); m.Role != "member" ||
			m.Name != "bob" {
			t.Errorf("added %+v", m)
		}
	}
	role("members", "bob")
	w.must(t, "POST", "/api/v2/orgs/"+o.ID+"/owners", `{"id":"{bob}"}`, 201, &m)
	role("members", "")
	role("owners", "admin,bob")
	w.must(t, "DELETE", "/api/v2/orgs/"+o.ID+"/owners/{bob}", "", 204, nil)
	w.must(t, "POST", "/api/v2/orgs/"+o.ID+"/members", `{"id":"{bob}"}`, 201, &m)
	w.must(t, "DELETE", "/api/v2/orgs/"+o.ID+"/members/{bob}", "", 204, nil)
	role("members", "")

	token := w.newToken(t, `{"orgID":"`+o.ID+`","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`)
	w.must(t, "PATCH", "/api/v2/orgs/"+o.ID+"/secrets", `{"left":"behind"}`, 204, nil)
	w.must(t, "DELETE", "/api/v2/orgs/"+o.ID, "", 204, nil)
	w.refuse(t, refusal{"its secrets", get("/api/v2/orgs/" + o.ID + "/secrets"), 404, "not found", ""})
	w.refuse(t, refusal{"its token", stack.Request{Method: "GET", Path: "/api/v2/me", Token: token}, 401,
		"unauthorized", ""})
	var buckets struct{ Buckets []named }
	if w.must(t, "GET", "/api/v2/buckets?orgID="+o.ID, "", 200, &buckets); len(buckets.Buckets) != 0 {
		t.Errorf("it left the buckets %v", namesOf(buckets.Buckets))
	}
	w.must(t, "POST", "/api/v2/orgs", `{"name":"stark"}`, 201, nil) // the name is free again
}

type authorization struct {
	ID, Token, Status, Description, OrgID, Org, UserID, User string
	Permissions                                              []map[string]any
	ExpiresAt, LastUsedAt                                    *time.Time
}

func authorizations(t *testing.T, w *world) {
	var a authorization
	w.must(t, "POST", "/api/v2/authorizations",
		`{"orgID":"{org}","userID":"{bob}","description":"for bob","expiresAt":"2222-01-01T00:00:00Z",
		"permissions":[{"action":"write","resource":{"type":"secrets","orgID":"{org}","name":"db/*","org":"whatever"}},{"action":"read","resource":{"type":"dashboards"}}]}`, 201, &a)
	want := authorization{ID: a.ID, Token: a.Token, Status: "active", Description: "for bob", OrgID: w.OrgID,
		Org: "acme", UserID: w.names.Replace("{bob}"), User: "bob", ExpiresAt: a.ExpiresAt,
		Permissions: []map[string]any{
			{"action": "write", "resource": map[string]any{"type": "secrets", "orgID": w.OrgID, "org": "acme",
				"name": "db/*"}},
			{"action": "read", "resource": map[string]any{"type": "dashboards"}}}}
	if diff := cmp.Diff(want, a); diff != "" || len(a.Token) != 88 || a.ExpiresAt.Year() != 2222 {
		t.Errorf("made %+v; %s", a, diff)
	}
	w.Hide(a.Token)
	use := stack.Request{Method: "PATCH", Path: "/api/v2/orgs/" + w.OrgID + "/secrets", Token: a.Token,
		Body: `{"db/password":"x"}`}
	w.Must(t, use, 204, nil)

	var got authorization
	w.must(t, "GET", "/api/v2/authorizations/"+a.ID, "", 200, &got)
	want.Token = "REDACTED"
	if got.LastUsedAt == nil {
		t.Error("its last use is not known")
	}
	got.LastUsedAt = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	off := use
	w.must(t, "PATCH", "/api/v2/authorizations/"+a.ID, `{"status":"inactive","description":"was for bob"}`, 200, &got)
	w.refuse(t, refusal{"an inactive token", off, 401, "unauthorized", "token is inactive"})
	w.must(t, "PATCH", "/api/v2/authorizations/"+a.ID, `{"status":"active"}`, 200, &got)
	if got.Description != "was for bob" || got.Status != "active" {
		t.Errorf("changed to %+v", got)
	}
	w.Must(t, use, 204, nil)

	var list struct{ Authorizations []authorization }
	for query, want := range map[string]int{"": 3, "?user=bob": 1, "?userID={bob}": 1, "?org=acme": 3,
		"?orgID={umbrella}": 0, "?user=admin&org=acme": 1, "?limit=2": 2, "?offset=2&limit=2": 1} {
		if w.must(t, "GET", "/api/v2/authorizations"+query, "", 200, &list); len(list.Authorizations) != want {
			t.Errorf("%s lists %d, not %d", query, len(list.Authorizations), want)
		}
		for _, a := range list.Authorizations {
			if a.Token != "REDACTED" {
				t.Errorf("%s shows the token of %q", query, a.Description)
			}
		}
	}
	t.Run("one that is handed over", func(t *testing.T) {
		given := `{"orgID":"{org}","token":"given-by-an-InfluxDB-once==","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`
		if got := w.newToken(t, given); got != "given-by-an-InfluxDB-once==" {
			t.Errorf("it became %q", got)
		}
		w.Must(t, stack.Request{Method: "GET", Path: "/api/v2/orgs/" + w.OrgID + "/secrets",
			Token: "given-by-an-InfluxDB-once=="}, 200, nil)
		w.refuse(t, refusal{"twice", send("POST", "/api/v2/authorizations", given), 422, "conflict", "already"})
	})
	t.Run("one that ends", func(t *testing.T) {
		token := w.newToken(t, `{"orgID":"{org}","expiresAt":"`+w.Clock.Now().Add(time.Hour).Format(time.RFC3339)+
			`","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`)
		q := stack.Request{Method: "GET", Path: "/api/v2/orgs/" + w.OrgID + "/secrets", Token: token}
		w.Must(t, q, 200, nil)
		w.Clock.Advance(time.Hour)
		w.refuse(t, refusal{"after its end", q, 401, "unauthorized", "token has expired"})
	})
	w.must(t, "DELETE", "/api/v2/authorizations/"+a.ID, "", 204, nil)
	w.refuse(t, refusal{"a revoked token", use, 401, "unauthorized", "unauthorized access"})
	w.refuse(t, refusal{"a revoked authorization", get("/api/v2/authorizations/" + a.ID), 404, "not found", ""})
}

func buckets(t *testing.T, w *world) {
	type bucket struct {
		named
		Type           string
		RetentionRules []map[string]any
	}
	var b bucket
	w.must(t, "POST", "/api/v2/buckets",
		`{"orgID":"{org}","name":"cpu","description":"d","retentionRules":[{"type":"expire","everySeconds":7200}]}`,
		201, &b)
	if b.Type != "user" || b.RetentionRules[0]["everySeconds"] != 7200.0 ||
		b.RetentionRules[0]["shardGroupDurationSeconds"] != 3600.0 {
		t.Errorf("made %+v", b)
	}
	w.must(t, "PATCH", "/api/v2/buckets/"+b.ID, `{"name":"cpus","retentionRules":[]}`, 200, &b)
	w.must(t, "GET", "/api/v2/buckets/"+b.ID, "", 200, &b)
	if b.Name != "cpus" || b.Description != "d" || b.RetentionRules[0]["everySeconds"] != 0.0 {
		t.Errorf("changed to %+v", b)
	}
	var list struct{ Buckets []named }
	for query, want := range map[string]string{"?orgID={org}": "metrics,_tasks,_monitoring,cpus",
		"?org=acme&name=cpus": "cpus", "?id=" + b.ID: "cpus", "?limit=2": "metrics,_tasks",
		"?orgID={umbrella}&descending=true": "_monitoring,_tasks", "?name=nothing": ""} {
		w.must(t, "GET", "/api/v2/buckets"+query, "", 200, &list)
		if got := strings.Join(namesOf(list.Buckets), ","); got != want {
			t.Errorf("%s lists %s, not %s", query, got, want)
		}
	}
	w.must(t, "DELETE", "/api/v2/buckets/"+b.ID, "", 204, nil)
	w.refuse(t, refusal{"it", get("/api/v2/buckets/" + b.ID), 404, "not found", ""})
	w.must(t, "GET", "/api/v2/buckets?orgID={org}&name=_tasks", "", 200, &list)
	w.refuse(t, refusal{"deleting a system bucket", send("DELETE", "/api/v2/buckets/"+list.Buckets[0].ID, ""), 400,
		"invalid", "system"})
	w.refuse(t, refusal{"renaming a system bucket", send("PATCH", "/api/v2/buckets/"+list.Buckets[0].ID,
		`{"name":"mine"}`), 400, "invalid", "system"})
}

// broken is a store that is out of order.
type broken struct{ secret.Store }

func (broken) Check(context.Context) error {
	return errs.Wrap(errors.New("http://vault.internal:8200 is sealed"), errs.Unavailable, "the store is sealed")
}

func system(t *testing.T, w *world) {
	for _, path := range []string{"/health", "/ready", "/metrics"} {
		for _, method := range []string{"GET", "HEAD"} {
			w.Must(t, stack.Request{Method: method, Path: path}, 200, nil)
		}
	}
	for _, method := range []string{"GET", "HEAD"} {
		w.Must(t, stack.Request{Method: method, Path: "/ping"}, 204, nil)
	}
	for _, path := range []string{"/api/v2", "/api/v2/", "/api/v2/swagger.json"} {
		w.Must(t, get(path), 200, nil)
	}
	var types []string
	if w.must(t, "GET", "/api/v2/resources", "", 200, &types); len(types) != 23 || types[0] != "authorizations" ||
		types[22] != "instance" {
		t.Errorf("the types are %q", types)
	}
	var settings struct{ Config map[string]any }
	if w.must(t, "GET", "/api/v2/config", "", 200, &settings); settings.Config["secret-store"] != "bolt" {
		t.Errorf("the settings are %v", settings)
	}
	w.refuse(t, refusal{"the settings for others", stack.Request{Method: "GET", Path: "/api/v2/config",
		Cookie: w.SignIn(t, "bob", bobPassword)}, 401, "unauthorized", "read:instance is unauthorized"})

	t.Run("with a store out of order", func(t *testing.T) {
		w := newWorld(t, stack.Options{Document: w.Document(), NoAuditFile: true,
			Wrap: func(s secret.Store) secret.Store { return broken{s} }})
		for _, path := range []string{"/health", "/ready"} {
			w.Must(t, stack.Request{Method: "HEAD", Path: path}, 503, nil)
			if a := w.Do(t, get(path)); a.Status != 503 || strings.Contains(a.Body, "vault") {
				t.Errorf("%s: %d %s", path, a.Status, a.Body)
			}
		}
		w.Must(t, get("/ping"), 204, nil)
		w.refuse(t, refusal{"deleting an organization", send("DELETE", "/api/v2/orgs/{umbrella}", ""), 503,
			"unavailable", "sealed"})
		w.refuse(t, refusal{"an audit record that cannot be read", get("/api/v2/audit"), 501,
			"not implemented", "audit"})
	})
}
