package ui

import (
	"fmt"
	"html"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
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

var onceField = regexp.MustCompile(`name="once" value="([^"]+)"`)

// TestTokenFormTwice: a form that is sent twice makes one token, and says so; one that failed may be sent again, and so may
// the form that says it.
func TestTokenFormTwice(t *testing.T) {
	s, b := setUp(t)
	send := func(p page, description, kind string) page {
		t.Helper()
		m := onceField.FindStringSubmatch(p.body)
		if m == nil {
			t.Fatal("nothing tells the form from others")
		}
		return b.post(s.at("/tokens/new"), form("once", m[1], "description", description, "kind", kind, "days", "1"))
	}
	first := b.get(s.at("/tokens/new"))
	failed := send(first, "refused", "secrets")
	failed.wants(t, 400, "choose at least one thing")
	send(first, "backup", "org").wants(t, 200, "shown this once")
	again := send(first, "backup", "org")
	again.wants(t, 422, "this form was sent before", "no second one was made", `value="backup"`)
	if tokenShown.MatchString(again.body) {
		t.Error("a second token is shown")
	}
	if n := strings.Count(b.get(s.at("/tokens")).body, ">backup</b>"); n != 1 {
		t.Errorf("%d tokens are made", n)
	}
	send(again, "backup", "org").wants(t, 200, "shown this once")
	send(b.get(s.at("/tokens/new")), "backup", "org").wants(t, 200, "shown this once")
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
	s.member("nobody", "").get(who).wants(t, 401, "You may not see or change")
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
		wants(t, 401, "You may not see or change")
	s.member("grace", identity.RoleOwner).get(page).wants(t, 200, "lists the names of 2", "Revoke")
}
