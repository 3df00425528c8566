package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/secret"
	"strongroom/internal/secret/lastuse"
	"strongroom/internal/secret/service"
)

// away is a store that cannot be reached.
type away struct{ secret.Store }

var errAway = errs.New(errs.Unavailable, "the store is away")

func (away) Keys(context.Context, id.ID) ([]string, error) { return nil, errAway }
func (away) Read(context.Context, id.ID, secret.Query) (secret.Snapshot, error) {
	return secret.Snapshot{}, errAway
}

func newUses(t *testing.T) *lastuse.Book {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "uses.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return lastuse.New(db, []byte("a key of thirty-two bytes or so"))
}

func TestUseRefuses(t *testing.T) {
	f := open(t, secret.Limits{})
	if _, err := f.store.Apply(t.Context(), org,
		secret.Change{Set: values("a", "the value", "b", "the value")}); err != nil {
		t.Fatal(err)
	}
	session := caller(may(access.Use, ""))
	session.AuthorizationID = 0
	for name, tc := range map[string]struct {
		caller  *access.Caller
		org     id.ID
		keys    []string
		code    errs.Code
		outcome audit.Outcome
	}{
		"nobody": {caller(), org, []string{"a"}, errs.Unauthorized, audit.Denied},
		"reader": {caller(may(access.Read, ""), may(access.Write, "")), org, []string{"a"}, errs.Unauthorized,
			audit.Denied},
		"reader, all": {caller(may(access.Read, ""), may(access.Write, "")), org, nil, errs.Unauthorized,
			audit.Denied},
		"operator":  {caller(access.Operator()...), org, nil, errs.Unauthorized, audit.Denied},
		"session":   {session, org, []string{"a"}, errs.Unauthorized, audit.Denied},
		"other org": {caller(may(access.Use, "")), 0x0b, nil, errs.Unauthorized, audit.Denied},
		"unknown org": {caller(access.To(access.Use, access.Resource{Type: access.Secrets, OrgID: 0x0b})), 0x0b,
			nil, errs.NotFound, audit.Failed},
		"missing":          {caller(may(access.Use, "")), org, []string{"c"}, errs.NotFound, audit.Failed},
		"one missing":      {caller(may(access.Use, "")), org, []string{"a", "c"}, errs.NotFound, audit.Failed},
		"not permitted":    {caller(may(access.Use, "b")), org, []string{"a"}, errs.NotFound, audit.Denied},
		"one not":          {caller(may(access.Use, "b")), org, []string{"b", "a"}, errs.NotFound, audit.Denied},
		"neither is there": {caller(may(access.Use, "b")), org, []string{"x"}, errs.NotFound, audit.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := f.UseAll(t.Context(), tc.caller, tc.org, tc.keys)
			if !errs.Is(err, tc.code) || len(got) != 0 {
				t.Errorf("got %d values and %v, want code %q", len(got), err, tc.code)
			}
			if last := f.trail.entries[len(f.trail.entries)-1]; last.Action != "secrets.use" ||
				last.Outcome != tc.outcome {
				t.Errorf("on record is %+v", last)
			}
		})
	}
	broken := service.New(away{f.store}, access.NewGuard(f.trail), orgs(org), nil, secret.Limits{})
	for _, keys := range [][]string{nil, {"a"}, {"a", "b"}} {
		if got, err := broken.UseAll(t.Context(), caller(may(access.Use, "")), org, keys); !errors.Is(err, errAway) ||
			len(got) != 0 {
			t.Errorf("with the store away: %d values, %v", len(got), err)
		}
	}
}

