package ui

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
)

func TestTokensRefused(t *testing.T) {
	s, b := setUp(t)
	for name, tt := range map[string]struct {
		form []string
		says string
	}{
		"nothing chosen": {[]string{"description", "backup", "kind", "secrets", "days", "1"},
			"choose at least one thing"},
		"no kind":       {[]string{"description", "backup", "days", "1"}, "choose what the token may do"},
		"no life":       {[]string{"description", "backup", "kind", "org", "days", "soon"}, "choose how long"},
		"negative life": {[]string{"description", "backup", "kind", "org", "days", "-1"}, "choose how long"},
	} {
		t.Run(name, func(t *testing.T) {
			b.post(s.at("/tokens/new"), form(tt.form...)).wants(t, 400, tt.says, `value="backup"`)
		})
	}
	b.get(s.at("/tokens/00000000000000ff/delete")).wants(t, 404)
	b.post(s.at("/tokens/00000000000000ff/delete"), form("sure", "yes")).wants(t, 404)
	b.post(s.at("/tokens/00000000000000ff"), form("status", "inactive")).wants(t, 404)

	// An owner's session may not make what the owner does not hold.
	owner := s.member("grace", identity.RoleOwner)
	owner.post(s.at("/tokens/new"), form("description", "x", "kind", "operator", "days", "1")).wants(t, 403,
		"is not allowed")
	owner.post(s.at("/tokens/new"), form("description", "x", "kind", "org", "days", "1")).wants(t, 200,
		"shown this once")
}

var tokenShown = regexp.MustCompile(`<code>([A-Za-z0-9_=-]{88})</code>`)

func TestTokens(t *testing.T) {
	s, b := setUp(t)
	p := b.post(s.at("/tokens/new"), form("description", "nightly backup", "kind", "secrets", "read", "1", "write", "1",
		"names", "db/*\r\n\r\nslack", "days", "30"))
	p.wants(t, 200, "shown this once", "read and write secrets named db/*; read and write secrets named slack")
	m := tokenShown.FindStringSubmatch(p.body)
	if m == nil {
		t.Fatal("no token is shown")
	}
	who, err := s.logins.ByToken(t.Context(), m[1])
	if err != nil {
		t.Fatalf("the token does not work: %v", err)
	}
	c := access.Caller{Principal: who}
	may := func(a access.Action, key string) bool {
		return c.May(access.To(a, access.Resource{Type: access.Secrets, OrgID: s.org, Name: key}))
	}
	if !may(access.Write, "db/x") || !may(access.Read, "slack") || may(access.Read, "other") {
		t.Error("the token may not do just what was chosen")
	}
	list := b.get(s.at("/tokens"))
	list.wants(t, 200, "nightly backup", "Never used", "in 30 days", "May do everything, in every organisation.")
	if strings.Contains(list.body, m[1]) {
		t.Error("the list shows the token")
	}
	p = b.post(s.at("/tokens/new"), form("description", "agent", "kind", "secrets", "use", "1", "names", "db/*",
		"days", "1"))
	p.wants(t, 200, "use secrets named db/*")
	made := tokenShown.FindStringSubmatch(p.body)
	if made == nil {
		t.Fatal("no token is shown")
	}
	agent, err := s.logins.ByToken(t.Context(), made[1])
	s.must(err)
	c = access.Caller{Principal: agent}
	if !may(access.Use, "db/x") || may(access.Use, "other") || may(access.Read, "db/x") {
		t.Error("the agent's token may not do just what was chosen")
	}
	path := s.at("/tokens/" + who.AuthorizationID.String())
	b.post(path, form("status", "inactive", "list", "1")).leads(t, s.at("/tokens"))
	b.get(s.at("/tokens")).wants(t, 200, "it is refused from now on", "disabled")
	if _, err := s.logins.ByToken(t.Context(), m[1]); err == nil {
		t.Error("a token that is disabled works")
	}
	b.get(path+"/delete").wants(t, 200, "nightly backup", "undo that for ten minutes", "It was last used just now")
	b.post(path+"/delete", form("sure", "yes")).leads(t, s.at("/tokens"))
	// Undo is a form of the page that follows, and brings it back as it was.
	b.get(s.at("/tokens")).wants(t, 200, "The token is revoked.", `action="`+path+`/restore"`)
	b.get(path+"/delete").wants(t, 404)
	s.member("eve", identity.RoleMember).post(path+"/restore", nil).wants(t, 404, "cannot be restored")
	b.post(path+"/restore", nil).leads(t, path)
	b.get(path).wants(t, 200, "The token is restored. It is disabled", "nightly backup")
	b.post(path, form("status", "active")).leads(t, path)
	if _, err := s.logins.ByToken(t.Context(), m[1]); err != nil {
		t.Errorf("the token does not work after its revocation was undone: %v", err)
	}
	b.post(path+"/restore", nil).wants(t, 404, "cannot be restored")
	b.post(path+"/delete", form("sure", "yes")).leads(t, s.at("/tokens"))

	b.post(s.at("/tokens/new"), form("description", "kinds", "kind", "chosen", "may", "read:buckets", "may",
		"write:instance", "may", "read:orgs", "days", "0")).
		wants(t, 200, "read buckets; read orgs", "until it is revoked")
	b.get("/activity?action=authorizations").wants(t, 200, "created a token", "revoked a token")
}

