package vault

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"strongroom/internal/secret/vault/vaulttest"
)

// quiet gives the configuration a log that nobody reads.
func quiet(c Config) Config {
	c.Logger = slog.New(slog.NewTextHandler(new(logs), nil))
	return c
}

// TestStartRefused has the mistakes of a start, each answered with what to change.
func TestStartRefused(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	revoked := v.Token(t, vaulttest.Policy(mount), time.Hour)
	v.Revoke(t, revoked)
	v1 := v.Mount(t, map[string]any{"type": "kv"})
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("<html>"))
	}))
	defer page.Close()
	missing := httptest.NewServer(http.NotFoundHandler())
	defer missing.Close()
	tlsServer := newPretend(t, newPlace(t).server)

	for _, tt := range []struct {
		name string
		conf Config
		want []string
	}{
		{"no token", Config{}, []string{"there is no token for Vault", "--vault-token or VAULT_TOKEN"}},
		{"bad token", Config{Token: "nonsense"}, []string{"refuses the token", "--vault-token"}},
		{"revoked token", Config{Token: revoked}, []string{"refuses the token", "--vault-token"}},
		{"KV version 1", Config{Token: v.RootToken, Place: Place{Mount: v1}},
			[]string{"KV version 1", "vault kv enable-versioning " + v1 + "/"}},
		{"another engine", Config{Token: v.RootToken, Place: Place{Mount: "cubbyhole"}},
			[]string{`of the type "cubbyhole"`, "-version=2 kv"}},
		{"nothing mounted", Config{Token: v.RootToken, Place: Place{Mount: "nothing"}},
			[]string{"nothing is mounted at nothing/ in Vault; enable KV version 2 with: vault secrets enable " +
				"-path=nothing -version=2 kv"}},
		{"nothing shown", Config{Token: v.Token(t, vaulttest.Policy("elsewhere"), time.Hour),
			Place: Place{Mount: mount}},
			[]string{"nothing is mounted at " + mount + "/", "or the token's policies do not show it",
				`path "` + mount + `/data/*" { capabilities = ["create", "read", "update"] }`}},
		{"below the mount", Config{Token: v.RootToken, Place: Place{Mount: mount + "/team"}},
			[]string{"mounted at " + mount + "/, not at " + mount + "/team/"}},
		{"TLS for none", Config{Address: strings.Replace(v.Address, "http:", "https:", 1)},
			[]string{"does not speak TLS", "--vault-addr or VAULT_ADDR"}},
		{"no TLS for some", Config{Address: strings.Replace(tlsServer.URL, "https:", "http:", 1)},
			[]string{"speaks TLS", "--vault-addr or VAULT_ADDR"}},
		{"a web page", Config{Address: page.URL}, []string{"does not answer as Vault does",
			"--vault-addr or VAULT_ADDR"}},
		{"not found", Config{Address: missing.URL}, []string{"does not answer as Vault does", "status 404"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.conf.Address == "" {
				tt.conf.Address = v.Address
			}
			tt.conf.Wait = time.Hour // these do not wait
			_, err := New(t.Context(), quiet(tt.conf))
			for _, want := range tt.want {
				wantError(t, err, want)
			}
			if err != nil && tt.conf.Token != "" && strings.Contains(err.Error(), tt.conf.Token) {
				t.Errorf("the error names the token: %v", err)
			}
		})
	}
}

