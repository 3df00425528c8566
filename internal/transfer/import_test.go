package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/influxdb"
	"strongroom/internal/kv"
	"strongroom/internal/transfer"
	"strongroom/internal/transfer/report"
)

// things are what a file has, in memory.
type things struct {
	influxdb.Identities
	Authorizations []identity.Authorization
}

// contents gives them as a file does.
func (in things) contents() *influxdb.Contents {
	return &influxdb.Contents{Identities: in.Identities, EachAuthorizations: func(_ context.Context,
		f func(influxdb.Some) error) error {
		return f(influxdb.Some{Authorizations: in.Authorizations})
	}}
}

// imported is a small server's things: two users, an organisation, a bucket and a token.
func imported(t *testing.T) things {
	t.Helper()
	hashed, err := bcrypt.GenerateFromPassword([]byte("long enough"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2020, 3, 4, 5, 6, 7, 8, time.UTC)
	h := identity.HashOf("a-token-of-theirs")
	return things{Identities: influxdb.Identities{
		Users: []influxdb.User{
			{User: identity.User{ID: 0x10, Name: "theirs", Status: identity.Active, Operator: true},
				PasswordHash: hashed},
			{User: identity.User{ID: 0x11, Name: "second", Status: identity.Inactive}},
		},
		Orgs: []identity.Org{{ID: 0x20, Name: "their org", Description: "d", CreatedAt: at, UpdatedAt: at}},
		Members: []influxdb.Member{{OrgID: 0x20, UserID: 0x10, Role: identity.RoleOwner},
			{OrgID: 0x20, UserID: 0x11, Role: identity.RoleMember}},
		Buckets: []identity.Bucket{{ID: 0x30, OrgID: 0x20, Type: "system", Name: "_tasks", CreatedAt: at,
			UpdatedAt: at}}},
		Authorizations: []identity.Authorization{{ID: 0x40, Hash: h[:], Status: identity.Active, Description: "t",
			OrgID: 0x20, UserID: 0x10, Permissions: []access.Permission{access.To(access.Read,
				access.Resource{Type: access.Secrets, OrgID: 0x20})}, CreatedAt: at, UpdatedAt: at}},
	}
}

// bring imports what InfluxDB kept.
func bring(t *testing.T, f *identitytest.Fixture, c *access.Caller, in things) ([]report.Item, error) {
	report, err := transfer.Import{KV: f.KV, Guard: f.Guard, Caller: c, From: "file"}.Run(t.Context(),
		in.contents())
	return report.Items, err
}

// results gives the items' results, and whys where there are any, in order.
func results(items []report.Item) string {
	var all []string
	for _, i := range items {
		s := i.Kind + " " + string(i.Result)
		if i.Why != "" {
			s += " (" + i.Why + ")"
		}
		all = append(all, s)
	}
	return strings.Join(all, "\n")
}

func TestImportRefuses(t *testing.T) {
	f := identitytest.Onboarded(t)
	u := f.AddUser(t, "weak")
	_, err := bring(t, f, &access.Caller{Principal: &access.Principal{UserID: u.ID, Permissions: access.Self(u.ID)}},
		imported(t))
	identitytest.WantCode(t, err, errs.Unauthorized)
	if e := f.Trail.Last(); e.Action != "import" || e.Outcome != audit.Denied || e.Target != "file" {
		t.Errorf("on record: %+v", e)
	}
	f.Trail.Err = errors.New("the disk of the log is full")
	if _, err := bring(t, f, access.System(), imported(t)); !errors.Is(err, f.Trail.Err) {
		t.Errorf("an import that cannot be recorded: %v", err)
	}
	if _, err := f.KV.Get(t.Context(), record.Key("user", id.ID(0x10))); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("a refused import brought something: %v", err)
	}
}

