package ui

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/access"
	"strongroom/internal/audit/auditlog"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/lastuse"
	"strongroom/internal/secret/metered"
	"strongroom/internal/secret/service"
	"strongroom/internal/servers"
)

const (
	ada      = "ada"
	password = "correct horse battery"
	// value is what no page, log or audit record may ever hold.
	value = "hunter2-do-not-show"
)

// site is the pages over real parts: a bbolt file, a keyring, the sealed store, identity and the audit log.
type site struct {
	testing.TB
	config Config
	ui     *UI // of the config; see change
	url    string
	store  secret.Store
	data   kv.Store
	uses   *lastuse.Book
	guard  *access.Guard
	logins *authn.Service
	users  *directory.Service
	org    id.ID
	op     *access.Caller // the first user, who is an operator
	audit  string
	log    *lockedBuffer
	ahead  time.Duration // of the clock
}

func newSite(t testing.TB) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{TB: t, audit: filepath.Join(dir, "audit.log"), log: new(lockedBuffer)}
	log := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	s.must(err)
	t.Cleanup(func() { s.must(data.Close()) })
	keys, err := keyring.OpenOrInit(t.Context(), data,
		keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	s.must(err)
	t.Cleanup(keys.Close)
	trail, err := auditlog.Open(auditlog.Config{Sinks: []string{"file:" + s.audit}, ChainKey: bytes.Repeat([]byte("k"), 32),
		Logger: log})
	s.must(err)
	t.Cleanup(func() { s.must(trail.Close()) })
	s.data = data
	metrics := prometheus.NewRegistry()
	s.store = metered.New(embedded.New(embedded.Config{KV: data, Keyring: keys, History: 10}), "bolt", metrics, log,
		func(error) {})
	s.uses = lastuse.New(data, bytes.Repeat([]byte("u"), 32))
	now := func() time.Time { return time.Now().Add(s.ahead) }
	s.guard = access.NewGuard(trail)
	s.logins, err = authn.New(authn.Config{KV: data, Guard: s.guard, Logger: log, BcryptCost: 4, Now: now})
	s.must(err)
	s.users, err = directory.New(directory.Config{KV: data, Mark: keys, Guard: s.guard, Authn: s.logins,
		Secrets: s.store, Logger: log, Now: now})
	s.must(err)
	s.config = Config{Guard: s.guard, Authn: s.logins, Directory: s.users, Secrets: service.New(s.store, s.guard,
		s.users, s.uses, secret.Limits{}), Store: s.store,
		Trail: &servers.Acts{Own: trail}, StoreName: "bolt", Gather: metrics, Logger: log, Now: now}
	s.change(func(*Config) {})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ui.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// change makes the pages anew, of a config that differs.
func (s *site) change(how func(*Config)) {
	s.Helper()
	how(&s.config)
	var err error
	s.ui, err = New(s.config)
	s.must(err)
}

// setUp makes the first user and organisation, and gives a browser that is signed in.
func setUp(t testing.TB) (*site, *browser) {
	t.Helper()
	s := newSite(t)
	o, err := s.users.Onboard(t.Context(), &access.Caller{Principal: &access.Principal{}},
		directory.Setup{User: ada, Password: password, Org: "Acme", Bucket: "b"})
	s.must(err)
	s.org = o.Org.ID
	s.op = &access.Caller{Principal: &access.Principal{UserID: o.User.ID, User: ada, Permissions: access.Operator()}}
	return s, s.signIn(ada)
}

// member adds a user with a role in the organisation, and gives their browser.
func (s *site) member(name string, role identity.Role) *browser {
	s.Helper()
	if role == "" {
		return s.memberOf(name, nil)
	}
	return s.memberOf(name, map[id.ID]identity.Role{s.org: role})
}

// memberOf makes a user with roles in organisations, who has signed in.
func (s *site) memberOf(name string, roles map[id.ID]identity.Role) *browser {
	s.Helper()
	u, err := s.users.NewUser(s.Context(), s.op, name, identity.Active)
	s.must(err)
	s.must(s.logins.SetPassword(s.Context(), s.op, u.ID, password))
	for org, role := range roles {
		_, err = s.users.AddMember(s.Context(), s.op, org, u.ID, role)
		s.must(err)
	}
	return s.signIn(name)
}

// put stores a secret without the pages.
func (s *site) put(keys ...string) {
	s.Helper()
	set := make(map[string]secret.Value)
	for _, k := range keys {
		set[k] = secret.NewValue([]byte(value))
	}
	_, err := s.store.Apply(s.Context(), s.org, secret.Change{Set: set})
	s.must(err)
}

// stored is a secret's value, "" where it is missing.
func (s *site) stored(key string) string {
	s.Helper()
	v, err := secret.Get(s.Context(), s.store, s.org, key)
	if err != nil {
		return ""
	}
	return string(v.Bytes())
}

func (s *site) at(rest string) string { return "/orgs/" + s.org.String() + rest }

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// browser is a client with cookies that follows no redirect.
type browser struct {
	*site
	client *http.Client
	live   bool // sends forms as app.js does
}

func (s *site) anonymous() *browser {
	jar, err := cookiejar.New(nil)
	s.must(err)
	return &browser{s, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}, false}
}

