package ui

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"strongroom/internal/identity"
	"strongroom/internal/ui/words"
)

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

// TestListsAreByName: people, organisations and members stand in the order of their names, over all pages, and so do those
// that a search finds.
func TestListsAreByName(t *testing.T) {
	s, b := setUp(t)
	for i := range 130 {
		name := fmt.Sprint([]string{"Team ", "team "}[i%2], 130-i)
		u, err := s.users.NewUser(t.Context(), s.op, name, "")
		s.must(err)
		_, err = s.users.NewOrg(t.Context(), s.op, name, "")
		s.must(err)
		_, err = s.users.AddMember(t.Context(), s.op, s.org, u.ID, identity.RoleMember)
		s.must(err)
	}
	number := regexp.MustCompile(`<b>[tT]eam (\d+)`)
	for _, path := range []string{"/users", "/orgs", s.at("/members")} {
		last := 0
		for _, query := range []string{"?q=team", "?q=team&page=1"} {
			for _, m := range number.FindAllStringSubmatch(b.get(path+query).body, -1) {
				if n, err := strconv.Atoi(m[1]); err != nil || n != last+1 {
					t.Fatalf("%s: %s after %d", path+query, m[1], last)
				}
				last++
			}
		}
		if last != 130 {
			t.Errorf("%s has %d of 130", path, last)
		}
		b.get(path+"?page=1").wants(t, 200, "eam 130", "Previous")
	}
}

// TestManyOrgs has the pages that look at several organisations among more of them than one takes or offers at a time.
func TestManyOrgs(t *testing.T) {
	s, b := setUp(t)
	s.put("one", "two")
	var last identity.Org
	for n := range 2*orgsAtOnce + 10 {
		o, err := s.users.NewOrg(t.Context(), s.op, fmt.Sprintf("many %04d", n), "")
		s.must(err)
		last = o
	}
	in := func(rest string) string { return "/orgs/" + last.ID.String() + rest }
	b.post(in("/secrets/new"), form("key", "one", "value", "other"))
	day := time.Now().AddDate(0, 0, 3).UTC().Format(time.DateOnly)
	b.post(in("/secret/describe"), form("key", "one", "expires", day, "replace", "yes"))
	b.get("/due").wants(t, 200, ">one<", last.Name, words.Count(2*orgsAtOnce+11, "organisation"))
	b.get("/due?after="+last.ID.String()).wants(t, 200, "Nothing is due")
	b.get("/due?after=nowhere").wants(t, 400)

	b.get(s.at("/compare")).wants(t, 200, `list="others"`, "many 0000")
	b.get(s.at("/compare?with=many+0000")).wants(t, 200, "0 names in both")
	b.get(s.at("/compare?with="+url.QueryEscape(last.Name))).wants(t, 200, "1 name in both")
	b.get(s.at("/compare?with="+last.ID.String())).wants(t, 200, "1 name in both")
	b.get(s.at("/compare?with=nowhere")).wants(t, 404)
	b.get(s.at("/secret/copy?key=two")).wants(t, 200, `list="others"`, `value="Acme"`)
	b.post(s.at("/secret/copy"), form("key", "two", "to", "two", "org", "nowhere", "do", "copy")).wants(t, 404,
		`value="nowhere"`)
	b.post(s.at("/secret/copy"), form("key", "two", "to", "two", "org", last.Name, "do", "copy")).leads(t,
		in("/secret?key=two"))
}
