// Package identitytest sets up users, organisations and tokens over a real engine, for the tests
// of what stands on them.
package identitytest

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/barrier"
	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/directory"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
)

// Trail is an audit log in memory that can be made to fail.
type Trail struct {
	mu      sync.Mutex
	entries []audit.Entry
	Err     error
	During  func() // called before an entry is taken
}

// Record takes an entry, or gives Err.
func (l *Trail) Record(_ context.Context, e audit.Entry) error {
	if l.During != nil {
		l.During()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Err != nil {
		return l.Err
	}
	l.entries = append(l.entries, e)
	return nil
}

// Last is the latest entry.
func (l *Trail) Last() audit.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) == 0 {
		return audit.Entry{}
	}
	return l.entries[len(l.entries)-1]
}

// Purger counts what is purged and can be made to fail.
type Purger struct {
	Purged          []id.ID
	Tries           int
	Purging, Health error
	Endless         bool   // it goes on until whoever waits has gone
	During          func() // called once, while the next is purged
}

// Purge notes the organisation, or gives Purging.
func (p *Purger) Purge(ctx context.Context, org id.ID) error {
	p.Tries++
	if d := p.During; d != nil {
		p.During = nil
		d()
	}
	if p.Endless {
		<-ctx.Done()
		return ctx.Err()
	}
	if p.Purging == nil {
		p.Purged = append(p.Purged, org)
	}
	return p.Purging
}

// Check gives Health.
func (p *Purger) Check(context.Context) error { return p.Health }

// Clock is a clock that the test moves.
type Clock struct {
	mu     sync.Mutex
	t      time.Time
	During func() // called once, before the next look at it
}

// Now is what the clock shows.
func (c *Clock) Now() time.Time {
	if d := c.During; d != nil {
		c.During = nil
		d()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// Directory and Login are the two services under names of their own.
type (
	Directory = directory.Service
	Login     = authn.Service
)

// Fixture is the services over an engine, with what they lean on.
type Fixture struct {
	*Directory
	*Login
	KV      kv.Store
	Keys    *keyring.Keyring
	Trail   *Trail
	Secrets *Purger
	Places  directory.Places // nil until a test sets it and starts anew
	Logs    *slog.Logger     // nil: the default
	Guard   *access.Guard
	Clock   *Clock
	First   directory.Onboarded
	Root    *access.Caller // the operator's token
}

// The passwords of the first user, and of every other.
const (
	AdminPassword = "correct horse battery"
	UserPassword  = "a fine password"
)

// Open makes the services over a new bbolt file, seen through wrap where it is not nil.
func Open(t testing.TB, wrap func(kv.Store) kv.Store) *Fixture {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "influxd.bolt"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	var store kv.Store = db
	if wrap != nil {
		store = wrap(store)
	}
	keys, err := keyring.OpenOrInit(t.Context(), store,
		keyring.Config{Seal: seal.KeyFile(filepath.Join(t.TempDir(), "seal.key"))})
	if err != nil {
		t.Fatal(err)
	}
	f := &Fixture{Keys: keys, KV: barrier.New(store, keys, identity.Sealed), Trail: &Trail{}, Secrets: &Purger{},
		Clock: &Clock{t: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}}
	f.Guard = access.NewGuard(f.Trail)
	f.Start(t)
	return f
}

// Start makes the services, or makes them anew over the same data: the next start.
func (f *Fixture) Start(t testing.TB) {
	t.Helper()
	var err error
	f.Login, err = authn.New(authn.Config{KV: f.KV, Guard: f.Guard, BcryptCost: bcrypt.MinCost, Now: f.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	f.Directory, err = directory.New(directory.Config{
		KV: f.KV, Mark: f.Keys, Guard: f.Guard, Authn: f.Login, Secrets: f.Secrets,
		Places: f.Places, Logger: f.Logs, Now: f.Clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Onboarded is services that have been set up.
func Onboarded(t testing.TB) *Fixture { return OnboardedOver(t, nil) }

// OnboardedOver is the same over an engine seen through wrap.
func OnboardedOver(t testing.TB, wrap func(kv.Store) kv.Store) *Fixture {
	t.Helper()
	f := Open(t, wrap)
	var err error
	f.First, err = f.Onboard(t.Context(), Nobody(), directory.Setup{User: "admin", Password: AdminPassword, Org: "acme",
		Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	f.Root = f.CallerByToken(t, f.First.Token)
	return f
}

// Nobody is a caller who is not identified yet.
func Nobody() *access.Caller {
	return &access.Caller{Principal: &access.Principal{}, Address: "127.0.0.1"}
}

// CallerByToken identifies by an API token.
func (f *Fixture) CallerByToken(t testing.TB, token string) *access.Caller {
	t.Helper()
	p, err := f.ByToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return &access.Caller{Principal: p, Address: "127.0.0.1", RequestID: "r"}
}

// AddUser makes a user with UserPassword.
func (f *Fixture) AddUser(t testing.TB, name string) identity.User {
	t.Helper()
	u, err := f.NewUser(t.Context(), f.Root, name, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SetPassword(t.Context(), f.Root, u.ID, UserPassword); err != nil {
		t.Fatal(err)
	}
	return u
}

// MustSignIn opens a session and gives its token.
func (f *Fixture) MustSignIn(t testing.TB, name, password string) string {
	t.Helper()
	token, err := f.SignIn(t.Context(), Nobody(), name, password)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// AddToken makes an authorization for a user with the permission to read the first organisation's secrets.
func (f *Fixture) AddToken(t testing.TB, user id.ID, expires *time.Time) (identity.Authorization, string) {
	t.Helper()
	a, token, err := f.Authorize(t.Context(), f.Root, authorizations.Wanted{OrgID: f.First.Org.ID, UserID: user,
		ExpiresAt: expires, Permissions: []access.Permission{access.To(access.Read,
			access.Resource{Type: access.Secrets, OrgID: f.First.Org.ID})}})
	if err != nil {
		t.Fatal(err)
	}
	return a, token
}

// WantCode checks an error for its code.
func WantCode(t testing.TB, err error, code errs.Code) {
	t.Helper()
	if !errs.Is(err, code) {
		t.Errorf("got error %v, want one with code %q", err, code)
	}
}

// CallerBySession identifies by a session.
func (f *Fixture) CallerBySession(t testing.TB, token string) *access.Caller {
	t.Helper()
	p, err := f.BySession(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return &access.Caller{Principal: p, Address: "127.0.0.1"}
}

// Holder is a caller with the permissions and nothing else, who is nobody in particular.
func Holder(ps ...access.Permission) *access.Caller {
	return &access.Caller{Principal: &access.Principal{UserID: 7, User: "mallory", AuthorizationID: 8, Permissions: ps},
		Address: "127.0.0.1"}
}
