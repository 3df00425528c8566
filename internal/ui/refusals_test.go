package ui

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"strongroom/internal/audit/auditlog"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/secret"
	"strongroom/internal/servers"
)

// away is a store that cannot be reached.
type away struct{ secret.Store }

func (away) Keys(context.Context, id.ID) ([]string, error) {
	err := errs.New(errs.Unavailable, "Vault is sealed")
	err.RetryAfter = 7 * time.Second
	return nil, err
}

func TestStoreIsAway(t *testing.T) {
	s, b := setUp(t)
	s.use(away{s.store})
	p := b.get(s.at("/secrets?q=db"))
	p.wants(t, 503, "Not available", "Vault is sealed", `href="`+s.at("/secrets?q=db")+`">Try again`)
	if got := p.header.Get("Retry-After"); got != "7" {
		t.Errorf("Retry-After is %q", got)
	}
	// What was posted is not offered again by a link.
	if p := b.get("/nothing"); strings.Contains(p.body, "Try again") {
		t.Error("a page that is missing may be tried again")
	}
}

// TestBrokenForms: a form that cannot be read is refused, and not taken as an empty one.
func TestBrokenForms(t *testing.T) {
	s, b := setUp(t)
	s.put("k")
	for name, body := range map[string]string{"bad escape": "sure=yes&key=%zz",
		"too many fields": "sure=yes" + strings.Repeat("&key=k", 10_001)} {
		r, err := http.NewRequest("POST", s.url+s.at("/secrets/delete"), strings.NewReader(body))
		s.must(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if p := b.do(r); p.status != 400 || !strings.Contains(p.body, "the form could not be read") {
			t.Errorf("%s: %d %s", name, p.status, clipped(p.body))
		}
	}
	if s.stored("k") != value {
		t.Error("it was deleted")
	}
}

// managed is a store whose secrets others write.
type managed struct{ secret.Store }

func (managed) About(id.ID) secret.About { return secret.About{History: true, ReadOnly: true} }
func (managed) Apply(context.Context, id.ID, secret.Change) (secret.Outcome, error) {
	return secret.Outcome{}, errs.New(errs.Forbidden, "the organisation's secrets are managed in the secret store "+
		"itself; this server only reads them")
}

func TestReadOnlyStore(t *testing.T) {
	s, b := setUp(t)
	s.put("db/password")
	s.use(managed{s.store})
	for _, path := range []string{"/secrets", "/secret?key=db%2Fpassword"} {
		p := b.get(s.at(path))
		p.wants(t, 200, "managed in the secret store itself")
		for _, not := range []string{"/secrets/new", "/secrets/import", "Delete selected", "Delete the secret",
			"Replace the value", "/secret/describe"} {
			if strings.Contains(p.body, not) {
				t.Errorf("%s offers %q, which the store refuses", path, not)
			}
		}
	}
	b.upload(s.at("/secrets/new"), form("key", "k"), []byte(value)).wants(t, 403, "this server only reads them",
		`value="k"`)
	b.get(s.at("/delete")).wants(t, 200, "sight of 1 secret, whose values stay in the secret store")
	b.post(s.at("/secrets/delete"), form("key", "db/password", "sure", "yes")).wants(t, 403,
		"this server only reads them")
	s.hidesValue()
}

func TestAuditLogElsewhere(t *testing.T) {
	s, b := setUp(t)
	s.put("k")
	elsewhere, err := auditlog.Open(auditlog.Config{Sinks: []string{"stdout"}, ChainKey: bytes.Repeat([]byte("k"), 32),
		Stdout: io.Discard, Logger: slog.New(slog.DiscardHandler)})
	s.must(err)
	t.Cleanup(func() { s.must(elsewhere.Close()) })
	s.change(func(c *Config) { c.Trail = &servers.Acts{Own: elsewhere} })
	b.get("/activity").wants(t, 200, "The audit log is elsewhere", "not kept in a file")
	b.get(s.at("/secret?key=k")).wants(t, 200, "not kept in a file")
	s.change(func(c *Config) { c.Trail = nil })
	b.get("/activity").wants(t, 200, "The audit log is elsewhere", "there is no audit log to read")
}

// full is a store on a full disk.
type full struct{ secret.Store }

func (full) Apply(context.Context, id.ID, secret.Change) (secret.Outcome, error) {
	return secret.Outcome{}, errs.New(errs.InsufficientStorage, "the server's disk is full")
}

// TestFullDisk: where the disk is full, the page says that the change may not have been saved, and what to do.
func TestFullDisk(t *testing.T) {
	s, b := setUp(t)
	s.use(full{s.store})
	b.upload(s.at("/secrets/new"), form("key", "k"), []byte(value)).wants(t, 507, "disk is full.",
		"This may not have been saved. Once an operator", `href="/store">See the store`, `value="k"`)
	s.hidesValue()
}

// forgetful is a store that could keep a history and was told not to.
type forgetful struct{ secret.Store }

func (forgetful) About(id.ID) secret.About { return secret.About{} }

func TestStoreSaysWhyItHasNoHistory(t *testing.T) {
	s, b := setUp(t)
	s.put("k")
	s.use(forgetful{s.store})
	s.change(func(c *Config) { c.StoreName = "vault" })
	p := b.get(s.at("/secret?key=k"))
	p.wants(t, 200, "with --vault-layout secret each has its own", "Replace the value")
	if strings.Contains(p.body, `id="about"`) {
		t.Error("the page tells of what is not known")
	}
	b.get(s.at("/secret?key=none")).wants(t, 404, "there is no secret named")
	b.get(s.at("/secrets/deleted")).wants(t, 200, "what is deleted is gone at once")
	// That there is none is no failure, neither on record nor in the store's figures.
	b.get("/activity").wants(t, 200)
	if p := b.get("/activity?outcome=failed&key=k"); strings.Contains(p.body, "looked at") {
		t.Error("a look at the page is on record as one that failed")
	}
}

func TestOwnerLeaves(t *testing.T) {
	s, _ := setUp(t)
	grace := s.member("grace", identity.RoleOwner)
	me, err := s.users.Users(t.Context(), s.op, "grace", identity.Page{})
	s.must(err)
	grace.post(s.at("/members/"+me[0].ID.String()+"/remove"), form("sure", "yes")).leads(t, "/orgs")
	grace.get("/orgs").wants(t, 200, "You do not belong to “Acme” any more.", "You belong to no organisation yet")
}

func TestOrderOfNames(t *testing.T) {
	s, b := setUp(t)
	s.put("Zebra", "apple", "Apple", "mango", "éclair")
	p := b.get(s.at("/secrets"))
	b.get(s.at("/secrets/names")).wants(t, 200, `["Apple","apple","mango","Zebra","éclair"]`)
	last := -1
	for _, k := range []string{"Apple", "apple", "mango", "Zebra"} {
		at := strings.Index(p.body, `aria-label="Select `+k+`"`)
		if at <= last {
			t.Errorf("%s is not where people look for it", k)
		}
		last = at
	}
}

func TestPreviewOfManyNames(t *testing.T) {
	s, b := setUp(t)
	s.put("NAME_00900", "NAME_00901")
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "NAME_%05d=%s\n", i, value)
	}
	p := b.upload(s.at("/secrets/import"), form("do", "look"), []byte(text.String()))
	p.wants(t, 200, "1,000 names found: 998 new, 2 there already", "and 500 more")
	if at := strings.Index(p.body, "NAME_00901"); at < 0 || at > strings.Index(p.body, "NAME_00000") {
		t.Error("what would be replaced does not come first")
	}
	if n := strings.Count(p.body, `class="mono">NAME_`); n != 500 {
		t.Errorf("%d names are shown, want 500", n)
	}
}

