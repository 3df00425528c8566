package vault

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
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/id"
)

// temporary is a state of Vault at start that an operator, or time, will change.
type temporary struct{ error }

// start checks that secrets can be kept, and waits for a Vault that is not there yet.
func (s *Store) start(ctx context.Context, wait time.Duration) error {
	began := time.Now()
	for pause := time.Second; ; pause = min(pause*2, 5*time.Second) {
		err := s.check(ctx)
		if err == nil {
			s.log.Info("secrets are kept in Vault", "address", s.client.Address(), "path", s.everywhere.Mount+"/data/"+s.everywhere.Path)
			return nil
		}
		left := wait - time.Since(began)
		if state := (temporary{}); ctx.Err() != nil || !errors.As(err, &state) {
			return err
		} else if left <= 0 {
			if wait > 0 {
				err = fmt.Errorf("%w (waited %s for it)", err, wait)
			}
			return err
		}
		s.log.Warn("waiting for Vault", "state", err.Error(), "left", left.Round(time.Second))
		select {
		case <-ctx.Done():
			return err
		case <-time.After(min(pause, left)):
		}
	}
}

// check makes the checks of a start, in the order in which one would look for the mistake.
func (s *Store) check(ctx context.Context) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if err := s.checkAddress(ctx); err != nil {
		return err
	}
	lookedUp, err := s.checkToken(ctx)
	if err != nil {
		return err
	}
	// Routes may share a mount and not a policy.
	mounts := make(map[Place]bool)
	for _, p := range s.allPlaces() {
		if at := (Place{Mount: p.Mount, Namespace: p.Namespace}); !mounts[at] {
			mounts[at] = true
			if err := s.checkMount(ctx, p, lookedUp == nil); err != nil {
				return err
			}
		}
	}
	if lookedUp != nil {
		s.log.Warn("Vault does not let the token look itself up, so that its end will not be told from a missing permission; "+
			"Vault's default policy allows it", "path", "auth/token/lookup-self")
	}
	for _, p := range s.allPlaces() {
		s.checkPolicy(ctx, p)
	}
	return nil
}

// checkAddress asks whether Vault is there and unsealed.
func (s *Store) checkAddress(ctx context.Context) error {
	err := s.health(ctx)
	if err == nil {
		return nil
	}
	addr := s.client.Address()
	if f := (failure{}); errors.As(err, &f) {
		switch f.kind {
		case sealed:
			return temporary{fmt.Errorf("Vault at %s is sealed; unseal it with: vault operator unseal", addr)}
		default:
			return temporary{fmt.Errorf("Vault at %s is not initialised; initialise it with: vault operator init", addr)}
		}
	}
	if errors.Is(ended(ctx), errTooSlow) {
		return temporary{fmt.Errorf("Vault at %s did not answer within %s (--vault-client-timeout); is the address right (--vault-addr or VAULT_ADDR)?", addr, s.timeout)}
	}
	if alert := s.tlsAlert(ctx, err); alert != nil {
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
		return temporary{fmt.Errorf("Vault at %s has a fault of its own (status %d for sys/health)", addr, answer.StatusCode)}
	}
	if (errors.As(err, new(*json.SyntaxError)) || errors.As(err, new(*json.UnmarshalTypeError))) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("what is at %s does not answer as Vault does (sys/health gives no JSON); correct --vault-addr or VAULT_ADDR", addr)
	}
	return temporary{fmt.Errorf("Vault at %s cannot be reached (%s); start it, or correct --vault-addr or VAULT_ADDR", addr, last(err))}
}

// tlsAlert finds out why a server ends connections right after the handshake, as it does for want of a client
// certificate. HTTP/2 keeps the reason to itself.
func (s *Store) tlsAlert(ctx context.Context, err error) error {
	u, parseErr := url.Parse(s.client.Address())
	if parseErr != nil || u.Scheme != "https" || !strings.Contains(err.Error(), "client conn could not be established") {
		return nil
	}
	conf := s.conns.TLSClientConfig.Clone()
	conf.NextProtos = []string{"http/1.1"}
	conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), either(u.Port() != "", u.Port(), "443")))
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

// checkToken looks the token up. lookedUp is the refusal of that, which says nothing until the mount has been asked for:
// a policy may forbid it.
func (s *Store) checkToken(ctx context.Context) (lookedUp, err error) {
	if !s.session.State().LoggedIn {
		if err := s.session.LogIn(ctx); err != nil {
			return nil, s.whyNoToken(ctx, err)
		}
	}
	var info *api.Secret
	info, err = s.client.Auth().Token().LookupSelfWithContext(ctx)
	switch {
	case isStatus(err, http.StatusForbidden), isStatus(err, http.StatusBadRequest):
		return err, nil
	case err != nil:
		return nil, s.whileAsking(ctx, "auth/token/lookup-self", err)
	}
	ttl, _ := info.TokenTTL()
	if uses, _ := info.TokenRemainingUses(); uses > 0 {
		s.log.Warn("Vault's token ends after a number of uses; the server will lose its secrets then", "uses", uses)
	}
	if renewable, _ := info.TokenIsRenewable(); ttl > 0 && !renewable && !s.session.Lasting() {
		s.log.Warn("Vault's token ends and cannot be renewed; give the server one that does not, --vault-token-file, or another --vault-auth-method", "in", ttl)
	}
	return nil, nil
}

