package etcd

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strongroom/internal/errs"
	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/kv/kvtest"
)

// guarded is a cluster that asks for users. There is its root, and app, who may read and write below app/.
type guarded struct {
	*etcdtest.Cluster
	root     *clientv3.Client
	password atomic.Pointer[string] // that app's programs read
}

func guard(t *testing.T, members int) *guarded {
	t.Helper()
	g := &guarded{Cluster: etcdtest.Start(t, members)}
	begin, err := clientv3.New(clientv3.Config{Endpoints: g.Endpoints(), DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer begin.Close()
	ctx := t.Context()
	_, root := begin.UserAdd(ctx, "root", "root's")
	_, grant := begin.UserGrantRole(ctx, "root", "root")
	_, app := begin.UserAdd(ctx, "app", "first")
	_, role := begin.RoleAdd(ctx, "app")
	_, be := begin.UserGrantRole(ctx, "app", "app")
	_, enable := begin.AuthEnable(ctx)
	if err := errors.Join(root, grant, app, role, be, enable); err != nil {
		t.Fatal(err)
	}
	g.root, err = clientv3.New(clientv3.Config{Endpoints: g.Endpoints(), DialTimeout: time.Minute, Username: "root",
		Password: "root's"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.root.Close() })
	g.allow(t)
	g.password.Store(new("first"))
	return g
}

const below, end = "app/", "app0"

func (g *guarded) allow(t *testing.T) {
	t.Helper()
	all := clientv3.PermissionType(clientv3.PermReadWrite)
	if _, err := g.root.RoleGrantPermission(t.Context(), "app", below, end, all); err != nil {
		t.Fatal(err)
	}
}

func (g *guarded) deny(t *testing.T) {
	t.Helper()
	if _, err := g.root.RoleRevokePermission(t.Context(), "app", below, end); err != nil {
		t.Fatal(err)
	}
}

// config is that of a store below a prefix.
func (g *guarded) config(prefix string) Config {
	return Config{Endpoints: g.Endpoints(), Prefix: prefix, Username: "app", Password: func() (string, error) {
		return *g.password.Load(), nil
	}}
}

func (g *guarded) open(t *testing.T, prefix string) *Store {
	t.Helper()
	return openAs(t, g.config(prefix))
}

// TestRefused opens stores that etcd does not let in, and says why.
func TestRefused(t *testing.T) {
	g := guard(t, 1)
	for name, tt := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"no user":      {func(c *Config) { c.Username = "" }, "--etcd-username"},
		"another user": {func(c *Config) { c.Username = "eve" }, "--etcd-username"},
		"wrong password": {func(c *Config) {
			c.Password = func() (string, error) { return "xyzzy", nil }
		}, "--etcd-password-file"},
		"another prefix": {func(c *Config) { c.Prefix = "others/" }, "--etcd-prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			c := g.config("app/x/")
			tt.change(&c)
			s, err := Open(t.Context(), c)
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, kv.ErrDenied) || !strings.Contains(err.Error(), tt.says) ||
				strings.Contains(err.Error(), "xyzzy") {
				t.Errorf("Open: %v", err)
			}
		})
	}
	unreadable := errors.New("the file is gone")
	c := g.config("app/x/")
	c.Password = func() (string, error) { return "", unreadable }
	if _, err := Open(t.Context(), c); !errors.Is(err, unreadable) {
		t.Errorf("without a password to be had: %v", err)
	}
}