func TestMembers(t *testing.T) {
	s, b := setUp(t)
	s.member("grace", "")
	grace, err := s.users.Users(t.Context(), s.op, "grace", identity.Page{})
	s.must(err)
	her := s.at("/members/" + grace[0].ID.String())
	me := s.at("/members/" + s.op.UserID.String())

	b.post(s.at("/members"), form("user", "nobody", "role", "member")).wants(t, 404, "no user named", `value="nobody"`)
	b.post(s.at("/members"), form("user", "", "role", "member")).wants(t, 400, "name the user")
	b.post(s.at("/members"), form("user", "grace", "role", "king")).wants(t, 400, "choose a role")
	b.get(her+"/remove").wants(t, 404, "does not belong")
	b.post(me, form("role", "member")).wants(t, 422, "ada is the only owner")
	b.post(me+"/remove", form("sure", "yes")).wants(t, 422, "ada is the only owner")

	b.post(s.at("/members"), form("user", "grace", "role", "member")).leads(t, s.at("/members"))
	b.get(s.at("/members")).wants(t, 200, "grace is a member now")
	b.post(her, form("role", "owner")).leads(t, s.at("/members"))
	b.post(me, form("role", "member")).leads(t, s.at("/members"))
	b.post(her, form("role", "member")).wants(t, 422, "grace is the only owner")
	b.get(me+"/remove").wants(t, 200, "They can be added again")
	b.post(me+"/remove", form("sure", "yes")).leads(t, s.at("/members"))
	b.get(s.at("/members")).wants(t, 200, "ada is removed", `action="`+me+`"><input type="hidden" name="role" value="member">`)
	b.post(me, form("role", "member")).leads(t, s.at("/members"))
	b.get(s.at("/members")).wants(t, 200, "ada is a member now")
}

// TestManyMembers lists those of a large organisation in pages, owners first, and finds one by name.
func TestManyMembers(t *testing.T) {
	s, b := setUp(t)
	add := func(name string, role identity.Role) {
		u, err := s.users.NewUser(t.Context(), s.op, name, "")
		s.must(err)
		_, err = s.users.AddMember(t.Context(), s.op, s.org, u.ID, role)
		s.must(err)
	}
	for i := range 104 {
		add(fmt.Sprintf("robot-%03d", i), identity.RoleMember)
	}
	add("zoe", identity.RoleOwner)
	rows := func(p page) int { return strings.Count(p.body, "/remove\" data-ask") }
	first := b.get(s.at("/members"))
	first.wants(t, 200, "<b>zoe</b>", `<a class="button quiet" href="?page=1">Next</a>`)
	if n := rows(first); n != 100 {
		t.Errorf("the first page has %d members", n)
	}
	second := b.get(s.at("/members?page=1"))
	second.wants(t, 200, "robot-103", "Previous")
	if n := rows(second); n != 6 {
		t.Errorf("the second page has %d members", n)
	}
	if p := b.get(s.at("/members?q=T-042")); rows(p) != 1 || !strings.Contains(p.body, "robot-042") {
		t.Errorf("the search finds %d", rows(p))
	}
	b.get(s.at("/members?q=nobody+at+all")).wants(t, 200, "Nobody has “nobody at all”")
}

