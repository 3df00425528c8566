// Package login keeps a client of Vault logged in: it obtains a token by one of Vault's methods, renews it in time, and
// obtains another when it cannot be renewed any more or has been revoked.
//
//	method  login.NewMethod    how a token is obtained, from files that are read anew at each log-in
//	session login.NewSession   one token, watched by Run
package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
	"github.com/hashicorp/vault/api/auth/kubernetes"
	"github.com/hashicorp/vault/api/auth/userpass"
)

// The methods.
const (
	Token      = "token"
	AppRole    = "approle"
	Kubernetes = "kubernetes"
	JWT        = "jwt"
	Cert       = "cert"
	Userpass   = "userpass"
)

// Methods are the names of the methods.
var Methods = []string{Token, AppRole, Kubernetes, JWT, Cert, Userpass}

// serviceAccount is where Kubernetes puts a pod's own token.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// Config says how to log in. The flag of each field is --vault-auth- and its name, but for the first two.
type Config struct {
	Token     string // --vault-token
	TokenFile string // --vault-token-file; read again when it changes

	// NoToken lets requests go out without a token, for a Vault Agent that adds its own.
	NoToken bool

	Method string // Token where empty
	Mount  string // where the method is mounted below auth/; the method's name where empty
	Role   string // of kubernetes, jwt and (its certificate role) cert; approle has RoleID

	RoleID, RoleIDFile string
	// SecretID may be the token of a wrapped answer (sys/wrapping), in which Vault handed out the secret ID. It is
	// unwrapped once, and the secret ID kept in memory.
	SecretID, SecretIDFile string
	// KeepWrapped has a log-in with such a token end with Wrapped where it is good: somebody else is to unwrap it.
	KeepWrapped  bool
	JWTFile      string // of jwt, and of kubernetes where it is not the pod's own
	Username     string
	PasswordFile string
}

// Method obtains a token.
type Method struct {
	name string
	at   string // where it is in Vault: auth/approle, say
	// file is what a log-in reads, where a new one means another token: the token's own.
	file  string
	again bool // whether another log-in can give another token
	login func(ctx context.Context, c *api.Client) (*api.Secret, error)
}

// Name is the method's name, as in Methods.
func (m *Method) Name() string { return m.name }

// NewMethod makes the method that the Config describes. What is missing or superfluous is an error that names the flag.
func NewMethod(c Config) (*Method, error) {
	name := cmp.Or(c.Method, Token)
	if !slices.Contains(Methods, name) {
		return nil, fmt.Errorf("--vault-auth-method: %q is none of %s", name, strings.Join(Methods, ", "))
	}
	if err := c.check(name); err != nil {
		return nil, err
	}
	mount := cmp.Or(strings.Trim(strings.TrimPrefix(strings.Trim(c.Mount, "/"), "auth/"), "/"), name)
	m := &Method{name: name, at: "auth/" + mount, again: true}
	switch name {
	case Token:
		m.login, m.file, m.again = c.token, c.TokenFile, c.TokenFile != ""
	case AppRole:
		u := &unwrapper{prefix: "auth/" + mount + "/role/", keep: c.KeepWrapped}
		m.login = func(ctx context.Context, client *api.Client) (*api.Secret, error) {
			return c.appRole(ctx, client, mount, u)
		}
	case Kubernetes:
		m.login = func(ctx context.Context, client *api.Client) (*api.Secret, error) {
			jwt, err := readFile("--vault-auth-jwt-file", cmp.Or(c.JWTFile, serviceAccount))
			if err != nil {
				return nil, err
			}
			a, err := kubernetes.NewKubernetesAuth(c.Role, kubernetes.WithMountPath(mount),
				kubernetes.WithServiceAccountToken(jwt))
			if err != nil {
				return nil, err
			}
			return a.Login(ctx, client)
		}
	case JWT: // the client library has no helper for this one and the next
		m.login = func(ctx context.Context, client *api.Client) (*api.Secret, error) {
			jwt, err := readFile("--vault-auth-jwt-file", c.JWTFile)
			if err != nil {
				return nil, err
			}
			return client.Logical().WriteWithContext(ctx, "auth/"+mount+"/login",
				map[string]any{"role": c.Role, "jwt": jwt})
		}
	case Cert:
		m.login = func(ctx context.Context, client *api.Client) (*api.Secret, error) {
			body := map[string]any{}
			if c.Role != "" {
				body["name"] = c.Role
			}
			return client.Logical().WriteWithContext(ctx, "auth/"+mount+"/login", body)
		}
	case Userpass:
		m.login = func(ctx context.Context, client *api.Client) (*api.Secret, error) {
			password, err := readFile("--vault-auth-password-file", c.PasswordFile)
			if err != nil {
				return nil, err
			}
			a, err := userpass.NewUserpassAuth(c.Username, &userpass.Password{FromString: password},
				userpass.WithMountPath(mount))
			if err != nil {
				return nil, err
			}
			return a.Login(ctx, client)
		}
	}
	return m, nil
}

