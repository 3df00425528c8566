package ui

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"strongroom/internal/identity"
	"strongroom/internal/ui/visit"
)

// paths are all routes with their placeholders filled in.
func (s *site) paths(method string) visit.Table {
	tables := make(visit.Table)
	for _, t := range s.config.tables(nil) {
		maps.Copy(tables, t)
	}
	all := make(visit.Table)
	for pattern, rt := range tables {
		m, path, ok := strings.Cut(pattern, " ")
		if !ok || m != method {
			continue
		}
		path = strings.NewReplacer("{$}", "", "{org}", s.org.String(), "{auth}", "0000000000000001", "{user}",
			s.op.UserID.String()).Replace(path)
		all[path] = rt
	}
	return all
}

func TestNobodyIsLetIn(t *testing.T) {
	s, _ := setUp(t)
	nobody := s.anonymous()
	n := 0
	for path, rt := range s.paths("GET") {
		if rt.Open {
			continue
		}
		n++
		nobody.get(path).leads(t, "/signin?next="+url.QueryEscape(path))
	}
	for path, rt := range s.paths("POST") {
		if rt.Open {
			continue
		}
		n++
		nobody.live = false
		nobody.post(path, form("value", value)).wants(t, http.StatusUnauthorized, "was not saved")
		nobody.live = true
		p := nobody.post(path, form("value", value))
		p.wants(t, http.StatusUnauthorized, `"code":"unauthorized"`)
		if p.header.Get("Strongroom-Session") != "ended" {
			t.Errorf("%s: app.js is not told that the session has ended", path)
		}
	}
	if n < 30 {
		t.Errorf("only %d routes need somebody to be signed in", n)
	}
}

func TestOtherOrigins(t *testing.T) {
	s, b := setUp(t)
	for path := range s.paths("POST") {
		for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
			{"Origin", "https://evil.example"}} {
			r, err := http.NewRequest("POST", s.url+path, strings.NewReader("theme=dark"))
			s.must(err)
			r.Header.Set(header[0], header[1])
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			b.do(r).wants(t, http.StatusForbidden, "another origin")
		}
	}
}

// TestLinksFromOtherSites: a link from elsewhere is asked for anew from a page of this site, and leads nowhere else.
func TestLinksFromOtherSites(t *testing.T) {
	s, _ := setUp(t)
	b := s.anonymous() // as a browser sends it
	follow := func(path, dest string) page {
		r, err := http.NewRequest("GET", s.url+path, nil)
		s.must(err)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", dest)
		return b.do(r)
	}
	secret := s.at("/secret?key=a%2Fb%22%3Ec;d")
	follow(secret, "document").leads(t, "/arrive?next="+url.QueryEscape(secret))
	follow("/", "document").leads(t, "/arrive?next=%2F")
	follow(secret, "iframe").leads(t, "/signin?next="+url.QueryEscape(secret))
	follow("/arrive?next="+url.QueryEscape(secret), "document").wants(t, 200, `content="0; url=`+secret+`"`)
	for _, next := range []string{"https://evil.example", "//evil.example", "javascript:alert(1)", `/\evil.example`} {
		b.get("/arrive?next="+url.QueryEscape(next)).wants(t, 200, `content="0; url=/"`)
	}
}

func TestHeaders(t *testing.T) {
	s, b := setUp(t)
	s.put("db/password")
	for _, path := range []string{"/", "/signin", "/orgs", "/store", "/nothing", s.at("/secrets"),
		s.at("/secret?key=db%2Fpassword"), "/orgs/x/secrets"} {
		p := b.get(path)
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
				"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"} {
			if got := p.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		for _, inline := range []string{"<style", " style=", " onclick=", "javascript:", "http://", "https://"} {
			if strings.Contains(strings.ReplaceAll(p.body, s.url, ""), inline) {
				t.Errorf("%s: the page holds %q", path, inline)
			}
		}
	}
}

func TestStaticFiles(t *testing.T) {
	s := newSite(t)
	b := s.anonymous()
	b.get("/static/app.css").wants(t, http.StatusNotFound)
	b.get("/static/..%2fui.go").wants(t, http.StatusNotFound)
	total := 0
	entries, err := files.ReadDir("static")
	s.must(err)
	for _, e := range entries {
		name := e.Name()
		content, err := files.ReadFile("static/" + name)
		s.must(err)
		plain, ext, _ := strings.Cut(name, ".")
		sum := sha256.Sum256(content)
		p := b.get(fmt.Sprintf("/static/%s-%x.%s", plain, sum[:6], ext))
		p.wants(t, http.StatusOK)
		total += len(p.body)
		if !strings.Contains(p.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s may not be kept", name)
		}
		if !strings.Contains(p.header.Get("Content-Type"), map[string]string{".css": "text/css", "s.js": "javascript",
			"p.js": "javascript", ".svg": "svg"}[name[len(name)-4:]]) {
			t.Errorf("%s has the type %s", name, p.header.Get("Content-Type"))
		}
	}
	t.Logf("all static files: %d bytes", total)
	if total == 0 || total > 100<<10 {
		t.Errorf("the static files have %d bytes together, want at most 100 KiB", total)
	}
}

