package browser

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/access"
	"strongroom/internal/audit/auditlog"
	"strongroom/internal/id"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/metered"
	"strongroom/internal/secret/service"
	"strongroom/internal/secret/vault"
	"strongroom/internal/secret/vault/vaulttest"
	"strongroom/internal/servers"
	"strongroom/internal/ui"
)

// TestVaultGoesAndComesBack seals Vault, takes it away, and brings it back, under pages that are being looked at.
func TestVaultGoesAndComesBack(t *testing.T) {
	v := vaulttest.Start(t, vaulttest.Persistent(t))
	s := startServer(t, "--secret-store=vault", "--vault-addr="+v.Address,
		"--vault-token="+v.Token(t, vaulttest.Policy("secret"), time.Hour))
	b := openTab(t, s)
	org := b.setUp()
	b.user(org, "rita", "member")
	b.add(org, "db/password", "x")
	b.see("with --vault-layout secret each has its own")
	b.open(org + "/secrets/deleted")
	b.see("what is deleted is gone at once")
	b.open("/due")
	b.see("No days are kept")
	b.open("/store")
	b.see("is healthy")
	b.see("is renewed in time")

	form := b.another()
	form.open(org + "/secrets/new")
	form.typeIn("#key", "typed/meanwhile")
	form.typeIn("#value", secretValue)
	list := b.another()
	list.open(org + "/secrets")

	v.Seal(t)
	b.see("cannot serve")
	b.see("sealed")
	b.open("/store") // what to do about it
	b.see("vault operator unseal")
	b.picture("store-sealed")
	form.click("main form .button")
	form.see("Vault is sealed. Try again once it is back. See the store.")
	form.until(fmt.Sprintf("document.querySelector('#value').value === %q", secretValue))
	list.open(org + "/secrets")
	list.see("Not available")
	list.see("Vault is sealed")
	list.click("main a.button.quiet")
	list.see("vault operator unseal")
	reader := openTab(t, s)
	reader.signIn("rita")
	reader.open("/store") // who cannot unseal anything
	reader.see("An operator of this server is to see to it.")
	reader.hides("vault operator unseal")
	list.open(org + "/secrets")

	v.Unseal(t)
	b.see("is healthy")
	list.see("db/password") // by itself, which may be before the form is sent, or after
	list.at(org + "/secrets")
	form.click("main form .button")
	form.see("The value is saved")
	list.see("Something was changed here in another tab")
	list.click("#changed a")
	list.see("typed/meanwhile")

	v.Kill()
	b.see("cannot be reached")
	b.open("/store")
	b.see("whether Vault runs")
	b.picture("store-gone")
	v.Restart(t)
	b.see("is healthy")
	b.hides(secretValue)
	form.hides(secretValue)
}

// TestReadOnlyVault: what others manage shows, and no page offers to change it.
func TestReadOnlyVault(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	s := startServer(t, "--secret-store=vault", "--vault-addr="+v.Address, "--vault-token="+v.RootToken,
		"--vault-mount="+mount, "--vault-read-only")
	b := openTab(t, s)
	org := b.setUp()
	v.Write(t, mount, org[len("/orgs/"):], `{"db/password":"x"}`)
	b.open(org + "/secrets")
	b.see("They are managed in the secret store itself")
	b.click("#names a")
	b.see("this server only reads it")
	if js[bool](b, "!!document.querySelector('.value, .danger, #delete')") {
		t.Error("the page offers what the store refuses")
	}
	b.open(org + "/secrets/new")
	b.typeIn("#key", "k")
	b.typeIn("#value", secretValue)
	b.click("main form .button")
	b.see("this server only reads them")
}

// site is the pages over a store in Vault, with a clock of its own.
type site struct {
	ui    *ui.UI
	store secret.Store
	url   string
	org   id.ID
	ahead atomic.Int64
}

