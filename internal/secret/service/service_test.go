package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/clustertest"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/service"
)

type trail struct {
	entries []audit.Entry
	err     error
}

func (l *trail) Record(_ context.Context, e audit.Entry) error {
	if l.err == nil {
		l.entries = append(l.entries, e)
	}
	return l.err
}

// orgs knows one organisation.
type orgs id.ID

func (o orgs) OrgExists(_ context.Context, org id.ID) error {
	if org != id.ID(o) {
		return errs.New(errs.NotFound, "organization not found")
	}
	return nil
}

const org id.ID = 0x0a

type fixture struct {
	*service.Service
	trail *trail
	store secret.Store
}

func open(t *testing.T, limits secret.Limits) *fixture {
	t.Helper()
	return over(t, clustertest.New().Server(), seal.KeyFile(filepath.Join(t.TempDir(), "seal.key")), limits)
}

// over is a service over a server's engine, whose keys the seal opens.
func over(t *testing.T, db kv.Store, by seal.Source, limits secret.Limits) *fixture {
	t.Helper()
	ring, err := keyring.OpenOrInit(t.Context(), db, keyring.Config{Seal: by})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{trail: &trail{}, store: embedded.New(embedded.Config{KV: db, Keyring: ring, History: 10})}
	f.Service = service.New(f.store, access.NewGuard(f.trail), orgs(org), nil, limits)
	return f
}

// TestTwoServers cuts one of two servers off: it refuses, and puts on record that it did, the other goes on, and of a
// change whose answer is lost both know the truth.
func TestTwoServers(t *testing.T) {
	c, key := clustertest.New(), seal.KeyFile(filepath.Join(t.TempDir(), "seal.key"))
	server := c.Server()
	limits := secret.Limits{MaxKey: 100, MaxValue: 100}
	one, two := over(t, kv.Settled(clustertest.Once{Server: server}), key, limits), over(t, c.Server(), key, limits)
	ann := caller(may(access.Read, ""), may(access.Write, ""))
	set := func(name string) secret.Change {
		return secret.Change{Set: map[string]secret.Value{name: secret.NewValue([]byte("v"))}}
	}
	server.Cut()
	if _, err := one.Keys(t.Context(), ann, org); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a list while the server is cut off: %v", err)
	}
	if last := one.trail.entries[len(one.trail.entries)-1]; last.Outcome != audit.Failed ||
		last.Code != string(errs.Unavailable) {
		t.Errorf("the record says %s, %q", last.Outcome, last.Code)
	}
	if _, err := two.Apply(t.Context(), ann, org, set("a")); err != nil {
		t.Errorf("a change by the other: %v", err)
	}
	server.Heal()
	server.Lose(1, nil)
	if _, err := one.Apply(t.Context(), ann, org, set("b")); err != nil || !server.Lost() {
		t.Errorf("a change whose answer is lost: %v", err)
	}
	for name, f := range map[string]*fixture{"one": one, "two": two} {
		if keys, err := f.Keys(t.Context(), ann, org); err != nil || !slices.Equal(keys, []string{"a", "b"}) {
			t.Errorf("%s lists %q, %v", name, keys, err)
		}
	}
}

func caller(ps ...access.Permission) *access.Caller {
	return &access.Caller{Principal: &access.Principal{UserID: 1, User: "ann", AuthorizationID: 2, Permissions: ps},
		Address: "127.0.0.1", RequestID: "r"}
}

func may(a access.Action, name string) access.Permission {
	return access.To(a, access.Resource{Type: access.Secrets, OrgID: org, Name: name})
}

func values(kv ...string) map[string]secret.Value {
	m := make(map[string]secret.Value)
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = secret.NewValue([]byte(kv[i+1]))
	}
	return m
}

func TestApplyRefuses(t *testing.T) {
	f := open(t, secret.Limits{MaxKey: 8, MaxValue: 16})
	all := caller(may(access.Write, ""))
	for name, tc := range map[string]struct {
		caller *access.Caller
		org    id.ID
		change secret.Change
		code   errs.Code
	}{
		"nobody": {caller(), org, secret.Change{Set: values("k", "v")}, errs.Unauthorized},
		"reader": {caller(may(access.Read, "")), org, secret.Change{Set: values("k", "v")},
			errs.Unauthorized},
		"reader deletes": {caller(may(access.Read, "")), org, secret.Change{Delete: []string{"k"}},
			errs.Unauthorized},
		"other org": {all, 0x0b, secret.Change{Set: values("k", "v")}, errs.Unauthorized},
		"unknown org": {caller(access.Operator()...), 0x0b, secret.Change{Set: values("k", "v")},
			errs.NotFound},
		"one name too many": {caller(may(access.Write, "db/*")), org,
			secret.Change{Set: values("db/a", "v", "x", "v")}, errs.Unauthorized},
		"the prefix itself": {caller(may(access.Write, "db/*")), org, secret.Change{Set: values("db", "v")},
			errs.Unauthorized},
		"deletes another name": {caller(may(access.Write, "db/*")), org, secret.Change{Delete: []string{"x"}},
			errs.Unauthorized},
		"empty key":         {all, org, secret.Change{Set: values("", "v")}, errs.Invalid},
		"long key":          {all, org, secret.Change{Set: values("123456789", "v")}, errs.RequestTooLarge},
		"control character": {all, org, secret.Change{Set: values("a\nb", "v")}, errs.Invalid},
		"NUL":               {all, org, secret.Change{Set: values("a\x00", "v")}, errs.Invalid},
		"key not UTF-8":     {all, org, secret.Change{Set: values("a\xff", "v")}, errs.Invalid},
		"long value": {all, org, secret.Change{Set: values("k", strings.Repeat("v", 17))},
			errs.RequestTooLarge},
		"value not UTF-8":      {all, org, secret.Change{Set: values("k", "\xff")}, errs.Invalid},
		"set and deleted":      {all, org, secret.Change{Set: values("k", "v"), Delete: []string{"k"}}, errs.Invalid},
		"new, without reading": {all, org, secret.Change{Set: values("k", "v"), Only: secret.IfNew}, errs.Unauthorized},
		"new, reading others": {caller(may(access.Write, ""), may(access.Read, "db/*")), org,
			secret.Change{Set: values("db/a", "v", "k", "v"), Only: secret.IfNew}, errs.Unauthorized},
		"nothing to replace": {caller(may(access.Write, ""), may(access.Read, "")), org,
			secret.Change{Set: values("k", "v"), Only: secret.IfExisting}, errs.PreconditionFailed},
		"one bad among good": {all, org, secret.Change{Set: values("a", "v", "b", "v", "", "v")}, errs.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.Apply(t.Context(), tc.caller, tc.org, tc.change)
			if !errs.Is(err, tc.code) {
				t.Errorf("got %v, want code %q", err, tc.code)
			}
			if keys, err := f.store.Keys(t.Context(), org); err != nil || len(keys) != 0 {
				t.Errorf("a refused change left %q (%v)", keys, err)
			}
			if last := f.trail.entries[len(f.trail.entries)-1]; last.Outcome == audit.Allowed || last.Code == "" {
				t.Errorf("the refusal is not on record: %+v", last)
			}
		})
	}
}

