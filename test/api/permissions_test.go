package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/test/stack"
)

// rule says what somebody's request is answered. The body, if any, follows the path after a space. The outcome is a
// status, or a status with the message of an error, or a status with what a list shows.
//
// {A} is acme and {B} umbrella, see newPolity; {new user} and the like are made for the row.
type rule struct{ who, verb, resource, outcome string }

// grants are the tokens of the table: what each of them may do. All belong to the user stan.
var grants = map[string]string{
	"secrets r A":      `[{"action":"read","resource":{"type":"secrets","orgID":"{A}"}}]`,
	"secrets w A":      `[{"action":"write","resource":{"type":"secrets","orgID":"{A}"}}]`,
	"secrets rw A":     `[{"action":"read","resource":{"type":"secrets","orgID":"{A}"}},{"action":"write","resource":{"type":"secrets","orgID":"{A}"}}]`,
	"secrets rw B":     `[{"action":"read","resource":{"type":"secrets","orgID":"{B}"}},{"action":"write","resource":{"type":"secrets","orgID":"{B}"}}]`,
	"secrets rw":       `[{"action":"read","resource":{"type":"secrets"}},{"action":"write","resource":{"type":"secrets"}}]`,
	"secrets r db/*":   `[{"action":"read","resource":{"type":"secrets","orgID":"{A}","name":"db/*"}}]`,
	"secrets w db/*":   `[{"action":"write","resource":{"type":"secrets","orgID":"{A}","name":"db/*"}}]`,
	"secrets w one":    `[{"action":"write","resource":{"type":"secrets","orgID":"{A}","name":"db/password"}}]`,
	"secrets rw one":   `[{"action":"read","resource":{"type":"secrets","orgID":"{A}","name":"api/key"}},{"action":"write","resource":{"type":"secrets","orgID":"{A}","name":"api/key"}}]`,
	"secrets r * in B": `[{"action":"read","resource":{"type":"secrets","orgID":"{B}","name":"*"}}]`,
	"secrets rw db/* in all": `[{"action":"read","resource":{"type":"secrets","name":"db/*"}},
		{"action":"write","resource":{"type":"secrets","name":"db/*"}}]`,
	"secrets u A": `[{"action":"use","resource":{"type":"secrets","orgID":"{A}"}}]`,
	"tokens w, secrets rw db/*": `[{"action":"write","resource":{"type":"authorizations","orgID":"{A}"}},
		{"action":"read","resource":{"type":"secrets","orgID":"{A}","name":"db/*"}},{"action":"write","resource":{"type":"secrets","orgID":"{A}","name":"db/*"}}]`,
	"tokens w, secrets w": `[{"action":"write","resource":{"type":"authorizations","orgID":"{A}"}},{"action":"write","resource":{"type":"secrets","orgID":"{A}"}}]`,
	"tokens w, secrets u": `[{"action":"write","resource":{"type":"authorizations","orgID":"{A}"}},{"action":"use","resource":{"type":"secrets","orgID":"{A}","name":"db/*"}}]`,
	"orgs r A":            `[{"action":"read","resource":{"type":"orgs","id":"{A}"}}]`,
	"orgs w A":            `[{"action":"write","resource":{"type":"orgs","id":"{A}"}}]`,
	"orgs r of A":         `[{"action":"read","resource":{"type":"orgs","orgID":"{A}"}}]`,
	"orgs rw":             `[{"action":"read","resource":{"type":"orgs"}},{"action":"write","resource":{"type":"orgs"}}]`,
	"users r":             `[{"action":"read","resource":{"type":"users"}}]`,
	"users w":             `[{"action":"write","resource":{"type":"users"}}]`,
	"users rw mel":        `[{"action":"read","resource":{"type":"users","id":"{mel}"}},{"action":"write","resource":{"type":"users","id":"{mel}"}}]`,
	"users rw of A":       `[{"action":"read","resource":{"type":"users","orgID":"{A}"}},{"action":"write","resource":{"type":"users","orgID":"{A}"}}]`,
	"tokens r A":          `[{"action":"read","resource":{"type":"authorizations","orgID":"{A}"}}]`,
	"tokens w A":          `[{"action":"write","resource":{"type":"authorizations","orgID":"{A}"}}]`,
	"tokens rw":           `[{"action":"read","resource":{"type":"authorizations"}},{"action":"write","resource":{"type":"authorizations"}}]`,
	"tokens r one":        `[{"action":"read","resource":{"type":"authorizations","id":"{auth}"}}]`,
	"tokens w, secrets":   `[{"action":"write","resource":{"type":"authorizations","orgID":"{A}"}},{"action":"read","resource":{"type":"secrets","orgID":"{A}"}}]`,
	"tokens w, db/*": `[{"action":"write","resource":{"type":"authorizations","orgID":"{A}"}},
		{"action":"read","resource":{"type":"secrets","orgID":"{A}","name":"db/*"}}]`,
	"buckets r A":     `[{"action":"read","resource":{"type":"buckets","orgID":"{A}"}}]`,
	"buckets w A":     `[{"action":"write","resource":{"type":"buckets","orgID":"{A}"}}]`,
	"buckets r one":   `[{"action":"read","resource":{"type":"buckets","id":"{bucket}"}}]`,
	"buckets rw":      `[{"action":"read","resource":{"type":"buckets"}},{"action":"write","resource":{"type":"buckets"}}]`,
	"instance r":      `[{"action":"read","resource":{"type":"instance"}}]`,
	"instance r in A": `[{"action":"read","resource":{"type":"instance","orgID":"{A}"}}]`,
	"instance w":      `[{"action":"write","resource":{"type":"instance"}}]`,
	"dashboards rw A": `[{"action":"read","resource":{"type":"dashboards","orgID":"{A}"}},{"action":"write","resource":{"type":"dashboards","orgID":"{A}"}}]`,
}

