package login_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/vaulttest"
)

// A token file that is not written in time is not asked for all the time.
func TestTokenFileNotWritten(t *testing.T) {
	t.Parallel()
	v := vaulttest.Shared(t)
	name := v.WritePolicy(t, policy)
	file := vaulttest.File(t, "token", v.NewToken(t, map[string]any{"policies": []string{name}, "ttl": "3s",
		"renewable": false}))
	c := client(t, v.Address)
	s := login.NewSession(c, method(t, login.Config{TokenFile: file}), 5*time.Second, quiet())
	if err := s.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	eventually(t, "the token ends", func() bool { return !allowed(t, c) })
	if n := s.State().LogIns; n > 10 {
		t.Errorf("the token was asked after %d times in 3 s", n)
	}
	next := v.Token(t, policy, time.Hour)
	if err := os.WriteFile(file, []byte(next), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new token is used", func() bool { return allowed(t, c) })
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	v := vaulttest.Shared(t)
	for name, tt := range map[string]struct {
		role map[string]any
		done func(login.State) bool
	}{
		"renewed in time": {map[string]any{"token_ttl": "2s", "token_max_ttl": "1h"}, func(s login.State) bool {
			return s.Renewals >= 3 && s.LogIns == 1
		}},
		"at the maximal life": {map[string]any{"token_ttl": "2s", "token_max_ttl": "4s"}, func(s login.State) bool {
			return s.LogIns >= 3
		}},
		"batch tokens": {map[string]any{"token_ttl": "3s", "token_type": "batch"}, func(s login.State) bool {
			return s.LogIns >= 3
		}},
		"a fixed number of uses": {map[string]any{"token_ttl": "1h", "token_explicit_max_ttl": "3s"},
			func(s login.State) bool { return s.LogIns >= 3 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mount := v.EnableAuth(t, "approle")
			tt.role["token_policies"] = v.WritePolicy(t, policy)
			roleID, secretID := v.AppRole(t, mount, tt.role)
			c := client(t, v.Address)
			s := login.NewSession(c, method(t, login.Config{Method: login.AppRole, Mount: mount, RoleID: roleID,
				SecretID: secretID}), 5*time.Second, quiet())
			if err := s.LogIn(t.Context()); err != nil {
				t.Fatal(err)
			}
			run(t, s)
			eventually(t, name, func() bool {
				// On a busy machine a token may end before its successor is there; then the
				// request that met it is told.
				if token := c.Token(); !allowed(t, c) && !(s.Refused(t.Context(), token) && allowed(t, c)) {
					t.Errorf("no good token meanwhile: %+v", s.State())
				}
				return t.Failed() || tt.done(s.State())
			})
			if life, ok := s.State().Life(time.Now()); !ok || life <= 0 ||
				life > 5*time.Second && name != "a fixed number of uses" {
				t.Errorf("remaining life %v, %t", life, ok)
			}
		})
	}
}

// TestAwayAndBack has Vault away while the session needs it.
func TestAwayAndBack(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t, vaulttest.Persistent(t))
	mount := v.EnableAuth(t, "approle")
	roleID, secretID := v.AppRole(t, mount, map[string]any{"token_policies": v.WritePolicy(t, policy),
		"token_ttl": "2s", "token_type": "batch"})
	c := client(t, v.Address)
	s := login.NewSession(c, method(t, login.Config{Method: login.AppRole, Mount: mount, RoleID: roleID,
		SecretID: secretID}), time.Second, quiet())
	if err := s.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	v.Kill()
	eventually(t, "log-ins fail", func() bool { return s.State().LogInFailures >= 3 })
	v.Restart(t)
	eventually(t, "it is logged in again", func() bool { return s.State().Failing.IsZero() && allowed(t, c) })
}

// TestTokenFileHalfWritten has the file hold half a token, nothing, and then the whole one: the first is used until the
// last is taken, also where tokens may not look themselves up.
func TestTokenFileHalfWritten(t *testing.T) {
	t.Parallel()
	v := vaulttest.Shared(t)
	for name, more := range map[string]string{"": "",
		"without a look at itself": "\n" + `path "auth/token/lookup-self" { capabilities = ["deny"] }`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, next := v.Token(t, policy+more, time.Hour), v.Token(t, policy+more, time.Hour)
			file := vaulttest.File(t, "token", first)
			c := client(t, v.Address)
			s := login.NewSession(c, method(t, login.Config{TokenFile: file}), 5*time.Second, quiet())
			s.Proves = func(ctx context.Context, c *api.Client) bool {
				_, err := c.Logical().ReadWithContext(ctx, "sys/mounts")
				return err == nil
			}
			if err := s.LogIn(t.Context()); err != nil {
				t.Fatal(err)
			}
			run(t, s)
			write := func(text string) {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(next[:len(next)/2])
			eventually(t, "the half is seen", func() bool { return !s.State().Untaken.IsZero() })
			if c.Token() != first || !s.State().Failing.IsZero() {
				t.Errorf("half a token replaces a good one: %+v", s.State())
			}
			write("")
			write(next)
			eventually(t, "the whole is used", func() bool { return c.Token() == next && s.State().Untaken.IsZero() })
		})
	}
}

// TestTokenFileChangesWhileAway has the file written while Vault is away: it is taken once Vault is back.
func TestTokenFileChangesWhileAway(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t, vaulttest.Persistent(t))
	next := v.Token(t, policy, time.Hour)
	file := vaulttest.File(t, "token", v.Token(t, policy, time.Hour))
	c := client(t, v.Address)
	s := login.NewSession(c, method(t, login.Config{TokenFile: file}), time.Second, quiet())
	if err := s.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	v.Kill()
	if err := os.WriteFile(file, []byte(next), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has been tried", func() bool { return !s.State().Untaken.IsZero() })
	v.Restart(t)
	eventually(t, "it is used", func() bool { return c.Token() == next })
}
