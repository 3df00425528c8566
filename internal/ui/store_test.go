package ui

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
)

// sick is a store that cannot serve.
type sick struct{ secret.Store }

func (sick) Check(context.Context) error { return errs.New(errs.Unavailable, "Vault is sealed") }

func TestStorePage(t *testing.T) {
	s, b := setUp(t)
	b.get("/store").wants(t, 200, "is healthy", "nothing to draw")
	s.ui.Look(t.Context())
	for i := range 3 {
		s.put(fmt.Sprintf("k%d", i))
		s.ahead += 10 * time.Second
		s.ui.Look(t.Context())
	}
	// That a name is taken is no failure of the store.
	b.post(s.at("/secrets/new"), form("key", "k0", "value", value)).wants(t, 422, "already")
	s.ui.Look(t.Context())
	p := b.get("/store")
	p.wants(t, 200, "calls in the last hour</dt><dd>4<", "failed</dt><dd>0<", `<path class="curve c01"`, "Checked")
	s.use(sick{s.store})
	s.ahead += time.Minute
	b.get("/store").wants(t, 200, "cannot serve", "Vault is sealed")
}

// TestStorePageOverEtcd says where values are there, and what to do about etcd and not about a file.
func TestStorePageOverEtcd(t *testing.T) {
	s, b := setUp(t)
	b.get("/store").wants(t, 200, "server’s own file")
	s.change(func(c *Config) { c.InEtcd = true })
	p := b.get("/store")
	p.wants(t, 200, "Embedded store in etcd", "before they go to etcd")
	if strings.Contains(p.body, "own file") {
		t.Error("the page tells of a file")
	}
	s.use(sick{s.store})
	s.ahead += time.Minute
	b.get("/store").wants(t, 200, "cannot serve", "etcdctl endpoint health")
	s.change(func(c *Config) { c.StoreName = "vault" })
	b.get("/store").wants(t, 200, "KV version 2", "vault operator unseal")
	rita := s.member("rita", identity.RoleMember)
	if p := rita.get("/store"); !strings.Contains(p.body, "An operator of this server is to see to it") ||
		strings.Contains(p.body, "vault operator unseal") {
		t.Error("somebody who cannot unseal Vault is told to")
	}
}

// TestStorePageWithoutRoom: a store that can be read and not written to is not called healthy.
func TestStorePageWithoutRoom(t *testing.T) {
	s, b := setUp(t)
	for why, next := range map[error]string{
		fmt.Errorf("%w: there are 12 bytes of room left", kv.ErrFull): "Make room on the server’s disk",
		fmt.Errorf("%w: its file system is read-only", kv.ErrFault):   "The server’s log says more.",
	} {
		s.change(func(c *Config) { c.Data = func() error { return why } })
		p := b.get("/store")
		p.wants(t, 200, "can be read, and nothing can be saved", strings.TrimPrefix(why.Error(), "kv: "), next)
		if strings.Contains(p.body, "is healthy") {
			t.Error("the page calls it healthy")
		}
	}
}

// leaving is a store that goes away right behind the first change that it has made.
type leaving struct {
	secret.Store
	gone bool
}

func (l *leaving) away() error {
	if l.gone {
		return errs.New(errs.Unavailable, "the store is sealed")
	}
	return nil
}

func (l *leaving) Apply(ctx context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	if err := l.away(); err != nil {
		return secret.Outcome{}, err
	}
	out, err := l.Store.Apply(ctx, org, c)
	l.gone = err == nil
	return out, err
}

func (l *leaving) Info(ctx context.Context, org id.ID, name string) (secret.Info, error) {
	if err := l.away(); err != nil {
		return secret.Info{}, err
	}
	return l.Store.Info(ctx, org, name)
}

func (l *leaving) Keys(ctx context.Context, org id.ID) ([]string, error) {
	if err := l.away(); err != nil {
		return nil, err
	}
	return l.Store.Keys(ctx, org)
}

// TestStoreGoesBehindASave: the page says that the value was saved, also where what comes next cannot be read any more.
func TestStoreGoesBehindASave(t *testing.T) {
	s, b := setUp(t)
	s.put("k")
	s.use(&leaving{Store: s.store})
	saved := b.post(s.at("/secret"), form("key", "k", "value", value, "replace", "yes"))
	if saved.status != 303 {
		t.Fatalf("status %d: %s", saved.status, saved.body)
	}
	next := b.get(s.at("/secret?key=k"))
	next.wants(t, 503, "The value is saved", "the store is sealed")
	if strings.Contains(next.body, "Not saved") || strings.Contains(next.body, "cannot serve") {
		t.Error("it says that the save failed")
	}
	b.post(s.at("/secret"), form("key", "k", "value", value, "replace", "yes")).wants(t, 503, "Not saved")
}

// TestAttention: what an operator should see to stands on the first page, for operators.
func TestAttention(t *testing.T) {
	s, b := setUp(t)
	rita := s.member("rita", identity.RoleMember)
	s.use(telling{s.store})
	p := b.get(s.at("/secrets"))
	p.wants(t, 200, "Vault’s token: has ended.", `href="/store"`)
	if strings.Contains(p.body, "fares well") {
		t.Error("what is well needs no attention")
	}
	if p := rita.get(s.at("/secrets")); p.status != 200 || strings.Contains(p.body, "Vault’s token") {
		t.Errorf("a member is shown it too, or nothing: %d", p.status)
	}
}
