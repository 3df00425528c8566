package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/content"
	"strongroom/internal/secret/embedded/records"
)

// clocked gives an empty store time that a test moves.
func clocked(s *Store, history int) *time.Time {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	s.now, s.history = func() time.Time { return now }, history
	return &now
}

// marking is what is done to versions, by somebody.
func marking(m secret.Mark, versions ...int) secret.Marking {
	return secret.Marking{Mark: m, Versions: versions, By: "ada"}
}

func info(t *testing.T, s *Store, name string) secret.Info {
	t.Helper()
	i, err := s.Info(t.Context(), org, name)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func wantGone(t *testing.T, s *Store, name string) {
	t.Helper()
	if _, err := s.Info(t.Context(), org, name); !errs.Is(err, errs.NotFound) {
		t.Errorf("Info of %q: %v, want it gone", name, err)
	}
	if _, err := s.Restore(t.Context(), org, name, 0, "ann"); !errs.Is(err, errs.NotFound) {
		t.Errorf("Restore of %q: %v, want it gone", name, err)
	}
	meta, version := keyOf(t, s, org, name, records.Meta), keyOf(t, s, org, name, records.Version(1))
	for _, prefix := range []string{meta, strings.TrimSuffix(version, "0000000001"), records.TrashPrefix(org)} {
		if recs, err := s.kv.List(t.Context(), prefix, "", 10); err != nil || len(recs) > 0 {
			t.Errorf("%d records are left below %q, %v", len(recs), prefix, err)
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	eachForm(t, testHistory)
}

func testHistory(t *testing.T, s *Store) {
	now := clocked(s, 3)
	wantGone(t, s, "a")
	for i := range 5 {
		*now = now.Add(time.Hour)
		apply(t, s, secret.Change{Set: setOf("a", fmt.Sprint("value ", i+1)), By: fmt.Sprint("user ", i+1)})
	}
	got := info(t, s, "a")
	if got.Version != 5 || got.By != "user 5" || !got.Updated.Equal(*now) ||
		!got.Created.Equal(now.Add(-4*time.Hour)) || len(got.Versions) != 3 ||
		got.Versions[0].Number != 3 || got.Versions[0].By != "user 3" ||
		!got.Versions[0].At.Equal(now.Add(-2*time.Hour)) {
		t.Errorf("after five changes: %+v", got)
	}
	for _, n := range []int{1, 2, 6, -1} {
		if _, err := s.Restore(t.Context(), org, "a", n, "ann"); !errs.Is(err, errs.NotFound) {
			t.Errorf("restoring version %d: %v", n, err)
		}
	}
	if _, err := s.Restore(t.Context(), org, "a", 3, "ann"); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, setOf("a", "value 3"))
	if got = info(t, s, "a"); got.Version != 6 || got.By != "ann" || len(got.Versions) != 3 ||
		got.Versions[0].Number != 4 {
		t.Errorf("after restoring version 3: %+v", got)
	}
	if _, err := s.Restore(t.Context(), org, "a", 5, "ann"); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, setOf("a", "value 5"))
	recs, err := s.kv.List(t.Context(), records.Prefix(org)+"h", "", 10)
	if err != nil || len(recs) != 2 {
		t.Errorf("%d earlier values are kept, %v", len(recs), err)
	}
}

func TestDeletedAndBroughtBack(t *testing.T) {
	t.Parallel()
	eachForm(t, testDeletedAndBroughtBack)
}

func testDeletedAndBroughtBack(t *testing.T, s *Store) {
	now := clocked(s, 10)
	apply(t, s, secret.Change{Set: setOf("a", "1", "b", "1", "c", "1"), By: "ann"})
	apply(t, s, secret.Change{Set: setOf("a", "2"), By: "ann"})
	*now = now.Add(time.Hour)
	apply(t, s, secret.Change{Delete: []string{"b", "a", "never"}, By: "bob"})
	wantContent(t, s, setOf("c", "1"))
	deleted, err := s.Deleted(t.Context(), org, secret.Page{})
	if err != nil || len(deleted) != 2 || deleted[0].Key != "a" || deleted[1].Key != "b" ||
		deleted[0].DeletedBy != "bob" || !deleted[0].Deleted.Equal(*now) {
		t.Errorf("deleted: %+v, %v", deleted, err)
	}
	if err := s.Describe(t.Context(), org, "a", secret.Description{Text: "x"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("describing a deleted one: %v", err)
	}
	*now = now.Add(secret.KeepDeleted - time.Minute)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore(t.Context(), org, "a", 0, "ann"); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, setOf("a", "2", "c", "1"))
	if got := info(t, s, "a"); got.Version != 3 || !got.Deleted.IsZero() {
		t.Errorf("brought back: %+v", got)
	}
	*now = now.Add(2 * time.Minute)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantGone(t, s, "b")
	wantContent(t, s, setOf("a", "2", "c", "1"))
	// Set anew after a deletion, it goes on with its versions.
	apply(t, s, secret.Change{Delete: []string{"a"}})
	apply(t, s, secret.Change{Set: setOf("a", "4")})
	// Whoever brings it back then overwrites nothing.
	if _, err := s.Restore(t.Context(), org, "a", 0, "eve"); err != nil {
		t.Fatal(err)
	}
	if got := info(t, s, "a"); got.Version != 4 || got.By == "eve" || !got.Deleted.IsZero() {
		t.Errorf("deleted and set: %+v", got)
	}
	wantContent(t, s, setOf("a", "4", "c", "1"))
	*now = now.Add(2 * secret.KeepDeleted)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantContent(t, s, setOf("a", "4", "c", "1"))
	if err := s.Purge(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	wantGone(t, s, "a")
	wantGone(t, s, "c")
}

func TestWithoutHistory(t *testing.T) {
	t.Parallel()
	eachForm(t, testWithoutHistory)
}

func testWithoutHistory(t *testing.T, s *Store) {
	clocked(s, 0)
	apply(t, s, secret.Change{Set: setOf("a", "1")})
	apply(t, s, secret.Change{Set: setOf("a", "2")})
	if got := info(t, s, "a"); got.Version != 2 || len(got.Versions) != 1 {
		t.Errorf("%+v", got)
	}
	apply(t, s, secret.Change{Delete: []string{"a"}})
	wantGone(t, s, "a")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	eachForm(t, testDescribe)
}

func testDescribe(t *testing.T, s *Store) {
	now := clocked(s, 10)
	if err := s.Describe(t.Context(), org, "a", secret.Description{}); !errs.Is(err, errs.NotFound) {
		t.Errorf("of nothing: %v", err)
	}
	apply(t, s, secret.Change{Set: setOf("a", "1")})
	d := secret.Description{Text: "the database's", Expires: now.Add(time.Hour)}
	if err := s.Describe(t.Context(), org, "a", d); err != nil {
		t.Fatal(err)
	}
	apply(t, s, secret.Change{Set: setOf("a", "2")})
	if got := info(t, s, "a"); got.Text != d.Text || !got.Expires.Equal(d.Expires) || got.Version != 2 {
		t.Errorf("%+v", got)
	}
}

// asOld makes a secret that was set once what the first versions have made of it: there are no metadata, and its value
// tells of none.
func asOld(t *testing.T, s *Store, name, value string) {
	t.Helper()
	at, err := s.from.Places(org, name, s.ring.Names())
	if err != nil {
		t.Fatal(err)
	}
	slot := at.Now.Slot(records.Value)
	plain := binary.BigEndian.AppendUint64([]byte{content.ValueFormat}, uint64(s.now().UnixMilli()))
	sealed, err := s.ring.Seal(org, slot.As, append(append(plain, 0), value...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.kv.Txn(t.Context(), nil, []kv.Op{kv.Put(slot.Key, sealed),
		kv.Delete(at.Now.Slot(records.Meta).Key)}); err != nil {
		t.Fatal(err)
	}
}

// TestHistoryOfOldData begins the history of what was set before there was one.
func TestHistoryOfOldData(t *testing.T) {
	t.Parallel()
	eachForm(t, testHistoryOfOldData)
}

func testHistoryOfOldData(t *testing.T, s *Store) {
	now := clocked(s, 10)
	apply(t, s, secret.Change{Set: setOf("a", "1", "b", "1")})
	asOld(t, s, "a", "1")
	asOld(t, s, "b", "1")
	if got := info(t, s, "a"); got.Version != 1 || !got.Created.Equal(*now) || got.By != "" {
		t.Errorf("%+v", got)
	}
	apply(t, s, secret.Change{Set: setOf("a", "2"), Delete: []string{"b"}})
	for _, name := range []string{"a", "b"} {
		if _, err := s.Restore(t.Context(), org, name, 1, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	wantContent(t, s, setOf("a", "1", "b", "1"))
}

// TestHistoryDamaged changes secrets whose records do not open: what is damaged is lost, the rest goes on.
func TestHistoryDamaged(t *testing.T) {
	t.Parallel()
	eachForm(t, testHistoryDamaged)
}

func testHistoryDamaged(t *testing.T, s *Store) {
	clocked(s, 10)
	apply(t, s, secret.Change{Set: setOf("a", "1", "b", "1")})
	apply(t, s, secret.Change{Set: setOf("a", "2", "b", "2")})
	// An earlier version in the place of the current value, and one secret's in another's, as whoever can
	// write the file may try.
	for from, to := range map[string]string{keyOf(t, s, org, "a", records.Version(1)): keyOf(t, s, org, "a",
		records.Value), keyOf(t, s, org, "b", records.Version(1)): keyOf(t, s, org, "a", records.Version(1))} {
		rec, err := s.kv.Get(t.Context(), from)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, s.kv, to, rec.Value)
	}
	if _, err := secret.Get(t.Context(), s, org, "a"); !errors.Is(err, keyring.ErrOpen) {
		t.Errorf("an earlier version as the current value: %v", err)
	}
	if _, err := s.Restore(t.Context(), org, "a", 1, "ann"); err == nil || errs.CodeOf(err) != errs.Internal {
		t.Errorf("restoring another secret's version: %v", err)
	}
	apply(t, s, secret.Change{Set: setOf("a", "3")})
	if got := info(t, s, "a"); got.Version != 3 || got.Versions[1].Restorable {
		t.Errorf("after a value that did not open: %+v", got)
	}
	overwrite(t, s.kv, keyOf(t, s, org, "b", records.Meta), []byte("nonsense"))
	if _, err := s.Info(t.Context(), org, "b"); err == nil || strings.Contains(err.Error(), "nonsense") {
		t.Errorf("metadata that do not open: %v", err)
	}
	// Nothing is written over a history that cannot be read, and nothing given out in its place.
	for name, act := range map[string]func() error{
		"set": func() error {
			_, err := s.Apply(t.Context(), org, secret.Change{Set: setOf("b", "3")})
			return err
		},
		"delete": func() error {
			_, err := s.Apply(t.Context(), org, secret.Change{Delete: []string{"b"}})
			return err
		},
		"restore":  func() error { _, err := s.Restore(t.Context(), org, "b", 1, "ann"); return err },
		"describe": func() error { return s.Describe(t.Context(), org, "b", secret.Description{Text: "x"}) },
	} {
		if err := act(); errs.CodeOf(err) != errs.Internal || !strings.Contains(errs.Message(err), `"b"`) ||
			!strings.Contains(errs.Message(err), "remove the secret for good") {
			t.Errorf("%s over metadata that do not open: %v", name, err)
		}
	}
	wantContent(t, s, setOf("a", "3", "b", "2"))
	if _, err := s.kv.Get(t.Context(), keyOf(t, s, org, "b", records.Version(1))); err != nil {
		t.Errorf("the earlier version: %v", err)
	}
	if err := s.Remove(t.Context(), org, "b", false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.kv.Get(t.Context(), keyOf(t, s, org, "b", records.Version(1))); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("the earlier version of a secret that is removed: %v", err)
	}
	for _, problem := range verified(t, s) {
		if !strings.HasPrefix(problem, keyOf(t, s, org, "a", records.Version(1))) {
			t.Errorf("when it is removed: %s", problem)
		}
	}
	apply(t, s, secret.Change{Set: setOf("b", "3")})
	wantContent(t, s, setOf("a", "3", "b", "3"))
	// One secret's metadata in another's place are none of it, also while both are remembered.
	rec, err := s.kv.Get(t.Context(), keyOf(t, s, org, "a", records.Meta))
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, s.kv, keyOf(t, s, org, "b", records.Meta), rec.Value)
	if _, err := s.Apply(t.Context(), org, secret.Change{Set: setOf("b", "4")}); !errors.Is(err, keyring.ErrOpen) {
		t.Errorf("over another secret's metadata: %v", err)
	}
}

// TestHistoryOfOne has many writers set one secret at once: each makes a version, and no number comes twice.
func TestHistoryOfOne(t *testing.T) {
	t.Parallel()
	eachForm(t, testHistoryOfOne)
}

func testHistoryOfOne(t *testing.T, s *Store) {
	clocked(s, 100)
	const writers = 64
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if _, err := s.Apply(t.Context(), org, secret.Change{Set: setOf("a", fmt.Sprint(i)),
				By: fmt.Sprint(i)}); err != nil {
				t.Errorf("Apply: %v", err)
			}
		})
	}
	wg.Wait()
	got := info(t, s, "a")
	by := map[string]bool{}
	for i, v := range got.Versions {
		by[v.By] = true
		if v.Number != i+1 {
			t.Errorf("version %d has the number %d", i+1, v.Number)
		}
	}
	if got.Version != writers || len(by) != writers {
		t.Errorf("version %d, %d writers", got.Version, len(by))
	}
	if v, err := secret.Get(t.Context(), s, org, "a"); err != nil || string(v.Bytes()) != got.By {
		t.Errorf("the value is not that of the newest version: %v", err)
	}
}