// overVault puts the pages' parts together as influxd does, except for the clock.
func overVault(t *testing.T, v *vaulttest.Server) *site {
	t.Helper()
	dir, s := t.TempDir(), new(site)
	log := slog.New(slog.DiscardHandler)
	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	check(t, err)
	t.Cleanup(func() { check(t, data.Close()) })
	keys, err := keyring.OpenOrInit(t.Context(), data,
		keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	check(t, err)
	t.Cleanup(keys.Close)
	trail, err := auditlog.Open(auditlog.Config{Sinks: []string{"file:" + filepath.Join(dir, "audit.log")},
		ChainKey: bytes.Repeat([]byte("k"), 32), Logger: log})
	check(t, err)
	t.Cleanup(func() { check(t, trail.Close()) })
	inVault, err := vault.New(t.Context(),
		vault.Config{Address: v.Address, Token: v.Token(t, vaulttest.Policy("secret"), time.Hour), Logger: log})
	check(t, err)
	t.Cleanup(inVault.Close)
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(inVault.Metrics())
	s.store = metered.New(inVault, "vault", metrics, log, func(error) {})
	guard := access.NewGuard(trail)
	logins, err := authn.New(authn.Config{KV: data, Guard: guard, Logger: log})
	check(t, err)
	users, err := directory.New(directory.Config{KV: data, Mark: keys, Guard: guard, Authn: logins, Secrets: s.store,
		Logger: log})
	check(t, err)
	o, err := users.Onboard(t.Context(), &access.Caller{Principal: &access.Principal{}},
		directory.Setup{User: operator, Password: password, Org: acme, Bucket: "b"})
	check(t, err)
	s.org = o.Org.ID
	s.ui, err = ui.New(ui.Config{Guard: guard, Authn: logins, Directory: users,
		Secrets: service.New(s.store, guard, users, nil, secret.Limits{}), Store: s.store,
		Trail:     &servers.Acts{Own: trail},
		StoreName: "vault", Gather: metrics, Logger: log, Now: func() time.Time {
			return time.Now().Add(time.Duration(s.ahead.Load()))
		}})
	check(t, err)
	server := httptest.NewServer(s.ui)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// live lets ten seconds pass in which the store is called.
func (s *site) live(t *testing.T, calls int) {
	t.Helper()
	for i := range calls {
		key := fmt.Sprintf("service-%d/password", i)
		if i%5 == 0 {
			// fails while Vault is away
			_, _ = s.store.Apply(t.Context(), s.org,
				secret.Change{Set: map[string]secret.Value{key: secret.NewValue([]byte("x"))}})
		} else {
			_, _ = s.store.Keys(t.Context(), s.org)
		}
	}
	s.ahead.Add(int64(10 * time.Second))
	s.ui.Look(t.Context())
}

// TestLookAtVault makes pictures of the store's page over a real Vault whose last hour had an outage, in each state.
func TestLookAtVault(t *testing.T) {
	axe := readAxe(t)
	v := vaulttest.Start(t)
	s := overVault(t, v)
	b := openTab(t, &server{url: s.url})
	b.open("/signin")
	b.typeIn("#username", operator)
	b.typeIn("#password", password)
	b.click("main .button")
	b.see("No secret yet")
	look := func(name string) {
		b.open("/store")
		b.lookAt(name, axe)
	}
	for i := range 360 {
		switch i {
		case 200:
			v.Seal(t)
		case 230:
			v.Unseal(t)
			for s.store.Check(t.Context()) != nil {
				time.Sleep(20 * time.Millisecond)
			}
		}
		s.live(t, 8+i*7919%5+int(6*math.Sin(float64(i)/40)))
	}
	look("vault-well")
	b.see("calls in the last hour")
	b.until("document.querySelectorAll('.chart svg').length === 3")
	if failed := js[string](b, "document.querySelectorAll('.numbers dd')[1].textContent"); failed == "0" {
		t.Error("the outage does not show")
	}
	b.click("#chart-2 summary")
	b.see("minutes")

	v.Seal(t)
	s.live(t, 5)
	look("vault-sealed")
	b.see("sealed")
	v.Kill()
	for { // until it is asked again, it counts as sealed
		if err := s.store.Check(t.Context()); err == nil || strings.Contains(err.Error(), "cannot be reached") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.live(t, 5)
	look("vault-away")
	b.see("cannot be reached")
}
