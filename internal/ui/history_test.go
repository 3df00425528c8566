package ui

import (
	"context"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
)

// plainStore keeps values alone, as a store in Vault does.
type plainStore struct{ secret.Store }

func (plainStore) Info(context.Context, id.ID, string) (secret.Info, error) {
	return secret.Info{}, errs.New(errs.NotImplemented, "the secret store keeps no history here")
}

func (plainStore) Restore(context.Context, id.ID, string, int, string) (secret.Outcome, error) {
	return secret.Outcome{}, errs.New(errs.NotImplemented, "the secret store keeps no history here")
}

func (s plainStore) About(org id.ID) secret.About {
	about := s.Store.About(org)
	about.History = false
	return about
}

// telling is a store that tells of itself.
type telling struct{ secret.Store }

func (telling) About(id.ID) secret.About {
	return secret.About{Details: []secret.Detail{{Name: "vault-token", Message: "has ended"},
		{Name: "other", OK: true, Message: "fares well"}}}
}

// unkept is a store whose history fails.
type unkept struct{ secret.Store }

func (unkept) Restore(context.Context, id.ID, string, int, string) (secret.Outcome, error) {
	return secret.Outcome{}, errs.New(errs.Unavailable, "the store is sealed")
}

// use puts another store below the pages.
func (s *site) use(store secret.Store) {
	s.change(func(c *Config) {
		c.Store, c.Secrets = store, service.New(store, s.guard, s.users, nil, secret.Limits{})
	})
}

var seenField = regexp.MustCompile(`name="seen" value="([0-9a-f]+)"`)

// seen is what the description's form was filled with.
func (b *browser) seen(key string) string {
	b.Helper()
	m := seenField.FindStringSubmatch(b.get(b.at("/secret?key=" + url.QueryEscape(key))).body)
	if m == nil {
		b.Fatal("the page has no form for the description")
	}
	return m[1]
}

func TestHistoryIsRefused(t *testing.T) {
	s, b := setUp(t)
	s.put("k", "gone")
	s.put("k")
	_, err := s.store.Apply(t.Context(), s.org, secret.Change{Delete: []string{"gone"}})
	s.must(err)
	reader := s.member("rita", identity.RoleMember)
	stale := form("key", "k", "seen", "0123", "description", "mine")
	for name, tt := range map[string]struct {
		by     *browser
		path   string
		form   url.Values
		status int
		says   string
	}{
		"restore what is missing": {b, "/secret/restore", form("key", "none", "version", "1", "sure", "yes"),
			404, "there is no secret named"},
		"restore a deleted one": {b, "/secret/restore", form("key", "gone", "version", "1", "sure", "yes"),
			404, "can be restored among the deleted secrets"},
		"restore no version": {b, "/secret/restore", form("key", "k", "sure", "yes"), 404,
			"that could be restored"},
		"restore a version that is not": {b, "/secret/restore", form("key", "k", "version", "9", "sure", "yes"), 404,
			"that could be restored"},
		"restore without being asked": {b, "/secret/restore", form("key", "k", "version", "1"), 200,
			"Restore version 1?"},
		"restore as a reader": {reader, "/secret/restore", form("key", "k", "version", "1", "sure", "yes"),
			401, "You may not see or change"},
		"bring back what is missing": {b, "/secrets/deleted", form("key", "none"), 404,
			"cannot be restored any more"},
		"bring back as a reader": {reader, "/secrets/deleted", form("key", "gone"), 401, "You may not see or change"},
		"describe what is missing": {b, "/secret/describe", form("key", "none"), 404,
			"there is no secret named"},
		"describe as a reader": {reader, "/secret/describe", form("key", "k", "seen", b.seen("k"),
			"description", "x"), 401, "You may not see or change"},
		"describe over another's change": {b, "/secret/describe", stale, 422, "somebody changed the description"},
		"describe with a date that is no": {b, "/secret/describe", form("key", "k", "seen", b.seen("k"), "description",
			"mine", "expires", "2027-02-30"), 400, "the date is not complete"},
		"describe at length": {b, "/secret/describe", form("key", "k", "seen", b.seen("k"), "description",
			strings.Repeat("x", 1025)), 400, "at most 1024 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, live := range []bool{true, false} {
				tt.by.live = live
				tt.by.post(s.at(tt.path), tt.form).wants(t, tt.status, tt.says)
			}
		})
	}
	b.post(s.at("/secret/describe"), stale).wants(t, 422, ">mine</textarea>", "Save mine instead", "<details open>")
	info, err := s.store.Info(t.Context(), s.org, "k")
	s.must(err)
	if info.Version != 2 || info.Text != "" || s.stored("gone") != "" {
		t.Errorf("something was changed: %+v", info)
	}
	s.use(unkept{s.store})
	b.post(s.at("/secret/restore"), form("key", "k", "version", "1", "sure", "yes")).wants(t, 503,
		"the store is sealed", "Restore version 1?")
	b.post(s.at("/secrets/deleted"), form("key", "gone")).wants(t, 503, "the store is sealed", "Restore")
	s.hidesValue()
}