// polity is a server with organisations, people in every role and a token of every kind.
type polity struct {
	*world
	tokens, cookies map[string]string
	made            int
}

func newPolity(t *testing.T) *polity {
	w := &world{Stack: stack.Start(t, stack.Options{})}
	w.Admin = w.Setup(t)
	p := &polity{world: w, tokens: map[string]string{"operator": w.Token,
		"a token that is none": "no-such-token-at-all"},
		cookies: map[string]string{"operator's session": w.SignIn(t, "admin", stack.AdminPassword)}}
	var b struct{ ID string }
	w.must(t, "POST", "/api/v2/orgs", `{"name":"umbrella"}`, 201, &b)
	pairs := []string{"{A}", w.OrgID, "{B}", b.ID, "{admin}", w.UserID, "{auth}", w.AuthID, "{bucket}", w.BucketID}
	for _, name := range []string{"olive", "mel", "stan", "idle", "gone"} {
		id := w.newUser(t, name)
		pairs = append(pairs, "{"+name+"}", id)
		w.must(t, "POST", "/api/v2/users/"+id+"/password", `{"password":"the password of `+name+`"}`, 204, nil)
	}
	w.names = strings.NewReplacer(pairs...)
	w.must(t, "POST", "/api/v2/orgs/{A}/owners", `{"id":"{olive}"}`, 201, nil)
	w.must(t, "POST", "/api/v2/orgs/{A}/members", `{"id":"{mel}"}`, 201, nil)
	w.must(t, "PATCH", "/api/v2/orgs/{A}/secrets", `{"db/password":"1","db/user":"2","api/key":"3"}`, 204, nil)
	w.must(t, "PATCH", "/api/v2/orgs/{B}/secrets", `{"db/b":"4","b/key":"5"}`, 204, nil)
	for who, name := range map[string]string{"owner": "olive", "member": "mel", "stranger": "stan",
		"idle's session": "idle", "gone's session": "gone"} {
		p.cookies[who] = w.SignIn(t, name, "the password of "+name)
	}
	for _, name := range slices.Sorted(maps.Keys(grants)) {
		p.tokens[name] = p.newToken(t,
			fmt.Sprintf(`{"orgID":"{A}","userID":"{stan}","description":%q,"permissions":%s}`, name, grants[name]))
	}
	all := `"permissions":[{"action":"read","resource":{"type":"secrets"}},{"action":"write","resource":{"type":"secrets"}}]`
	var off struct{ ID, Token string }
	w.must(t, "POST", "/api/v2/authorizations",
		`{"orgID":"{A}","userID":"{stan}","status":"inactive","description":"inactive",`+all+`}`, 201, &off)
	p.tokens["inactive"] = off.Token
	w.names = strings.NewReplacer(append(pairs, "{off}", off.ID)...)
	p.tokens["idle's"] = p.newToken(t, `{"orgID":"{A}","userID":"{idle}","description":"idle's",`+all+`}`)
	p.tokens["gone's"] = p.newToken(t, `{"orgID":"{A}","userID":"{gone}","description":"gone's",`+all+`}`)
	p.tokens["expired"] = p.newToken(t, `{"orgID":"{A}","userID":"{stan}","description":"expired","expiresAt":"`+
		w.Clock.Now().Add(time.Minute).Format(time.RFC3339Nano)+`",`+all+`}`)
	var revoked struct{ ID, Token string }
	w.must(t, "POST", "/api/v2/authorizations", `{"orgID":"{A}","description":"revoked",`+all+`}`, 201, &revoked)
	p.tokens["revoked"] = revoked.Token
	// all of them were good, and are remembered
	for _, who := range []string{"idle's", "gone's", "expired", "revoked"} {
		w.Must(t, stack.Request{Method: "GET", Path: "/api/v2/me", Token: p.tokens[who]}, 200, nil)
	}
	w.must(t, "PATCH", "/api/v2/users/{idle}", `{"status":"inactive"}`, 200, nil)
	w.must(t, "DELETE", "/api/v2/users/{gone}", "", 204, nil)
	w.must(t, "DELETE", "/api/v2/authorizations/"+revoked.ID, "", 204, nil)
	w.Clock.Advance(time.Minute)
	return p
}