// TestDenied takes a running store's rights away, and its password: what it does meanwhile is refused and not done, and
// all goes on when the one is given back and the other renewed, without a new start.
func TestDenied(t *testing.T) {
	g := guard(t, 3)
	s := kv.Settled(g.open(t, "app/x/"))
	ctx := t.Context()
	put := func(key string) error {
		_, err := s.Txn(ctx, nil, []kv.Op{kv.Put(key, []byte("1"))})
		return err
	}
	if err := put("before"); err != nil {
		t.Fatal(err)
	}
	denied := func(what string) {
		t.Helper()
		refused := func(err error) bool { // a slow machine may have no time left for a token
			return errors.Is(err, kv.ErrDenied) || errors.Is(err, kv.ErrUnavailable)
		}
		err := put(what)
		for try := 0; try < 2 && errors.Is(err, kv.ErrUnknown); try++ { // of one that was slow for another reason
			err = put(what)
		}
		if !refused(err) || errors.Is(err, kv.ErrUnknown) || !errs.Is(kv.Coded(err), errs.Unavailable) {
			t.Errorf("%s, Txn: %v", what, err)
		}
		if _, err := s.Get(ctx, "before"); !refused(err) {
			t.Errorf("%s, Get: %v", what, err)
		}
		if _, err := s.List(ctx, "", "", 10); !refused(err) {
			t.Errorf("%s, List: %v", what, err)
		}
		if err := s.Watch(ctx, "", 0, func(kv.Update) {}); !refused(err) {
			t.Errorf("%s, Watch: %v", what, err)
		}
		bounded, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		if _, _, err := s.Hold(bounded, "a"); !refused(err) {
			t.Errorf("%s, Hold: %v", what, err)
		}
	}
	goesOn := func(what string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			err := put(what)
			if err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		recs, err := s.List(ctx, "", "", 10)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, r := range recs {
			if r.Key == "no rights" || r.Key == "another password" {
				t.Errorf("%s: what was refused was done: %s", what, r.Key)
			}
		}
		watching, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		for { // a member may not know a new token yet
			err := s.Watch(watching, "", 0, func(kv.Update) { stop() })
			if errors.Is(err, context.Canceled) {
				break
			}
			if watching.Err() != nil {
				t.Fatalf("%s, Watch: %v", what, err)
			}
		}
		_, release, err := s.Hold(ctx, "a")
		if err != nil {
			t.Fatalf("%s, Hold: %v", what, err)
		}
		release()
	}
	goesOn("as it begins")
	g.deny(t)
	denied("no rights")
	g.allow(t)
	goesOn("rights again")

	// A new password ends etcd's tokens of the old one.
	if _, err := g.root.UserChangePassword(ctx, "app", "second"); err != nil {
		t.Fatal(err)
	}
	denied("another password")
	g.password.Store(new("second"))
	goesOn("renewed")

	// And whoever has the new one before etcd goes on with the token there is.
	g.password.Store(new("third"))
	goesOn("early")
	if _, err := g.root.UserChangePassword(ctx, "app", "third"); err != nil {
		t.Fatal(err)
	}
	goesOn("as etcd has it")
}

// slow is an etcd that takes longer to look at a password than a transaction is sent once.
type slow struct{ clientv3.Auth }

func (s slow) Authenticate(ctx context.Context, name, password string) (*clientv3.AuthenticateResponse, error) {
	time.Sleep(5 * oncePause)
	return s.Auth.Authenticate(ctx, name, password)
}

// TestDeniedSlowly takes a running store's password away, of an etcd that is slow to tell. Nobody is told that it is
// not known whether something was done for which there was no token.
func TestDeniedSlowly(t *testing.T) {
	g := guard(t, 1)
	store := g.open(t, "app/x/")
	store.as.Auth = slow{store.as.Auth}
	s := kv.Settled(store)
	puts, removes := []kv.Op{kv.Put("a", nil)}, []kv.Op{kv.Delete("a")} // with a turn, and without
	if _, err := s.Txn(t.Context(), nil, puts); err != nil {
		t.Fatal(err)
	}
	if _, err := g.root.UserChangePassword(t.Context(), "app", "second"); err != nil {
		t.Fatal(err)
	}
	for what, ops := range map[string][]kv.Op{"Put": puts, "Delete": removes} {
		if _, err := s.Txn(t.Context(), nil, ops); err == nil || errors.Is(err, kv.ErrUnknown) ||
			!errs.Is(kv.Coded(err), errs.Unavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	g.password.Store(new("second"))
	for what, ops := range map[string][]kv.Op{"Put": puts, "Delete": removes} {
		for end := time.Now().Add(time.Minute); ; {
			_, err := s.Txn(t.Context(), nil, ops)
			if err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s, with the new password: %v", what, err)
			}
		}
	}
}

// TestSuiteAsUser carries out all that a store does, as a user with no other rights than on its prefix.
func TestSuiteAsUser(t *testing.T) {
	g := guard(t, 1)
	kvtest.Test(t, func(t *testing.T) kv.Store { return g.open(t, below+etcdtest.Prefix(t)) })
}
