package login_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"go.uber.org/goleak"

	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/vaulttest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("os/exec.(*Cmd).Start.func2"))
}

// policy lets a token read one path, which shows that it is the role's.
const policy = `path "sys/mounts" { capabilities = ["read"] }`

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// client is one without a token. Its connections end with the test.
func client(t *testing.T, address string) *api.Client {
	t.Helper()
	conf := api.DefaultConfig()
	conf.Address, conf.MaxRetries = address, 0
	c, err := api.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	c.ClearToken()
	t.Cleanup(func() { c.CloneConfig().HttpClient.CloseIdleConnections() })
	return c
}

// allowed reports whether the client may do what the policy says.
func allowed(t *testing.T, c *api.Client) bool {
	t.Helper()
	_, err := c.Logical().ReadWithContext(t.Context(), "sys/mounts")
	return err == nil
}

func method(t *testing.T, c login.Config) *login.Method {
	t.Helper()
	m, err := login.NewMethod(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run keeps the session until the test ends.
func run(t *testing.T, s *login.Session) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// eventually waits for a state that comes by itself.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not come about: %s", what)
		}
	}
}

func TestSettingsThatDoNotFit(t *testing.T) {
	for name, tt := range map[string]struct {
		conf login.Config
		want string
	}{
		"nothing":               {login.Config{}, "VAULT_TOKEN"},
		"a method that is none": {login.Config{Method: "ldap"}, `--vault-auth-method: "ldap"`},
		"approle alone":         {login.Config{Method: login.AppRole}, "needs --vault-auth-role-id or"},
		"two role IDs": {login.Config{Method: login.AppRole, RoleID: "a", RoleIDFile: "b"},
			"exclude each other"},
		"two secret IDs": {login.Config{Method: login.AppRole, RoleID: "a", SecretID: "b", SecretIDFile: "c"},
			"exclude each other"},
		"kubernetes without role": {login.Config{Method: login.Kubernetes}, "needs --vault-auth-role"},
		"jwt without role":        {login.Config{Method: login.JWT, JWTFile: "f"}, "needs --vault-auth-role"},
		"jwt without file":        {login.Config{Method: login.JWT, Role: "r"}, "needs --vault-auth-jwt-file"},
		"userpass without name": {login.Config{Method: login.Userpass, PasswordFile: "f"},
			"needs --vault-auth-username"},
		"userpass without file": {login.Config{Method: login.Userpass, Username: "u"},
			"needs --vault-auth-password-file"},
		"another method's setting": {login.Config{Method: login.Userpass, Username: "u", PasswordFile: "f",
			RoleID: "x"}, "--vault-auth-role-id is for --vault-auth-method approle"},
		"a token for a method": {login.Config{Token: "t", Method: login.Cert}, "--vault-token is for"},
		"two tokens":           {login.Config{Token: "t", TokenFile: "f"}, "exclude each other"},
		"a role for tokens":    {login.Config{Token: "t", Role: "x"}, "--vault-auth-role is for"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := login.NewMethod(tt.conf); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestLogInsThatFail(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.EnableAuth(t, "approle")
	role := map[string]any{"token_policies": v.WritePolicy(t, policy)}
	roleID, secretID := v.AppRole(t, mount, role)
	other := v.EnableAuth(t, "approle")
	v.AppRole(t, other, role)
	used := v.Wrap(t, "POST", "auth/"+mount+"/role/r/secret-id")
	v.DoAs(t, used, "POST", "sys/wrapping/unwrap", nil)

	approle := func(secret string) login.Config {
		return login.Config{Method: login.AppRole, Mount: mount, RoleID: roleID, SecretID: secret}
	}
	for name, tt := range map[string]struct {
		conf login.Config
		want string
	}{
		"a wrong secret ID": {approle("11111111-2222-3333-4444-555555555555"), "invalid"},
		"a wrong role ID": {login.Config{Method: login.AppRole, Mount: mount, RoleID: "nobody",
			SecretID: secretID}, "invalid"},
		"an unwrapped secret ID": {approle(used), "has been unwrapped before"},
		"a wrapping token of others": {approle(v.Wrap(t, "POST", "auth/"+other+"/role/r/secret-id")),
			"take it as an attack"},
		"a wrapped role ID": {approle(v.Wrap(t, "GET", "auth/"+mount+"/role/r/role-id")),
			"take it as an attack"},
		"no such file": {login.Config{Method: login.AppRole, Mount: mount, RoleID: roleID,
			SecretIDFile: "/nowhere"}, "--vault-auth-secret-id-file"},
		"an empty file": {login.Config{TokenFile: vaulttest.File(t, "token", "\n")}, "is empty"},
		"nothing mounted": {login.Config{Method: login.AppRole, Mount: "nothing", RoleID: roleID,
			SecretID: secretID}, "approle"},
		"no pod's account":             {login.Config{Method: login.Kubernetes, Role: "r"}, "--vault-auth-jwt-file"},
		"a certificate where none was": {login.Config{Method: login.Cert, Mount: v.EnableAuth(t, "cert")}, "cert"},
	} {
		t.Run(name, func(t *testing.T) {
			s := login.NewSession(client(t, v.Address), method(t, tt.conf), 5*time.Second, quiet())
			err := s.LogIn(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			for _, secret := range []string{secretID, tt.conf.SecretID} {
				if secret != "" && strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows the secret ID: %v", err)
				}
			}
			if state := s.State(); state.LoggedIn || state.Failing.IsZero() || state.LogInFailures != 1 {
				t.Errorf("state %+v", state)
			}
			// Asked again at once, it does not bother Vault.
			if err := s.LogIn(t.Context()); err == nil || s.State().LogInFailures != 1 {
				t.Errorf("a second log-in at once: error %v, state %+v", err, s.State())
			}
		})
	}
}

func TestMethods(t *testing.T) {
	v := vaulttest.Shared(t)
	name := v.WritePolicy(t, policy)
	role := map[string]any{"token_policies": name, "token_ttl": "1h"}
	for method, prepare := range map[string]func(t *testing.T) login.Config{
		"token": func(t *testing.T) login.Config { return login.Config{Token: v.Token(t, policy, time.Hour)} },
		"token file": func(t *testing.T) login.Config {
			return login.Config{TokenFile: vaulttest.File(t, "token", v.Token(t, policy, time.Hour)+"\n")}
		},
		"approle": func(t *testing.T) login.Config {
			mount := v.EnableAuth(t, "approle")
			roleID, secretID := v.AppRole(t, mount, role)
			return login.Config{Method: login.AppRole, Mount: mount, RoleID: roleID, SecretID: secretID}
		},
		"approle by files": func(t *testing.T) login.Config {
			mount := v.EnableAuth(t, "approle")
			roleID, secretID := v.AppRole(t, mount, role)
			return login.Config{Method: login.AppRole, Mount: mount, RoleIDFile: vaulttest.File(t, "role", roleID+"\n"),
				SecretIDFile: vaulttest.File(t, "secret", secretID+"\n")}
		},
		"approle wrapped": func(t *testing.T) login.Config {
			mount := v.EnableAuth(t, "approle")
			roleID, _ := v.AppRole(t, mount, role)
			return login.Config{Method: login.AppRole, Mount: mount, RoleID: roleID,
				SecretID: v.Wrap(t, "POST", "auth/"+mount+"/role/r/secret-id")}
		},
		"approle without secret": func(t *testing.T) login.Config {
			mount := v.EnableAuth(t, "approle")
			roleID, _ := v.AppRole(t, mount, map[string]any{"token_policies": name, "bind_secret_id": false,
				"token_bound_cidrs": "127.0.0.0/8"})
			return login.Config{Method: login.AppRole, Mount: mount, RoleID: roleID}
		},
		"userpass": func(t *testing.T) login.Config {
			mount := v.EnableAuth(t, "userpass")
			v.ConfigureAuth(t, mount, "users/anna", map[string]any{"password": "pass word", "token_policies": name})
			return login.Config{Method: login.Userpass, Mount: mount, Username: "anna",
				PasswordFile: vaulttest.File(t, "password", "pass word\n")}
		},
		"jwt": func(t *testing.T) login.Config {
			mount, signer := v.EnableAuth(t, "jwt"), vaulttest.NewSigner(t)
			v.ConfigureAuth(t, mount, "config", map[string]any{"jwt_validation_pubkeys": signer.PublicKey(t)})
			v.ConfigureAuth(t, mount, "role/r", map[string]any{"role_type": "jwt", "user_claim": "sub",
				"bound_audiences": "vault", "token_policies": name})
			return login.Config{Method: login.JWT, Mount: mount, Role: "r", JWTFile: vaulttest.File(t, "jwt",
				signer.Sign(t, map[string]any{"sub": "influxd", "aud": "vault"})+"\n")}
		},
		"kubernetes": func(t *testing.T) login.Config {
			mount, signer := v.EnableAuth(t, "kubernetes"), vaulttest.NewSigner(t)
			jwt := signer.Sign(t, map[string]any{"iss": "kubernetes/serviceaccount",
				"sub": "system:serviceaccount:db:influxd", "kubernetes.io": map[string]any{"namespace": "db",
					"serviceaccount": map[string]any{"name": "influxd", "uid": "uid-1"}}})
			k := vaulttest.Kubernetes(t, "db", "influxd", func() string { return jwt })
			v.ConfigureAuth(t, mount, "config", map[string]any{"kubernetes_host": k.URL, "token_reviewer_jwt": jwt,
				"disable_local_ca_jwt": true, "kubernetes_ca_cert": string(vaulttest.NewAuthority(t, "cluster").PEM)})
			v.ConfigureAuth(t, mount, "role/r", map[string]any{"bound_service_account_names": "influxd",
				"bound_service_account_namespaces": "db", "token_policies": name})
			return login.Config{Method: login.Kubernetes, Mount: mount, Role: "r",
				JWTFile: vaulttest.File(t, "jwt", jwt+"\n")}
		},
	} {
		t.Run(method, func(t *testing.T) {
			conf := prepare(t)
			m, err := login.NewMethod(conf)
			if err != nil {
				t.Fatal(err)
			}
			c := client(t, v.Address)
			s := login.NewSession(c, m, 5*time.Second, quiet())
			if err := s.LogIn(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !allowed(t, c) {
				t.Error("the token has not the role's policy")
			}
			if state := s.State(); !state.LoggedIn || !state.MayLookUp || state.LogIns != 1 {
				t.Errorf("state %+v", state)
			}
			if s.Refused(t.Context(), c.Token()) {
				t.Error("a good token that was refused something is replaced")
			}
			v.Revoke(t, c.Token())
			static := method == "token" || method == "token file"
			if got := s.Refused(t.Context(), c.Token()); got == static {
				t.Errorf("after the token's revocation, another: %t", got)
			}
			if !static && !allowed(t, c) {
				t.Error("the second token has not the role's policy")
			}
		})
	}
}

// TestCertificate needs a server with TLS.
func TestCertificate(t *testing.T) {
	ca, clients := vaulttest.NewAuthority(t, "servers"), vaulttest.NewAuthority(t, "clients")
	v := vaulttest.Start(t, vaulttest.WithTLS(t, ca, clients))
	mount := v.EnableAuth(t, "cert")
	v.ConfigureAuth(t, mount, "certs/r", map[string]any{"certificate": string(clients.PEM),
		"token_policies": v.WritePolicy(t, policy)})
	dir := t.TempDir()
	certFile, keyFile := clients.Issue(t, dir, "influxd")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	conf := api.DefaultConfig()
	conf.Address = v.Address
	if err := conf.ConfigureTLS(&api.TLSConfig{CACert: ca.File(t, dir)}); err != nil {
		t.Fatal(err)
	}
	transport := conf.HttpClient.Transport.(*http.Transport)
	transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	c, err := api.NewClient(conf)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	s := login.NewSession(c, method(t, login.Config{Method: login.Cert, Mount: mount, Role: "r"}),
		5*time.Second, quiet())
	if err := s.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !allowed(t, c) {
		t.Error("the token has not the role's policy")
	}
}

func TestOneLogInAtATime(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.EnableAuth(t, "approle")
	roleID, secretID := v.AppRole(t, mount, map[string]any{"token_policies": v.WritePolicy(t, policy)})
	c := client(t, v.Address)
	s := login.NewSession(c, method(t, login.Config{Method: login.AppRole, Mount: mount, RoleID: roleID,
		SecretID: secretID}), 5*time.Second, quiet())
	var wg sync.WaitGroup
	var failed atomic.Int32
	for range 32 {
		wg.Go(func() {
			if s.LogIn(t.Context()) != nil {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	token := c.Token()
	v.Revoke(t, token)
	for range 32 {
		wg.Go(func() {
			if !s.Refused(t.Context(), token) {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d were not given a token", n)
	}
	// one that asks after the first has ended finds a token that is not "" or the old one
	if got := s.State().LogIns; got > 3 {
		t.Errorf("%d log-ins for two tokens", got)
	}
}

// A wrapped secret ID serves for more than one log-in.
func TestWrappedSecretIDLasts(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.EnableAuth(t, "approle")
	roleID, _ := v.AppRole(t, mount, map[string]any{"token_policies": v.WritePolicy(t, policy)})
	c := client(t, v.Address)
	s := login.NewSession(c, method(t, login.Config{Method: login.AppRole, Mount: mount, RoleID: roleID,
		SecretIDFile: vaulttest.File(t, "wrapped", v.Wrap(t, "POST", "auth/"+mount+"/role/r/secret-id"))}),
		5*time.Second, quiet())
	for range 3 {
		if err := s.LogIn(t.Context()); err != nil {
			t.Fatal(err)
		}
		v.Revoke(t, c.Token())
		s.Refused(t.Context(), c.Token())
	}
	if !allowed(t, c) {
		t.Error("no good token")
	}
}

func TestTokenFileChanges(t *testing.T) {
	v := vaulttest.Shared(t)
	file := vaulttest.File(t, "token", v.Token(t, policy, time.Hour))
	c := client(t, v.Address)
	s := login.NewSession(c, method(t, login.Config{TokenFile: file}), 5*time.Second, quiet())
	if err := s.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	next := v.Token(t, policy, 2*time.Hour)
	if err := os.WriteFile(file, []byte(next+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The clock of a file system may be coarse and both tokens are of one length; tools replace files later than that.
	if err := os.Chtimes(file, time.Now(), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file's new token is used", func() bool { return c.Token() == next })
}