func TestImportConflicts(t *testing.T) {
	name := func(n string) identity.User { return identity.User{ID: 0x10, Name: n, Status: identity.Active} }
	for _, tt := range []struct {
		what   string
		change func(f *identitytest.Fixture, in *things)
		want   string // a line of the results
		brings bool   // whatever depends on it comes too
	}{
		{"a user's name", func(f *identitytest.Fixture, in *things) {
			f.AddUser(t, "theirs")
		}, "user conflict (the name belongs to user ", false},
		{"an empty name", func(_ *identitytest.Fixture, in *things) {
			in.Users[0].User = name("")
		}, "user skipped (user name is empty)", false},
		{"a bad name", func(_ *identitytest.Fixture, in *things) {
			in.Users[0].User = name("a\x00")
		}, "user skipped (user name must be valid UTF-8", false},
		{"a status", func(_ *identitytest.Fixture, in *things) {
			in.Users[0].Status = "gone"
		}, "user skipped (status must be", false},
		{"no bcrypt", func(_ *identitytest.Fixture, in *things) {
			in.Users[0].PasswordHash = []byte("plain")
		}, "user brought (without a password: ", true},
		{"a costly bcrypt", func(_ *identitytest.Fixture, in *things) {
			in.Users[0].PasswordHash = []byte("$2a$31$" + strings.Repeat("a", 53))
		}, "user brought (without a password: ", true},
		{"an organisation's name", func(f *identitytest.Fixture, in *things) {
			f.NewOrg(t.Context(), f.Root, "their org", "")
		},
			"organization conflict (the name belongs to organization ", false},
		{"an organisation being deleted", func(f *identitytest.Fixture, in *things) {
			f.KV.Txn(t.Context(), nil, []kv.Op{record.Put(record.Key("deleting/org", id.ID(0x20)), f.Clock.Now())})
		}, "organization skipped (it is just being deleted", false},
		{"a missing user", func(_ *identitytest.Fixture, in *things) {
			in.Users = in.Users[1:]
		}, "member skipped (its user 0000000000000010 is not here)", false},
		{"a missing organisation", func(_ *identitytest.Fixture, in *things) {
			in.Orgs = nil
		}, "bucket skipped (its organization 0000000000000020 is not here)", false},
		{"no permission", func(_ *identitytest.Fixture, in *things) {
			in.Authorizations[0].Permissions = nil
		}, "authorization skipped (it permits nothing)", false},
		{"no token", func(_ *identitytest.Fixture, in *things) {
			in.Authorizations[0].Hash = nil
		}, "authorization skipped (it has no token)", false},
		{"a token of another's", func(f *identitytest.Fixture, in *things) {
			h := identity.HashOf("a-token-of-theirs")
			f.KV.Txn(t.Context(), nil, []kv.Op{record.Put(record.Key("authhash", h), id.ID(0x99))})
		}, "authorization conflict (its token belongs to authorization 0000000000000099 here)", false},
		{"a name twice", func(_ *identitytest.Fixture, in *things) {
			twin := in.Orgs[0]
			twin.ID = 0x21
			in.Orgs = append(in.Orgs, twin)
		}, "organization conflict (the name belongs to organization 00000000000000", true},
	} {
		t.Run(tt.what, func(t *testing.T) {
			f := identitytest.Onboarded(t)
			in := imported(t)
			tt.change(f, &in)
			items, err := bring(t, f, access.System(), in)
			if err != nil {
				t.Fatal(err)
			}
			got := results(items)
			if !slices.ContainsFunc(strings.Split(got, "\n"), func(l string) bool {
				return strings.HasPrefix(l, tt.want)
			}) {
				t.Errorf("no line begins with %q:\n%s", tt.want, got)
			}
			if !tt.brings {
				if _, err := f.ByToken(t.Context(), "a-token-of-theirs"); err == nil {
					t.Errorf("the token works:\n%s", got)
				}
			}
			again, err := bring(t, f, access.System(), in)
			if err != nil || strings.Contains(results(again), "brought") {
				t.Errorf("a second time something is brought: %v\n%s", err, results(again))
			}
		})
	}
}

// TestImportNames: an organisation that its first secret has made gets its real name, once, and whatever hangs on it.
func TestImportNames(t *testing.T) {
	f := identitytest.Onboarded(t)
	in := imported(t)
	if _, err := f.AdoptOrg(t.Context(), f.Root, 0x20); err != nil {
		t.Fatal(err)
	}
	f.NewOrg(t.Context(), f.Root, "their org", "")
	items, err := bring(t, f, access.System(), in)
	if got := results(items); err != nil || !strings.Contains(got, "organization conflict (the name belongs to") {
		t.Fatalf("a name that another has: %v\n%s", err, got)
	}
	in.Orgs[0].Name = "their own"
	items, err = bring(t, f, access.System(), in)
	if got := results(items); err != nil || !strings.Contains(got, "organization brought (its name: ") ||
		strings.Contains(got, "conflict") {
		t.Fatalf("named: %v\n%s", err, got)
	}
	o, err := f.OrgByID(t.Context(), f.Root, 0x20)
	if err != nil || o.Name != "their own" || o.Description != "d" {
		t.Errorf("it is %+v, %v", o, err)
	}
	if of, err := f.OrgNamed(t.Context(), "their own"); err != nil || of != 0x20 {
		t.Errorf("by its name it is %s, %v", of, err)
	}
	if _, err := f.OrgNamed(t.Context(), identity.Adopted(0x20).Name); !errs.Is(err, errs.NotFound) {
		t.Errorf("the name of before still leads to it: %v", err)
	}
	items, err = bring(t, f, access.System(), in)
	if got := results(items); err != nil || strings.Contains(got, "brought") {
		t.Errorf("again: %v\n%s", err, got)
	}
	if err := identity.Check(t.Context(), f.KV, func(key, what string) {
		t.Errorf("the record %s: %s", key, what)
	}); err != nil {
		t.Error(err)
	}
}

