package secrettest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
)

// testNotKept asks a store that keeps no history for it, and one that does for what is not there.
func testNotKept(t *testing.T, s secret.Store) {
	code := errs.NotFound
	if !s.About(orgA).History {
		code = errs.NotImplemented
		apply(t, s, orgA, set("missing", "1"))
		_, err := s.Deleted(t.Context(), orgA, secret.Page{})
		wantCode(t, "Deleted", err, code)
		_, err = s.Infos(t.Context(), orgA, secret.Page{})
		wantCode(t, "Infos", err, code)
		wantCode(t, "Remove", s.Remove(t.Context(), orgA, "missing", false), code)
	} else if err := s.Remove(t.Context(), orgA, "missing", false); err != nil {
		t.Errorf("Remove of what is not there: %v", err)
	}
	_, infoErr := s.Info(t.Context(), orgA, "missing")
	_, readErr := s.ReadVersion(t.Context(), orgA, "missing", 1)
	_, restoreErr := s.Restore(t.Context(), orgA, "missing", 0, "")
	_, markErr := s.Mark(t.Context(), orgA, "missing", secret.Marking{Mark: secret.DestroyVersion, Versions: []int{1}})
	for what, err := range map[string]error{
		"Info": infoErr, "ReadVersion": readErr, "Restore": restoreErr, "Mark": markErr,
		"Describe": s.Describe(t.Context(), orgA, "missing", secret.Description{Text: "text"}),
	} {
		wantCode(t, what, err, code)
	}
}

// wantVersion reads one version; with want "" it must not be there.
func wantVersion(t *testing.T, s secret.Store, key string, n int, want string) {
	t.Helper()
	got, err := s.ReadVersion(t.Context(), orgA, key, n)
	if want == "" {
		if !errs.Is(err, errs.NotFound) {
			t.Fatalf("version %d of %s: %d bytes, %v; want none", n, key, got.Value.Len(), err)
		}
		return
	}
	if err != nil || string(got.Value.Bytes()) != want || got.Version != n ||
		time.Since(got.Updated).Abs() > time.Hour {
		t.Fatalf("version %d of %s: %q, version %d of %v, %v; want %q", n, key, got.Value.Bytes(), got.Version,
			got.Updated, err, want)
	}
}

func testVersionNotReadable(t *testing.T, s secret.Store) {
	if !s.About(orgA).History {
		return
	}
	apply(t, s, orgA, set("a", "1"))
	for _, n := range []int{-1, 0, 2} {
		wantVersion(t, s, "a", n, "")
	}
	_, err := s.Restore(t.Context(), orgA, "a", 7, "")
	wantCode(t, "Restore of a version that never was", err, errs.NotFound)
	apply(t, s, orgA, set("a", "2"))
	mark(t, s, "a", secret.DestroyVersion, 1)
	wantVersion(t, s, "a", 1, "")
	_, err = s.Restore(t.Context(), orgA, "a", 1, "")
	wantCode(t, "Restore of a version that was destroyed", err, errs.NotFound)
	mark(t, s, "a", secret.UndeleteVersion, 1)
	wantVersion(t, s, "a", 1, "")
	apply(t, s, orgA, secret.Change{Delete: []string{"a"}})
	wantVersion(t, s, "a", 2, "")
	wantCode(t, "Describe of a deleted secret", s.Describe(t.Context(), orgA, "a", secret.Description{}), errs.NotFound)
}

func mark(t *testing.T, s secret.Store, key string, m secret.Mark, versions ...int) secret.Outcome {
	t.Helper()
	out, err := s.Mark(t.Context(), orgA, key, secret.Marking{Mark: m, Versions: versions, By: "somebody"})
	if err != nil {
		t.Fatalf("Mark: %v", err)
	}
	return out
}

func infoOf(t *testing.T, s secret.Store, key string) secret.Info {
	t.Helper()
	info, err := s.Info(t.Context(), orgA, key)
	if err != nil {
		t.Fatalf("Info: %v", err)
	}
	return info
}