func TestUse(t *testing.T) {
	f := open(t, secret.Limits{})
	uses := newUses(t)
	s := service.New(f.store, access.NewGuard(f.trail), orgs(org), uses, secret.Limits{})
	if _, err := f.store.Apply(t.Context(), org,
		secret.Change{Set: values("a", "1", "db/a", "2", "db/b", "3")}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		may  []access.Permission
		keys []string
		want map[string]string
	}{
		{[]access.Permission{may(access.Use, "")}, nil, map[string]string{"a": "1", "db/a": "2", "db/b": "3"}},
		{[]access.Permission{may(access.Use, "*")}, []string{"db/b"}, map[string]string{"db/b": "3"}},
		{[]access.Permission{may(access.Use, "")}, []string{"db/b", "a", "a"},
			map[string]string{"a": "1", "db/b": "3"}},
		{[]access.Permission{may(access.Use, "db/*")}, nil, map[string]string{"db/a": "2", "db/b": "3"}},
		{[]access.Permission{may(access.Use, "a"), may(access.Use, "db/b")}, nil,
			map[string]string{"a": "1", "db/b": "3"}},
		{[]access.Permission{may(access.Use, "nothing")}, nil, map[string]string{}},
	} {
		values, err := s.UseAll(t.Context(), caller(tc.may...), org, tc.keys)
		got := make(map[string]string)
		for k, v := range values {
			got[k] = string(v.Bytes())
		}
		if err != nil || !maps.Equal(got, tc.want) {
			t.Errorf("%v of %q: %v, %v, want %v", tc.may, tc.keys, got, err, tc.want)
		}
	}
	record, err := json.Marshal(f.trail.entries)
	if err != nil || !strings.Contains(string(record), `"keys":["db/a","db/b"]`) {
		t.Errorf("the record is %s (%v)", record, err)
	}
	reader := caller(may(access.Read, ""))
	info, err := s.Info(t.Context(), reader, org, "db/a")
	if err != nil || info.Used.IsZero() {
		t.Errorf("used, and not known of: %+v, %v", info, err)
	}
	if _, err := f.store.Apply(t.Context(), org, secret.Change{Set: values("new", "4"),
		Delete: []string{"db/a"}}); err != nil {
		t.Fatal(err)
	}
	if info, err := s.Info(t.Context(), reader, org, "new"); err != nil || !info.Used.IsZero() {
		t.Errorf("never used, and yet %v (%v)", info.Used, err)
	}
	if deleted, err := s.Deleted(t.Context(), reader, org, secret.Page{}); err != nil || len(deleted) != 1 ||
		deleted[0].Used.IsZero() {
		t.Errorf("the deleted one: %+v, %v", deleted, err)
	}
	if names, err := s.Names(t.Context(), org); err != nil || len(names) != 4 {
		t.Errorf("the names are %q, %v", names, err)
	}
	if err := (service.Remembered{Store: f.store, Uses: uses}).Purge(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	if at, err := uses.Last(t.Context(), org, "db/b"); err != nil || !at.IsZero() {
		t.Errorf("purged, and last used %v (%v)", at, err)
	}
}

// What cannot be recorded is neither given out nor counted as used.
func TestUseUnrecorded(t *testing.T) {
	f := open(t, secret.Limits{})
	uses := newUses(t)
	s := service.New(f.store, access.NewGuard(f.trail), orgs(org), uses, secret.Limits{})
	if _, err := f.store.Apply(t.Context(), org, secret.Change{Set: values("a", "1")}); err != nil {
		t.Fatal(err)
	}
	f.trail.err = errs.New(errs.Unavailable, "the audit log cannot be written")
	if v, err := s.Use(t.Context(), caller(may(access.Use, "")), org, "a"); !errors.Is(err, f.trail.err) ||
		v.Len() != 0 {
		t.Errorf("got a value of %d bytes and %v", v.Len(), err)
	}
	if at, err := uses.Last(t.Context(), org, "a"); err != nil || !at.IsZero() {
		t.Errorf("used at %v (%v)", at, err)
	}
}

// forgetful is a store that keeps no history of this organisation's secrets, though of others'.
type forgetful struct{ secret.Store }

func (forgetful) Deleted(context.Context, id.ID, secret.Page) ([]secret.Info, error) {
	return nil, errs.New(errs.NotImplemented, "no history here")
}

// What is not told is no reason to keep the last uses of secrets that are gone for ever.
// Infos shows what may be read, and without a history what is known all the same: names, and when they were used.
func TestInfos(t *testing.T) {
	f := open(t, secret.Limits{})
	uses := newUses(t)
	change := secret.Change{Set: values("a", "1", "db/a", "2", "db/b", "3")}
	if _, err := f.store.Apply(t.Context(), org, change); err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(time.Hour).Truncate(time.Second)
	for key, at := range map[string]time.Time{"a": soon, "db/a": soon.Add(time.Hour)} {
		if err := f.store.Describe(t.Context(), org, key, secret.Description{Expires: at}); err != nil {
			t.Fatal(err)
		}
	}
	uses.Mark(org, "db/b")
	for _, history := range []bool{true, false} {
		store := f.store
		if !history {
			store = without{f.store}
		}
		s := service.New(store, access.NewGuard(f.trail), orgs(org), uses, secret.Limits{})
		all := caller(may(access.Read, ""))
		for what, call := range map[string]struct {
			caller *access.Caller
			org    id.ID
			code   errs.Code
		}{
			"may use alone": {caller(may(access.Use, "")), org, errs.Unauthorized},
			"another":       {all, 0x0b, errs.Unauthorized},
			"none":          {caller(access.Operator()...), 0x0b, errs.NotFound},
		} {
			if _, err := s.Infos(t.Context(), call.caller, call.org, secret.Page{}); !errs.Is(err, call.code) {
				t.Errorf("%s: %v, want %q", what, err, call.code)
			}
		}
		for _, tc := range []struct {
			caller *access.Caller
			before time.Time
			want   []string
		}{
			{all, time.Time{}, []string{"a", "db/a", "db/b"}},
			{caller(may(access.Read, "db/*")), time.Time{}, []string{"db/a", "db/b"}},
			{all, soon.Add(time.Minute), []string{"a"}},
			{all, soon, nil},
			{all, soon.Add(24 * time.Hour), []string{"a", "db/a"}},
		} {
			infos, err := s.Infos(t.Context(), tc.caller, org, secret.Page{Before: tc.before})
			if !history && !tc.before.IsZero() {
				if !errs.Is(err, errs.NotImplemented) {
					t.Errorf("dates without a history: %v", err)
				}
				continue
			}
			var got []string
			for _, i := range infos {
				got = append(got, i.Key)
				if i.Used.IsZero() == (i.Key == "db/b") || (i.Version == 1) != history {
					t.Errorf("history %v: %+v", history, i)
				}
			}
			if err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("before %v: %q, %v; want %q", tc.before, got, err, tc.want)
			}
		}
	}
}

// without is a store that keeps no history.
type without struct{ secret.Store }

func (without) Infos(context.Context, id.ID, secret.Page) ([]secret.Info, error) {
	return nil, errs.New(errs.NotImplemented, "no history")
}

func TestNamesWithoutHistory(t *testing.T) {
	f := open(t, secret.Limits{})
	if _, err := f.store.Apply(t.Context(), org, secret.Change{Set: values("a", "1")}); err != nil {
		t.Fatal(err)
	}
	s := service.New(forgetful{f.store}, access.NewGuard(f.trail), orgs(org), nil, secret.Limits{})
	if names, err := s.Names(t.Context(), org); err != nil || len(names) != 1 {
		t.Errorf("the names are %q, %v", names, err)
	}
}