// check compares what is given with what the method takes.
func (c Config) check(name string) error {
	for _, f := range []struct {
		flag, value string
		of          []string
	}{
		{"--vault-token", c.Token, []string{Token}},
		{"--vault-token-file", c.TokenFile, []string{Token}},
		{"--vault-auth-mount", c.Mount, []string{AppRole, Kubernetes, JWT, Cert, Userpass}},
		{"--vault-auth-role", c.Role, []string{Kubernetes, JWT, Cert}},
		{"--vault-auth-role-id", c.RoleID, []string{AppRole}},
		{"--vault-auth-role-id-file", c.RoleIDFile, []string{AppRole}},
		{"--vault-auth-secret-id", c.SecretID, []string{AppRole}},
		{"--vault-auth-secret-id-file", c.SecretIDFile, []string{AppRole}},
		{"--vault-auth-jwt-file", c.JWTFile, []string{Kubernetes, JWT}},
		{"--vault-auth-username", c.Username, []string{Userpass}},
		{"--vault-auth-password-file", c.PasswordFile, []string{Userpass}},
	} {
		if f.value != "" && !slices.Contains(f.of, name) {
			return fmt.Errorf("%s is for --vault-auth-method %s; the method is %s", f.flag,
				strings.Join(f.of, " or "), name)
		}
	}
	missing := func(flag string) error {
		return fmt.Errorf("--vault-auth-method %s needs %s", name, flag)
	}
	switch {
	case name == AppRole && c.RoleID == "" && c.RoleIDFile == "":
		return missing("--vault-auth-role-id or --vault-auth-role-id-file")
	case name == AppRole && c.RoleID != "" && c.RoleIDFile != "":
		return errors.New("--vault-auth-role-id and --vault-auth-role-id-file exclude each other; set one")
	case name == AppRole && c.SecretID != "" && c.SecretIDFile != "":
		return errors.New("--vault-auth-secret-id and --vault-auth-secret-id-file exclude each other; set one")
	case (name == Kubernetes || name == JWT) && c.Role == "":
		return missing("--vault-auth-role")
	case name == JWT && c.JWTFile == "":
		return missing("--vault-auth-jwt-file")
	case name == Userpass && c.Username == "":
		return missing("--vault-auth-username")
	case name == Userpass && c.PasswordFile == "":
		return missing("--vault-auth-password-file")
	case name == Token && c.Token != "" && c.TokenFile != "":
		return errors.New("--vault-token and --vault-token-file exclude each other; set one")
	case name == Token && c.Token == "" && c.TokenFile == "" && !c.NoToken:
		return errors.New("there is no Vault token; set VAULT_TOKEN, --vault-token or --vault-token-file, or another " +
			"--vault-auth-method")
	}
	return nil
}

// token takes the given token, or the file's, and asks Vault how long it lasts. A policy may forbid a token to look
// itself up, so a refusal proves nothing; the first use will tell.
func (c Config) token(ctx context.Context, client *api.Client) (*api.Secret, error) {
	token := c.Token
	if c.TokenFile != "" {
		var err error
		if token, err = readFile("--vault-token-file", c.TokenFile); err != nil {
			return nil, err
		}
	}
	auth := &api.SecretAuth{ClientToken: token}
	client.SetToken(token)
	self, err := client.Auth().Token().LookupSelfWithContext(ctx)
	switch {
	case forbidden(err):
		return &api.Secret{Auth: auth}, nil
	case err != nil:
		return nil, err
	}
	ttl, err := self.TokenTTL()
	if err != nil {
		return nil, fmt.Errorf("Vault's answer about the token: %w", err)
	}
	auth.LeaseDuration = int(ttl.Seconds())
	if auth.Renewable, err = self.TokenIsRenewable(); err != nil {
		return nil, fmt.Errorf("Vault's answer about the token: %w", err)
	}
	if auth.Accessor, err = self.TokenAccessor(); err != nil { // says that the look-up was allowed
		return nil, fmt.Errorf("Vault's answer about the token: %w", err)
	}
	return &api.Secret{Auth: auth}, nil
}

func (c Config) appRole(ctx context.Context, client *api.Client, mount string, u *unwrapper) (*api.Secret, error) {
	roleID, secretID := c.RoleID, c.SecretID
	var err error
	if c.RoleIDFile != "" {
		if roleID, err = readFile("--vault-auth-role-id-file", c.RoleIDFile); err != nil {
			return nil, err
		}
	}
	if c.SecretIDFile != "" {
		if secretID, err = readFile("--vault-auth-secret-id-file", c.SecretIDFile); err != nil {
			return nil, err
		}
	}
	if secretID == "" { // a role without bind_secret_id; the helper insists on one
		return client.Logical().WriteWithContext(ctx, "auth/"+mount+"/login", map[string]any{"role_id": roleID})
	}
	if secretID, err = u.secretID(ctx, client, secretID); err != nil {
		return nil, err
	}
	a, err := approle.NewAppRoleAuth(roleID, &approle.SecretID{FromString: secretID}, approle.WithMountPath(mount))
	if err != nil {
		return nil, err
	}
	return a.Login(ctx, client)
}

// readFile reads a credential. The white space at its end is the editor's.
func readFile(flag, path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		return "", fmt.Errorf("%s: %s is empty", flag, path)
	}
	return text, nil
}
