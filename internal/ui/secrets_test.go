package ui

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authorizations"
)

func TestSavingIsRefused(t *testing.T) {
	s, b := setUp(t)
	s.put("taken")
	large := bytes.Repeat([]byte("x"), 1<<20+1)
	for name, tt := range map[string]struct {
		path   string
		form   url.Values
		file   []byte
		status int
		says   string
	}{
		"no value":        {"/secrets/new", form("key", "k"), nil, 400, "the value is empty"},
		"no name":         {"/secrets/new", form("key", ""), []byte(value), 400, "must not be empty"},
		"control in name": {"/secrets/new", form("key", "a\x01b"), []byte(value), 400, "without control characters"},
		"long name": {"/secrets/new", form("key", strings.Repeat("k", 1025)), []byte(value), 413,
			"at most 1024"},
		"not UTF-8":         {"/secrets/new", form("key", "k"), []byte(value + "\xff"), 400, "not valid UTF-8"},
		"too large":         {"/secrets/new", form("key", "k"), large, 413, "at most 1048576"},
		"request too large": {"/secrets/new", form("key", "k"), bytes.Repeat([]byte("x"), 5<<20), 413, "larger than"},
		"name is taken": {"/secrets/new", form("key", "taken"), []byte(value + "2"), 422,
			"named &#34;taken&#34; already"},
		"deleted meanwhile": {"/secret", form("key", "gone"), []byte(value), 422, "was deleted or renamed meanwhile"},
		"broken import": {"/secrets/import", form("do", "import"), []byte("A=1\n" + value), 400,
			"line 2 has no ="},
		"empty import": {"/secrets/import", form("do", "import"), []byte("# nothing"), 400,
			"no name with a value"},
		"empty in import": {"/secrets/import", form("do", "import"), []byte("A=\nB=" + value), 400,
			"&#34;A&#34; has an empty value"},
		"bad name in import": {"/secrets/import", form("do", "import"), []byte("A=1\nB\x01=" + value), 400,
			"without control"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, live := range []bool{false, true} {
				b.live = live
				p := b.upload(s.at(tt.path), tt.form, tt.file)
				says := tt.says
				if live {
					says = strings.ReplaceAll(says, "&#34;", `\"`)
				}
				p.wants(t, tt.status, says)
				if strings.Contains(p.body, value) {
					t.Error("the value comes back")
				}
				if k := tt.form.Get("key"); !live && tt.status != 413 && k != "" && !strings.Contains(k, "\x01") &&
					!strings.Contains(p.body, `value="`+k+`"`) {
					t.Error("the name that was typed is gone")
				}
			}
		})
	}
	b.live = false
	for _, k := range []string{"k", "gone", "A", "B"} {
		if s.stored(k) != "" {
			t.Errorf("%s was saved", k)
		}
	}
	if s.stored("taken") != value {
		t.Error("a secret was overwritten")
	}
	s.hidesValue()
}

// TestTwoTabs: of several tabs that add a secret of one name in the same instant, one does, and the others hear of it.
func TestTwoTabs(t *testing.T) {
	s, b := setUp(t)
	const tabs = 8
	var wg sync.WaitGroup
	answers := make([]page, tabs)
	for i := range tabs {
		wg.Go(func() {
			answers[i] = b.post(s.at("/secrets/new"), form("key", "k", "value", fmt.Sprint("value of ", i)))
		})
	}
	wg.Wait()
	made := 0
	for i, p := range answers {
		if p.status == http.StatusUnprocessableEntity {
			p.wants(t, 422, "named &#34;k&#34; already", "Replace it:", `value="k"`)
			continue
		}
		p.leads(t, s.at("/secret?key=k"))
		if made++; s.stored("k") != fmt.Sprint("value of ", i) {
			t.Errorf("tab %d was told that its value is saved, and stored is %q", i, s.stored("k"))
		}
	}
	if made != 1 {
		t.Errorf("%d tabs have made the secret", made)
	}
}