func testDescribe(t *testing.T, s secret.Store) {
	if !s.About(orgA).History {
		return
	}
	c := set("a", "1")
	c.By = "anna"
	apply(t, s, orgA, c)
	before := versionOf(t, s)
	want := secret.Description{Text: "line one\nzwei 🔑", Expires: time.Date(2031, 2, 3, 0, 0, 0, 0, time.UTC)}
	for _, d := range []secret.Description{want, {}, want} {
		if err := s.Describe(t.Context(), orgA, "a", d); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, infoOf(t, s, "a").Description); diff != "" {
			t.Fatalf("the description (-want +got):\n%s", diff)
		}
	}
	apply(t, s, orgA, set("a", "2"))
	info := infoOf(t, s, "a")
	if info.Description != want || info.Version != 2 || len(info.Versions) != 2 || info.Versions[0].By != "anna" ||
		info.Versions[1].Number != 2 {
		t.Errorf("after a set: %+v", info)
	}
	if after := versionOf(t, s); after != before && after != before+1 {
		t.Errorf("descriptions have raised the version from %d to %d", before, after)
	}
}

// testInfos compares what is told of all secrets with what is told of each.
func testInfos(t *testing.T, s secret.Store) {
	if !s.About(orgA).History {
		return
	}
	if infos, err := s.Infos(t.Context(), unknown, secret.Page{}); err != nil || len(infos) != 0 {
		t.Errorf("of an organisation that is not there: %+v, %v", infos, err)
	}
	check := func(want func(string) bool, keys ...string) {
		t.Helper()
		infos, err := s.Infos(t.Context(), orgA, secret.Page{Want: want})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, info := range infos {
			got = append(got, info.Key)
			one := infoOf(t, s, info.Key)
			one.Versions = nil
			if info.Created.IsZero() {
				one.Created = info.Created
			}
			if diff := cmp.Diff(one, info); diff != "" {
				t.Errorf("one told (-alone +among all):\n%s", diff)
			}
		}
		if diff := cmp.Diff(keys, got); diff != "" {
			t.Fatalf("Infos (-want +got):\n%s", diff)
		}
	}
	check(nil)
	var all []string
	for i := range 20 { // so many that they are read together
		key := fmt.Sprintf("k%02d", i)
		c := set(key, "1")
		c.By = fmt.Sprint("user-", i%3)
		apply(t, s, orgA, c)
		all = append(all, key)
	}
	apply(t, s, orgA, set("k03", "2"))
	d := secret.Description{Text: "words", Expires: time.Date(2031, 2, 3, 0, 0, 0, 0, time.UTC)}
	if err := s.Describe(t.Context(), orgA, "k04", d); err != nil {
		t.Fatal(err)
	}
	apply(t, s, orgA, secret.Change{Delete: []string{"k05"}})
	all = slices.Delete(all, 5, 6)
	check(nil, all...)
	check(func(key string) bool { return key == "k04" || key == "k05" }, "k04")
	list := func(p secret.Page) ([]secret.Info, error) { return s.Infos(t.Context(), orgA, p) }
	checkPages(t, list, all, "k05")
	for i, key := range []string{"k07", "k11", "k19"} {
		d.Expires = time.Date(2031, 2, 2+i, 0, 0, 0, 0, time.UTC)
		if err := s.Describe(t.Context(), orgA, key, d); err != nil {
			t.Fatal(err)
		}
	}
	checkPages(t, func(p secret.Page) ([]secret.Info, error) {
		p.Before = time.Date(2031, 2, 4, 0, 0, 0, 0, time.UTC) // k19 is due then, and not before
		return list(p)
	}, []string{"k04", "k07", "k11"}, "k05")
}

// checkPages asks for pages of a list that has these names. Gone is one that it had.
func checkPages(t *testing.T, list func(secret.Page) ([]secret.Info, error), all []string, gone string) {
	t.Helper()
	check := func(p secret.Page, want ...string) {
		t.Helper()
		infos, err := list(p)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, info := range infos {
			got = append(got, info.Key)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("after %q, at most %d (-want +got):\n%s", p.After, p.Limit, diff)
		}
	}
	behind, _ := slices.BinarySearch(all, gone)
	check(secret.Page{After: gone}, all[behind:]...)
	check(secret.Page{After: gone, Limit: 1}, all[behind])
	check(secret.Page{Limit: len(all)}, all...)
	check(secret.Page{Limit: len(all) + 1}, all...)
	check(secret.Page{After: "\x7f~", Limit: 3})
	check(secret.Page{After: all[len(all)-1]})
	last := all[len(all)-1]
	check(secret.Page{Limit: 1, Want: func(key string) bool { return key == last }}, last)
	check(secret.Page{Limit: 1, Want: func(string) bool { return false }})
	var walked []string
	for p := (secret.Page{Limit: 2}); ; {
		infos, err := list(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			walked, p.After = append(walked, info.Key), info.Key
		}
		if len(infos) < p.Limit {
			break
		}
	}
	if diff := cmp.Diff(all, walked); diff != "" {
		t.Errorf("in pages (-want +got):\n%s", diff)
	}
}