func TestRestoring(t *testing.T) {
	s, b := setUp(t)
	for _, v := range []string{value + "1", value + "2", value + "3"} {
		b.post(s.at("/secret"), form("key", "db/pass", "value", v, "replace", "yes")).leads(t,
			s.at("/secret?key=db%2Fpass"))
	}
	page := s.at("/secret?key=db%2Fpass")
	p := b.get(page)
	p.wants(t, 200, ">Version 3 ·", "by <b>ada</b>", "by ada",
		"Restore…<span class=\"vh\"> version 2</span>", "no date")
	if strings.Contains(p.body, `version=3"`) {
		t.Error("the current version can be restored")
	}
	b.get(s.at("/secret/restore?key=db%2Fpass&version=3")).leads(t, page)
	q := b.get(s.at("/secret/restore?key=db%2Fpass&version=1"))
	q.wants(t, 200, "Restore version 1?", "by <b>ada</b>", "as version 4", "stays in the list as version 3",
		"data-dialog")
	b.post(s.at("/secret/restore"), form("key", "db/pass", "version", "1", "sure", "yes")).leads(t, page)
	if got := s.stored("db/pass"); got != value+"1" {
		t.Error("another value is current")
	}
	after := b.get(page)
	after.wants(t, 200, "The value of version 1 is the current one again.", ">Version 4 ·", "restored it")
	if strings.Contains(after.body, "looked at it") {
		t.Error("the activity is full of looks")
	}
	for _, p := range []string{p.body, q.body, after.body} {
		if strings.Contains(p, value) {
			t.Error("a page holds the value")
		}
	}
	s.member("rita", identity.RoleMember).get(page).wants(t, 200, "Version 3", `id="facts"`)
	s.hidesValue()
}

func TestDescribing(t *testing.T) {
	s, b := setUp(t)
	s.put("k")
	page := s.at("/secret?key=k")
	b.post(s.at("/secret/describe"), form("key", "k", "seen", b.seen("k"), "description", "ask\r\n<Grace>", "expires",
		"2099-01-31")).leads(t, page)
	b.get(page).wants(t, 200, "The description is saved.", "ask\n&lt;Grace&gt;", "31 January 2099",
		`value="2099-01-31"`)
	history := s.store
	// The time of day that the API gave stays where the day does; a day that is over shows.
	at := time.Date(2020, 5, 6, 7, 8, 9, 0, time.UTC)
	s.must(history.Describe(t.Context(), s.org, "k", secret.Description{Text: "old", Expires: at}))
	b.get(page).wants(t, 200, ">due<")
	b.post(s.at("/secret/describe"), form("key", "k", "seen", b.seen("k"), "description", "new", "expires",
		"2020-05-06")).leads(t, page)
	info, err := history.Info(t.Context(), s.org, "k")
	s.must(err)
	if !info.Expires.Equal(at) || info.Text != "new" {
		t.Errorf("after a change of the text alone: %+v", info.Description)
	}
	b.post(s.at("/secret/describe"), form("key", "k", "seen", "stale", "replace", "yes", "description",
		"")).leads(t, page)
	if info, err = history.Info(t.Context(), s.org, "k"); err != nil || info.Description != (secret.Description{}) {
		t.Errorf("after it was emptied: %+v, %v", info.Description, err)
	}
}