// TestTwoReplace: the second of two who replace a value is told of the first.
func TestTwoReplace(t *testing.T) {
	s, b := setUp(t)
	grace := s.member("grace", identity.RoleOwner)
	b.post(s.at("/secrets/new"), form("key", "k", "value", "first")).leads(t, s.at("/secret?key=k"))
	seen := form("key", "k", "version", "1")
	b.get(s.at("/secret?key=k")).wants(t, 200, `name="version" value="1"`)
	seen.Set("value", "hers")
	grace.post(s.at("/secret"), seen).leads(t, s.at("/secret?key=k"))
	seen.Set("value", value)
	for _, live := range []bool{false, true} {
		b.live = live
		b.post(s.at("/secret"), seen).wants(t, 422, "grace has replaced the value", "all the same")
	}
	b.live = false
	b.post(s.at("/secret"), form("key", "k", "value", value, "version", "one")).wants(t, 400, "load the page again")
	if got := s.stored("k"); got != "hers" {
		t.Errorf("what somebody else had set was replaced by %q", got)
	}
	seen.Set("replace", "yes")
	b.post(s.at("/secret"), seen).leads(t, s.at("/secret?key=k"))
	if got := s.stored("k"); got != value {
		t.Errorf("stored is %q", got)
	}
	s.hidesValue()
}

func TestSaving(t *testing.T) {
	s, b := setUp(t)
	// A value must not pass through a temporary file.
	t.Setenv("TMPDIR", "/nowhere")
	pem := []byte("-----BEGIN-----\r\n" + strings.Repeat(value, 20_000) + "\n-----END-----\n")
	b.upload(s.at("/secrets/new"), form("key", "tls/key"), pem).leads(t, s.at("/secret?key=tls%2Fkey"))
	if s.stored("tls/key") != string(pem) {
		t.Error("a file does not arrive as it was")
	}
	b.get(s.at("/secret?key=tls%2Fkey")).wants(t, 200, "The value is saved (371.")
	// Browsers write the line ends of a text field as CRLF.
	b.post(s.at("/secrets/new"), form("key", "typed", "value", "a\r\nb\r\n")).leads(t, s.at("/secret?key=typed"))
	if got := s.stored("typed"); got != "a\nb\n" {
		t.Errorf("typed lines arrive as %q", got)
	}
	b.post(s.at("/secrets/new"), form("key", "typed", "value", "new", "replace", "yes")).leads(t,
		s.at("/secret?key=typed"))
	b.post(s.at("/secret"), form("key", "tls/key", "value", "new")).leads(t, s.at("/secret?key=tls%2Fkey"))
	b.post(s.at("/secret"), form("key", "gone", "value", "new", "replace", "yes")).leads(t, s.at("/secret?key=gone"))
	for _, k := range []string{"typed", "tls/key", "gone"} {
		if s.stored(k) != "new" {
			t.Errorf("%s holds %q", k, s.stored(k))
		}
	}
	b.live = true
	p := b.upload(s.at("/secret"), form("key", "typed"), []byte(value))
	if p.wants(t, http.StatusNoContent); p.header.Get("Strongroom-Go") != s.at("/secret?key=typed") {
		t.Errorf("app.js is sent to %q", p.header.Get("Strongroom-Go"))
	}
	b.live = false
	for _, path := range []string{"/secrets", "/secret?key=typed", "/secrets/new", "/secrets/import"} {
		if strings.Contains(b.get(s.at(path)).body, value) {
			t.Errorf("%s holds the value", path)
		}
	}
	s.hidesValue()
}