func TestUsers(t *testing.T) {
	s, b := setUp(t)
	b.post("/users", form("name", "grace", "password", "")).wants(t, 400, "give a first password", `value="grace"`)
	b.post("/users", form("name", "grace", "password", "short")).wants(t, 400, "between 8 and 72")
	b.post("/users", form("name", ada, "password", password)).wants(t, 422, "already exists")
	b.get("/users/00000000000000ff").wants(t, 404)
	b.post("/users/"+s.op.UserID.String(), form("status", "inactive")).wants(t, 422, "last operator")
	b.post("/users/"+s.op.UserID.String()+"/delete", form("sure", "yes")).wants(t, 422, "last operator")

	b.post("/users", form("name", "grace", "password", password)).leads(t, "/users")
	g, err := s.users.Users(t.Context(), s.op, "grace", identity.Page{})
	s.must(err)
	her := "/users/" + g[0].ID.String()
	hers := s.signIn("grace")
	hers.get("/users/"+s.op.UserID.String()).wants(t, 401)
	hers.post(her+"/delete", form("sure", "yes")).wants(t, 303) // one may delete oneself
	b.get(her).wants(t, 404)

	b.post("/users", form("name", "grace", "password", password)).leads(t, "/users")
	g, err = s.users.Users(t.Context(), s.op, "grace", identity.Page{})
	s.must(err)
	her = "/users/" + g[0].ID.String()
	hers = s.signIn("grace")
	b.post(her, form("name", ada)).wants(t, 422, "already exists")
	b.post(her, form("name", "Grace Hopper")).leads(t, her)
	b.post(her+"/password", form("password", "short")).wants(t, 400, "between 8 and 72")
	b.post(her+"/password", form("password", password+"2")).leads(t, her)
	hers.get("/store").wants(t, http.StatusSeeOther)
	b.post(her, form("status", "inactive")).leads(t, her)
	b.get(her).wants(t, 200, "Disabled", "cannot sign in any more")
	b.get(her+"/delete").wants(t, 200, "Grace Hopper", "cannot be undone")
	b.post(her+"/delete", form("sure", "yes")).leads(t, "/users")
	s.hidesValue()
}

func TestOwnPassword(t *testing.T) {
	s, b := setUp(t)
	other := s.signIn(ada)
	b.post("/preferences/password", form("old", "not it", "password", password+"2", "again", password+"2")).wants(t,
		400, "the old password is not right")
	b.post("/preferences/password", form("old", password, "password", password+"2", "again", "else")).wants(t, 400,
		"not the same")
	b.post("/preferences/password", form("old", password, "password", "short", "again", "short")).wants(t, 400,
		"between 8 and 72")
	b.post("/preferences/password", form("old", password, "password", password+"2", "again", password+"2")).leads(t,
		"/preferences")
	b.get("/preferences").wants(t, 200, "your other sessions are ended")
	other.get("/preferences").wants(t, http.StatusSeeOther)
	s.hidesValue()
}

func TestTheme(t *testing.T) {
	_, b := setUp(t)
	b.post("/preferences", form("theme", "pink")).wants(t, 400, "choose light, dark")
	b.post("/preferences", form("theme", "dark")).leads(t, "/preferences")
	b.get("/preferences").wants(t, 200, `data-theme="dark"`)
	b.post("/preferences", form("theme", "")).leads(t, "/preferences")
	if strings.Contains(b.get("/preferences").body, "data-theme") {
		t.Error("the theme is still there")
	}
}