func TestSetUp(t *testing.T) {
	s := newSite(t)
	b := s.anonymous()
	b.get("/").leads(t, "/setup")
	b.get("/signin").leads(t, "/setup")
	good := form("username", ada, "password", password, "again", password, "org", "Acme", "bucket", "b")
	for name, change := range map[string][2]string{"no password": {"password", ""},
		"two passwords": {"again", "another"}, "no organisation": {"org", " "}} {
		t.Run(name, func(t *testing.T) {
			bad := url.Values{}
			for k, v := range good {
				bad[k] = v
			}
			bad.Set(change[0], change[1])
			p := b.post("/setup", bad)
			p.wants(t, http.StatusBadRequest, `role="alert"`, `value="ada"`)
			if strings.Contains(p.body, password) {
				t.Error("the password comes back")
			}
		})
	}
	short := b.post("/setup", form("username", ada, "password", "short", "again", "short", "org", "Acme",
		"bucket", "b"))
	short.wants(t, http.StatusBadRequest, "between 8 and 72", `value="Acme"`)

	b.post("/setup", good).wants(t, http.StatusOK, "shown this once")
	b.get("/").wants(t, http.StatusSeeOther)
	b.get("/setup").leads(t, "/")
	b.post("/setup", good).wants(t, http.StatusUnprocessableEntity, "onboarding has already been completed")
	s.hidesValue()
}

func TestSignIn(t *testing.T) {
	s, b := setUp(t)
	stranger := s.anonymous()
	wrong := form("username", ada, "password", "not the password")
	stranger.post("/signin", wrong).wants(t, http.StatusUnauthorized, "rong name or password", `value="ada"`)
	for range 12 {
		stranger.post("/signin", wrong)
	}
	p := stranger.post("/signin", wrong)
	p.wants(t, http.StatusTooManyRequests, "too many failed sign-ins")
	if p.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	for next, want := range map[string]string{"https://evil.example": "/", "//evil.example": "/", `/\evil.example`: "/",
		"javascript:x": "/", "/orgs?q=a": "/orgs?q=a"} {
		b.get("/signin?next="+url.QueryEscape(next)).leads(t, want)
	}

	b.post("/signout", nil).leads(t, "/signin")
	b.get("/signin").wants(t, http.StatusOK, "You are signed out.")
	b.get(s.at("/secrets")).wants(t, http.StatusSeeOther)
}

func TestSessionEnds(t *testing.T) {
	s, b := setUp(t)
	b.get("/store").wants(t, http.StatusOK)
	s.ahead = 2 * 60 * 60 * 1e9
	b.get("/store").leads(t, "/signin?next=%2Fstore")
	b.upload(s.at("/secrets/new"), form("key", "k"), []byte(value)).wants(t, http.StatusUnauthorized, "was not saved")
	if s.stored("k") != "" {
		t.Error("saved without a session")
	}
}

func TestOtherOrganisations(t *testing.T) {
	s, b := setUp(t)
	stranger := s.member("eve", "")
	b.get("/orgs/00000000000000ff/secrets").wants(t, http.StatusNotFound, "there is no such organisation")
	b.get("/orgs/nonsense/secrets").wants(t, http.StatusBadRequest)
	for _, path := range []string{"/secrets", "/tokens", "/members", "", "/secrets/import"} {
		stranger.get(s.at(path)).wants(t, http.StatusUnauthorized, "You may not see or change this")
	}
	stranger.upload(s.at("/secrets/new"), form("key", "k"), []byte(value)).wants(t, http.StatusUnauthorized)
	for _, path := range []string{"/activity"} {
		stranger.get(path).wants(t, http.StatusUnauthorized, "Not allowed")
	}
	stranger.get("/").leads(t, "/orgs")
	stranger.get("/orgs").wants(t, http.StatusOK, "You belong to no organisation yet")
}

func TestMembersReadOnly(t *testing.T) {
	s, _ := setUp(t)
	s.put("db/password")
	b := s.member("grace", identity.RoleMember)
	p := b.get(s.at("/secrets"))
	p.wants(t, http.StatusOK, "db/password", "change nothing")
	if strings.Contains(p.body, "Delete selected") || strings.Contains(p.body, "/secrets/new") {
		t.Error("a member is shown what they may not do")
	}
	b.upload(s.at("/secrets/new"), form("key", "k"), []byte(value)).wants(t, http.StatusUnauthorized,
		"You may not see or change this", `value="k"`)
	b.post(s.at("/secrets/delete"), form("key", "db/password", "sure", "yes")).wants(t, http.StatusUnauthorized,
		"You may not see or change this")
	b.post(s.at("/tokens/new"), form("description", "x", "kind", "operator", "days", "1")).wants(t,
		http.StatusUnauthorized, "You may not see or change this")
	b.post(s.at("/members"), form("user", "grace", "role", "owner")).wants(t, http.StatusUnauthorized,
		"You may not see or change this")
	b.post(s.at("/delete"), form("typed", "Acme")).wants(t, http.StatusUnauthorized)
	if s.stored("db/password") != value {
		t.Error("the secret was changed")
	}
}