// TestPages: organisations and people come a page at a time, and the search asks the server, which knows the rest.
func TestPages(t *testing.T) {
	s, b := setUp(t)
	for i := range 205 {
		_, err := s.users.NewOrg(t.Context(), s.op, fmt.Sprintf("Org %04d", i), "")
		s.must(err)
		_, err = s.users.NewUser(t.Context(), s.op, fmt.Sprintf("user-%04d", i), identity.Active)
		s.must(err)
	}
	for path, name := range map[string]string{"/orgs": "Org 0", "/users": "user-0"} {
		b.get(path+"?q=204").wants(t, 200, name+"204") // of the last page
		if p := b.get(path + "?q=204"); strings.Contains(p.body, "data-filter") || strings.Contains(p.body, "Next") {
			t.Errorf("%s: the search goes through what was found alone", path)
		}
		seen := 0
		for n, links := range []string{"Next", "Previous Next", "Previous"} {
			p := b.get(fmt.Sprintf("%s?page=%d", path, n))
			p.wants(t, 200, name)
			for _, link := range []string{"Previous", "Next"} {
				if strings.Contains(p.body, ">"+link+"<") != strings.Contains(links, link) {
					t.Errorf("page %d of %s: wants the links %q", n, path, links)
				}
			}
			if strings.Contains(p.body, "data-filter") {
				t.Errorf("page %d of %s: the search goes through what is shown alone", n, path)
			}
			seen += strings.Count(p.body, "<b>"+name)
		}
		if seen != 205 {
			t.Errorf("%d are on the pages of %s, want 205", seen, path)
		}
		b.get(path+"?page=1&q="+name[:3]).wants(t, 200, "q="+name[:1])
		for _, odd := range []string{"-1", "x", "99999999999"} {
			b.get(path+"?page="+odd).wants(t, 200, name)
		}
		b.get(path+"?page=500").wants(t, 200, "is on this page", "Previous")
	}
}