func TestOrgs(t *testing.T) {
	s, b := setUp(t)
	b.post("/orgs", form("name", "Acme", "description", "again")).wants(t, 422, "already exists", `value="again"`)
	b.post("/orgs", form("name", " ")).wants(t, 400, "name is empty")
	b.post(s.at(""), form("name", "")).wants(t, 400, "name is empty")
	p := b.post("/orgs", form("name", "Second", "description", "d"))
	p.wants(t, 303)
	second := p.header.Get("Location")
	b.get(second).wants(t, 200, "No secret yet", "“Second” is made")
	b.get("/").leads(t, second)
	b.get("/orgs?q=sec").wants(t, 200, "Second")
	b.get("/orgs?q=none").wants(t, 200, "None has")
	b.post(s.at(""), form("name", "Acme 2", "description", "")).leads(t, s.at(""))
	b.get(s.at("")).wants(t, 200, "Acme 2", "Saved.")
}

// TestChangesAmongLooks: what was done shows behind many looks, and where the log has more to look through.
func TestChangesAmongLooks(t *testing.T) {
	s, b := setUp(t)
	b.post(s.at("/secrets/new"), form("key", "db/password", "value", value))
	for range 150 {
		if _, err := s.config.Secrets.Keys(t.Context(), s.op, s.org); err != nil {
			t.Fatal(err)
		}
	}
	b.get("/activity").wants(t, 200, "set <a", "db/password")
	s.change(func(c *Config) { c.Trail = lookedThrough{} })
	b.get("/activity").wants(t, 200, "Nothing was changed lately", "before=1000", ">Older<",
		"Acts of <b>b</b> (it does not answer) are not shown here")
	b.get("/activity?actor=nobody").wants(t, 200, "among those looked through", "before=1000", ">Older<")
}

// lookedThrough is a log so large that one query reads a part of it, and finds nothing there.
type lookedThrough struct{}

func (lookedThrough) Query(context.Context, audit.Filter, audit.Before) (audit.Acts, error) {
	return audit.Acts{Next: "1000", Missing: []audit.Absent{{Server: "b", Message: "it does not answer"}}}, nil
}

func TestActivity(t *testing.T) {
	s, b := setUp(t)
	b.get("/activity?outcome=nonsense").wants(t, 400, "outcome must be")
	b.get("/activity?org=nonsense").wants(t, 400, "16 characters")
	b.get("/activity?before=x").wants(t, 400, "not complete")
	b.get("/activity?actor=nobody").wants(t, 200, "No act matches")
	b.post(s.at("/secrets/new"), form("key", "db/password", "value", value))
	for range 3 {
		b.get(s.at("/secrets"))
	}
	b.get("/activity?action=all").wants(t, 200, "listed the names of secrets", "3 times", "db/password",
		"from 127.0.0.1 in a session")
	p := b.get("/activity")
	p.wants(t, 200, "db/password", "set the server up")
	if strings.Contains(p.body, "listed the names") || strings.Contains(p.body, "read the audit log") {
		t.Error("what changes nothing is shown unasked")
	}
	s.member("rita", identity.RoleMember).get("/activity").wants(t, 401)
	b.get("/activity").wants(t, 200, `added a member <span class="hint in">rita</span>`)
	b.get("/activity").wants(t, 200, "<b>rita</b> tried to read the audit log", "denied")
	b.get("/activity?key=db%2Fpassword&action=secrets.apply&since=1h&actor=ada&outcome=allowed").wants(t, 200, "set <a",
		"db/password")
	s.hidesValue()
}

// TestQuestionsHaveAPlace: a question before a deletion is shown under the menu's entry that it belongs to.
func TestQuestionsHaveAPlace(t *testing.T) {
	s, b := setUp(t)
	s.put("k")
	s.member("rita", identity.RoleMember)
	rita := regexp.MustCompile(`/users/([0-9a-f]{16})"><b>rita`).FindStringSubmatch(b.get("/users").body)[1]
	for path, place := range map[string]string{s.at("/secrets/delete?key=k"): s.at("/secrets"),
		s.at("/delete"): s.at(""), s.at("/members/" + rita + "/remove"): s.at("/members"),
		"/users/" + rita + "/delete": "/users"} {
		b.get(path).wants(t, 200, "This will be deleted", `href="`+place+`" aria-current="page"`)
	}
}