func TestBringingBack(t *testing.T) {
	s, b := setUp(t)
	list := s.at("/secrets/deleted")
	b.get(list).wants(t, 200, "Nothing to restore")
	b.get(s.at("/secrets")).wants(t, 200, `/secrets/deleted">Deleted<`)
	s.put("a/b", "c")
	b.get(s.at("/secrets/delete?key=c")).wants(t, 200, "It can be restored for 7 days")
	b.post(s.at("/secrets/delete"), form("key", "a/b", "key", "c", "sure", "yes")).leads(t, s.at("/secrets"))
	b.get(s.at("/secrets")).wants(t, 200, "2 secrets deleted. Deleted secrets can be restored for 7 days.")
	p := b.get(list)
	p.wants(t, 200, "<code>a/b</code>", "by ada", "gone for good", "in 7 days", "Restore<span")
	if strings.Contains(p.body, value) {
		t.Error("the page holds the value")
	}
	if p := s.member("rita", identity.RoleMember).get(list); p.status != 200 || !strings.Contains(p.body, "a/b") ||
		strings.Contains(p.body, "Restore<") {
		t.Errorf("a reader gets: %s", clipped(p.body))
	}
	b.post(list, form("key", "a/b")).leads(t, s.at("/secret?key=a%2Fb"))
	if s.stored("a/b") != value {
		t.Error("it is not back")
	}
	b.get(s.at("/secret?key=a%2Fb")).wants(t, 200, "“a/b” is restored, with the value that it had.")
	// What another tab has set meanwhile stays.
	b.post(s.at("/secrets/new"), form("key", "c", "value", "newer"))
	b.post(list, form("key", "c")).leads(t, list)
	b.get(list).wants(t, 200, "“c” is there already", "Nothing to restore")
	if s.stored("c") != "newer" {
		t.Error("what was set since is gone")
	}
	s.hidesValue()
}

