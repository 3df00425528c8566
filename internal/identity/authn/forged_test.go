package authn_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/barrier"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/identity/identitytest"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// forgeable is a fixture with the engine behind the barrier, and a log.
type forgeable struct {
	*identitytest.Fixture
	engine kv.Store
	log    *strings.Builder
}

func openForgeable(t *testing.T) *forgeable {
	t.Helper()
	f := &forgeable{Fixture: identitytest.Onboarded(t), log: new(strings.Builder)}
	b, ok := f.KV.(*barrier.Store)
	if !ok {
		t.Fatal("the fixture has no barrier")
	}
	f.engine = b.Store
	b.Tell(slog.New(slog.NewTextHandler(f.log, nil)), nil)
	return f
}

// raw is the record in the engine of what callers know by key.
func (f *forgeable) raw(t *testing.T, key string) kv.Record {
	t.Helper()
	at, err := f.KV.(*barrier.Store).KeyOf(key)
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.engine.Get(t.Context(), at)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return r
}

func (f *forgeable) put(t *testing.T, key string, value []byte) {
	t.Helper()
	if _, err := f.engine.Txn(t.Context(), nil, []kv.Op{kv.Put(key, value)}); err != nil {
		t.Fatal(err)
	}
}

// forgeries are what somebody who can write the file and has no key makes of a record, or a disk.
func (f *forgeable) forgeries(t *testing.T, was kv.Record) map[string][]byte {
	t.Helper()
	flipped := bytes.Clone(was.Value)
	flipped[len(flipped)/2] ^= 1
	return map[string][]byte{"in clear": []byte(`{}`), "empty": {}, "cut": was.Value[:len(was.Value)/2],
		"flipped": flipped, "another's": f.raw(t, record.Key("org", f.First.Org.ID)).Value}
}

// TestForgedProof forges each record on which it rests who somebody is. Whoever shows it is refused as if it were not
// there, and the log names the record. It is good again when the record is.
func TestForgedProof(t *testing.T) {
	f := openForgeable(t)
	ctx := t.Context()
	ann := f.AddUser(t, "ann")
	ends := f.Clock.Now().Add(24 * time.Hour)
	a, token := f.AddToken(t, ann.ID, &ends)
	holder := f.CallerByToken(t, token)
	child, childToken, err := f.CreateChild(ctx, holder, authorizations.Child{Permissions: []access.Permission{
		access.To(access.Read, access.Resource{Type: access.Secrets, OrgID: f.First.Org.ID})}})
	if err != nil {
		t.Fatal(err)
	}
	session := f.MustSignIn(t, "ann", identitytest.UserPassword)
	byToken := func(token string) func() error {
		return func() error {
			f.Forget()
			_, err := f.ByTokenFrom(ctx, token, "192.0.2.1")
			return err
		}
	}
	bySession := func() error {
		f.Forget()
		_, err := f.BySession(ctx, session)
		return err
	}
	signIn := func() error {
		f.Clock.Add(time.Minute) // for the tries at a password
		_, err := f.SignIn(ctx, identitytest.Nobody(), "ann", identitytest.UserPassword)
		return err
	}
	of := func(name string, shows map[string]func() error) (all map[string]func() error) {
		all = map[string]func() error{}
		for what, show := range shows {
			all[name+", by "+what] = show
		}
		return all
	}
	user := map[string]func() error{"token": byToken(token), "session": bySession, "sign-in": signIn}
	tokenAndChild := map[string]func() error{"token": byToken(token), "child": byToken(childToken)}
	for key, shows := range map[string]map[string]func() error{
		record.Key("authhash", identity.HashOf(token)): {"token": byToken(token)},
		record.Key("auth", a.ID):                       tokenAndChild,
		record.Key("auth", child.ID):                   {"child": byToken(childToken)},
		record.Key("user", ann.ID):                     user,
		record.Key("username", "ann"):                  {"sign-in": signIn},
		record.Key("password", ann.ID):                 {"sign-in": signIn},
		"session/" + identity.HashOf(session).String(): {"session": bySession},
	} {
		was := f.raw(t, key)
		for how, value := range f.forgeries(t, was) {
			f.put(t, was.Key, value)
			for what, show := range of(key+" "+how, shows) {
				if err := show(); err != error(authn.ErrUnauthorized) {
					t.Errorf("%s: %v, want the refusal that tells nothing", what, err)
				}
			}
			if !strings.Contains(f.log.String(), was.Key) {
				t.Errorf("%s %s: the log does not name it:\n%s", key, how, f.log)
			}
		}
		f.put(t, was.Key, was.Value)
		for what, show := range of(key, shows) {
			if err := show(); err != nil {
				t.Errorf("%s: whole again, and %v", what, err)
			}
		}
	}
	if lines := strings.Count(f.log.String(), "\n"); lines > 7*5 {
		t.Errorf("%d lines of seven records: a stranger fills the log", lines)
	}
}

