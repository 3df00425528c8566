package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"strongroom/test/stack"
)

// refusedEverywhere sends each operation of the document what none of them takes.
func refusedEverywhere(t *testing.T, w *world) {
	notJSON := map[string]string{
		"nothing":                    "",
		"half an object":             `{"name":`,
		"a word":                     `hello`,
		"null":                       `null`,
		"a list":                     `[]`,
		"a string":                   `"x"`,
		"a number":                   `1`,
		"something behind it":        `{} x`,
		"two documents":              `{}{}`,
		"a comma too many":           `{"name":"x",}`,
		"bytes that are not UTF-8":   "{\"name\":\"\xff\"}",
		"a key that is not UTF-8":    "{\"\xc3\x28\":\"x\"}",
		"half a surrogate pair":      `{"name":"\ud800"}`,
		"the other half":             `{"name":"\udc00"}`,
		"surrogates the wrong way":   `{"name":"\udc00\ud800"}`,
		"a control character":        "{\"name\":\"\x00\"}",
		"UTF-16":                     "\xff\xfe{\x00}\x00",
		"a byte order mark":          "\xef\xbb\xbf{}",
		"an escape that is not one":  `{"name":"\x"}`,
		"a value of the wrong shape": `{"name":{"name":{}}`,
	}
	ids := []struct{ id, message string }{
		{"abc", "id must have a length of 16 bytes"}, {"0123456789abcdef0", "id must have a length of 16 bytes"},
		{"0000000000000000", "invalid ID"}, {"0123456789abcdeg", "invalid ID"},
		{"%2e%2e", "id must have a length of 16 bytes"},
	}
	for _, op := range stack.ReadDocument(t).Operations() {
		name := op.Method + " " + op.Path
		ask := func(path, body string) stack.Request {
			q := stack.Request{Method: op.Method, Path: path, Body: body}
			if op.Password {
				q.Basic = "admin:" + stack.AdminPassword
			}
			return q
		}
		if !op.Open {
			q := ask(op.Path, "{}")
			q.Basic, q.Token = "", "nobody's"
			w.refuse(t, refusal{name + " by nobody", q, 401, "unauthorized", ""})
			q.Token = "no such token"
			w.refuse(t, refusal{name + " with a token that is none", q, 401, "unauthorized", ""})
		}
		if slices.Contains(op.Refusals, 403) && !op.Open && !op.Password {
			q := ask(op.Path, "{}")
			q.Token = "{mallory's token}"
			w.refuse(t, refusal{name + " by an inactive user", q, 403, "forbidden", "User is inactive"})
		}
		if slices.Contains(op.Refusals, 403) && (op.Open || op.Password) {
			q := ask(op.Path, "{}")
			q.Header = map[string]string{"Sec-Fetch-Site": "cross-site"}
			w.refuse(t, refusal{name + " from a page elsewhere", q, 403, "forbidden", "another origin"})
		}
		if op.Body {
			for what, body := range notJSON {
				w.refuse(t, refusal{name + " with " + what, ask(op.Path, body), 400, "invalid",
					"failed to unmarshal json"})
			}
			large := `{"name":"` + strings.Repeat("x", 4<<20) + `"}`
			w.refuse(t, refusal{name + " with more than 4 MiB", ask(op.Path, large), 413, "request too large",
				"the request body is larger than"})
		}
		for _, parameter := range []string{"{orgID}", "{userID}", "{authID}", "{bucketID}"} {
			if !strings.Contains(op.Path, parameter) {
				continue
			}
			for _, i := range ids {
				path := strings.Replace(op.Path, parameter, i.id, 1)
				w.refuse(t, refusal{fmt.Sprintf("%s with the ID %s", name, i.id), ask(path, "{}"), 400,
					"invalid", i.message})
			}
		}
		w.refuse(t, refusal{name + " by another method", stack.Request{Method: "LINK", Path: op.Path}, 405,
			"method not allowed", "allow: "})
		if !strings.Contains(op.Path, "{key}") {
			w.refuse(t, refusal{"a path below " + name,
				stack.Request{Method: op.Method, Path: op.Path + "/no/such/path"}, 404, "not found", ""})
		}
	}
}

// get and send make a table's requests.
func get(path string) stack.Request { return stack.Request{Method: "GET", Path: path} }
func send(method, path, body string) stack.Request {
	return stack.Request{Method: method, Path: path, Body: body}
}