// TestStartWaits has a Vault that is not there, then sealed, then serves.
func TestStartWaits(t *testing.T) {
	v := vaulttest.Start(t, vaulttest.Persistent(t))
	v.Seal(t)
	for wait, want := range map[time.Duration]string{0: "is sealed; unseal it with: vault operator unseal",
		time.Millisecond: "(waited 1ms for it)"} {
		_, err := New(t.Context(), quiet(Config{Address: v.Address, Token: v.RootToken, Wait: wait}))
		wantError(t, err, want)
	}
	v.Kill()
	_, err := New(t.Context(), quiet(Config{Address: v.Address, Token: v.RootToken}))
	wantError(t, err, "cannot be reached (connection refused); start it, or correct --vault-addr or VAULT_ADDR")

	// Waiting ends with its context.
	ctx, cancel := context.WithCancel(t.Context())
	l := new(logs)
	conf := Config{Address: v.Address, Token: v.RootToken, Wait: time.Hour, MaxRetries: new(0),
		Logger: slog.New(slog.NewTextHandler(l, nil))}
	go func() {
		waitFor(t, func() bool { return strings.Contains(l.String(), "waiting for Vault") })
		cancel()
	}()
	_, err = New(ctx, conf)
	wantError(t, err, "cannot be reached")

	started := make(chan error, 1)
	go func() {
		s, err := New(t.Context(), conf)
		if err == nil {
			err = s.Check(t.Context())
			s.Close()
		}
		started <- err
	}()
	v.Restart(t)
	if err := <-started; err != nil {
		t.Errorf("New, once Vault is there: %v", err)
	}
	l.want(t, "waiting for Vault", "secrets are kept in Vault")
}

// TestStartWarns has what does not end a start and should be known.
func TestStartWarns(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	ending := v.NewToken(t, map[string]any{"policies": []string{v.WritePolicy(t, vaulttest.PolicyOf(mount, "read"))},
		"ttl": "90m", "renewable": false})
	_, log := open(t, v, Config{Place: Place{Mount: mount}, Token: ending})
	log.want(t, "Vault's token ends", " minutes\"", "lacks=\"[create update]\"", "lacks=[delete]")

	// This Vault has no namespaces, and says nothing of it.
	_, log = open(t, v, Config{Place: Place{Mount: mount, Namespace: "team"}})
	log.want(t, "has no namespaces", `\"team\"`, "--vault-namespace")
	if _, log := open(t, v, Config{Place: Place{Mount: mount}}); strings.Contains(log.String(), "namespace") {
		t.Errorf("without one:\n%s", log)
	}

	// A policy may deny the token to look itself up.
	token := v.Token(t, vaulttest.Policy(mount)+"\n"+`path "auth/token/lookup-self" { capabilities = ["deny"] }`,
		time.Hour)
	s, log := open(t, v, Config{Place: Place{Mount: mount}, Token: token})
	log.want(t, "does not let the token look itself up")
	if strings.Contains(log.String(), "may not suffice") {
		t.Errorf("a policy that suffices is doubted:\n%s", log)
	}
	apply(t, s, set("a", "1"))
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// TestRealTLS keeps secrets in a Vault that wants client certificates of a private authority.
func TestRealTLS(t *testing.T) {
	servers, clients := vaulttest.NewAuthority(t, "servers"), vaulttest.NewAuthority(t, "clients")
	v := vaulttest.Start(t, vaulttest.WithTLS(t, servers, clients))
	dir := t.TempDir()
	ca := servers.File(t, dir)
	_, err := New(t.Context(), quiet(Config{Address: v.Address, Token: v.RootToken, CACert: ca}))
	wantError(t, err, "--vault-client-cert")
	cert, key := clients.Issue(t, dir, "us")
	s, _ := open(t, v, Config{CACert: ca, ClientCert: cert, ClientKey: key})
	apply(t, s, set("a", "1"))
	wantKeys(t, s, "a")
}

// TestUnknownHost has a name that does not exist, which may exist in a moment.
func TestUnknownHost(t *testing.T) {
	if _, err := net.LookupHost("vault.invalid"); err == nil {
		t.Skip("this machine's resolver answers for names that cannot exist")
	}
	_, err := New(t.Context(), quiet(Config{Address: "http://vault.invalid:8200", MaxRetries: new(0)}))
	wantError(t, err, "Vault at http://vault.invalid:8200")
}