// TestImportNeverChanges changes here what an earlier import brought: the next one leaves it.
func TestImportNeverChanges(t *testing.T) {
	f := identitytest.Onboarded(t)
	in := imported(t)
	if _, err := bring(t, f, access.System(), in); err != nil {
		t.Fatal(err)
	}
	renamed, word := "renamed", "another password"
	if _, err := f.UpdateUser(t.Context(), access.System(), 0x10, &renamed, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.SetPassword(t.Context(), access.System(), 0x10, word); err != nil {
		t.Fatal(err)
	}
	in.Members[1].Role = identity.RoleOwner
	other := identity.HashOf("another token")
	in.Authorizations[0].Hash = other[:]
	before := dump(t, f)
	items, err := bring(t, f, access.System(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := `user present (the user is called "renamed" here by now)
user present
organization present
member present
member conflict (the user is member of the organization here)
bucket present
authorization conflict (an authorization with this ID has another token here)`
	if got := results(items); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if after := dump(t, f); after != before {
		t.Errorf("the second import changed\n%s\nto\n%s", before, after)
	}
}

func dump(t *testing.T, f *identitytest.Fixture) string {
	t.Helper()
	rs, err := f.KV.List(t.Context(), "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range rs {
		fmt.Fprintf(&b, "%s@%d ", r.Key, r.Rev)
	}
	return b.String()
}

func TestImport(t *testing.T) {
	f := identitytest.Open(t, nil)
	items, err := bring(t, f, access.System(), imported(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range items {
		if i.Result != report.Brought || i.Why != "" {
			t.Errorf("%+v", i)
		}
	}
	p, err := f.ByToken(t.Context(), "a-token-of-theirs")
	if err != nil || p.UserID != 0x10 || p.AuthorizationID != 0x40 {
		t.Errorf("by its token: %+v, %v", p, err)
	}
	if _, err := f.SignIn(t.Context(), identitytest.Nobody(), "theirs", "long enough"); err != nil {
		t.Errorf("by the password: %v", err)
	}
	if allowed, err := f.SetupAllowed(t.Context()); err != nil || allowed {
		t.Errorf("setup is allowed (%v): %v", allowed, err)
	}
}

// full is an engine that has room for so many transactions.
type full struct {
	kv.Store
	left atomic.Int64
}

func (f *full) Txn(ctx context.Context, conds []kv.Cond, ops []kv.Op) (int64, error) {
	if f.left.Add(-1) < 0 {
		return 0, kv.ErrFull
	}
	return f.Store.Txn(ctx, conds, ops)
}

// TestImportReportsBeforeAnError ends an import in its course: what was brought by then is told.
func TestImportReportsBeforeAnError(t *testing.T) {
	f := identitytest.Onboarded(t)
	engine := &full{Store: f.KV}
	engine.left.Store(3) // the users and the organisation
	report, err := transfer.Import{KV: engine, Guard: f.Guard, Caller: access.System(), From: "file"}.
		Run(t.Context(), imported(t).contents())
	if !errors.Is(err, kv.ErrFull) {
		t.Fatalf("without room: %v", err)
	}
	// A member whose organisation is not in the file may have been told by then, too.
	if got := results(report.Items); !strings.HasPrefix(got, "user brought\nuser brought\norganization brought") ||
		strings.Contains(got, "member brought") {
		t.Errorf("the report:\n%s", got)
	}
}

// lost is an engine that has gone after so many transactions: nothing is written or read any more.
type lost struct{ full }

func (l *lost) Get(ctx context.Context, key string) (kv.Record, error) {
	if l.left.Load() <= 0 {
		return kv.Record{}, kv.ErrFault
	}
	return l.Store.Get(ctx, key)
}

// TestImportTellsNothingItDoesNotKnow ends an import of many tokens by a disk that is lost: those that were not looked
// at are told neither as a conflict nor as there already.
func TestImportTellsNothingItDoesNotKnow(t *testing.T) {
	f := identitytest.Onboarded(t)
	in := imported(t)
	one := in.Authorizations[0]
	for i := range 500 {
		a := one
		a.ID += id.ID(1000 + i)
		hash := identity.HashOf(fmt.Sprint("token ", i))
		a.Hash = hash[:]
		in.Authorizations = append(in.Authorizations, a)
	}
	engine := &lost{full{Store: f.KV}}
	engine.left.Store(100)
	report, err := transfer.Import{KV: engine, Guard: f.Guard, Caller: access.System(), From: "file"}.
		Run(t.Context(), in.contents())
	if err == nil {
		t.Fatal("nothing has failed")
	}
	for _, total := range report.Totals {
		if total.Kind == "authorization" && (total.Present+total.Conflict+total.Skipped > 0 || total.Brought > 100) {
			t.Errorf("%+v", total)
		}
	}
}