// TestRestoringMany: what was deleted at once is restored at once, by Undo, by choice or by a search.
func TestRestoringMany(t *testing.T) {
	s, b := setUp(t)
	list := s.at("/secrets/deleted")
	there := func(want int, when string) {
		t.Helper()
		keys, err := s.store.Keys(t.Context(), s.org)
		s.must(err)
		if len(keys) != want {
			t.Errorf("%s %d secrets are there, want %d", when, len(keys), want)
		}
	}
	s.put("early")
	b.post(s.at("/secrets/delete"), form("key", "early", "sure", "yes"))
	time.Sleep(2 * time.Millisecond) // a deletion's time is in milliseconds
	keys := many(417)
	s.put(keys...)
	names, err := json.Marshal(append(keys, "never-there"))
	s.must(err)
	b.post(s.at("/secrets/delete"), form("keys", string(names), "sure", "yes")).leads(t, s.at("/secrets"))
	p := b.get(s.at("/secrets"))
	p.wants(t, 200, "417 secrets deleted.", ">Undo</button>")
	undo := regexp.MustCompile(
		`name="from" value="(\d+)"><input type="hidden" name="to" value="(\d+)"`).FindStringSubmatch(p.body)
	if undo == nil {
		t.Fatal("the page offers no undo")
	}
	there(0, "after the deletion")
	// they deleted nothing
	s.member("rita", identity.RoleOwner).post(list, form("from", undo[1], "to", undo[2])).leads(t, list)
	there(0, "after somebody else's undo")
	b.post(list, form("from", undo[1], "to", "x")).wants(t, 400, "load the page again")
	b.post(list, form("from", undo[1], "to", undo[2])).leads(t, s.at("/secrets"))
	b.get(s.at("/secrets")).wants(t, 200, "417 secrets restored.", "417 secrets in")
	there(417, "after Undo")
	b.post(s.at("/secrets/delete"), form("keys", string(names), "sure", "yes"))
	b.post(list, form("key", keys[0], "key", keys[1])).leads(t, s.at("/secrets"))
	there(2, "after two were chosen")
	b.post(list, form("all", "yes", "q", "SERVICE-0001")).leads(t, s.at("/secrets"))
	there(12, "after a search")
	b.post(list, form("all", "yes", "q", "")).leads(t, s.at("/secrets"))
	there(418, "after all")
	b.post(list, form("all", "yes", "q", "")).leads(t, list)
	b.post(s.at("/secrets/delete"), form("key", "gone", "key", "too", "sure", "yes")).leads(t, s.at("/secrets"))
	b.get(s.at("/secrets")).wants(t, 200, "Nothing was deleted")
	b.post(s.at("/secrets/delete"), form("keys", string(names), "sure", "yes"))
	s.use(unkept{s.store})
	b.post(list, form("key", keys[0], "key", keys[1])).wants(t, 503, "the store is sealed")
	s.hidesValue()
}

func TestStoreWithoutHistory(t *testing.T) {
	s, b := setUp(t)
	s.put("k")
	s.change(func(c *Config) { c.NoHistory = true })
	b.get(s.at("/secrets/delete?key=k")).wants(t, 200, "cannot be restored")
	if p := b.get(s.at("/secret?key=k")); strings.Contains(p.body, `id="versions"`) || !strings.Contains(p.body,
		`id="about"`) {
		t.Errorf("without earlier versions the page shows: %s", clipped(p.body))
	}
	s.change(func(c *Config) { c.NoHistory = false })
	s.use(plainStore{s.store})
	p := b.get(s.at("/secret?key=k"))
	p.wants(t, 200, "no dates, no description and no earlier versions", "What is stored now is replaced.")
	for _, not := range []string{`id="about"`, `id="versions"`, "brought back"} {
		if strings.Contains(p.body, not) {
			t.Errorf("the page shows %s", not)
		}
	}
	b.get(s.at("/secret?key=none")).wants(t, 404, "there is no secret named")
	b.get(s.at("/secrets/deleted")).wants(t, 200, "what is deleted is gone at once")
	b.get(s.at("/secrets/delete?key=k")).wants(t, 200, "cannot be restored")
	b.post(s.at("/secret/restore"), form("key", "k", "version", "1", "sure", "yes")).wants(t, 501, "keeps no history")
	if p := b.get(s.at("/secrets")); strings.Contains(p.body, "/secrets/deleted") {
		t.Error("the list leads to what is not kept")
	}
}

func TestStoreTellsOfItself(t *testing.T) {
	s, b := setUp(t)
	s.use(telling{s.store})
	b.get("/store").wants(t, 200, "<dt>Vault’s token</dt><dd>has ended <span class=\"badge bad\">needs "+
		"attention</span>", "<dt>other</dt><dd>fares well</dd>")
}

// meanwhile is a store in which somebody else does something before each removal, and each mark on versions.
type meanwhile struct {
	secret.Store
	do func(key string) error
}

func (m *meanwhile) Remove(ctx context.Context, org id.ID, key string, deletedOnly bool) error {
	if err := m.do(key); err != nil {
		return err
	}
	return m.Store.Remove(ctx, org, key, deletedOnly)
}