// whyNoToken says what to do about a log-in that failed. One that Vault was not there for is waited for.
func (s *Store) whyNoToken(ctx context.Context, err error) error {
	var answer *api.ResponseError
	if errors.As(err, &answer) && answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests {
		return fmt.Errorf("Vault at %s refuses the log-in; check the --vault-auth-* settings against the auth method in Vault: %s", s.client.Address(), oneLine(err))
	}
	if answer == nil && !errors.As(err, new(*url.Error)) && !errors.Is(err, context.DeadlineExceeded) {
		return err // of a file, say
	}
	return temporary{fmt.Errorf("Vault at %s: %s", s.client.Address(), oneLine(err))}
}

// oneLine is for the errors of Vault's client, which are lists over several lines.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// checkMount asks what is mounted.
func (s *Store) checkMount(ctx context.Context, p Place, tokenGood bool) error {
	client := s.clientIn(p.Namespace)
	at := "sys/internal/ui/mounts/" + p.Mount
	info, err := client.Logical().ReadWithContext(ctx, at)
	if isStatus(err, http.StatusForbidden) && !tokenGood {
		if s.client.Token() == "" {
			return errors.New("there is no token for Vault; give one with --vault-token or VAULT_TOKEN")
		}
		return fmt.Errorf("Vault at %s refuses the token: it is wrong, expired or revoked, or has no policy for %s/; give another with %s",
			s.client.Address(), p.Mount, s.tokenSource())
	}
	if isStatus(err, http.StatusForbidden) {
		// Vault answers so for what does not exist and for what it does not show.
		if _, err := client.Logical().ReadRawWithContext(ctx, p.Mount+"/data/"+probe.String()); isStatus(err, http.StatusNotFound) {
			return p.noMount()
		}
		return fmt.Errorf("nothing is mounted at %s/ in Vault, or the token's policies do not show it; enable KV version 2 with: vault secrets enable -path=%s -version=2 kv; "+
			"and give the token a policy: %s", p.Mount, p.Mount, p.policy())
	}
	if err != nil {
		return s.whileAsking(ctx, at, err)
	}
	if info == nil {
		return p.noMount()
	}
	kind, _ := info.Data["type"].(string)
	options, _ := info.Data["options"].(map[string]any)
	mounted, _ := info.Data["path"].(string)
	switch {
	case mounted != p.Mount+"/":
		return fmt.Errorf("the engine in Vault is mounted at %s, not at %s/; name the mount as it is, and what follows it in --vault-path", mounted, p.Mount)
	case kind != "kv" && kind != "generic":
		return fmt.Errorf("what is mounted at %s/ in Vault is of the type %q; secrets need KV version 2: vault secrets enable -path=<another path> -version=2 kv", p.Mount, kind)
	case options["version"] != "2":
		return fmt.Errorf("the engine at %s/ in Vault is KV version 1, which cannot guard against lost writes; enable version 2 with: vault kv enable-versioning %s/", p.Mount, p.Mount)
	}
	return nil
}

func (p Place) noMount() error {
	return fmt.Errorf("nothing is mounted at %s/ in Vault; enable KV version 2 with: vault secrets enable -path=%s -version=2 kv", p.Mount, p.Mount)
}

// probe is an organisation that nobody has: IDs count milliseconds since 2017 in their upper bits.
const probe id.ID = 1

// checkPolicy says which capabilities the token lacks. That is a warning: a policy may name organisations one by one.
func (s *Store) checkPolicy(ctx context.Context, p Place) {
	at := p.example(s)
	needs := slices.DeleteFunc(at.needs(), func(n needed) bool { return n.optional })
	for _, c := range at.lacks(ctx, needs) {
		s.log.Warn("the token's policies in Vault may not suffice; influxd vault check tells what they need", "path", path.Dir(c.path)+"/*", "lacks", c.capabilities, "policy", p.policy())
	}
}

// lacks asks which of the capabilities the token does not have. A token that may not ask has them, as far as one knows.
func (l location) lacks(ctx context.Context, needs []needed) (lacks []needed) {
	var paths []string
	for _, c := range needs {
		paths = append(paths, c.path)
	}
	got, err := l.client.Logical().WriteWithContext(ctx, "sys/capabilities-self", map[string]any{"paths": paths})
	if err != nil || got == nil {
		return nil
	}
	for _, c := range needs {
		has, _ := got.Data[c.path].([]any)
		missing := slices.DeleteFunc(slices.Clone(c.capabilities), func(capability string) bool {
			return slices.Contains(has, any(capability)) || slices.Contains(has, any("root"))
		})
		if len(missing) > 0 {
			lacks = append(lacks, needed{path: c.path, capabilities: missing})
		}
	}
	return lacks
}

// whileAsking is a failure of a check for no reason that it knows.
func (s *Store) whileAsking(ctx context.Context, what string, err error) error {
	if errors.Is(ended(ctx), errTooSlow) {
		return temporary{fmt.Errorf("Vault at %s did not answer %s within %s (--vault-client-timeout)", s.client.Address(), what, s.timeout)}
	}
	err = classify(err)
	if f := (failure{}); errors.As(err, &f) && f.kind != strange && f.kind != denied {
		return temporary{fmt.Errorf("Vault at %s, asked for %s: %s", s.client.Address(), what, f.detail)}
	}
	return fmt.Errorf("Vault at %s, asked for %s: %w", s.client.Address(), what, err)
}

func (s *Store) tokenSource() string {
	if os.Getenv(api.EnvVaultToken) == s.client.Token() {
		return "VAULT_TOKEN"
	}
	return "--vault-token"
}