// one makes what a row is done to, so that rows do not get in each other's way.
func (p *polity) one(t *testing.T, resource string) string {
	t.Helper()
	for _, k := range []struct{ name, path, body string }{
		{"{new user}", "/api/v2/users", `{"name":"new-made-%d"}`},
		{"{new org}", "/api/v2/orgs", `{"name":"new-made-%d"}`},
		{"{new token}", "/api/v2/authorizations",
			`{"orgID":"{A}","description":"new-made-%d","permissions":[{"action":"read","resource":{"type":"secrets","orgID":"{A}"}}]}`},
		{"{new bucket}", "/api/v2/buckets", `{"orgID":"{A}","name":"new-made-%d"}`},
	} {
		if strings.Contains(resource, k.name) {
			var made struct{ ID string }
			p.must(t, "POST", k.path, fmt.Sprintf(k.body, p.made), 201, &made)
			resource = strings.ReplaceAll(resource, k.name, made.ID)
		}
	}
	p.made++
	return strings.ReplaceAll(p.names.Replace(resource), "{n}", fmt.Sprint(p.made))
}

func (p *polity) ask(t *testing.T, r rule) (path string, a stack.Answer) {
	t.Helper()
	path, body, _ := strings.Cut(p.one(t, r.resource), " ")
	q := stack.Request{Method: r.verb, Path: "/api/v2" + path, Body: body}
	var known bool
	if q.Cookie, known = p.cookies[r.who]; !known {
		if q.Token, known = p.tokens[r.who]; !known && r.who != "nobody" {
			t.Fatalf("nobody here is called %q", r.who)
		}
	}
	return path, p.Do(t, q)
}

// got says what came of a row in the table's words.
func (r rule) got(t *testing.T, a stack.Answer) string {
	t.Helper()
	var b struct {
		Message string
		Secrets []string
		Orgs    []named
		Users   []named
		Buckets []named
		Tokens  []named `json:"authorizations"`
	}
	if a.Body != "" {
		_ = json.Unmarshal([]byte(a.Body), &b) // a list of words, as of /resources, has nothing to say here
	}
	var shown []string
	switch _, list, _ := strings.Cut(r.outcome, " "); {
	case a.Status >= 400:
		return fmt.Sprintf("%d %s", a.Status, b.Message)
	case list == "":
		return fmt.Sprint(a.Status)
	case b.Secrets != nil:
		shown = b.Secrets
	case b.Tokens != nil:
		for _, a := range b.Tokens {
			shown = append(shown, a.Description)
		}
	default:
		shown = slices.Concat(namesOf(b.Orgs), namesOf(b.Users), namesOf(b.Buckets))
	}
	// Rows before may have made more.
	shown = slices.DeleteFunc(shown, func(s string) bool { return strings.HasPrefix(s, "new-") })
	if len(shown) == 0 {
		return fmt.Sprintf("%d nothing", a.Status)
	}
	return fmt.Sprintf("%d %s", a.Status, strings.Join(shown, ","))
}

// TestPermissions asks as everybody in the table of rules.
func TestPermissions(t *testing.T) {
	if len(rules) < 150 {
		t.Fatalf("the table has %d rows", len(rules))
	}
	p := newPolity(t)
	seen := make(map[rule]bool)
	for _, r := range rules {
		if key := (rule{r.who, r.verb, r.resource, ""}); seen[key] {
			t.Errorf("twice in the table: %v", key)
		} else {
			seen[key] = true
		}
		path, a := p.ask(t, r)
		got, want := r.got(t, a), p.names.Replace(r.outcome)
		// {id} is what the row was done to.
		if want = strings.ReplaceAll(want, "{id}", path[strings.LastIndex(path, "/")+1:]); got != want {
			t.Errorf("%s: %s %s\n got %s\nwant %s", r.who, r.verb, r.resource, got, want)
		}
	}
	// Refused rows would set secrets whose names begin with never.
	if diff := cmp.Diff(map[string]string{"db/password": "1", "db/user": "2", "api/key": "3"}, p.kept(t)); diff != "" {
		t.Errorf("the rows changed the secrets (-before +after):\n%s", diff)
	}
}