// TestRestoredMeanwhile: what somebody restores after the look at what is deleted is not deleted for good, nor said to
// be; what stops in the middle says why.
func TestRestoredMeanwhile(t *testing.T) {
	s, b := setUp(t)
	s.put("back", "gone", "not", "stays")
	b.post(s.at("/secrets/delete"), form("key", "back", "key", "gone", "key", "not", "sure", "yes"))
	between := &meanwhile{Store: s.store, do: func(key string) error {
		switch key {
		case "back":
			_, err := s.store.Restore(t.Context(), s.org, key, 0, "bert")
			return err
		case "not":
			return errs.New(errs.Unprocessable, "it belongs to another program")
		}
		return nil
	}}
	s.change(func(c *Config) { c.Secrets = service.New(between, s.guard, s.users, s.uses, secret.Limits{}) })
	b.post(s.at("/secrets/remove"), form("keys", `["back"]`, "sure", "yes"))
	b.get(s.at("/secrets/deleted")).wants(t, 200, "Nothing was deleted for good")
	if s.stored("back") != value {
		t.Error("a restored secret was deleted for good")
	}
	b.post(s.at("/secrets/remove"), form("keys", `["gone"]`, "sure", "yes"))
	b.get(s.at("/secrets/deleted")).wants(t, 200, "is deleted for good.")
	b.post(s.at("/secrets/delete"), form("key", "stays", "sure", "yes"))
	done := make(chan struct{})
	was := between.do
	between.do = func(key string) error { // one after the other
		if key == "not" {
			<-done
			return was(key)
		}
		defer close(done)
		return between.Store.Remove(t.Context(), s.org, key, true)
	}
	b.post(s.at("/secrets/remove"), form("keys", `["not","stays"]`, "sure", "yes"))
	b.get(s.at("/secrets/deleted")).wants(t, 200, "1 secret deleted for good.",
		"One is still here: it belongs to another program.")
}

func (m *meanwhile) Mark(ctx context.Context, org id.ID, key string, marking secret.Marking) (secret.Outcome, error) {
	if err := m.do(key); err != nil {
		return secret.Outcome{}, err
	}
	return m.Store.Mark(ctx, org, key, marking)
}

// TestDestroyMadeAnew: a secret that is removed for good and made anew has other versions of the same numbers. What the
// question named is none of them, whether that comes before the answer or beside it.
func TestDestroyMadeAnew(t *testing.T) {
	s, b := setUp(t)
	anew := func(values int) {
		t.Helper()
		was, err := s.store.Info(t.Context(), s.org, "k")
		s.must(err)
		for now := was; now.Created.Equal(was.Created); {
			s.must(s.store.Remove(t.Context(), s.org, "k", false))
			s.put("k")
			now, err = s.store.Info(t.Context(), s.org, "k")
			s.must(err)
		}
		for range values - 1 {
			s.put("k")
		}
	}
	asked := func() string {
		t.Helper()
		p := b.get(s.at("/secret/destroy?key=k&version=1"))
		p.wants(t, 200, "Destroy version 1?")
		action := regexp.MustCompile(`action="([^"]*/secret/destroy[^"]*)"`).FindStringSubmatch(p.body)
		if action == nil {
			t.Fatal("no form", p.body)
		}
		return html.UnescapeString(action[1])
	}
	stays := func() {
		t.Helper()
		if _, err := s.store.ReadVersion(t.Context(), s.org, "k", 1); err != nil {
			t.Errorf("a version of the secret that was made anew: %v", err)
		}
	}
	s.put("k")
	s.put("k")
	to := asked()
	anew(2)
	b.post(to, form("sure", "yes")).wants(t, 422, "made anew", "Destroy version 1?")
	stays()
	to = asked()
	between := &meanwhile{Store: s.store, do: func(string) error { anew(1); return nil }}
	s.change(func(c *Config) { c.Secrets = service.New(between, s.guard, s.users, s.uses, secret.Limits{}) })
	b.post(to, form("sure", "yes")).wants(t, 422, "made anew")
	stays()
	between.do = func(string) error { return nil }
	s.put("k")
	b.post(asked(), form("sure", "yes")).leads(t, s.at("/secret?key=k"))
	b.post(s.at("/secret/destroy?key=k&version=1&made=x"), form("sure", "yes")).wants(t, 400, "could not be read")
}

