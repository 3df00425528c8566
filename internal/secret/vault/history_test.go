package vault

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/vaulttest"
)

func TestNoHistoryInOneEntry(t *testing.T) {
	v := vaulttest.Shared(t)
	s, _ := open(t, v, Config{Place: Place{Mount: v.MountKV(t)}})
	apply(t, s, set("a", "1"))
	_, info := s.Info(t.Context(), org, "a")
	_, deleted := s.Deleted(t.Context(), org, secret.Page{})
	for call, err := range map[string]error{
		"Info": info, "Deleted": deleted,
		"Describe": s.Describe(t.Context(), org, "a", secret.Description{Text: "x"}),
		"Restore":  errOf(s.Restore(t.Context(), org, "a", 1, "ann")),
	} {
		if !errs.Is(err, errs.NotImplemented) || !strings.Contains(errs.Message(err), "--vault-layout secret") {
			t.Errorf("%s: %v", call, err)
		}
	}
	if s.About(org).History {
		t.Error("it says that it keeps a history")
	}
}

// by is a change by a user.
func by(user string, c secret.Change) secret.Change {
	c.By = user
	return c
}

// perSecret is a store in the layout "secret" with the policy that is printed for it.
func perSecret(t *testing.T, v *vaulttest.Server) (s *Store, mount string, log *logs) {
	t.Helper()
	p := Place{Mount: v.MountKV(t), Layout: LayoutSecret}
	s, log = open(t, v, Config{Place: p, Token: v.Token(t, hcl(p), time.Hour)})
	return s, p.Mount, log
}

