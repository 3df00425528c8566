package api

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/test/stack"
)

// kept is what the store holds for acme.
func (w *world) kept(t *testing.T) map[string]string {
	t.Helper()
	org, err := id.Parse(w.OrgID)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := w.Store.Keys(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, k := range keys {
		v, err := secret.Get(t.Context(), w.Store, org, k)
		if err != nil {
			t.Fatal(err)
		}
		all[k] = string(v.Bytes())
	}
	return all
}

// onMatch is a request with If-Match.
func onMatch(method, path, body, tag string) stack.Request {
	return stack.Request{Method: method, Path: path, Body: body, Header: map[string]string{"If-Match": tag}}
}

// refusedSecrets must leave everything as it was.
func refusedSecrets(t *testing.T, w *world) {
	before := map[string]string{"foo": "bar", "hello": "world"}
	w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"foo":"bar","hello":"world"}`, 204, nil)
	const path = "/api/v2/orgs/{org}/secrets"
	for _, c := range []refusal{
		{"null as a value", send("PATCH", path, `{"new":"v","foo":null}`), 400, "invalid",
			`the value of \"foo\" must be a string`},
		{"a number as a value", send("PATCH", path, `{"new":"v","foo":1}`), 400, "invalid", "must be a string"},
		{"a boolean as a value", send("PATCH", path, `{"new":"v","foo":true}`), 400, "invalid", "must be a string"},
		{"an object as a value", send("PATCH", path, `{"new":"v","foo":{"a":"b"}}`), 400, "invalid",
			"must be a string"},
		{"a list as a value", send("PATCH", path, `{"new":"v","foo":["a"]}`), 400, "invalid", "must be a string"},
		{"half an object", send("PATCH", path, `{"new":"v","foo":"x"`), 400, "invalid", "failed to unmarshal json"},
		{"something behind it", send("PATCH", path, `{"new":"v"} xyz`), 400, "invalid", "failed to unmarshal json"},
		{"two documents", send("PATCH", path, `{"new":"v"}{"foo":"x"}`), 400, "invalid", "failed to unmarshal json"},
		{"a value that is not UTF-8", send("PATCH", path, "{\"new\":\"v\",\"foo\":\"\xff\"}"), 400, "invalid", "UTF-8"},
		{"a key that is not UTF-8", send("PATCH", path, "{\"new\":\"v\",\"\xff\":\"x\"}"), 400, "invalid", "UTF-8"},
		{"half a surrogate pair in a key", send("PATCH", path, `{"new":"v","sur\ud800":"x"}`), 400, "invalid",
			"surrogate"},
		{"half a surrogate pair in a value", send("PATCH", path, `{"new":"v","sur":"\udfff"}`), 400, "invalid",
			"surrogate"},
		{"an empty key", send("PATCH", path, `{"new":"v","":"x"}`), 400, "invalid", "must not be empty"},
		{"a NUL in a key", send("PATCH", path, `{"new":"v","a\u0000b":"x"}`), 400, "invalid", "control"},
		{"a new line in a key", send("PATCH", path, `{"new":"v","a\nb":"x"}`), 400, "invalid", "control"},
		{"a C1 control character in a key", send("PATCH", path, `{"new":"v","a\u0085b":"x"}`), 400,
			"invalid", "control"},
		{"a key over 1 KiB", send("PATCH", path, `{"new":"v","`+strings.Repeat("k", 1025)+`":"x"}`), 413,
			"request too large", "--max-secret-key-size"},
		{"a value over 1 MiB", send("PATCH", path, `{"new":"v","foo":"`+strings.Repeat("v", 1<<20+1)+`"}`), 413,
			"request too large", "--max-secret-value-size"},
		{"a body over 4 MiB", send("PATCH", path, `{"new":"v","foo":"`+strings.Repeat("v", 4<<20)+`"}`), 413,
			"request too large", "--max-body-size"},
		{"a body over 4 MiB without its length", stack.Request{Method: "PATCH", Path: path,
			Body: `{"new":"v","foo":"` + strings.Repeat("v", 4<<20) + `"}`, Chunked: true}, 413, "request too large",
			"--max-body-size"},
		{"a body over 4 MiB of spaces", send("PATCH", path, `{"new":"v"}`+strings.Repeat(" ", 4<<20)), 413,
			"request too large", "--max-body-size"},
		{"a new secret that exists", stack.Request{Method: "PATCH", Path: path, Body: `{"foo":"x"}`,
			Header: map[string]string{"If-None-Match": "*"}}, 412, "precondition failed",
			`the secret \"foo\" exists already; nothing was changed`},
		{"one of two new secrets that exists", stack.Request{Method: "PATCH", Path: path, Body: `{"foo":"x","new":"v"}`,
			Header: map[string]string{"If-None-Match": "*"}}, 412, "precondition failed", `\"foo\" exists`},
		{"one of two secrets that does not exist", stack.Request{Method: "PATCH", Path: path,
			Body: `{"foo":"x","new":"v"}`, Header: map[string]string{"If-Match": "*"}}, 412, "precondition failed",
			`\"new\" does not exist`},
		{"another version", onMatch("PATCH", path, `{"foo":"x"}`, `"2"`), 412, "precondition failed",
			`\"foo\" is at version 1 and not 2; nothing was changed`},
		{"a version of what is not there", onMatch("PATCH", path, `{"new":"x"}`, `"1"`), 412, "precondition failed",
			`\"new\" is at version 0`},
		{"no version of what is there", onMatch("PATCH", path, `{"foo":"x"}`, `"0"`), 412, "precondition failed",
			`\"foo\" is at version 1`},
		{"a version for two", onMatch("PATCH", path, `{"foo":"x","hello":"y"}`, `"1"`), 400, "invalid",
			"for a change of one secret, and this one names 2"},
		{"a version for none", onMatch("PATCH", path, `{}`, `"1"`), 400, "invalid", "names 0"},
		{"another tag", onMatch("PATCH", path, `{"foo":"x"}`, `"abc"`), 400, "invalid", "give one of"},
		{"a weak tag", onMatch("PATCH", path, `{"foo":"x"}`, `W/"1"`), 400, "invalid", "give one of"},
		{"two tags", onMatch("PATCH", path, `{"foo":"x"}`, `"1", "2"`), 400, "invalid", "give one of"},
		{"deleting another version", onMatch("DELETE", path+"/foo", "", `"2"`), 412, "precondition failed",
			`\"foo\" is at version 1 and not 2`},
		{"deleting any version", onMatch("DELETE", path+"/foo", "", "*"), 400, "invalid",
			"a deletion depends on a version"},
		{"deleting many on a condition", onMatch("POST", path+"/delete", `{"secrets":["foo"]}`, `"1"`), 400, "invalid",
			"for the DELETE of one secret"},
		{"versions that are neither true nor false", get(path + "?versions=1"), 400, "invalid",
			"versions must be true or false"},
		{"both conditions", stack.Request{Method: "PATCH", Path: path, Body: `{"foo":"x"}`,
			Header: map[string]string{"If-Match": "*", "If-None-Match": "*"}}, 400, "invalid",
			"give one of If-None-Match"},
		{"an org that is not there", send("PATCH", "/api/v2/orgs/{nobody}/secrets", `{"new":"v"}`), 404, "not found",
			"organization not found"},
		{"listing an org that is not there", get("/api/v2/orgs/{nobody}/secrets"), 404, "not found",
			"organization not found"},
		{"deleting in an org that is not there", send("DELETE", "/api/v2/orgs/{nobody}/secrets/foo", ""), 404,
			"not found", "organization not found"},
		{"deleting many in an org that is not there", send("POST", "/api/v2/orgs/{nobody}/secrets/delete",
			`{"secrets":["foo"]}`), 404, "not found", "organization not found"},
		{"deleting a number", send("POST", path+"/delete", `{"secrets":["foo",1]}`), 400, "invalid", "secrets"},
		{"deleting null", send("POST", path+"/delete", `{"secrets":["foo",null]}`), 400, "invalid", "list of strings"},
		{"deleting what is no list", send("POST", path+"/delete", `{"secrets":"foo"}`), 400, "invalid", "secrets"},
		{"posting to a secret", send("POST", path+"/foo", `{"secrets":["foo"]}`), 405, "method not allowed",
			"allow: DELETE"},
		{"posting to a secret", send("POST", path+"/foo", `{}`), 405, "method not allowed", "allow: DELETE, GET"},
		{"putting secrets", send("PUT", path, `{"foo":"x"}`), 405, "method not allowed", "allow: GET, PATCH"},
	} {
		w.refuse(t, c)
		if diff := cmp.Diff(before, w.kept(t)); diff != "" {
			t.Fatalf("%s was refused and changed something (-before +after):\n%s", c.name, diff)
		}
	}
}