func (s *site) signIn(name string) *browser {
	s.Helper()
	b := s.anonymous()
	if p := b.post("/signin", form("username", name, "password", password)); p.status != http.StatusSeeOther {
		s.Fatalf("signing in as %s: %d %s", name, p.status, p.body)
	}
	return b
}

// page is what came back.
type page struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(r *http.Request) page {
	b.Helper()
	if b.live {
		r.Header.Set("Strongroom-Live", "1")
	}
	a, err := b.client.Do(r.WithContext(b.Context()))
	b.must(err)
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	b.must(err)
	return page{a.StatusCode, a.Header, string(body)}
}

func (b *browser) get(path string) page {
	b.Helper()
	r, err := http.NewRequest("GET", b.url+path, nil)
	b.must(err)
	return b.do(r)
}

func (b *browser) post(path string, f url.Values) page {
	b.Helper()
	r, err := http.NewRequest("POST", b.url+path, strings.NewReader(f.Encode()))
	b.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// upload sends a form with a file, as browsers do for the forms that take a value.
func (b *browser) upload(path string, f url.Values, file []byte) page {
	b.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, values := range f {
		for _, v := range values {
			b.must(w.WriteField(name, v))
		}
	}
	part, err := w.CreateFormFile("file", "typed")
	b.must(err)
	_, err = part.Write(file)
	b.must(err)
	b.must(w.Close())
	r, err := http.NewRequest("POST", b.url+path, &body)
	b.must(err)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return b.do(r)
}

func form(pairs ...string) url.Values {
	f := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		f.Add(pairs[i], pairs[i+1])
	}
	return f
}

// wants checks a page's status and what it says.
func (p page) wants(t testing.TB, status int, texts ...string) {
	t.Helper()
	if p.status != status {
		t.Errorf("status %d, want %d: %s", p.status, status, clipped(p.body))
	}
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			t.Errorf("the page does not say %q: %s", text, clipped(p.body))
		}
	}
}

// leads checks that the answer leads to a path.
func (p page) leads(t testing.TB, path string) {
	t.Helper()
	if p.status != http.StatusSeeOther || p.header.Get("Location") != path {
		t.Errorf("status %d to %q, want %q: %s", p.status, p.header.Get("Location"), path, clipped(p.body))
	}
}

func clipped(s string) string {
	if _, after, ok := strings.Cut(s, "<main"); ok {
		s = after
	}
	return s[:min(len(s), 700)]
}

// hidesValue checks that the value shows nowhere that outlives the request.
func (s *site) hidesValue() {
	s.Helper()
	record, err := os.ReadFile(s.audit)
	s.must(err)
	for place, text := range map[string]string{"log": s.log.String(), "audit record": string(record)} {
		for _, hidden := range []string{value, password} {
			if strings.Contains(text, hidden) {
				s.Errorf("the %s holds %q", place, hidden)
			}
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// many are names of secrets.
func many(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("service-%05d/password", i)
	}
	return names
}

// TestListOfOrgsIsOneLook has the list of organisations, which tells how many secrets are due in each, on record as one
// look at secrets, however many organisations there are.
func TestListOfOrgsIsOneLook(t *testing.T) {
	s, b := setUp(t)
	for _, name := range []string{"second", "third"} {
		b.post("/orgs", form("name", name))
	}
	s.put("a")
	day := time.Now().AddDate(0, 0, 3).UTC().Format(time.DateOnly)
	b.post(s.at("/secret/describe"), form("key", "a", "expires", day, "replace", "yes"))
	looks := func() int {
		record, err := os.ReadFile(s.audit)
		s.must(err)
		return strings.Count(string(record), `"secrets.list"`)
	}
	before := looks()
	b.get("/orgs").wants(t, 200, "1 due within 30 days", "second", "third")
	if n := looks() - before; n != 1 {
		t.Errorf("the list of organisations is %d looks at secrets on record", n)
	}
}
