package vault

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/vaulttest"
)

// loginAdvice are the set-ups with a log-in that does not work: by Kubernetes, by a JWT and by a certificate. mount is
// where secrets are, and secured a Vault that wants certificates.
func loginAdvice(t *testing.T, v, secured *vaulttest.Server, tls Config, clients *vaulttest.Authority,
	mount string) map[string]broken {
	all := map[string]broken{}
	const tokens = "--vault-token|VAULT_TOKEN"
	policy := v.WritePolicy(t, vaulttest.Policy(mount))
	add := func(title string, good login.Config, change func(*login.Config), says string,
		mend func(t *testing.T)) {
		bad := good
		if change != nil {
			change(&bad)
		}
		all[title] = broken{conf: Config{Place: Place{Mount: mount}, Login: bad}, error: says, never: tokens,
			mend: func(t *testing.T, c *Config, _ string, _ error) {
				if mend != nil {
					mend(t)
				}
				c.Login = good
			}}
	}

	// JWT, against a key of its own.
	signer := vaulttest.NewSigner(t)
	jwtAt := v.EnableAuth(t, "jwt")
	v.ConfigureAuth(t, jwtAt, "config", map[string]any{"jwt_validation_pubkeys": signer.PublicKey(t)})
	v.ConfigureAuth(t, jwtAt, "role/r", map[string]any{"role_type": "jwt", "user_claim": "sub",
		"bound_audiences": "vault", "token_policies": policy})
	file := func(text string) string { return vaulttest.File(t, "jwt", text) }
	claims := func(more map[string]any) map[string]any {
		all := map[string]any{"sub": "influxd", "aud": "vault"}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	byJWT := login.Config{Method: login.JWT, Mount: jwtAt, Role: "r", JWTFile: file(signer.Sign(t, claims(nil)))}
	const checkJWT = "check --vault-auth-role, --vault-auth-jwt-file and --vault-auth-mount against the role at auth/"
	add("a JWT for another role", byJWT, func(c *login.Config) { c.Role = "elsewhere" }, checkJWT, nil)
	add("a JWT at another mount", byJWT, func(c *login.Config) { c.Mount = "jwt-elsewhere" }, checkJWT, nil)
	add("a JWT that has ended", byJWT, func(c *login.Config) {
		c.JWTFile = file(signer.Sign(t, claims(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})))
	}, checkJWT, nil)
	add("a JWT for another audience", byJWT, func(c *login.Config) {
		c.JWTFile = file(signer.Sign(t, claims(map[string]any{"aud": "elsewhere"})))
	}, checkJWT, nil)
	add("a JWT of another signer", byJWT, func(c *login.Config) {
		c.JWTFile = file(vaulttest.NewSigner(t).Sign(t, claims(nil)))
	}, checkJWT, nil)
	add("half a JWT", byJWT, func(c *login.Config) { c.JWTFile = file("eyJhbGciOi") }, checkJWT, nil)
	add("no file of the JWT", byJWT, func(c *login.Config) { c.JWTFile = "/nowhere/jwt" },
		"--vault-auth-jwt-file: open /nowhere/jwt", nil)
	add("an empty file of the JWT", byJWT, func(c *login.Config) { c.JWTFile = file("") }, "--vault-auth-jwt-file: ", nil)

	// Kubernetes.
	account := func(uid string) string {
		return signer.Sign(t, map[string]any{"iss": "kubernetes/serviceaccount",
			"sub": "system:serviceaccount:db:influxd", "kubernetes.io": map[string]any{"namespace": "db",
				"serviceaccount": map[string]any{"name": "influxd", "uid": uid}}})
	}
	ours := account("uid-1")
	k := vaulttest.Kubernetes(t, "db", "influxd", func() string { return ours })
	kubeAt := v.EnableAuth(t, "kubernetes")
	kubeConfig := func(host string) map[string]any {
		return map[string]any{"kubernetes_host": host, "token_reviewer_jwt": ours, "disable_local_ca_jwt": true,
			"kubernetes_ca_cert": string(vaulttest.NewAuthority(t, "cluster").PEM)}
	}
	v.ConfigureAuth(t, kubeAt, "config", kubeConfig(k.URL))
	kubeRole := func(role, name string) {
		v.ConfigureAuth(t, kubeAt, "role/"+role, map[string]any{"bound_service_account_names": name,
			"bound_service_account_namespaces": "db", "token_policies": policy})
	}
	kubeRole("r", "influxd")
	kubeRole("other", "telegraf")
	byAccount := login.Config{Method: login.Kubernetes, Mount: kubeAt, Role: "r", JWTFile: file(ours)}
	add("a service account for another role", byAccount, func(c *login.Config) {
		c.Role = "elsewhere"
	}, checkJWT, nil)
	add("a role of another service account", byAccount, func(c *login.Config) { c.Role = "other" }, checkJWT, nil)
	add("a service account at another mount", byAccount, func(c *login.Config) { c.Mount = "kubernetes-elsewhere" },
		checkJWT, nil)
	add("a service account that Kubernetes does not know", byAccount, func(c *login.Config) {
		c.JWTFile = file(account("uid-2"))
	}, checkJWT, nil)
	add("outside a pod", byAccount, func(c *login.Config) { c.JWTFile = "" },
		"--vault-auth-jwt-file: open /var/run/secrets/kubernetes.io/serviceaccount/token", nil)
	lost := v.EnableAuth(t, "kubernetes")
	v.ConfigureAuth(t, lost, "config", kubeConfig("http://127.0.0.1:1"))
	v.ConfigureAuth(t, lost, "role/r", map[string]any{"bound_service_account_names": "influxd",
		"bound_service_account_namespaces": "db", "token_policies": policy})
	unreached := byAccount
	unreached.Mount = lost
	const reaches = "kubernetes_host and token_reviewer_jwt at auth/"
	add("a Kubernetes that Vault does not reach", unreached, nil, reaches+lost+"/config", func(t *testing.T) {
		v.ConfigureAuth(t, lost, "config", kubeConfig(k.URL))
	})

	// Certificates, as log-ins.
	certAt := secured.EnableAuth(t, "cert")
	certPolicy := secured.WritePolicy(t, vaulttest.Policy("secret"))
	certRole := func(role string, authority *vaulttest.Authority, more map[string]any) {
		body := map[string]any{"certificate": string(authority.PEM), "token_policies": certPolicy}
		for k, v := range more {
			body[k] = v
		}
		secured.ConfigureAuth(t, certAt, "certs/"+role, body)
	}
	certRole("r", clients, nil)
	certRole("strangers", vaulttest.NewAuthority(t, "strangers"), nil)
	certRole("named", clients, map[string]any{"allowed_common_names": "elsewhere"})
	byCert := tls
	byCert.Token, byCert.Login = "", login.Config{Method: login.Cert, Mount: certAt, Role: "r"}
	const checkCert = "check that the certificate of --vault-client-cert is one that auth/"
	for title, change := range map[string]func(*login.Config){
		"a certificate for another role":           func(c *login.Config) { c.Role = "elsewhere" },
		"a certificate for others' authority":      func(c *login.Config) { c.Role = "strangers" },
		"a certificate of another name":            func(c *login.Config) { c.Role = "named" },
		"a certificate at a mount that is nowhere": func(c *login.Config) { c.Mount = "cert-elsewhere" },
	} {
		bad := byCert
		change(&bad.Login)
		all[title] = broken{conf: bad, error: checkCert, never: tokens,
			mend: func(_ *testing.T, c *Config, _ string, _ error) { *c = byCert }}
	}
	none := byCert
	none.ClientCert, none.ClientKey = "", ""
	all["a log-in by a certificate, and none"] = broken{conf: none,
		error: "--vault-client-cert", never: tokens,
		mend: func(_ *testing.T, c *Config, _ string, _ error) { *c = byCert }}
	gone := byCert
	gone.ClientCert = filepath.Join(t.TempDir(), "cert.pem")
	all["no file of the certificate"] = broken{conf: gone, error: "--vault-client-cert: open ", never: tokens,
		mend: func(t *testing.T, c *Config, _ string, _ error) {
			pem, err := os.ReadFile(byCert.ClientCert)
			if err == nil {
				err = os.WriteFile(c.ClientCert, pem, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}}

	// A Vault that nobody has initialised, as it tells that itself.
	f := newFront(t, v)
	f.set(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(299)
		fmt.Fprint(w, `{"initialized":false,"sealed":true,"standby":true,"version":"1.14.1"}`)
	})
	all["not initialised"] = broken{conf: Config{Address: f.URL, Place: Place{Mount: mount},
		Token: v.Token(t, vaulttest.Policy(mount), time.Hour)}, error: "initialise it with: vault operator init",
		never: "unseal", mend: func(*testing.T, *Config, string, error) { f.set(nil) }}
	return all
}
