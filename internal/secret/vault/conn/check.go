package conn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/secret/vault/login"
)

// Temporary is a state of Vault at start that an operator, or time, will change.
type Temporary struct{ error }

// CheckAddress asks whether Vault is there and unsealed.
func (c *Conn) CheckAddress(ctx context.Context) error {
	err := c.health(ctx)
	if err == nil {
		return nil
	}
	addr := c.Address
	if errors.Is(Ended(ctx), ErrTooSlow) {
		return Temporary{fmt.Errorf("Vault at %s did not answer within %s (--vault-client-timeout); is the address "+
			"right (--vault-addr or VAULT_ADDR)?", addr, c.Timeout)}
	}
	text := err.Error()
	says := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case says("server gave HTTP response to HTTPS client"):
		return fmt.Errorf("Vault at %s does not speak TLS; write http:// in --vault-addr or VAULT_ADDR", addr)
	case says("HTTP request to an HTTPS server"):
		return fmt.Errorf("Vault at %s speaks TLS; write https:// in --vault-addr or VAULT_ADDR", addr)
	}
	var answer *api.ResponseError
	if errors.As(err, &answer) {
		return c.notHealthy(answer)
	}
	var f failure
	if !errors.As(c.meaning(ctx, err), &f) {
		f = failure{Unreachable, text}
	}
	switch f.kind {
	case Sealed:
		return Temporary{fmt.Errorf("Vault at %s is sealed; unseal it with: vault operator unseal", addr)}
	case Uninitialised:
		return Temporary{fmt.Errorf("Vault at %s is not initialised; initialise it with: vault operator init", addr)}
	case Busy:
		return Temporary{fmt.Errorf("what is at %s takes no more requests for now (%s)", addr, f.detail)}
	case Strange:
		return fmt.Errorf("what is at %s does not answer as Vault does (%s); correct --vault-addr or VAULT_ADDR",
			addr, f.detail)
	case Untrusted:
		return c.untrusted(f.detail)
	}
	if c.overSocket() && errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("this user may not use Vault's socket at %s; give it the permission, or correct "+
			"--vault-addr or VAULT_ADDR", addr)
	}
	return Temporary{fmt.Errorf("Vault at %s cannot be reached (%s); start it, or correct --vault-addr or VAULT_ADDR",
		addr, last(err))}
}

// notHealthy says what to do about an answer to sys/health that is none of Vault's states.
func (c *Conn) notHealthy(answer *api.ResponseError) error {
	switch code := answer.StatusCode; {
	case code < 500:
		return fmt.Errorf("what is at %s does not answer as Vault does (status %d for sys/health); correct "+
			"--vault-addr or VAULT_ADDR", c.Address, code)
	case answer.RawError || len(answer.Errors) == 0:
		return Temporary{fmt.Errorf("what is at %s does not reach Vault (status %d for sys/health); start Vault "+
			"behind it, or correct --vault-addr or VAULT_ADDR", c.Address, code)}
	default:
		return Temporary{fmt.Errorf("Vault at %s has a fault of its own (status %d for sys/health)", c.Address, code)}
	}
}

// untrusted says what to do about certificates that one side does not take.
func (c *Conn) untrusted(why string) error {
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(why, p) })
	}
	_, detail, _ := strings.Cut(why, ": ")
	switch {
	case says("does not take our certificate"):
		return fmt.Errorf("Vault at %s does not take our certificate, or lack of one (%s); name one with "+
			"--vault-client-cert and --vault-client-key or VAULT_CLIENT_CERT and VAULT_CLIENT_KEY", c.Address, detail)
	case says("certificate is valid for", "not valid for any names", "doesn't contain any IP SANs",
		"certificate is not valid for"):
		return fmt.Errorf("Vault at %s shows a certificate for another name (%s); give the name in it with "+
			"--vault-tls-server-name or VAULT_TLS_SERVER_NAME", c.Address, detail)
	case says("certificate has expired"):
		return fmt.Errorf("Vault at %s shows a certificate that is not valid now (%s); renew it, or set the clock",
			c.Address, detail)
	default:
		return fmt.Errorf("Vault at %s shows a certificate of an authority that is not known here; name its file "+
			"with --vault-cacert or VAULT_CACERT", c.Address)
	}
}