func testDeletedAndRestored(t *testing.T, s secret.Store) {
	if !s.About(orgA).History {
		return
	}
	deleted := func(want ...string) {
		t.Helper()
		infos, err := s.Deleted(t.Context(), orgA, secret.Page{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, info := range infos {
			got = append(got, info.Key)
			if info.Deleted.IsZero() || info.DeletedBy != "bert" {
				t.Errorf("%s was deleted by %q at %v", info.Key, info.DeletedBy, info.Deleted)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("Deleted (-want +got):\n%s", diff)
		}
	}
	deleted()
	apply(t, s, orgA, set("a", "1", "b", "1"))
	apply(t, s, orgA, set("a", "2"))
	apply(t, s, orgA, secret.Change{Delete: []string{"a", "b", "missing"}, By: "bert"})
	deleted("a", "b")
	checkPages(t, func(p secret.Page) ([]secret.Info, error) { return s.Deleted(t.Context(), orgA, p) },
		[]string{"a", "b"}, "aa")
	wantVersion(t, s, "a", 1, "1")
	out, err := s.Restore(t.Context(), orgA, "a", 0, "carl")
	if err != nil || out.Version != versionOf(t, s) || out.Versions["a"] != infoOf(t, s, "a").Version {
		t.Errorf("Restore: %+v, %v", out, err)
	}
	wantValue(t, s, orgA, "a", "2")
	deleted("b")
	checkPages(t, func(p secret.Page) ([]secret.Info, error) { return s.Deleted(t.Context(), orgA, p) },
		[]string{"b"}, "a")
	if _, err := s.Restore(t.Context(), orgA, "a", 1, "carl"); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, orgA, "a", "1")
	if info := infoOf(t, s, "a"); info.By != "carl" {
		t.Errorf("who set it: %+v", info)
	}
	apply(t, s, orgA, set("b", "3"))
	deleted()
	if info := infoOf(t, s, "b"); info.Version != 2 {
		t.Errorf("set after a deletion, it is at version %d", info.Version)
	}
}

// testMarksOfAnother names versions of a secret that was removed for good and made anew: those that it has now stay.
func testMarksOfAnother(t *testing.T, s secret.Store) {
	if !s.About(orgA).History {
		return
	}
	apply(t, s, orgA, set("a", "1"))
	was := infoOf(t, s, "a").Created
	for now := was; now.Equal(was); now = infoOf(t, s, "a").Created { // its times are those of a clock
		if err := s.Remove(t.Context(), orgA, "a", false); err != nil {
			t.Fatal(err)
		}
		apply(t, s, orgA, set("a", "2"))
	}
	apply(t, s, orgA, set("a", "3"))
	for _, m := range []secret.Mark{secret.DeleteVersion, secret.DestroyVersion, secret.UndeleteVersion} {
		_, err := s.Mark(t.Context(), orgA, "a", secret.Marking{Mark: m, Versions: []int{1, 2}, Created: was})
		wantCode(t, "Mark of another's versions", err, errs.Conflict)
	}
	wantVersion(t, s, "a", 1, "2")
	wantValue(t, s, orgA, "a", "3")
	m := secret.Marking{Mark: secret.DestroyVersion, Versions: []int{1}, Created: infoOf(t, s, "a").Created}
	if _, err := s.Mark(t.Context(), orgA, "a", m); err != nil {
		t.Fatal(err)
	}
	wantVersion(t, s, "a", 1, "")
}

// testMarks deletes, undeletes and destroys single versions.
func testMarks(t *testing.T, s secret.Store) {
	if !s.About(orgA).History {
		return
	}
	for _, v := range []string{"1", "2", "3"} {
		apply(t, s, orgA, set("a", v))
	}
	before := versionOf(t, s)
	mark(t, s, "a", secret.DeleteVersion, 1, 2, 99)
	wantVersion(t, s, "a", 1, "")
	wantVersion(t, s, "a", 2, "")
	wantValue(t, s, orgA, "a", "3")
	if v := infoOf(t, s, "a").Versions[0]; v.Deleted.IsZero() || v.Restorable || v.Destroyed {
		t.Errorf("a deleted version: %+v", v)
	}
	mark(t, s, "a", secret.UndeleteVersion, 1)
	mark(t, s, "a", secret.DestroyVersion, 2)
	wantVersion(t, s, "a", 1, "1")
	wantVersion(t, s, "a", 2, "")
	if v := infoOf(t, s, "a").Versions[1]; v.Restorable || !v.Destroyed {
		t.Errorf("a destroyed version: %+v", v)
	}
	if after := versionOf(t, s); after != before {
		t.Errorf("what is done to earlier versions has raised the organisation's from %d to %d", before, after)
	}

	// The present version: the secret is deleted with it, and comes back.
	mark(t, s, "a", secret.DeleteVersion, 3)
	wantKeys(t, s, orgA)
	wantMissing(t, s, orgA, "a")
	wantVersion(t, s, "a", 3, "")
	if infos, err := s.Deleted(t.Context(), orgA, secret.Page{}); err != nil || len(infos) != 1 ||
		infos[0].DeletedBy != "somebody" {
		t.Errorf("Deleted: %+v, %v", infos, err)
	}
	out := mark(t, s, "a", secret.UndeleteVersion, 3)
	wantKeys(t, s, orgA, "a")
	wantValue(t, s, orgA, "a", "3")
	now := infoOf(t, s, "a").Version
	if out.Versions["a"] != now {
		t.Errorf("it is told to be back as version %v and is %d", out.Versions, now)
	}
	if s.About(orgA).Versions && versionOf(t, s) != before+2 {
		t.Errorf("deleted and brought back, the organisation is at version %d, and was at %d", versionOf(t, s), before)
	}
	mark(t, s, "a", secret.DestroyVersion, now)
	wantKeys(t, s, orgA)
	wantVersion(t, s, "a", now, "")
	_, err := s.Restore(t.Context(), orgA, "a", now, "")
	wantCode(t, "Restore of a destroyed version", err, errs.NotFound)
	wantVersion(t, s, "a", 1, "1")
	apply(t, s, orgA, set("a", "4"))
	wantValue(t, s, orgA, "a", "4")
	if info := infoOf(t, s, "a"); info.Version != now+1 || !info.Deleted.IsZero() {
		t.Errorf("set anew: %+v", info)
	}
}

func testRemove(t *testing.T, s secret.Store) {
	if !s.About(orgA).History {
		return
	}
	apply(t, s, orgA, set("a", "1", "ab", "1", "gone", "1"))
	apply(t, s, orgA, set("a", "2"))
	apply(t, s, orgA, secret.Change{Delete: []string{"gone"}})
	wantCode(t, "Remove of a secret that is not deleted", s.Remove(t.Context(), orgA, "a", true), errs.Conflict)
	wantValue(t, s, orgA, "a", "2")
	if err := s.Remove(t.Context(), orgA, "gone", true); err != nil {
		t.Fatalf("Remove of a deleted secret: %v", err)
	}
	_, err := s.Info(t.Context(), orgA, "gone")
	wantCode(t, "Info of a removed secret", err, errs.NotFound)
	for _, key := range []string{"a", "gone", "a"} {
		if err := s.Remove(t.Context(), orgA, key, false); err != nil {
			t.Fatalf("Remove(%s): %v", key, err)
		}
		_, err := s.Info(t.Context(), orgA, key)
		wantCode(t, "Info of a removed secret", err, errs.NotFound)
		wantVersion(t, s, key, 1, "")
	}
	wantKeys(t, s, orgA, "ab")
	if infos, err := s.Deleted(t.Context(), orgA, secret.Page{}); err != nil || len(infos) != 0 {
		t.Errorf("Deleted: %+v, %v", infos, err)
	}
	apply(t, s, orgA, secretsAt(map[string]int{"a": 0}, set("a", "new")))
	wantValue(t, s, orgA, "a", "new")
	if info := infoOf(t, s, "a"); info.Version != 1 {
		t.Errorf("set anew it is at version %d", info.Version)
	}
}
