package identity

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
)

// trail is an audit log in memory that can be made to fail.
type trail struct {
	mu      sync.Mutex
	entries []audit.Entry
	err     error
	during  func() // called before an entry is taken
}

func (l *trail) Record(_ context.Context, e audit.Entry) error {
	if l.during != nil {
		l.during()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.entries = append(l.entries, e)
	return nil
}

func (l *trail) last() audit.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == 0 {
		return audit.Entry{}
	}
	return l.entries[len(l.entries)-1]
}

// purger counts what is purged and can be made to fail.
type purger struct {
	purged          []id.ID
	purging, health error
}

func (p *purger) Purge(_ context.Context, org id.ID) error {
	if p.purging == nil {
		p.purged = append(p.purged, org)
	}
	return p.purging
}
func (p *purger) Check(context.Context) error { return p.health }

// clock is a clock that the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

type fixture struct {
	*Service
	kv      kv.Store
	trail   *trail
	secrets *purger
	clock   *clock
	first   Onboarded
	root    *access.Caller // the operator's token
}

const (
	adminPassword = "correct horse battery"
	userPassword  = "a fine password"
)

// open makes a service on the engine, or on a new bbolt file where there is none.
func open(t testing.TB, store kv.Store) *fixture {
	t.Helper()
	if store == nil {
		db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		store = db
	}
	f := &fixture{kv: store, trail: &trail{}, secrets: &purger{}, clock: &clock{t: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}}
	s, err := New(Config{KV: store, Audit: f.trail, Secrets: f.secrets, BcryptCost: bcrypt.MinCost, Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	f.Service = s
	return f
}

// onboarded is a service that has been set up.
func onboarded(t testing.TB) *fixture {
	t.Helper()
	f := open(t, nil)
	var err error
	f.first, err = f.Onboard(t.Context(), nobody(), Setup{User: "admin", Password: adminPassword, Org: "acme", Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	f.root = f.byToken(t, f.first.Token)
	return f
}

func nobody() *access.Caller {
	return &access.Caller{Principal: &access.Principal{}, Address: "127.0.0.1"}
}

func (f *fixture) byToken(t testing.TB, token string) *access.Caller {
	t.Helper()
	p, err := f.ByToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return &access.Caller{Principal: p, Address: "127.0.0.1", RequestID: "r"}
}

func (f *fixture) user(t testing.TB, name string) User {
	t.Helper()
	u, err := f.NewUser(t.Context(), f.root, name, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SetPassword(t.Context(), f.root, u.ID, userPassword); err != nil {
		t.Fatal(err)
	}
	return u
}

func (f *fixture) signIn(t testing.TB, name, password string) string {
	t.Helper()
	token, err := f.SignIn(t.Context(), nobody(), name, password)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// token makes an authorization for a user with the permission to read the first organisation's secrets.
func (f *fixture) token(t testing.TB, user id.ID, expires *time.Time) (Authorization, string) {
	t.Helper()
	a, token, err := f.Authorize(t.Context(), f.root, NewAuthorization{OrgID: f.first.Org.ID, UserID: user, ExpiresAt: expires,
		Permissions: []access.Permission{access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.first.Org.ID})}})
	if err != nil {
		t.Fatal(err)
	}
	return a, token
}

func wantCode(t *testing.T, err error, code errs.Code) {
	t.Helper()
	if !errs.Is(err, code) {
		t.Errorf("got error %v, want one with code %q", err, code)
	}
}

func TestOnboardRefuses(t *testing.T) {
	f := open(t, nil)
	ctx := t.Context()
	good := Setup{User: "u", Password: "password", Org: "o", Bucket: "b"}
	for name, tc := range map[string]struct {
		change func(*Setup)
		code   errs.Code
	}{
		"no user":            {func(s *Setup) { s.User = "" }, errs.EmptyValue},
		"no org":             {func(s *Setup) { s.Org = "" }, errs.EmptyValue},
		"no bucket":          {func(s *Setup) { s.Bucket = "" }, errs.EmptyValue},
		"short password":     {func(s *Setup) { s.Password = "short" }, errs.Invalid},
		"long password":      {func(s *Setup) { s.Password = strings.Repeat("x", 73) }, errs.Invalid},
		"blank org":          {func(s *Setup) { s.Org = "  " }, errs.EmptyValue},
		"control character":  {func(s *Setup) { s.User = "a\nb" }, errs.Invalid},
		"long name":          {func(s *Setup) { s.Org = strings.Repeat("x", maxName+1) }, errs.Invalid},
		"system bucket":      {func(s *Setup) { s.Bucket = "_tasks" }, errs.Invalid},
		"short retention":    {func(s *Setup) { s.Retention = time.Minute }, errs.Unprocessable},
		"token with a space": {func(s *Setup) { s.Token = "not a token" }, errs.Invalid},
		"short token":        {func(s *Setup) { s.Token = "short" }, errs.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			w := good
			tc.change(&w)
			_, err := f.Onboard(ctx, nobody(), w)
			wantCode(t, err, tc.code)
			if allowed, err := f.SetupAllowed(ctx); err != nil || !allowed {
				t.Errorf("after a refusal the setup is not allowed any more (%v)", err)
			}
		})
	}
	if rs, err := f.kv.List(ctx, "", "", 10); err != nil || len(rs) != 0 {
		t.Errorf("refused setups left records behind: %v (%v)", rs, err)
	}
}

func TestOnboardOnlyOnce(t *testing.T) {
	f := open(t, nil)
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() {
			name := string(rune('a' + i))
			_, results[i] = f.Onboard(t.Context(), nobody(), Setup{User: "user " + name, Password: "password", Org: "org " + name, Bucket: "b"})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else {
			wantCode(t, err, errs.Conflict)
		}
	}
	if won != 1 {
		t.Errorf("%d setups succeeded at the same time, want 1", won)
	}
}

func TestRevokedAtTheNextRequest(t *testing.T) {
	ctx := t.Context()
	for name, tc := range map[string]struct {
		revoke func(*fixture, User, Authorization) error
		code   errs.Code
	}{
		"deleted":       {func(f *fixture, _ User, a Authorization) error { return f.DeleteAuthorization(ctx, f.root, a.ID) }, errs.Unauthorized},
		"user deleted":  {func(f *fixture, u User, _ Authorization) error { return f.DeleteUser(ctx, f.root, u.ID) }, errs.Unauthorized},
		"org deleted":   {func(f *fixture, _ User, a Authorization) error { return f.DeleteOrg(ctx, f.root, a.OrgID) }, errs.Unauthorized},
		"expired":       {func(f *fixture, _ User, _ Authorization) error { f.clock.add(time.Hour); return nil }, errs.Unauthorized},
		"made inactive": {func(f *fixture, _ User, a Authorization) error { return f.deactivate(ctx, a) }, errs.Unauthorized},
		"user made inactive": {func(f *fixture, u User, _ Authorization) error {
			inactive := Inactive
			_, err := f.UpdateUser(ctx, f.root, u.ID, nil, &inactive)
			return err
		}, errs.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			f := onboarded(t)
			u := f.user(t, "ann")
			soon := f.clock.now().Add(time.Minute)
			a, token := f.token(t, u.ID, &soon)
			for range 2 { // the second time from memory
				if p, err := f.ByToken(ctx, token); err != nil || p.UserID != u.ID {
					t.Fatalf("a good token is refused: %v", err)
				}
			}
			if err := tc.revoke(f, u, a); err != nil {
				t.Fatal(err)
			}
			_, err := f.ByToken(ctx, token)
			wantCode(t, err, tc.code)
		})
	}
}

func (f *fixture) deactivate(ctx context.Context, a Authorization) error {
	inactive := Inactive
	_, err := f.UpdateAuthorization(ctx, f.root, a.ID, &inactive, nil)
	return err
}

// What a reader found before a change must not come into the cache after it.
func TestCacheKeepsNothingStale(t *testing.T) {
	for name, drop := range map[string]func(*cache, hash){
		"drop": (*cache).drop, "flush": func(c *cache, _ hash) { c.flush() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(10)
			h := hashOf("token")
			gen := c.generation()
			drop(c, h) // the token is revoked while the reader is at the engine
			c.add(h, entry{principal: &access.Principal{}}, gen)
			if _, ok := c.get(h); ok {
				t.Error("the cache holds a token that was revoked before it was added")
			}
		})
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(10)
	for i := range 1000 {
		c.add(hashOf(string(rune(i))), entry{principal: &access.Principal{}}, c.generation())
	}
	if n := len(c.entries); n > 10 {
		t.Errorf("the cache holds %d entries, at most 10 are allowed", n)
	}
}

func TestNoTokenOrPasswordIsStored(t *testing.T) {
	f := onboarded(t)
	u := f.user(t, "ann")
	_, token := f.token(t, u.ID, nil)
	session := f.signIn(t, "ann", userPassword)
	rs, err := f.kv.List(t.Context(), "", "", 10_000)
	if err != nil || len(rs) < 20 {
		t.Fatalf("%d records, %v", len(rs), err)
	}
	for _, r := range rs {
		for what, secret := range map[string]string{"the operator's token": f.first.Token, "a token": token, "a session's token": session, "a password": userPassword} {
			if strings.Contains(r.Key+string(r.Value), secret) {
				t.Errorf("the record %s holds %s", r.Key, what)
			}
		}
	}
}

// Whatever changes something does not happen when the audit log cannot take it.
func TestNothingHappensUnrecorded(t *testing.T) {
	f := onboarded(t)
	ctx := t.Context()
	u := f.user(t, "ann")
	a, _ := f.token(t, u.ID, nil)
	before, err := f.kv.List(ctx, "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	full := errs.New(errs.Unavailable, "the audit log cannot be written")
	f.trail.err = full
	name, status := "other", Inactive
	for what, act := range map[string]func() error{
		"NewUser":        func() error { _, err := f.NewUser(ctx, f.root, "bob", ""); return err },
		"UpdateUser":     func() error { _, err := f.UpdateUser(ctx, f.root, u.ID, &name, nil); return err },
		"DeleteUser":     func() error { return f.DeleteUser(ctx, f.root, u.ID) },
		"SetPassword":    func() error { return f.SetPassword(ctx, f.root, u.ID, "another password") },
		"ChangePassword": func() error { return f.ChangePassword(ctx, nobody(), "ann", userPassword, "another password") },
		"SignIn":         func() error { _, err := f.SignIn(ctx, nobody(), "ann", userPassword); return err },
		"NewOrg":         func() error { _, err := f.NewOrg(ctx, f.root, "globex", ""); return err },
		"UpdateOrg":      func() error { _, err := f.UpdateOrg(ctx, f.root, f.first.Org.ID, &name, nil); return err },
		"DeleteOrg":      func() error { return f.DeleteOrg(ctx, f.root, f.first.Org.ID) },
		"AddMember":      func() error { _, err := f.AddMember(ctx, f.root, f.first.Org.ID, u.ID, RoleMember); return err },
		"RemoveMember":   func() error { return f.RemoveMember(ctx, f.root, f.first.Org.ID, f.first.User.ID, RoleOwner) },
		"Authorize": func() error {
			_, _, err := f.Authorize(ctx, f.root, NewAuthorization{OrgID: a.OrgID, Permissions: a.Permissions})
			return err
		},
		"UpdateAuthorization":  func() error { _, err := f.UpdateAuthorization(ctx, f.root, a.ID, &status, nil); return err },
		"DeleteAuthorization":  func() error { return f.DeleteAuthorization(ctx, f.root, a.ID) },
		"NewBucket":            func() error { _, err := f.NewBucket(ctx, f.root, Bucket{OrgID: a.OrgID, Name: "x"}); return err },
		"UpdateBucket":         func() error { _, err := f.UpdateBucket(ctx, f.root, f.first.Bucket.ID, &name, nil, nil); return err },
		"DeleteBucket":         func() error { return f.DeleteBucket(ctx, f.root, f.first.Bucket.ID) },
		"reading a list":       func() error { _, err := f.Users(ctx, f.root, "", Page{}); return err },
		"reading one":          func() error { _, err := f.OrgByID(ctx, f.root, f.first.Org.ID); return err },
		"reading tokens":       func() error { _, err := f.Authorizations(ctx, f.root, AuthorizationFilter{}, Page{}); return err },
		"reading one's bucket": func() error { _, err := f.BucketByID(ctx, f.root, f.first.Bucket.ID); return err },
	} {
		if err := act(); !errors.Is(err, full) {
			t.Errorf("%s without an audit log: %v, want the log's error", what, err)
		}
	}
	after, err := f.kv.List(ctx, "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if len(before) != len(after) {
		t.Fatalf("%d records became %d without an audit log", len(before), len(after))
	}
	for i := range before {
		if before[i].Key != after[i].Key || before[i].Rev != after[i].Rev {
			t.Errorf("%s changed without an audit log", before[i].Key)
		}
	}
}

func TestLastUseIsKept(t *testing.T) {
	f := onboarded(t)
	ctx := t.Context()
	a, token := f.token(t, f.first.User.ID, nil)
	if got, err := f.AuthorizationByID(ctx, f.root, a.ID); err != nil || got.LastUsedAt != nil {
		t.Errorf("a new token was last used at %v (%v)", got.LastUsedAt, err)
	}
	f.clock.add(time.Minute)
	f.byToken(t, token)
	used := f.clock.now()
	check := func(when string) {
		t.Helper()
		got, err := f.AuthorizationByID(ctx, f.root, a.ID)
		if err != nil || got.LastUsedAt == nil || !got.LastUsedAt.Equal(used) {
			t.Errorf("%s: last used at %v (%v), want %v", when, got.LastUsedAt, err, used)
		}
	}
	check("before it is written")
	if err := f.writeUsage(ctx); err != nil {
		t.Fatal(err)
	}
	check("after it is written")
}