type secretKeys struct {
	Links   map[string]string
	Secrets []string
}

func (w *world) listed(t *testing.T) []string {
	t.Helper()
	var l secretKeys
	w.must(t, "GET", "/api/v2/orgs/{org}/secrets", "", 200, &l)
	if l.Secrets == nil {
		t.Fatal("the list is null")
	}
	return l.Secrets
}

// secrets is the walk-through of the contract, and the keys that are hard to write.
func secrets(t *testing.T, w *world) {
	self := "/api/v2/orgs/" + w.OrgID
	var l secretKeys
	w.must(t, "GET", "/api/v2/orgs/{org}/secrets", "", 200, &l)
	want := secretKeys{map[string]string{"org": self, "self": self + "/secrets",
		"secrets": self + "/secrets"}, []string{}}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Errorf("the empty list (-want +got):\n%s", diff)
	}
	a := w.Do(t, stack.Request{Method: "PATCH", Path: self + "/secrets", Token: w.Token,
		Body: `{"hello":"world","foo":"bar"}`})
	if a.Status != 204 || a.Body != "" || a.Header.Get("Content-Type") != "" {
		t.Errorf("PATCH: %d %q %v", a.Status, a.Body, a.Header)
	}
	if diff := cmp.Diff([]string{"foo", "hello"}, w.listed(t)); diff != "" {
		t.Errorf("two secrets, sorted (-want +got):\n%s", diff)
	}
	w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"hello":"moon"}`, 204, nil)
	w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{}`, 204, nil)
	if diff := cmp.Diff(map[string]string{"foo": "bar", "hello": "moon"}, w.kept(t)); diff != "" {
		t.Errorf("one changed (-want +got):\n%s", diff)
	}

	for header, value := range map[string]string{"If-None-Match": "new", "If-Match": "sun"} {
		a := w.Do(t, stack.Request{Method: "PATCH", Path: self + "/secrets", Token: w.Token,
			Header: map[string]string{header: "*"}, Body: map[string]string{"If-None-Match": `{"fresh":"new"}`,
				"If-Match": `{"hello":"sun"}`}[header]})
		if a.Status != 204 {
			t.Errorf("%s: %d %s", header, a.Status, a.Body)
		}
		if kept := w.kept(t); kept["fresh"] != value && kept["hello"] != value {
			t.Errorf("%s: %v", header, kept)
		}
	}
	w.must(t, "POST", "/api/v2/orgs/{org}/secrets/delete", `{"secrets":["fresh"]}`, 204, nil)

	t.Run("the other organization sees none of it", func(t *testing.T) {
		var other secretKeys
		w.must(t, "GET", "/api/v2/orgs/{umbrella}/secrets", "", 200, &other)
		if len(other.Secrets) != 0 {
			t.Errorf("it lists %q", other.Secrets)
		}
	})
	t.Run("deleting", func(t *testing.T) {
		for _, path := range []string{"/delete", "/%7Bdelete%7D"} {
			w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"a":"1","b":"2","c":"3"}`, 204, nil)
			w.must(t, "POST", "/api/v2/orgs/{org}/secrets"+path, `{"secrets":["a","c","missing"]}`, 204, nil)
			if diff := cmp.Diff([]string{"b", "foo", "hello"}, w.listed(t)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
		w.must(t, "POST", "/api/v2/orgs/{org}/secrets/delete", `{"secrets":[]}`, 204, nil)
		w.must(t, "POST", "/api/v2/orgs/{org}/secrets/delete", `{}`, 204, nil)
		w.must(t, "DELETE", "/api/v2/orgs/{org}/secrets/b", "", 204, nil)
		w.must(t, "DELETE", "/api/v2/orgs/{org}/secrets/b", "", 204, nil)
		if diff := cmp.Diff([]string{"foo", "hello"}, w.listed(t)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("odd keys and values", func(t *testing.T) {
		odd := map[string]string{
			"/": "a slash", "..": "up", ".": "here", "a/../b": "path", "../x": "outside", "a/b c": "slash and space",
			"delete": "a verb", "{delete}": "braces", "ключ-🔑": "знач", "%2F": "escaped already", "a?b=c#d": "query",
			"a;b,c": "separators", `"quoted"\`: "quotes", "<&>": "html", strings.Repeat("k", 1024): "the longest key",
			"empty": "", "large": strings.Repeat("é", 1<<19), "lines": "-----BEGIN\nKEY-----\n\x00", " ": "space",
		}
		body, err := json.Marshal(odd)
		if err != nil {
			t.Fatal(err)
		}
		w.must(t, "POST", "/api/v2/orgs/{org}/secrets/delete", `{"secrets":["foo","hello"]}`, 204, nil)
		w.Must(t, stack.Request{Method: "PATCH", Path: self + "/secrets", Token: w.Token, Body: string(body)}, 204, nil)
		if diff := cmp.Diff(odd, w.kept(t)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		keys := w.listed(t)
		if !slices.IsSorted(keys) || len(keys) != len(odd) {
			t.Errorf("%d keys, sorted: %v", len(keys), slices.IsSorted(keys))
		}
		for _, k := range keys {
			w.Must(t, stack.Request{Method: "DELETE", Path: self + "/secrets/" + url.PathEscape(k),
				Token: w.Token}, 204, nil)
			delete(odd, k)
			if diff := cmp.Diff(odd, w.kept(t)); diff != "" {
				t.Fatalf("after deleting %q (-want +got):\n%s", k, diff)
			}
		}
	})
	t.Run("the later of two equal names counts", func(t *testing.T) {
		w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"twice":"1","twice":"2"}`, 204, nil)
		if got := w.kept(t)["twice"]; got != "2" {
			t.Errorf("it is %q", got)
		}
	})
	t.Run("values stay out of the log", func(t *testing.T) {
		w.Hide("a value that nobody may see")
		w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"seen":"a value that nobody may see"}`, 204, nil)
		w.refuse(t, refusal{"beside one that is refused", send("PATCH", "/api/v2/orgs/{org}/secrets",
			`{"seen":"a value that nobody may see","bad":1}`), 400, "invalid", ""})
	})
}

// tags goes through changes that depend on a version, and reads that depend on what the caller has.
func tags(t *testing.T, w *world) {
	path := w.names.Replace("/api/v2/orgs/{org}/secrets")
	w.must(t, "PATCH", path, `{"foo":"bar"}`, 204, nil)
	as := func(token string, q stack.Request) stack.Answer {
		q.Token = token
		return w.Do(t, q)
	}
	agent := w.newToken(t,
		w.names.Replace(
			`{"orgID":"{org}","permissions":[{"action":"use","resource":{"type":"secrets","orgID":"{org}"}}]}`))
	writer := w.newToken(t,
		w.names.Replace(
			`{"orgID":"{org}","permissions":[{"action":"write","resource":{"type":"secrets","orgID":"{org}"}}]}`))

	if tag := as(w.Token, get(path+"/foo")).Header.Get("ETag"); tag != `"1"` {
		t.Errorf("the tag of foo is %s", tag)
	}
	if a := as(w.Token, onMatch("PATCH", path, `{"foo":"second"}`, `"1"`)); a.Status != 204 ||
		a.Header.Get("ETag") != `"2"` {
		t.Errorf("a change of version 1: %d %s", a.Status, a.Header)
	}
	if a := as(w.Token, onMatch("PATCH", path, `{"made":"x"}`, `"0"`)); a.Status != 204 ||
		a.Header.Get("ETag") != `"1"` {
		t.Errorf("a new secret: %d %s", a.Status, a.Header)
	}
	// Who may only write learns nothing of versions.
	if a := as(writer, onMatch("PATCH", path, `{"foo":"x"}`, `"2"`)); a.Status != 401 {
		t.Errorf("by who may only write: %d", a.Status)
	}
	if a := as(writer, stack.Request{Method: "PATCH", Path: path, Body: `{"other":"x"}`}); a.Status != 204 ||
		a.Header.Get("ETag") != "" {
		t.Errorf("by who may only write: %d %s", a.Status, a.Header)
	}
	var list struct {
		Secrets  []string
		Versions map[string]int
	}
	w.must(t, "GET", path+"?versions=true", "", 200, &list)
	if diff := cmp.Diff(map[string]int{"foo": 2, "made": 1, "other": 1}, list.Versions); diff != "" ||
		len(list.Secrets) != 3 {
		t.Errorf("the versions differ (-want +got):\n%s%q", diff, list.Secrets)
	}
	list.Versions = nil
	if w.must(t, "GET", path+"?versions=false", "", 200, &list); list.Versions != nil {
		t.Errorf("versions that were not asked for: %v", list.Versions)
	}

	// Values: 304 as long as nothing has changed of what is asked for.
	values := w.names.Replace("/api/v2/orgs/{org}/secret-values")
	having := func(path, tag string) stack.Answer {
		q := get(path)
		q.Header = map[string]string{"If-None-Match": tag}
		return as(agent, q)
	}
	for _, path := range []string{values, values + "?key=foo", values + "/foo"} {
		tag := as(agent, get(path)).Header.Get("ETag")
		if tag == "" {
			t.Fatalf("%s has no tag", path)
		}
		w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"foo":"again"}`, 204, nil)
		a := having(path, tag)
		next := a.Header.Get("ETag")
		if a.Status != 200 || next == tag || next == "" {
			t.Errorf("%s after a change: %d %s", path, a.Status, a.Header)
		}
		for _, tags := range []string{next, `"x", W/` + next, "*"} {
			if a := having(path, tags); a.Status != 304 || a.Body != "" || a.Header.Get("ETag") != next {
				t.Errorf("%s with %s: %d %q %s", path, tags, a.Status, a.Body, a.Header)
			}
		}
		w.must(t, "PATCH", "/api/v2/orgs/{org}/secrets", `{"other":"y"}`, 204, nil)
		if want, a := map[bool]int{true: 200, false: 304}[path == values], having(path, next); a.Status != want {
			t.Errorf("%s after a change of another secret: %d, want %d", path, a.Status, want)
		}
	}
	if a := having(values+"/none", "*"); a.Status != 404 {
		t.Errorf("what is not there: %d", a.Status)
	}
	// A caller who has the values already is given none, and no use is on record.
	var record struct{ Records []any }
	w.must(t, "GET", "/api/v2/audit?action=secrets.use&outcome=allowed&limit=100", "", 200, &record)
	if len(record.Records) != 7 {
		t.Errorf("%d uses are on record, of 7", len(record.Records))
	}
	if a := as(w.Token, onMatch("DELETE", path+"/made", "", `"1"`)); a.Status != 204 {
		t.Errorf("a deletion of version 1: %d %s", a.Status, a.Body)
	}
	if tag := as(w.Token, get(path+"/made")).Header.Get("ETag"); tag != "" {
		t.Errorf("the tag of a deleted secret is %s", tag)
	}
}