// TestFormsOfNoUse: who may change nothing is shown no form to change it.
func TestFormsOfNoUse(t *testing.T) {
	s, _ := setUp(t)
	rita := s.member("rita", identity.RoleMember)
	for _, path := range []string{"/secrets/new", "/secrets/import", "/tokens/new"} {
		if p := rita.get(s.at(path)); p.status != 401 || strings.Contains(p.body, "<textarea") {
			t.Errorf("%s: %d", path, p.status)
		}
	}
}

// TestOrderOfTokens: the newest token comes first, and one that ends soon says so.
func TestOrderOfTokens(t *testing.T) {
	s, b := setUp(t)
	for _, days := range []string{"1", "365", "0"} {
		b.post(s.at("/tokens/new"), form("kind", "secrets", "read", "1", "description", "for "+days, "days", days))
	}
	p := b.get(s.at("/tokens"))
	p.wants(t, 200, "ends soon")
	if n := strings.Count(p.body, "ends soon"); n != 1 {
		t.Errorf("%d tokens end soon", n)
	}
	if strings.Index(p.body, "for 0") > strings.Index(p.body, "for 365") ||
		strings.Index(p.body, "for 365") > strings.Index(p.body, "for 1<") {
		t.Error("the newest token is not the first")
	}
	s.ahead = 48 * time.Hour
	s.signIn(ada).get(s.at("/tokens")).wants(t, 200, ">expired<")
}

// TestSessionHasEnded: whoever comes with a session that is over is told so, once.
func TestSessionHasEnded(t *testing.T) {
	s, b := setUp(t)
	s.ahead = 48 * time.Hour
	b.get(s.at("/secrets")).leads(t, "/signin?next="+url.QueryEscape(s.at("/secrets")))
	b.get("/signin").wants(t, 200, "Your session has ended.")
	b.get(s.at("/secrets"))
	if p := b.get("/signin"); strings.Contains(p.body, "has ended") {
		t.Error("it is told again to somebody who has no session")
	}
}

// TestWhoCanUse: a secret's page leads to those whose permissions cover it, and to no others.
func TestWhoCanUse(t *testing.T) {
	s, b := setUp(t)
	s.put("db/password")
	make := func(description string, ps ...access.Permission) identity.Authorization {
		t.Helper()
		a, _, err := s.users.Authorize(t.Context(), s.op, authorizations.Wanted{OrgID: s.org,
			Description: description, Permissions: ps})
		s.must(err)
		return a
	}
	to := func(a access.Action, name string) access.Permission {
		return access.To(a, access.Resource{Type: access.Secrets, OrgID: s.org, Name: name})
	}
	make("agent of db", to(access.Use, "db/*"))
	make("agent of mail", to(access.Use, "mail/*"))
	make("lister", to(access.Read, ""))
	off := make("switched-off agent", to(access.Use, "db/*"))
	inactive := identity.Inactive
	_, err := s.users.UpdateAuthorization(t.Context(), s.op, off.ID, &inactive, nil)
	s.must(err)
	grace, rita := s.member("grace", identity.RoleOwner), s.member("rita", identity.RoleMember)
	who := s.at("/secret/who?key=db%2Fpassword")
	b.get(s.at("/secret?key=db%2Fpassword")).wants(t, 200, `href="`+strings.Replace(who, "%2F", "%2f", 1)+`"`)
	p := b.get(who)
	p.wants(t, 200, "agent of db", "May get the value.", "lister", "May see its name.", "<b>grace</b>", "<b>rita</b>")
	for _, not := range []string{"agent of mail", "switched-off agent", "You do not see all"} {
		if strings.Contains(p.body, not) {
			t.Errorf("the page says %q", not)
		}
	}
	if strings.Index(p.body, "agent of db") > strings.Index(p.body, "lister") {
		t.Error("who gets the value does not come first")
	}
	grace.get(who).wants(t, 200, "agent of db", "Tokens of operators may be of other organisations")
	rita.get(who).wants(t, 200, "You do not see all tokens")
	b.get(s.at("/secret/who?key=mail%2Fx")).wants(t, 200, "agent of mail")
	b.get(s.at("/secret/who")).wants(t, 404, "there is no secret named")
	s.member("nobody", "").get(who).wants(t, 401, "unauthorized")
}