// overSocket reports whether Vault is reached on this machine by a file.
func (c *Conn) overSocket() bool { return strings.HasPrefix(c.Address, "unix:") }

// Unprotected reports whether others on the network can read what is sent to Vault.
func (c *Conn) Unprotected() bool {
	u, err := url.Parse(c.Address)
	if err != nil || u.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// last is the innermost of an error's causes: what happened, without how the layers above name it.
func last(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// CheckToken looks the token up. lookedUp is the refusal of that, which says nothing until the mount has been asked
// for: a policy may forbid it.
func (c *Conn) CheckToken(ctx context.Context) (lookedUp, err error) {
	if !c.Session.State().LoggedIn {
		if err := c.Session.LogIn(ctx); err != nil {
			return nil, c.whyNoToken(err)
		}
	}
	var info *api.Secret
	info, err = c.Client.Auth().Token().LookupSelfWithContext(ctx)
	switch {
	case IsStatus(err, http.StatusForbidden), IsStatus(err, http.StatusBadRequest):
		return err, nil
	case err != nil:
		return nil, c.WhileAsking(ctx, "auth/token/lookup-self", err)
	}
	ttl, _ := info.TokenTTL()
	uses := c.usesWarning(info)
	if c.uses.Store(&uses); uses != "" {
		c.Log.Warn(uses)
	}
	if renewable, _ := info.TokenIsRenewable(); ttl > 0 && !renewable && !c.Session.Lasting() {
		c.Log.Warn("Vault's token ends and cannot be renewed; give the server one that does not, --vault-token-file, "+
			"or another --vault-auth-method", "in", login.Words(ttl))
	}
	return nil, nil
}

// UsesWarning is what CheckToken has found to say of a token that ends after a number of uses; "" where it does not.
func (c *Conn) UsesWarning() string {
	if uses := c.uses.Load(); uses != nil {
		return *uses
	}
	return ""
}

// usesWarning says what a token means that ends after a number of uses; "" for one that does not.
func (c *Conn) usesWarning(info *api.Secret) string {
	uses, err := info.TokenRemainingUses()
	switch {
	case err != nil || uses <= 0:
		return ""
	case !c.Session.Lasting():
		return fmt.Sprintf("Vault's token ends after %d more uses, which are a moment's; the server will lose its "+
			"secrets then: %s", uses, c.Session.Remedy())
	default:
		return fmt.Sprintf("Vault's token ends after %d more uses, and each end costs the time of another log-in; "+
			"give out tokens without that limit (num_uses, or token_num_uses of the role)", uses)
	}
}

// IgnoresNamespaces reports whether the server has no namespaces, and pays the setting no heed: then the token looks
// itself up in one that is not there, which Vault Enterprise and OpenBao refuse.
func (c *Conn) IgnoresNamespaces(ctx context.Context) bool {
	_, err := c.In("strongroom-asks-whether-this-is-refused").Auth().Token().LookupSelfWithContext(ctx)
	return err == nil
}

// whyNoToken says what to do about a log-in that failed. One that Vault was not there for is waited for.
func (c *Conn) whyNoToken(err error) error {
	var answer *api.ResponseError
	if errors.As(err, &answer) && answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests {
		return fmt.Errorf("Vault at %s refuses the log-in; %s: %s", c.Address, c.Session.LogInRemedy(),
			login.OneLine(err))
	}
	if answer == nil && !errors.As(err, new(*url.Error)) && !errors.Is(err, context.DeadlineExceeded) {
		return err // of a file, say
	}
	return Temporary{fmt.Errorf("Vault at %s: %s", c.Address, login.OneLine(err))}
}

// WhileAsking is a failure of a check for no reason that it knows.
func (c *Conn) WhileAsking(ctx context.Context, what string, err error) error {
	if errors.Is(Ended(ctx), ErrTooSlow) {
		return Temporary{fmt.Errorf("Vault at %s did not answer %s within %s (--vault-client-timeout)", c.Address,
			what, c.Timeout)}
	}
	err = classify(err)
	if f := (failure{}); errors.As(err, &f) && f.kind != Strange && f.kind != Denied {
		return Temporary{fmt.Errorf("Vault at %s, asked for %s: %s", c.Address, what, f.detail)}
	}
	return fmt.Errorf("Vault at %s, asked for %s: %w", c.Address, what, err)
}