func TestImport(t *testing.T) {
	s, b := setUp(t)
	s.put("OLD", "STAYS")
	text := []byte("OLD=1\nNEW=\"two\nlines " + value + "\"\n")
	p := b.upload(s.at("/secrets/import"), form("do", "look"), text)
	p.wants(t, 200, "2 names found: 1 new, 1 there already", "replaced")
	if strings.Contains(p.body, value) {
		t.Error("the preview holds a value")
	}
	if s.stored("NEW") != "" {
		t.Error("looking saved something")
	}
	b.upload(s.at("/secrets/import"), form("do", "import", "existing", "keep"), text).leads(t, s.at("/secrets"))
	if s.stored("OLD") != value || s.stored("NEW") != "two\nlines "+value {
		t.Errorf("after keeping: %q, %q", s.stored("OLD"), s.stored("NEW"))
	}
	b.upload(s.at("/secrets/import"), form("do", "import"), []byte(`{"OLD":"json"}`)).leads(t, s.at("/secrets"))
	if s.stored("OLD") != "json" || s.stored("STAYS") != value {
		t.Errorf("after replacing: %q, %q", s.stored("OLD"), s.stored("STAYS"))
	}
	s.hidesValue()
}

func TestDeleting(t *testing.T) {
	s, b := setUp(t)
	s.put("a", "b", "c", "d")
	b.post(s.at("/secrets/delete"), nil).leads(t, s.at("/secrets"))
	b.post(s.at("/secrets/delete"), form("key", "a", "key", "b")).wants(t, 200, "Delete 2 secrets?",
		"can be restored for 7 days", `name="keys" value="[&#34;a&#34;,&#34;b&#34;]"`)
	if s.stored("a") == "" {
		t.Fatal("deleted without being asked")
	}
	b.post(s.at("/secrets/delete"), form("keys", `["a"`, "sure", "yes")).wants(t, 400, "the names could not be read")
	b.post(s.at("/secrets/delete"), form("key", "a", "keys", `["b"]`, "sure", "yes")).leads(t, s.at("/secrets"))
	if s.stored("a") != "" || s.stored("b") != "" || s.stored("c") == "" {
		t.Error("not just those were deleted")
	}
	b.get(s.at("/secrets/delete?key=c")).wants(t, 200, "Delete this secret?")
	b.get(s.at("/secret?key=a")).wants(t, 404, "This secret was deleted", "It can be restored", `name="one" value="a"`)

	b.post(s.at("/delete"), form("typed", "not Acme")).wants(t, 400, "type the name", "2 secrets with their values")
	b.post(s.at("/delete"), form("typed", "Acme")).leads(t, "/orgs")
	if s.stored("c") != "" {
		t.Error("the organisation's secrets are left")
	}
	b.get(s.at("/secrets")).wants(t, 404)
}

func TestNamesAreText(t *testing.T) {
	s, b := setUp(t)
	evil := `</script><script>alert(1)</script><img src=x onerror="alert(1)">`
	s.put(evil, `a"b'c & ${d} \ <e>`)
	for _, path := range []string{"/secrets", "/secret?key=" + url.QueryEscape(evil),
		"/secrets/delete?key=" + url.QueryEscape(evil), "/secrets/new?key=" + url.QueryEscape(evil)} {
		p := b.get(s.at(path))
		p.wants(t, 200)
		for _, raw := range []string{"<script>alert", "<img", "</script><script>"} {
			if strings.Contains(p.body, raw) {
				t.Errorf("%s holds %q unescaped", path, raw)
			}
		}
	}
	b.get(s.at("/secret?key="+url.QueryEscape(`a"b'c & ${d} \ <e>`))).wants(t, 200,
		`secrets.get(key: &#34;a\&#34;b&#39;c &amp; \${d} \\ &lt;e&gt;&#34;)`)
}