// Deleting what cannot exist is silent, as deleting what does not exist is.
func TestDeletingWhatCannotExist(t *testing.T) {
	f := open(t, secret.Limits{})
	all := caller(may(access.Write, ""))
	_, err := f.Apply(t.Context(), all, org,
		secret.Change{Delete: []string{"", strings.Repeat("k", 100_000), "new\nline", "\xff", "nul\x00"}})
	if err != nil {
		t.Errorf("got %v", err)
	}
}

func TestKeysShowWhatMayBeRead(t *testing.T) {
	f := open(t, secret.Limits{})
	if _, err := f.store.Apply(t.Context(), org,
		secret.Change{Set: values("a", "1", "db/a", "2", "db/b", "3", "dbx", "4")}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		ps   []access.Permission
		want []string
		code errs.Code
	}{
		{nil, nil, errs.Unauthorized},
		{[]access.Permission{may(access.Write, "")}, nil, errs.Unauthorized},
		{[]access.Permission{may(access.Read, "")}, []string{"a", "db/a", "db/b", "dbx"}, ""},
		{[]access.Permission{may(access.Read, "db/*")}, []string{"db/a", "db/b"}, ""},
		{[]access.Permission{may(access.Read, "a"), may(access.Read, "dbx")}, []string{"a", "dbx"}, ""},
		{[]access.Permission{may(access.Read, "nothing")}, []string{}, ""},
		{[]access.Permission{may(access.Write, "*"), may(access.Read, "db*")}, []string{"db/a", "db/b", "dbx"}, ""},
	} {
		keys, err := f.Keys(t.Context(), caller(tc.ps...), org)
		if tc.code != "" {
			if !errs.Is(err, tc.code) {
				t.Errorf("%v: got %v, want code %q", tc.ps, err, tc.code)
			}
			continue
		}
		if err != nil || !slices.Equal(keys, tc.want) || keys == nil {
			t.Errorf("%v: got %q, %v; want %q", tc.ps, keys, err, tc.want)
		}
	}
}

func TestNothingHappensUnrecorded(t *testing.T) {
	f := open(t, secret.Limits{})
	all := caller(may(access.Write, ""), may(access.Read, ""))
	f.trail.err = errs.New(errs.Unavailable, "the audit log cannot be written")
	if _, err := f.Apply(t.Context(), all, org, secret.Change{Set: values("k", "v")}); !errors.Is(err, f.trail.err) {
		t.Errorf("got %v", err)
	}
	if _, err := f.Keys(t.Context(), all, org); !errors.Is(err, f.trail.err) {
		t.Errorf("got %v", err)
	}
	if keys, err := f.store.Keys(t.Context(), org); err != nil || len(keys) != 0 {
		t.Errorf("what could not be recorded was done: %q (%v)", keys, err)
	}
}

func TestRecordHasNoValue(t *testing.T) {
	f := open(t, secret.Limits{})
	if _, err := f.Apply(t.Context(), caller(may(access.Write, "")), org,
		secret.Change{Set: values("the key", "the value")}); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(f.trail.entries)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "the key") || strings.Contains(string(b), "the value") {
		t.Errorf("the record is %s", b)
	}
}

func TestValueIsRedacted(t *testing.T) {
	const text = "hunter2"
	v := secret.NewValue([]byte(text))
	holder := struct{ V secret.Value }{v}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v, "holder", holder, "map", values("k", text))
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v, "holder", holder)
	b, err := json.Marshal(map[string]any{"v": v, "holder": holder})
	if err != nil {
		t.Fatal(err)
	}
	printed := log.String() + string(b) + fmt.Sprintf("%v %+v %#v %s %q %x %d %v %+v %#v", v, v, v, v, v, v, v, holder,
		holder, holder) + fmt.Sprint(v, &v, []secret.Value{v})
	for _, leak := range []string{text, "68756e74657232", "104 117", "aHVudGVyMg"} {
		if strings.Contains(printed, leak) {
			t.Errorf("a printed value reads %q: %s", leak, printed)
		}
	}
	if string(v.Bytes()) != text {
		t.Error("the value itself is gone")
	}
}