func TestHistory(t *testing.T) {
	v := vaulttest.Shared(t)
	s, mount, _ := perSecret(t, v)
	wantNone := func(key string) {
		t.Helper()
		if _, err := s.Info(t.Context(), org, key); !errs.Is(err, errs.NotFound) {
			t.Errorf("Info of %q: %v, want not found", key, err)
		}
		if _, err := s.Restore(t.Context(), org, key, 0, "ann"); !errs.Is(err, errs.NotFound) {
			t.Errorf("Restore of %q: %v, want not found", key, err)
		}
		if err := s.Describe(t.Context(), org, key, secret.Description{Text: "x"}); !errs.Is(err, errs.NotFound) {
			t.Errorf("Describe of %q: %v, want not found", key, err)
		}
	}
	wantNone("db/password")
	wantNone("")
	const key = "db/password"
	apply(t, s, by("ann", set(key, "one")))
	apply(t, s, by("bob", set(key, "two", "other", "x"))) // by a journal
	v.Write(t, mount, org.String()+"/"+key, `{"value":"three"}`)
	info := func() secret.Info {
		t.Helper()
		i, err := s.Info(t.Context(), org, key)
		if err != nil {
			t.Fatal(err)
		}
		if i.Created.Location() != time.UTC || i.Created.IsZero() || i.Updated.Before(i.Created) || i.Key != key {
			t.Errorf("%+v", i)
		}
		return i
	}
	shape := func(i secret.Info) string {
		text := fmt.Sprintf("v%d by %q:", i.Version, i.By)
		for _, v := range i.Versions {
			text += fmt.Sprintf(" %d %q %v", v.Number, v.By, v.Restorable)
		}
		return text
	}
	if got, want := shape(info()), `v3 by "": 1 "ann" true 2 "bob" true 3 "" true`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	// Restoring is setting anew.
	for _, n := range []int{4, 99, -1} {
		if _, err := s.Restore(t.Context(), org, key, n, "eve"); !errs.Is(err, errs.NotFound) {
			t.Errorf("Restore of version %d: %v", n, err)
		}
	}
	for _, n := range []int{0, 3, 1} { // the first two are what is there
		if _, err := s.Restore(t.Context(), org, key, n, "eve"); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := shape(info()), `v4 by "eve": 1 "ann" true 2 "bob" true 3 "" true 4 "eve" true`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, err := secret.Get(t.Context(), s, org, key); err != nil || string(got.Bytes()) != "one" {
		t.Errorf("restored: %q, %v", got.Bytes(), err)
	}

	// What is deleted can be brought back, and Vault's own means do that too.
	remove := by("carl", secret.Change{Delete: []string{key}})
	for _, tt := range []struct {
		name string
		back func()
	}{
		{"undelete in Vault", func() {
			if status, b := v.Do(t, "PUT", mount+"/undelete/"+org.String()+"/"+key,
				map[string]any{"versions": []int{4}}); status >= 300 {
				t.Fatalf("%d %s", status, b)
			}
		}},
		{"restore", func() { // which is setting anew, here too
			if _, err := s.Restore(t.Context(), org, key, 0, "fay"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		apply(t, s, remove)
		wantKeys(t, s, "other")
		i := info()
		if i.Deleted.IsZero() || i.DeletedBy != "carl" || i.Version != 4 {
			t.Errorf("%s: deleted: %+v", tt.name, i)
		}
		deleted, err := s.Deleted(t.Context(), org, secret.Page{})
		if err != nil || len(deleted) != 1 || deleted[0].Key != key || deleted[0].DeletedBy != "carl" {
			t.Errorf("%s: Deleted: %+v, %v", tt.name, deleted, err)
		}
		tt.back()
		wantKeys(t, s, key, "other")
		if got, err := secret.Get(t.Context(), s, org, key); err != nil || string(got.Bytes()) != "one" {
			t.Errorf("%s: %q, %v", tt.name, got.Bytes(), err)
		}
		if deleted, err := s.Deleted(t.Context(), org, secret.Page{}); err != nil || len(deleted) != 0 {
			t.Errorf("%s: still deleted: %+v, %v", tt.name, deleted, err)
		}
	}
	if got, want := shape(info()),
		`v5 by "fay": 1 "ann" true 2 "bob" true 3 "" true 4 "eve" true 5 "fay" true`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	apply(t, s, remove)
	if _, err := s.Restore(t.Context(), org, key, 2, "eve"); err != nil {
		t.Fatal(err)
	}
	if got, want := shape(info()),
		`v6 by "eve": 1 "ann" true 2 "bob" true 3 "" true 4 "eve" true 5 "" false 6 "eve" true`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if status, b := v.Do(t, "PUT", mount+"/destroy/"+org.String()+"/"+key,
		map[string]any{"versions": []int{1, 6}}); status >= 300 {
		t.Fatalf("%d %s", status, b)
	}
	if _, err := s.Restore(t.Context(), org, key, 1, "eve"); !errs.Is(err, errs.NotFound) {
		t.Errorf("Restore of a destroyed version: %v", err)
	}
	if _, err := s.Restore(t.Context(), org, key, 0, "eve"); !errs.Is(err, errs.NotFound) {
		t.Errorf("Restore of a destroyed secret: %v", err)
	}
	if _, err := s.Restore(t.Context(), org, key, 2, "eve"); err != nil {
		t.Error(err)
	}
}

func TestDescribe(t *testing.T) {
	v := vaulttest.Shared(t)
	s, mount, _ := perSecret(t, v)
	apply(t, s, set("a", "1"))
	path := mount + "/metadata/" + org.String() + "/a"
	v.Do(t, "POST", path, map[string]any{"custom_metadata": map[string]string{"owner": "team"}})
	for _, d := range []secret.Description{
		{Text: "for the build"},
		{Text: "two\nlines, \"quoted\" and ‘curly’\\", Expires: time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)},
		{Text: `"`},
		{Text: strings.Repeat("ü", 512)},
		{Text: strings.Repeat("🔑", 256)},
		{},
	} {
		if err := s.Describe(t.Context(), org, "a", d); err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), org, "a")
		if diff := cmp.Diff(d, info.Description); diff != "" || err != nil {
			t.Errorf("(-want +got):\n%s%v", diff, err)
		}
		if e := v.Read(t, mount, org.String()+"/a"); e.Metadata.CustomMetadata["owner"] != "team" ||
			e.Metadata.Version != 1 {
			t.Errorf("the entry's metadata: %+v", e.Metadata)
		}
	}
	full := make(map[string]string)
	for i := range 64 {
		full[fmt.Sprint("k", i)] = "x"
	}
	v.Do(t, "POST", path, map[string]any{"custom_metadata": full})
	if err := s.Describe(t.Context(), org, "a", secret.Description{Text: "x"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("beside 64 others: %v", err)
	}
}

// TestForGood has secrets that were deleted too long ago, and more than are kept: both go, with all their versions, and
// what was set anew or undeleted in Vault itself meanwhile stays.
func TestForGood(t *testing.T) {
	v := vaulttest.Shared(t)
	s, mount, _ := perSecret(t, v)
	c := secret.Change{Set: values(300)}
	apply(t, s, c)
	for key := range c.Set {
		c.Delete = append(c.Delete, key)
	}
	c.Set = nil
	apply(t, s, c)
	wantKeys(t, s)
	apply(t, s, set("key-000", "anew"))
	v.Do(t, "PUT", mount+"/undelete/"+org.String()+"/key-299", map[string]any{"versions": []int{1}})
	left := func() (n int) {
		t.Helper()
		_, body := v.Do(t, "LIST", mount+"/metadata/"+org.String(), nil)
		return strings.Count(string(body), `"key-`)
	}
	for _, tt := range []struct {
		after time.Duration
		left  int
	}{{time.Minute, 300}, {11 * time.Minute, 257}, {8 * 24 * time.Hour, 2}} {
		if err := s.secret.Sweep(t.Context(), org, time.Now().Add(tt.after)); err != nil {
			t.Fatal(err)
		}
		if got := left(); got != tt.left {
			t.Errorf("after %s %d entries are left, want %d", tt.after, got, tt.left)
		}
		wantKeys(t, s, "key-000", "key-299")
	}
	if status, _ := v.Do(t, "GET", mount+"/metadata/"+org.String()+"/key-100", nil); status != http.StatusNotFound {
		t.Errorf("metadata of what is gone: %d", status)
	}
	if _, err := s.Restore(t.Context(), org, "key-100", 0, "ann"); !errs.Is(err, errs.NotFound) {
		t.Errorf("Restore of what is gone: %v", err)
	}
}

// TestOrphans has a journal that was never committed: it goes in some minutes, and until then a check tells of it.
func TestOrphans(t *testing.T) {
	v := vaulttest.Shared(t)
	s, mount, _ := perSecret(t, v)
	const part = "/%strongroom/journal/X-0"
	v.Write(t, mount, org.String()+strings.ReplaceAll(part, "%", "%25"), `{"steps":[]}`)
	wantKeys(t, s)
	tells := func(ahead time.Duration) bool {
		f := newFront(t, v)
		f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			vault.ServeHTTP(w, r)
		})
		var out bytes.Buffer
		if err := Examine(t.Context(), Config{Place: Place{Mount: mount, Layout: LayoutSecret}, Token: v.RootToken,
			Address: f.URL}, &out); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(out.String(),
			"/metadata/"+org.String()+": Vault holds 1 parts, with values, of changes that were never made")
	}
	if tells(0) || !tells(10*time.Minute) {
		t.Errorf("a check tells of it at once: %v, and later: %v", tells(0), tells(10*time.Minute))
	}
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{time.Minute, http.StatusOK}, {10 * time.Minute, http.StatusNotFound}} {
		if err := s.secret.Sweep(t.Context(), org, time.Now().Add(tt.after)); err != nil {
			t.Fatal(err)
		}
		if status, _ := v.Do(t, "GET", mount+"/data/"+org.String()+strings.ReplaceAll(part, "%", "%25"),
			nil); status != tt.want {
			t.Errorf("after %s: %d, want %d", tt.after, status, tt.want)
		}
	}
}