// TestPastes: whoever has made a token is shown what to do with it, for what it may do and without the token itself.
func TestPastes(t *testing.T) {
	s, b := setUp(t)
	shown := func(f url.Values) (text, token string) {
		t.Helper()
		f.Set("description", "d")
		f.Set("days", "1")
		p := b.post(s.at("/tokens/new"), f)
		p.wants(t, 200, "Your new token")
		_, after, _ := strings.Cut(p.body, "<code>")
		token, _, _ = strings.Cut(after, "</code>")
		_, text, _ = strings.Cut(p.body, `id="pastes"`)
		if strings.Contains(text, token) {
			t.Error("a text to paste holds the token")
		}
		return html.UnescapeString(text), token
	}
	agent, _ := shown(form("kind", "secrets", "use", "1"))
	doc, err := os.ReadFile("../../docs/agents.md")
	s.must(err)
	example := strings.NewReplacer("http://localhost:9999", s.url, "https://strongroom.example.com", s.url,
		"<org-id>", s.org.String()).Replace(string(doc))
	for _, begins := range []string{"[[secretstores.http]]", "apiVersion: external-secrets.io/v1\nkind: SecretStore"} {
		_, after, _ := strings.Cut(agent, begins)
		paste, _, ok := strings.Cut(begins+after, "</code>")
		if !ok || !strings.Contains(example, paste+"\n") {
			t.Errorf("not as in docs/agents.md, where it is tried: %s", paste)
		}
	}
	for _, want := range []string{"influx secret exec --all",
		s.url + "/api/v2/orgs/" + s.org.String() + "/secret-values'", "INFLUX_HOST='" + s.url, "INFLUX_ORG_ID=" + s.org.String()} {
		if !strings.Contains(agent, want) {
			t.Errorf("nothing says %s", want)
		}
	}
	if reader, _ := shown(form("kind", "secrets", "read", "1")); !strings.Contains(reader, "influx secret list") ||
		strings.Contains(reader, "secret exec") || strings.Contains(reader, "secret update") {
		t.Errorf("for a token that lists names: %s", reader)
	}
	if other, _ := shown(form("kind", "chosen", "may", "read:buckets")); other != "" {
		t.Errorf("for a token without secrets: %s", other)
	}
}