// refused is what single operations refuse.
func refused(t *testing.T, w *world) {
	for _, c := range []refusal{
		{"an API path that is not there", get("/api/v2/nope"), 404, "not found", "path not found"},
		{"a path that is not there", get("/nope"), 404, "not found", ""},
		{"an empty ID", get("/api/v2/orgs//secrets"), 400, "invalid", "url missing id"},
		{"Basic where a token is due", stack.Request{Method: "GET", Path: "/api/v2/orgs",
			Basic: "admin:" + stack.AdminPassword}, 401, "unauthorized", "unauthorized access"},
		{"a token without a scheme", stack.Request{Method: "GET", Path: "/api/v2/orgs",
			Header: map[string]string{"Authorization": "0123456789abcdef0123456789abcdef"}}, 401, "unauthorized", ""},
		{"a scheme without a token", stack.Request{Method: "GET", Path: "/api/v2/orgs",
			Header: map[string]string{"Authorization": "Token "}}, 401, "unauthorized", ""},
		{"a cookie that is none", stack.Request{Method: "GET", Path: "/api/v2/orgs", Cookie: "nonsense"}, 401,
			"unauthorized", ""},

		{"a query with a broken escape", get("/api/v2/orgs?org=acme%zz"), 400, "invalid", "query"},
		{"a query with semicolons", get("/api/v2/orgs?org=acme;limit=1"), 400, "invalid", "query"},
		{"pages of none", get("/api/v2/orgs?limit=0"), 400, "invalid", "between 1 and 100"},
		{"pages of too many", get("/api/v2/users?limit=101"), 400, "invalid", "between 1 and 100"},
		{"pages of words", get("/api/v2/buckets?limit=ten"), 400, "invalid", "limit"},
		{"authorizations in pages of none", get("/api/v2/authorizations?limit=0"), 400, "invalid", "at least 1"},
		{"before the beginning", get("/api/v2/orgs?offset=-1"), 400, "invalid", "offset"},
		{"after no ID", get("/api/v2/users?after=x"), 400, "invalid", "length of 16"},
		{"a direction that is none", get("/api/v2/orgs?descending=down"), 400, "invalid", "true or false"},
		{"orgs of a user without an ID", get("/api/v2/orgs?userID=bob"), 400, "invalid", "length of 16"},
		{"buckets of an org without an ID", get("/api/v2/buckets?orgID=acme"), 400, "invalid", "length of 16"},

		{"setting up twice", send("POST", "/api/v2/setup",
			`{"username":"eve","password":"long enough","org":"o","bucket":"b"}`), 422, "conflict",
			"onboarding has already been completed"},
		{"signing out with a token", send("POST", "/api/v2/signout", ""), 400, "invalid", "no session"},
		{"a password for oneself with a token", send("PUT", "/api/v2/me/password", `{"password":"long enough"}`), 401,
			"unauthorized", "old password"},
		{"a password for oneself that is short", stack.Request{Method: "PUT", Path: "/api/v2/me/password",
			Body: `{"password":"short"}`, Basic: "bob:" + bobPassword}, 400, "invalid", "between 8 and 72"},

		{"no user of the ID", get("/api/v2/users/{nobody}"), 404, "not found", "user not found"},
		{"no user of the ID, listed", get("/api/v2/users?id={nobody}"), 404, "not found", "user not found"},
		{"no user of the name", get("/api/v2/users?name=nobody"), 404, "not found", "user not found"},
		{"changing no user", send("PATCH", "/api/v2/users/{nobody}", `{"name":"x"}`), 404, "not found",
			"user not found"},
		{"deleting no user", send("DELETE", "/api/v2/users/{nobody}", ""), 404, "not found", "user not found"},
		{"a password for nobody", send("POST", "/api/v2/users/{nobody}/password", `{"password":"long enough"}`), 404,
			"not found", "user not found"},
		{"the same with PUT", send("PUT", "/api/v2/users/{nobody}/password", `{"password":"long enough"}`), 404,
			"not found", "user not found"},
		{"a short password", send("POST", "/api/v2/users/{bob}/password", `{"password":"1234567"}`), 400, "invalid",
			"between 8 and 72"},
		{"a long password", send("POST", "/api/v2/users/{bob}/password", `{"password":"`+strings.Repeat("x", 73)+`"}`),
			400, "invalid", "between 8 and 72"},
		{"a password that is a number", send("POST", "/api/v2/users/{bob}/password", `{"password":12345678}`), 400,
			"invalid", "password"},
		{"a user without a name", send("POST", "/api/v2/users", `{}`), 400, "empty value", "user name is empty"},
		{"a user named by spaces", send("POST", "/api/v2/users", `{"name":"  "}`), 400, "empty value",
			"user name is empty"},
		{"a user with a long name", send("POST", "/api/v2/users", `{"name":"`+strings.Repeat("x", 513)+`"}`), 400,
			"invalid", "512"},
		{"a user with a control character", send("POST", "/api/v2/users", `{"name":"a\u0000b"}`), 400,
			"invalid", "control"},
		{"a user named by a number", send("POST", "/api/v2/users", `{"name":7}`), 400, "invalid", "name"},
		{"a user of no known status", send("POST", "/api/v2/users", `{"name":"x","status":"asleep"}`), 400, "invalid",
			"active or inactive"},
		{"a user's name again", send("POST", "/api/v2/users", `{"name":"bob"}`), 422, "conflict", "already exists"},
		{"a user renamed to another", send("PATCH", "/api/v2/users/{bob}", `{"name":"admin"}`), 422, "conflict",
			"already exists"},
		{"a user renamed to nothing", send("PATCH", "/api/v2/users/{bob}", `{"name":""}`), 400, "empty value", "empty"},
		{"the last operator made inactive", send("PATCH", "/api/v2/users/{user}", `{"status":"inactive"}`), 422,
			"conflict", "last operator"},
		{"the last operator deleted", send("DELETE", "/api/v2/users/{user}", ""), 422, "conflict", "last operator"},

		{"no org of the ID", get("/api/v2/orgs/{nobody}"), 404, "not found", "organization not found"},
		{"no org of the ID, listed", get("/api/v2/orgs?orgID={nobody}"), 404, "not found", "organization not found"},
		{"no org of the name", get("/api/v2/orgs?org=x%22y"), 404, "not found",
			`organization name \"x\\\"y\" not found`},
		{"name and ID of two orgs", get("/api/v2/orgs?org=acme&orgID={umbrella}"), 404, "not found", "not found"},
		{"changing no org", send("PATCH", "/api/v2/orgs/{nobody}", `{"name":"x"}`), 404, "not found",
			"organization not found"},
		{"deleting no org", send("DELETE", "/api/v2/orgs/{nobody}", ""), 404, "not found", "organization not found"},
		{"an org without a name", send("POST", "/api/v2/orgs", `{"description":"x"}`), 400, "empty value",
			"organization name is empty"},
		{"an org with a long description", send("POST", "/api/v2/orgs",
			`{"name":"x","description":"`+strings.Repeat("x", 4097)+`"}`), 400, "invalid", "4096"},
		{"an org's name again", send("POST", "/api/v2/orgs", `{"name":"acme"}`), 422, "conflict", "already exists"},
		{"an org renamed to another", send("PATCH", "/api/v2/orgs/{umbrella}", `{"name":"acme"}`), 422, "conflict",
			"already exists"},
		{"an org named by a list", send("PATCH", "/api/v2/orgs/{umbrella}", `{"name":["acme"]}`), 400,
			"invalid", "name"},
		{"members of no org", get("/api/v2/orgs/{nobody}/members"), 404, "not found", "organization not found"},
		{"owners of no org", get("/api/v2/orgs/{nobody}/owners"), 404, "not found", "organization not found"},
		{"a member for no org", send("POST", "/api/v2/orgs/{nobody}/members", `{"id":"{bob}"}`), 404, "not found",
			"organization not found"},
		{"an owner for no org", send("POST", "/api/v2/orgs/{nobody}/owners", `{"id":"{bob}"}`), 404, "not found",
			"organization not found"},
		{"nobody as a member", send("POST", "/api/v2/orgs/{org}/members", `{"id":"{nobody}"}`), 404, "not found",
			"user not found"},
		{"a member without an ID", send("POST", "/api/v2/orgs/{org}/members", `{"name":"bob"}`), 400, "invalid",
			"user id required"},
		{"a member with a bad ID", send("POST", "/api/v2/orgs/{org}/members", `{"id":"bob"}`), 400, "invalid",
			"length of 16"},
		{"an owner as a member", send("POST", "/api/v2/orgs/{org}/members", `{"id":"{user}"}`), 422,
			"conflict", "owner"},
		{"removing who is no member", send("DELETE", "/api/v2/orgs/{umbrella}/members/{bob}", ""), 404, "not found",
			"not found"},
		{"removing a member as an owner", send("DELETE", "/api/v2/orgs/{org}/owners/{bob}", ""), 404, "not found",
			"not found"},

		{"no authorization of the ID", get("/api/v2/authorizations/{nobody}"), 404, "not found",
			"authorization not found"},
		{"changing no authorization", send("PATCH", "/api/v2/authorizations/{nobody}", `{"status":"inactive"}`), 404,
			"not found", "authorization not found"},
		{"deleting no authorization", send("DELETE", "/api/v2/authorizations/{nobody}", ""), 404, "not found",
			"authorization not found"},
		{"authorizations of no user", get("/api/v2/authorizations?user=nobody"), 404, "not found", "user not found"},
		{"authorizations of no org", get("/api/v2/authorizations?org=nothing"), 404, "not found",
			`organization name \"nothing\" not found`},
		{"authorizations of a bad ID", get("/api/v2/authorizations?userID=x"), 400, "invalid", "length of 16"},
		{"an authorization of no known status", send("PATCH", "/api/v2/authorizations/{auth}", `{"status":"asleep"}`),
			400, "invalid", "active or inactive"},
		{"an authorization without an org", send("POST", "/api/v2/authorizations",
			`{"permissions":[{"action":"read","resource":{"type":"secrets"}}]}`), 400, "invalid", "org id required"},
		{"an authorization without permissions", send("POST", "/api/v2/authorizations", `{"orgID":"{org}"}`), 400,
			"invalid", "must include permissions"},
		{"an authorization for no org", send("POST", "/api/v2/authorizations",
			`{"orgID":"{nobody}","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`), 404, "not found",
			"organization not found"},
		{"an authorization for nobody", send("POST", "/api/v2/authorizations",
			`{"orgID":"{org}","userID":"{nobody}","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`),
			404, "not found", "user not found"},
		{"an authorization to execute", send("POST", "/api/v2/authorizations",
			`{"orgID":"{org}","permissions":[{"action":"execute","resource":{"type":"secrets"}}]}`), 403,
			"forbidden", ""},
		{"an authorization that has ended", send("POST", "/api/v2/authorizations",
			`{"orgID":"{org}","expiresAt":"2001-01-01T00:00:00Z","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`), 400, "invalid", "future"},
		{"an authorization that ends tomorrow", send("POST", "/api/v2/authorizations",
			`{"orgID":"{org}","expiresAt":"tomorrow","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`),
			400, "invalid", "failed to unmarshal json"},
		{"a short token", send("POST", "/api/v2/authorizations",
			`{"orgID":"{org}","token":"1234567","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`), 400,
			"invalid", "between 22 and 1024"},
		{"a token with spaces", send("POST", "/api/v2/authorizations",
			`{"orgID":"{org}","token":"one and two and a third word","permissions":[{"action":"read","resource":{"type":"secrets"}}]}`), 400, "invalid", "ASCII"},
		{"permissions that are a word", send("POST", "/api/v2/authorizations", `{"orgID":"{org}","permissions":"all"}`),
			400, "invalid", "permissions"},

		{"no bucket of the ID", get("/api/v2/buckets/{nobody}"), 404, "not found", "bucket not found"},
		{"buckets of no org", get("/api/v2/buckets?org=nothing"), 404, "not found",
			`organization name \"nothing\" not found`},
		{"changing no bucket", send("PATCH", "/api/v2/buckets/{nobody}", `{"name":"x"}`), 404, "not found",
			"bucket not found"},
		{"deleting no bucket", send("DELETE", "/api/v2/buckets/{nobody}", ""), 404, "not found", "bucket not found"},
		{"a bucket without an org", send("POST", "/api/v2/buckets", `{"name":"x"}`), 400, "invalid", "org id required"},
		{"a bucket in no org", send("POST", "/api/v2/buckets", `{"name":"x","orgID":"{nobody}"}`), 404, "not found",
			"organization not found"},
		{"a bucket without a name", send("POST", "/api/v2/buckets", `{"orgID":"{org}"}`), 400, "empty value",
			"bucket name is empty"},
		{"a bucket with an underscore", send("POST", "/api/v2/buckets", `{"orgID":"{org}","name":"_x"}`), 400,
			"invalid", "underscore"},
		{"a bucket with a quotation mark", send("POST", "/api/v2/buckets", `{"orgID":"{org}","name":"a\"b"}`), 400,
			"invalid", "quotation"},
		{"a bucket's name again", send("POST", "/api/v2/buckets", `{"orgID":"{org}","name":"metrics"}`), 422,
			"conflict", "already exists"},
		{"a bucket for a minute", send("POST", "/api/v2/buckets",
			`{"orgID":"{org}","name":"x","retentionRules":[{"type":"expire","everySeconds":60}]}`), 422,
			"unprocessable entity", "1h0m0s"},
		{"a bucket for less than nothing",
			send("POST", "/api/v2/buckets",
				`{"orgID":"{org}","name":"x","retentionRules":[{"type":"expire","everySeconds":-1}]}`), 422,
			"unprocessable entity", "out of range"},
		{"a bucket until the end of time", send("PATCH", "/api/v2/buckets/{bucket}",
			`{"retentionRules":[{"type":"expire","everySeconds":9223372036854775807}]}`), 422, "unprocessable entity",
			"out of range"},

		{"the record of no time", get("/api/v2/audit?since=yesterday"), 400, "invalid", "RFC 3339"},
		{"the record of no known outcome", get("/api/v2/audit?outcome=good"), 400, "invalid",
			"allowed, denied or failed"},
		{"the record in pages of too many", get("/api/v2/audit?limit=1001"), 400, "invalid", "1000"},
		{"the record before no number", get("/api/v2/audit?before=-1"), 400, "invalid", "before"},
		{"the record of an org without an ID", get("/api/v2/audit?orgID=acme"), 400, "invalid", "length of 16"},
	} {
		w.refuse(t, c)
	}
}
