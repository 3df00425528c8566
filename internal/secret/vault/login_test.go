package vault

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/vaulttest"
)

// appRole is a log-in for the mount's policy whose tokens last so long.
func appRole(t *testing.T, v *vaulttest.Server, mount, ttl string) login.Config {
	t.Helper()
	return appRoleWith(t, v, vaulttest.Policy(mount), ttl)
}

func appRoleWith(t *testing.T, v *vaulttest.Server, policy, ttl string) login.Config {
	t.Helper()
	at := v.EnableAuth(t, "approle")
	roleID, secretID := v.AppRole(t, at, map[string]any{"token_policies": v.WritePolicy(t, policy), "token_ttl": ttl,
		"token_max_ttl": "1h"})
	return login.Config{Method: login.AppRole, Mount: at, RoleID: roleID, SecretID: secretID}
}

// openAs makes a store that logs in, and no root token near it.
func openAs(t *testing.T, v *vaulttest.Server, c Config) (*Store, *logs) {
	t.Helper()
	c.Address = v.Address
	l := new(logs)
	c.Logger = l.logger()
	if c.ClientTimeout == nil {
		c.ClientTimeout = new(30 * time.Second)
	}
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, l
}

func TestLogInRefusedAtStart(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	good := appRole(t, v, mount, "1h")
	wrong := good
	wrong.SecretID = "11111111-2222-3333-4444-555555555555"
	missing := login.Config{Method: login.Kubernetes, Role: "r", JWTFile: "/nowhere/token"}
	for name, tt := range map[string]struct {
		conf login.Config
		want string
	}{
		"wrong secret ID": {wrong, "refuses the log-in"},
		"no file":         {missing, "--vault-auth-jwt-file"},
		"half a setting":  {login.Config{Method: login.AppRole}, "--vault-auth-role-id"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(t.Context(), Config{Address: v.Address, Place: Place{Mount: mount}, Login: tt.conf,
				Wait: time.Minute, Logger: new(logs).logger()})
			if err == nil {
				s.Close()
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), wrong.SecretID) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}

// A token that is revoked costs nobody an error where another can be had.
func TestRevokedWithAMethod(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	t.Setenv("VAULT_TOKEN", "not this one")
	s, _ := openAs(t, v, Config{Place: Place{Mount: mount}, Login: appRole(t, v, mount, "1h")})
	apply(t, s, set("a", "1"))
	for range 3 {
		v.Revoke(t, s.conn.Client.Token())
		wantKeys(t, s, "a")
		v.Revoke(t, s.conn.Client.Token())
		apply(t, s, set("a", "2"))
	}
	if n := s.conn.Session.State().LogIns; n != 7 {
		t.Errorf("%d log-ins for seven tokens", n)
	}
}

// A missing permission is no reason to log in again.
func TestDeniedWithAMethod(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	conf := appRole(t, v, "elsewhere", "1h")
	v.ConfigureAuth(t, conf.Mount, "role/r",
		map[string]any{"token_policies": v.WritePolicy(t, vaulttest.PolicyOf(mount, "update"))})
	s, _ := openAs(t, v, Config{Place: Place{Mount: mount}, Login: conf})
	for range 5 {
		if _, err := s.Keys(t.Context(), org); !errs.Is(err, errs.Unavailable) {
			t.Fatalf("error %v", err)
		}
	}
	if n := s.conn.Session.State().LogIns; n != 1 {
		t.Errorf("%d log-ins", n)
	}
}

// TestHangingCostsMilliseconds has a Vault that answers nothing: the first caller pays for finding out.
func TestHangingCostsMilliseconds(t *testing.T) {
	v := vaulttest.Shared(t)
	n := vaulttest.Network(t, v)
	mount := v.MountKV(t)
	s, log := open(t, v, Config{Address: n.Address, Place: Place{Mount: mount}, ClientTimeout: new(2 * time.Second)})
	apply(t, s, set("a", "1"))
	n.Hang()
	for call, err := range everyCall(t.Context(), s) {
		wantUnavailable(t, call, err, "the secret store did not answer in time", v)
	}
	waitFor(t, func() bool { return s.conn.Reason() != nil })
	// A context that has ended would be the answer of a call that waits for Vault.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for range 100 {
		if _, err := s.Keys(ctx, org); !errs.Is(err, errs.Unavailable) || errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("with the breaker open: %v", err)
		}
	}
	n.Pass()
	waitFor(t, func() bool { return s.Check(t.Context()) == nil })
	wantKeys(t, s, "a")
	log.want(t, "Vault serves again")
}

// A cut connection alone is no outage.
func TestResetConnections(t *testing.T) {
	v := vaulttest.Shared(t)
	n := vaulttest.Network(t, v)
	s, _ := open(t, v, Config{Address: n.Address, Place: Place{Mount: v.MountKV(t)}})
	apply(t, s, set("a", "1"))
	for range 20 {
		n.Reset()
		wantKeys(t, s, "a")
	}
	if s.conn.Opened() != 0 {
		t.Error("the breaker opened")
	}
}

// TestRenewedWithMountedCAPath has VAULT_CAPATH name a folder that Kubernetes mounts. The client that renews the token
// is a copy, for which Vault's own library reads its variables anew.
func TestRenewedWithMountedCAPath(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	folder := mounted(t, newPlace(t).ca)
	t.Setenv("VAULT_CAPATH", folder)
	s, log := openAs(t, v, Config{Place: Place{Mount: mount}, Login: appRole(t, v, mount, "2s")})
	waitFor(t, func() bool {
		return s.conn.Session.State().Renewals > 0 || strings.Contains(log.String(), "cannot be watched")
	})
	if strings.Contains(log.String(), "cannot be watched") {
		t.Errorf("the log:\n%s", log)
	}
	if got := login.Variable("VAULT_CAPATH"); got != folder {
		t.Errorf("VAULT_CAPATH is %q now", got)
	}
}

// TestRevokedInANamespace has the token end between the making of a namespace's client and its request: the repetition
// goes out with the next one. Vault's own edition takes no heed of the namespace.
func TestRevokedInANamespace(t *testing.T) {
	v := vaulttest.Shared(t)
	f := newFront(t, v)
	mount := v.MountKV(t)
	conf := Config{Address: f.URL, Place: Place{Mount: mount}, Login: appRole(t, v, mount, "1h"),
		Routes: map[id.ID]Place{org: {Namespace: "eu"}}}
	l := new(logs)
	conf.Logger = l.logger()
	s, err := New(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	apply(t, s, set("a", "1"))
	var mu sync.Mutex
	var tokens []string
	f.set(func(w http.ResponseWriter, r *http.Request, vault http.Handler) {
		if r.Header.Get("X-Vault-Namespace") == "eu" {
			mu.Lock()
			tokens = append(tokens, r.Header.Get("X-Vault-Token"))
			mu.Unlock()
		}
		vault.ServeHTTP(w, r)
	})
	for range 3 {
		old := s.conn.Client.Token()
		v.Revoke(t, old)
		mu.Lock()
		tokens = nil
		mu.Unlock()
		if _, err := secret.Get(t.Context(), s, org, "a"); err != nil {
			t.Fatalf("after the token's end: %v\n%s", err, l)
		}
		apply(t, s, set("a", "2"))
		mu.Lock()
		if len(tokens) < 2 || tokens[0] != old || slices.Contains(tokens[1:], old) {
			t.Errorf("%d requests in the namespace; the revoked token is to be in the first alone", len(tokens))
		}
		mu.Unlock()
	}
	for call, err := range everyCall(t.Context(), s) {
		if err != nil {
			t.Errorf("%s: %v", call, err)
		}
	}
}