// quota asks for more than an organisation may have, in each way.
func quota(t *testing.T, w *world) {
	const path = "/api/v2/orgs/{org}/secrets"
	w.must(t, "PATCH", path, `{"gone":"x"}`, 204, nil)
	w.must(t, "DELETE", path+"/gone", "", 204, nil)
	w.must(t, "PATCH", path, `{"kept":"`+strings.Repeat("v", 1200)+`"}`, 204, nil)
	for _, c := range []refusal{
		{"a second secret", send("PATCH", path, `{"new":"v"}`), 422, "unprocessable entity", "--max-org-secrets"},
		{"a value with too many bytes", send("PATCH", path, `{"kept":"`+strings.Repeat("v", 3000)+`"}`), 422,
			"unprocessable entity", "--max-org-bytes"},
		{"a deleted secret beside another", send("POST", path+"/gone/restore", `{}`), 422, "unprocessable entity",
			"--max-org-secrets"},
		{"a description with too many bytes", send("PUT", path+"/kept/description",
			`{"description":"`+strings.Repeat("d", 900)+`"}`), 422, "unprocessable entity", "--max-org-bytes"},
	} {
		w.refuse(t, c)
	}
	if names := w.listed(t); !slices.Equal(names, []string{"kept"}) {
		t.Errorf("there are %v", names)
	}
}
