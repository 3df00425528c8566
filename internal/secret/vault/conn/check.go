package conn

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

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
	addr := c.Client.Address()
	if f := (failure{}); errors.As(err, &f) {
		switch f.kind {
		case Sealed:
			return Temporary{fmt.Errorf("Vault at %s is sealed; unseal it with: vault operator unseal", addr)}
		default:
			return Temporary{fmt.Errorf("Vault at %s is not initialised; initialise it with: vault operator init", addr)}
		}
	}
	if errors.Is(Ended(ctx), ErrTooSlow) {
		return Temporary{fmt.Errorf("Vault at %s did not answer within %s (--vault-client-timeout); is the address right (--vault-addr or VAULT_ADDR)?", addr, c.Timeout)}
	}
	if alert := c.tlsAlert(ctx, err); alert != nil {
		err = alert
	}
	text := err.Error()
	says := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case says("server gave HTTP response to HTTPS client"):
		return fmt.Errorf("Vault at %s does not speak TLS; write http:// in --vault-addr or VAULT_ADDR", addr)
	case says("HTTP request to an HTTPS server"):
		return fmt.Errorf("Vault at %s speaks TLS; write https:// in --vault-addr or VAULT_ADDR", addr)
	case says("certificate signed by unknown authority"), says("certificate is not trusted"):
		return fmt.Errorf("Vault at %s shows a certificate of an authority that is not known here; name its file with --vault-cacert or VAULT_CACERT", addr)
	case says("certificate is valid for"), says("not valid for any names"), says("doesn't contain any IP SANs"), says("certificate is not valid for"):
		return fmt.Errorf("Vault at %s shows a certificate for another name (%s); give the name in it with --vault-tls-server-name or VAULT_TLS_SERVER_NAME", addr, last(err))
	case says("certificate has expired"):
		return fmt.Errorf("Vault at %s shows a certificate that is not valid now (%s); renew it, or set the clock", addr, last(err))
	case says("certificate required"), says("bad certificate"), says("unknown certificate"):
		return fmt.Errorf("Vault at %s does not take our certificate, or lack of one (%s); name one with --vault-client-cert and --vault-client-key or VAULT_CLIENT_CERT and VAULT_CLIENT_KEY", addr, last(err))
	}
	var answer *api.ResponseError
	if errors.As(err, &answer) && answer.StatusCode < 500 {
		return fmt.Errorf("what is at %s does not answer as Vault does (status %d for sys/health); correct --vault-addr or VAULT_ADDR", addr, answer.StatusCode)
	}
	if answer != nil {
		return Temporary{fmt.Errorf("Vault at %s has a fault of its own (status %d for sys/health)", addr, answer.StatusCode)}
	}
	if (errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError))) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("what is at %s does not answer as Vault does (sys/health gives no JSON); correct --vault-addr or VAULT_ADDR", addr)
	}
	return Temporary{fmt.Errorf("Vault at %s cannot be reached (%s); start it, or correct --vault-addr or VAULT_ADDR", addr, last(err))}
}

// tlsAlert finds out why a server ends connections right after the handshake, as it does for want of a client
// certificate. HTTP/2 keeps the reason to itself.
func (c *Conn) tlsAlert(ctx context.Context, err error) error {
	u, parseErr := url.Parse(c.Client.Address())
	if parseErr != nil || u.Scheme != "https" || !strings.Contains(err.Error(), "client conn could not be established") {
		return nil
	}
	conf := c.conns.TLSClientConfig.Clone()
	conf.NextProtos = []string{"http/1.1"}
	conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), Either(u.Port() != "", u.Port(), "443")))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err = conn.Read(make([]byte, 1)); err != nil && strings.Contains(err.Error(), "tls:") {
		return err
	}
	return nil
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

// CheckToken looks the token up. lookedUp is the refusal of that, which says nothing until the mount has been asked for:
// a policy may forbid it.
func (c *Conn) CheckToken(ctx context.Context) (lookedUp, err error) {
	if !c.Session.State().LoggedIn {
		if err := c.Session.LogIn(ctx); err != nil {
			return nil, c.whyNoToken(ctx, err)
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
	if uses, _ := info.TokenRemainingUses(); uses > 0 {
		c.Log.Warn("Vault's token ends after a number of uses; the server will lose its secrets then", "uses", uses)
	}
	if renewable, _ := info.TokenIsRenewable(); ttl > 0 && !renewable && !c.Session.Lasting() {
		c.Log.Warn("Vault's token ends and cannot be renewed; give the server one that does not, --vault-token-file, or another --vault-auth-method", "in", login.Words(ttl))
	}
	return nil, nil
}

// IgnoresNamespaces reports whether the server has no namespaces, and pays the setting no heed: then the token looks
// itself up in one that is not there, which Vault Enterprise and OpenBao refuse.
func (c *Conn) IgnoresNamespaces(ctx context.Context) bool {
	_, err := c.In("strongroom-asks-whether-this-is-refused").Auth().Token().LookupSelfWithContext(ctx)
	return err == nil
}

// whyNoToken says what to do about a log-in that failed. One that Vault was not there for is waited for.
func (c *Conn) whyNoToken(ctx context.Context, err error) error {
	var answer *api.ResponseError
	if errors.As(err, &answer) && answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests {
		return fmt.Errorf("Vault at %s refuses the log-in; check the --vault-auth-* settings against the auth method in Vault: %s", c.Client.Address(), oneLine(err))
	}
	if answer == nil && !errors.As(err, new(*url.Error)) && !errors.Is(err, context.DeadlineExceeded) {
		return err // of a file, say
	}
	return Temporary{fmt.Errorf("Vault at %s: %s", c.Client.Address(), oneLine(err))}
}

// oneLine is for the errors of Vault's client, which are lists over several lines.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// WhileAsking is a failure of a check for no reason that it knows.
func (c *Conn) WhileAsking(ctx context.Context, what string, err error) error {
	if errors.Is(Ended(ctx), ErrTooSlow) {
		return Temporary{fmt.Errorf("Vault at %s did not answer %s within %s (--vault-client-timeout)", c.Client.Address(), what, c.Timeout)}
	}
	err = classify(err)
	if f := (failure{}); errors.As(err, &f) && f.kind != Strange && f.kind != Denied {
		return Temporary{fmt.Errorf("Vault at %s, asked for %s: %s", c.Client.Address(), what, f.detail)}
	}
	return fmt.Errorf("Vault at %s, asked for %s: %w", c.Client.Address(), what, err)
}

// TokenSource names the setting that the token is from.
func (c *Conn) TokenSource() string {
	if os.Getenv(api.EnvVaultToken) == c.Client.Token() {
		return "VAULT_TOKEN"
	}
	return "--vault-token"
}