// TestTokenPage tells what a token is, what it reaches, and makes another that takes its place.
func TestTokenPage(t *testing.T) {
	s, b := setUp(t)
	s.put("db/password", "mail/x")
	secrets := func(a access.Action, name string) access.Permission {
		return access.To(a, access.Resource{Type: access.Secrets, OrgID: s.org, Name: name})
	}
	a, _, err := s.users.Authorize(t.Context(), s.op, authorizations.Wanted{OrgID: s.org, Description: "agent",
		Permissions: []access.Permission{secrets(access.Use, "db/*"), secrets(access.Read, "")}})
	s.must(err)
	page := s.at("/tokens/" + a.ID.String())
	p := b.get(page)
	p.wants(t, 200, a.ID.String(), "Never used", "It gets the values of 1 and lists the names of 2.",
		"db/password", "mail/x", "get the value, see its name", "Nothing on record")
	b.post(page, form("description", "the agent of db")).leads(t, page)
	b.get(s.at("/tokens?q=OF+DB")).wants(t, 200, "the agent of db")
	b.get(s.at("/tokens?q=nothing")).wants(t, 200, "No token matches.")
	b.get(s.at("/tokens?ending=1")).wants(t, 200, "No token matches.")
	b.get(s.at("/tokens/new?like="+a.ID.String())).wants(t, 200, "Renew a token", "use secrets named db/*")
	made := b.post(s.at("/tokens/new"), form("kind", "like", "like", a.ID.String(), "description", "new", "days", "7"))
	made.wants(t, 200, "Your new token", "The old token works still", `href="`+page+`"`)
	b.get(s.at("/tokens?ending=1")).wants(t, 200, ">new<", "ends soon")
	as, err := s.users.Authorizations(t.Context(), s.op, authorizations.Filter{OrgID: s.org}, identity.Page{})
	s.must(err)
	if last := as[len(as)-1]; fmt.Sprint(last.Permissions) != fmt.Sprint(a.Permissions) {
		t.Errorf("the new one may %v, the old one %v", last.Permissions, a.Permissions)
	}

	// Neither another organisation's nor anybody's token is shown who may not see it.
	other, err := s.users.NewOrg(t.Context(), s.op, "Other", "")
	s.must(err)
	b.get("/orgs/"+other.ID.String()+"/tokens/"+a.ID.String()).wants(t, 404, "another organisation")
	rita := s.member("rita", identity.RoleMember)
	if seen := rita.get(page); seen.status != 200 || strings.Contains(seen.body, "Revoke") {
		t.Error("a member sees no token, or may revoke it")
	}
	rita.post(s.at("/tokens/new"), form("kind", "like", "like", a.ID.String(), "description", "x", "days", "7")).
		wants(t, 401, "unauthorized")
	s.member("grace", identity.RoleOwner).get(page).wants(t, 200, "lists the names of 2", "Revoke")
}

// TestOwnersActivity: owners see what was done in their organisation, members do not, and nobody sees more.
func TestOwnersActivity(t *testing.T) {
	s, b := setUp(t)
	s.put("db/password")
	b.upload(s.at("/secrets/new"), form("key", "=db/x"), []byte(value))
	other, err := s.users.NewOrg(t.Context(), s.op, "Other", "")
	s.must(err)
	grace, rita := s.member("grace", identity.RoleOwner), s.member("rita", identity.RoleMember)
	page := s.at("/activity")
	grace.get(page).wants(t, 200, "=db/x", "in Acme", page)
	p := grace.get(page + "?action=all&org=" + other.ID.String())
	p.wants(t, 200, "=db/x")
	if strings.Contains(p.body, "Other") || strings.Contains(p.body, "set the server up") {
		t.Error("an owner sees what was done elsewhere")
	}
	grace.get("/orgs/"+other.ID.String()+"/activity").wants(t, 401)
	grace.get("/activity").wants(t, 401, "unauthorized")
	rita.get(page).wants(t, 401, "unauthorized")
	if strings.Contains(rita.get(s.at("/secrets")).body, page) {
		t.Error("a member is offered the activity")
	}
	grace.get(page+"?prefix=%3Ddb").wants(t, 200, "=db/x")
	grace.get(page+"?prefix=zz").wants(t, 200, "Nothing found")
	grace.get(page+"?from=2030-01-01").wants(t, 200, "Nothing found")
	grace.get(page+"?until=2020-01-01").wants(t, 200, "Nothing found")
	grace.get(page+"?from=nonsense").wants(t, 400, "a day is written as year-month-day")
	table := grace.get(page + "?format=csv")
	if table.header.Get("Content-Disposition") != `attachment; filename="activity.csv"` ||
		!strings.Contains(table.body, ",secrets.apply,"+s.org.String()+",'=db/x,0,,allowed,,0,") {
		t.Errorf("the table: %v %s", table.header, table.body)
	}
	lines := grace.get(page + "?format=jsonl&action=secrets.apply")
	var r audit.Record
	s.must(json.Unmarshal([]byte(strings.SplitN(lines.body, "\n", 2)[0]), &r))
	if r.Action != "secrets.apply" || r.Keys[0] != "=db/x" || strings.Contains(lines.body+table.body, value) {
		t.Errorf("the lines: %s", lines.body)
	}
	grace.get(page+"?format=doc").wants(t, 400, "csv or jsonl")
	rita.get(page+"?format=csv").wants(t, 401, "unauthorized")
}