// TestRevokedTokenForged puts something in the place where a token was found that has been revoked. The engine's own
// fault is told as what it is.
func TestRevokedTokenForged(t *testing.T) {
	f := openForgeable(t)
	a, token := f.AddToken(t, f.First.User.ID, nil)
	index := f.raw(t, record.Key("authhash", identity.HashOf(token)))
	home := f.raw(t, record.Key("auth", a.ID))
	if err := f.DeleteAuthorization(t.Context(), f.Root, a.ID); err != nil {
		t.Fatal(err)
	}
	for how, value := range f.forgeries(t, index) {
		f.put(t, index.Key, value)
		f.put(t, home.Key, home.Value[:len(home.Value)/2])
		_, err := f.ByToken(t.Context(), token)
		identitytest.WantCode(t, err, errs.Unauthorized)
		if t.Failed() {
			t.Fatal(how)
		}
	}
	unavailable := &failing{Store: f.KV, err: kv.ErrUnavailable}
	s, err := authn.New(authn.Config{KV: unavailable, Guard: f.Guard})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.ByToken(t.Context(), token)
	identitytest.WantCode(t, err, errs.Unavailable)
}

type failing struct {
	kv.Store
	err error
}

func (f *failing) Get(context.Context, string) (kv.Record, error) { return kv.Record{}, f.err }

// TestSweepPassesForged forges a session and an index of sessions, and one record of each kind that is kept of logins.
// The others that are over are removed all the same, and whoever owns the session can sign in.
func TestSweepPassesForged(t *testing.T) {
	f := openForgeable(t)
	ann := f.AddUser(t, "ann")
	var hashes []string
	for range 3 {
		hashes = append(hashes, identity.HashOf(f.MustSignIn(t, "ann", identitytest.UserPassword)).String())
	}
	forged := f.raw(t, "session/"+hashes[1])
	f.put(t, forged.Key, []byte("{}"))
	f.put(t, f.raw(t, record.Key("sessionuser", ann.ID, hashes[2])).Key, []byte("true"))
	f.MustSignIn(t, "ann", identitytest.UserPassword)
	f.Clock.Add(2 * time.Hour)
	if err := f.SweepSessions(t.Context()); err == nil || !strings.Contains(err.Error(), forged.Key) {
		t.Errorf("the forged one is not told: %v", err)
	}
	left, err := f.engine.List(t.Context(), "session/", "", 10)
	if err != nil || len(left) != 1 || left[0].Key != forged.Key {
		t.Errorf("left: %v, %v", left, err)
	}

	over := f.Clock.Now().Add(-time.Hour)
	var names []string
	for _, folder := range []string{"secretid/role", "wrapped", "authgone"} {
		for _, which := range []string{"a", "b", "c"} {
			kept := record.Put(record.Key(folder, which), struct{ ExpiresAt time.Time }{over})
			if _, err := f.KV.Txn(t.Context(), nil, []kv.Op{kept}); err != nil {
				t.Fatal(err)
			}
		}
		raw := f.raw(t, record.Key(folder, "b")).Key
		f.put(t, raw, []byte("{}"))
		names = append(names, raw)
	}
	err = f.SweepLogins(t.Context())
	for _, name := range names {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the forged %s is not told: %v", name, err)
		}
		folder, _, _ := strings.Cut(name, "/")
		left, err := f.engine.List(t.Context(), folder+"/", "", 10)
		if err != nil || len(left) != 1 || left[0].Key != name {
			t.Errorf("left of %s: %v, %v", folder, left, err)
		}
	}
}