func TestLastUse(t *testing.T) {
	s, b := setUp(t)
	b.post(s.at("/secrets/new"), form("key", "k", "value", value)).leads(t, s.at("/secret?key=k"))
	page := s.at("/secret?key=k")
	b.get(page).wants(t, 200, "never used, as far as is known")
	_, token, err := s.users.Authorize(t.Context(), s.op, authorizations.Wanted{OrgID: s.org, Description: "agent",
		Permissions: []access.Permission{access.To(access.Use, access.Resource{Type: access.Secrets, OrgID: s.org})}})
	s.must(err)
	who, err := s.logins.ByToken(t.Context(), token)
	s.must(err)
	agent := &access.Caller{Principal: who}
	for range 210 {
		_, err := s.config.Secrets.Use(t.Context(), agent, s.org, "k")
		s.must(err)
	}
	p := b.get(page)
	p.wants(t, 200, "· used <time", "set it")
	if strings.Contains(p.body, "used it") {
		t.Error("what agents do all day fills the secret's activity")
	}
	b.get("/activity?action=secrets.use").wants(t, 200, "used <a", "50 times")
}

func TestPagesOfNames(t *testing.T) {
	s, b := setUp(t)
	s.put(many(250)...)
	b.get(s.at("/secrets")).wants(t, 200, "250 secrets", "1 to 50 of 250", "?page=1")
	b.get(s.at("/secrets?page=4")).wants(t, 200, "201 to 250 of 250", "Select service-00249/password")
	b.get(s.at("/secrets?page=99")).wants(t, 200, "201 to 250 of 250")
	b.get(s.at("/secrets?sort=down")).wants(t, 200, "1 to 50 of 250", "Select service-00249/password")
	b.get(s.at("/secrets?sort=down&page=4")).wants(t, 200, "201 to 250 of 250", "Select service-00000/password")
	b.get(s.at("/secrets?q=SERVICE-0001")).wants(t, 200, "1 to 10 of 10")
	b.get(s.at("/secrets?q=nothing")).wants(t, 200, "None matches.")
}

// TestNamesAreCompressedAndKept: the list of all names comes once, compressed, and again when it has changed; a page
// that repeats what its address says is not compressed.
func TestNamesAreCompressedAndKept(t *testing.T) {
	s, b := setUp(t)
	s.put(many(10_000)...)
	ask := func(path, tag string) (*http.Response, []byte) {
		r, err := http.NewRequest("GET", s.url+path, nil)
		s.must(err)
		r.Header.Set("Accept-Encoding", "gzip")
		r.Header.Set("If-None-Match", tag)
		a, err := b.client.Do(r)
		s.must(err)
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		s.must(err)
		return a, body
	}
	names := s.at("/secrets/names")
	a, body := ask(names, "")
	if a.StatusCode != 200 || a.Header.Get("Content-Encoding") != "gzip" ||
		a.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("the names come with %d and %v", a.StatusCode, a.Header)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	s.must(err)
	var list []string
	s.must(json.NewDecoder(z).Decode(&list))
	if len(list) != 10_000 {
		t.Errorf("%d names come", len(list))
	}
	tag := a.Header.Get("ETag")
	again, nothing := ask(names, tag)
	if again.StatusCode != http.StatusNotModified || len(nothing) > 0 {
		t.Errorf("the names come again with %d and %d bytes", again.StatusCode, len(nothing))
	}
	s.put("one-more")
	if changed, _ := ask(names, tag); changed.StatusCode != 200 || changed.Header.Get("ETag") == tag {
		t.Errorf("names that have changed are answered by %d", changed.StatusCode)
	}
	page, html := ask(s.at("/secrets"), "")
	if page.Header.Get("Content-Encoding") != "gzip" {
		t.Error("the page is not compressed")
	}
	if over := 150_000; len(body)+len(html) > over {
		t.Errorf("10,000 names take %d bytes, more than the %d that 400 kbit/s carry in three seconds",
			len(body)+len(html), over)
	}
	t.Logf("the page %d bytes, the names %d", len(html), len(body))
	if p, _ := ask(s.at("/secrets?q=service"), ""); p.Header.Get("Content-Encoding") != "" {
		t.Error("a page is compressed that repeats its address")
	}
	if a, _ := s.anonymous().client.Get(s.url + names); a.StatusCode != http.StatusSeeOther {
		t.Errorf("who is not signed in is answered by %d", a.StatusCode)
	}
}