// TestDeletedForGood: what is deleted can be deleted for good, and an earlier version destroyed, by those who may write,
// after a question that names it; what is there, or came to be there meanwhile, stays.
func TestDeletedForGood(t *testing.T) {
	s, b := setUp(t)
	rita := s.member("rita", identity.RoleMember)
	s.put("gone", "gone too", "stays", "back")
	b.post(s.at("/secrets/delete"), form("key", "gone", "key", "gone too", "key", "back", "sure", "yes"))
	rita.get(s.at("/secrets/remove?key=gone")).wants(t, 401)
	rita.post(s.at("/secrets/remove"), form("key", "gone", "sure", "yes")).wants(t, 401)
	b.get(s.at("/secrets/deleted")).wants(t, 200, "Delete selected for good", "Delete all 3 for good")
	b.post(s.at("/secrets/deleted"), form("do", "remove", "key", "gone", "key", "stays")).wants(t, 200,
		"Delete this secret for good?", "<li>gone</li>", "nobody can restore it")
	b.post(s.at("/secrets/deleted"), form("do", "remove-all", "q", "too")).wants(t, 200, "<li>gone too</li>")
	b.post(s.at("/secrets/remove"), form("key", "gone")).wants(t, 200, "Delete this secret for good?")
	b.post(s.at("/secrets/deleted"), form("one", "back"))
	b.post(s.at("/secrets/remove"), form("keys", `["back","gone","gone too","stays"]`, "sure", "yes")).leads(t,
		s.at("/secrets/deleted"))
	b.get(s.at("/secrets/deleted")).wants(t, 200, "2 secrets deleted for good.", "Nothing to restore")
	if s.stored("back") != value || s.stored("stays") != value {
		t.Error("a secret that is there was deleted for good")
	}
	b.get(s.at("/secrets/remove?key=stays")).leads(t, s.at("/secrets/deleted"))
	b.get(s.at("/secret?key=gone")).wants(t, 404, "there is no secret named")

	for range 3 {
		s.put("stays")
	}
	page := s.at("/secret?key=stays")
	b.get(page).wants(t, 200, "Destroy all 3 earlier versions")
	rita.get(s.at("/secret/destroy?key=stays&version=1")).wants(t, 401)
	rita.post(s.at("/secret/destroy?key=stays&version=1"), form("sure", "yes")).wants(t, 401)
	for _, wrong := range []string{"4", "0", "x", ""} { // 4 is the current one
		b.post(s.at("/secret/destroy?key=stays&version="+wrong), form("sure", "yes")).wants(t, 404, "no earlier version")
	}
	b.get(s.at("/secret/destroy?key=stays&version=2")).wants(t, 200, "Destroy version 2?", "the value of version 2")
	b.post(s.at("/secret/destroy?key=stays&version=2"), form("sure", "yes")).leads(t, page)
	p := b.get(page)
	p.wants(t, 200, "Version 2 is destroyed.", ">destroyed<", "destroyed versions of it", "Destroy all 2 earlier versions")
	// A version that became an earlier one after the question is none of those that it named.
	b.get(s.at("/secret/destroy?key=stays&version=earlier")).wants(t, 200, "Destroy 2 earlier versions?",
		"version=1%2C3")
	s.put("stays")
	b.post(s.at("/secret/destroy?key=stays&version=1%2C3"), form("sure", "yes")).leads(t, page)
	b.get(page).wants(t, 200, "2 earlier versions destroyed.", "Version 4", "version=4")
	if s.stored("stays") != value {
		t.Error("the current value is gone")
	}
	s.hidesValue()
}
