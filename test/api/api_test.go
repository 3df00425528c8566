// Package api tests the HTTP API over real parts. Each answer is held against the OpenAPI document on its way (package
// stack), and TestAPI fails where the document describes something that was not seen.
package api

import (
	"slices"
	"strings"
	"testing"

	"strongroom/internal/secret"
	"strongroom/test/stack"
)

// races are refusals that only others who do the same thing at the same moment bring about.
var races = []string{
	"GET /api/v2/me was never answered 404",
	"POST /api/v2/orgs was never answered 404",
	"DELETE /api/v2/orgs/{orgID} was never answered 422",
	"DELETE /api/v2/orgs/{orgID}/members/{userID} was never answered 422",
	"DELETE /api/v2/orgs/{orgID}/owners/{userID} was never answered 422",
	"POST /api/v2/orgs/{orgID}/owners was never answered 422",
	"PATCH /api/v2/authorizations/{authID} was never answered 422",
	"DELETE /api/v2/buckets/{bucketID} was never answered 422",
	"POST /api/v2/users/{userID}/password was never answered 429",
	"PUT /api/v2/users/{userID}/password was never answered 429",
	"GET /debug/pprof/{profile} was never answered 422",
}

func TestAPI(t *testing.T) {
	document := stack.ReadDocument(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"refused everywhere", refusedEverywhere},
		{"refused", refused},
		{"secrets that are refused", refusedSecrets},
		{"setup", setup},
		{"sessions", sessions},
		{"users", users},
		{"organizations", organizations},
		{"secrets", secrets},
		{"authorizations", authorizations},
		{"buckets", buckets},
		{"system", system},
		{"audit", auditLog},
		{"profiles", profiles},
		{"seal", seal},
		{"history", history},
		{"secret values", secretValues},
		{"tags", tags},
		{"backup", backup},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, newWorld(t, stack.Options{Document: document})) })
	}
	t.Run("quota", func(t *testing.T) {
		quota(t, newWorld(t, stack.Options{Document: document, Quota: secret.Quota{Secrets: 1, Bytes: 2000}}))
	})
	t.Run("everything was seen", func(t *testing.T) {
		missing := document.Unseen()
		for _, m := range missing {
			if !slices.Contains(races, m) {
				t.Errorf("the document describes what no test has seen: %s", m)
			}
		}
		for _, r := range races {
			if !slices.Contains(missing, r) {
				t.Errorf("listed as a race, and yet seen: %s", r)
			}
		}
	})
}

// world is a server with two organisations, acme and umbrella, and some users.
type world struct {
	*stack.Stack
	stack.Admin
	names *strings.Replacer // what {org} and the like stand for in paths and bodies
}

const bobPassword = "bob's long password"

func newWorld(t *testing.T, o stack.Options) *world {
	t.Helper()
	w := &world{Stack: stack.Start(t, o)}
	w.Admin = w.Setup(t)
	bob, inactive := w.newUser(t, "bob"), w.newUser(t, "mallory")
	w.Hide(bobPassword)
	w.must(t, "POST", "/api/v2/users/"+bob+"/password", `{"password":"`+bobPassword+`"}`, 204, nil)
	w.must(t, "POST", "/api/v2/orgs/"+w.OrgID+"/members", `{"id":"`+bob+`"}`, 201, nil)
	var umbrella struct{ ID string }
	w.must(t, "POST", "/api/v2/orgs", `{"name":"umbrella"}`, 201, &umbrella)
	mallory := w.newToken(t, `{"userID":"`+inactive+`","orgID":"`+w.OrgID+
		`","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`)
	w.must(t, "PATCH", "/api/v2/users/"+inactive, `{"status":"inactive"}`, 200, nil)
	w.names = strings.NewReplacer("{org}", w.OrgID, "{umbrella}", umbrella.ID, "{user}", w.UserID, "{bob}", bob,
		"{bucket}", w.BucketID, "{auth}", w.AuthID, "{nobody}", "0123456789abcdef", "{mallory's token}", mallory,
		"{orgID}", w.OrgID, "{userID}", w.UserID, "{bucketID}", w.BucketID, "{authID}", w.AuthID, "{key}", "delete")
	return w
}

// must sends a request of the operator that has to succeed.
func (w *world) must(t *testing.T, method, path, body string, status int, out any) {
	t.Helper()
	if w.names != nil {
		path, body = w.names.Replace(path), w.names.Replace(body)
	}
	w.Must(t, stack.Request{Method: method, Path: path, Token: w.Token, Body: body}, status, out)
}

func (w *world) newUser(t *testing.T, name string) string {
	t.Helper()
	var u struct{ ID string }
	w.must(t, "POST", "/api/v2/users", `{"name":"`+name+`"}`, 201, &u)
	return u.ID
}

func (w *world) newToken(t *testing.T, body string) string {
	t.Helper()
	var a struct{ Token string }
	w.must(t, "POST", "/api/v2/authorizations", body, 201, &a)
	w.Hide(a.Token)
	return a.Token
}

// refusal is a request and the error that answers it.
type refusal struct {
	name    string
	request stack.Request // its token is the operator's where nothing else says who asks
	status  int
	code    string
	message string // a part of it
}

func (w *world) refuse(t *testing.T, c refusal) {
	t.Helper()
	t.Run(c.name, func(t *testing.T) {
		q := c.request
		q.Path, q.Body = w.names.Replace(q.Path), w.names.Replace(q.Body)
		q.Token = w.names.Replace(q.Token)
		if q.Token+q.Cookie+q.Basic+q.Header["Authorization"] == "" {
			q.Token = w.Token
		}
		if q.Token == "nobody's" {
			q.Token = ""
		}
		a := w.Do(t, q)
		// That the body repeats the code is checked of every answer, see stack.Document.
		if got := a.Header.Get("X-Platform-Error-Code"); a.Status != c.status || got != c.code ||
			!strings.Contains(a.Body, c.message) {
			t.Errorf("%s %s\n got %d %q %s\nwant %d %q with %q", q.Method, q.Path, a.Status, got, a.Body, c.status,
				c.code, c.message)
		}
	})
}
