// Package vault keeps secrets in Vault's KV engine, version 2, where InfluxDB keeps them: an organisation is one entry,
// <mount>/data/<org-id>, whose data map holds key -> value. Both can work on the same entries. Values that are not
// strings are someone else's: they are not listed, not read, and every write keeps them as they are.
//
// A change reads the entry, merges, and writes with check-and-set. The changes of one organisation in this process go
// one after the other, those that wait together in one write (see write.go); against other writers a write is repeated.
//
// # Start
//
// New does not return a store that cannot work. A mistake in the settings ends the start at once, with one line that
// says what to change: a wrong CA file, a certificate that is not trusted, a token that Vault refuses, no engine at the
// mount, KV of version 1. A Vault that cannot be reached, is sealed or not yet initialised is no mistake: machines start
// in any order. New waits for it for Config.Wait, saying so in the log, and then fails, so that systemd or Kubernetes
// shows the state and starts the process again.
//
// # Errors
//
// What callers get names a state and nothing else. Addresses, paths and Vault's own words go to the log, where an
// outage is one line a minute and one at its end. Neither holds a token or a value.
//
// # Outages
//
// After a request that found no Vault, the store asks for Vault's state itself. If that fails too, calls are answered at
// once until Vault is back, which is asked for twice a second (package breaker). A token that ends is renewed or replaced
// in time, and one that is refused is replaced and the request repeated (package login).
package vault

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/breaker"
	"strongroom/internal/secret/vault/cache"
	"strongroom/internal/secret/vault/login"
)

// DefaultTimeout bounds an operation where neither Config nor VAULT_CLIENT_TIMEOUT says otherwise. It is less than the
// 5 s within which the API answers for a Vault that does not.
const DefaultTimeout = 4500 * time.Millisecond

// DefaultMount is where InfluxDB keeps its secrets.
const DefaultMount = "secret"

// Config says which Vault, and how. A field that is set wins over the variable beside it; one that is not takes the
// variable, then the default. The variables that have no field act too: VAULT_AGENT_ADDR (in place of VAULT_ADDR),
// VAULT_CACERT_BYTES, VAULT_RATE_LIMIT, VAULT_HTTP_PROXY and VAULT_PROXY_ADDR, VAULT_HEADERS, VAULT_SRV_LOOKUP,
// VAULT_DISABLE_REDIRECTS. VAULT_WRAP_TTL does not: wrapped answers would be of no use. A variable that cannot be read
// ends the start, also where a field wins over it.
type Config struct {
	Address string // VAULT_ADDR; https://127.0.0.1:8200
	Token   string // VAULT_TOKEN; none is right for a Vault Agent that adds its own
	// Login is any other way to get a token; its own fields for one do not count. VAULT_TOKEN then has no effect.
	Login login.Config

	// ClientTimeout (VAULT_CLIENT_TIMEOUT) bounds an operation of the store: all requests it takes, their repetitions and
	// the waiting for other changes of the same organisation. DefaultTimeout, not Vault's 60 s.
	ClientTimeout *time.Duration

	// MaxRetries (VAULT_MAX_RETRIES) is how often a request is repeated that found no answer, a server error (5xx) or too
	// many requests (429); 2. The waits between grow from 0.1 s to at most 1 s, and none goes beyond the timeout.
	MaxRetries *int

	CACert        string // VAULT_CACERT; a PEM file. Without CACert and CAPath, the machine's own authorities.
	CAPath        string // VAULT_CAPATH; a folder of PEM files
	ClientCert    string // VAULT_CLIENT_CERT; a PEM file
	ClientKey     string // VAULT_CLIENT_KEY; a PEM file
	SkipVerify    *bool  // VAULT_SKIP_VERIFY
	TLSServerName string // VAULT_TLS_SERVER_NAME

	// Place is where secrets are, and Routes where those of single organisations are; what a route does not say is as Place
	// says. OrgName is for paths with {orgName}; its errors go to callers, and "" is for one that is gone.
	Place   Place
	Routes  map[id.ID]Place
	OrgName func(ctx context.Context, org id.ID) (string, error)

	// CacheTTL is how long Use gives out what was read; 0 for not at all. CacheStale is how much longer it does so while
	// Vault is away; 0 for not at all.
	CacheTTL, CacheStale time.Duration

	// Wait is how long New waits for a Vault that cannot be reached or is sealed; 0 for not at all.
	Wait time.Duration

	Logger *slog.Logger // slog.Default
}

// Store is a secret.Store in Vault.
type Store struct {
	client  *api.Client
	root    *api.Client     // the same, outside any namespace
	conns   *http.Transport // the client's
	timeout time.Duration
	log     *slog.Logger
	reports *reports

	everywhere Place // but for those that have a route
	routes     map[id.ID]Place
	orgName    func(context.Context, id.ID) (string, error)
	names      sync.Map // id.ID to the last name known

	shapes  *shapes
	session *login.Session
	breaker *breaker.Breaker
	cache   *cache.Cache[entry]
	metrics metrics

	base    context.Context // ends with Close
	stop    context.CancelCauseFunc
	mu      sync.Mutex
	closed  bool
	queues  map[id.ID]*queue
	running sync.WaitGroup // writers and the session
}

var (
	_ secret.Store         = (*Store)(nil)
	_ secret.User          = (*Store)(nil)
	_ prometheus.Collector = (*Store)(nil)
)

// New connects to Vault, checks that secrets can be kept there, and returns the store. Its errors name addresses and
// settings and are meant for the operator who starts the process. It waits as Config.Wait says, and no longer than ctx.
func New(ctx context.Context, c Config) (*Store, error) {
	s, err := c.store()
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, c.Wait); err != nil {
		s.Close()
		return nil, err
	}
	s.running.Go(func() { s.session.Run(s.base) })
	return s, nil
}

// Close ends what is under way and waits for it. Calls that come later are answered errs.Unavailable.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop(errClosed)
	s.running.Wait()
	s.breaker.Close()
	s.cache.Clear()
	s.conns.CloseIdleConnections()
}

// Keys lists the keys whose values are strings.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if keys, ok, err := s.subkeys(ctx, org); ok || err != nil {
		return keys, err
	}
	e, err := s.read(ctx, org)
	if err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(e.data))
	for key, raw := range e.data {
		if isString(raw) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// Get reads one value.
func (s *Store) Get(ctx context.Context, org id.ID, key string) (secret.Value, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	e, err := s.read(ctx, org)
	if err != nil {
		return secret.Value{}, err
	}
	return e.value(key)
}

// Check reports whether Vault is there, unsealed, and still takes the token.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	c := request{method: http.MethodGet, path: "sys/health", needs: ""}
	if err := s.do(ctx, c, s.health); err != nil || !s.session.State().MayLookUp {
		return err
	}
	return s.do(ctx, request{method: http.MethodGet, path: "auth/token/lookup-self", needs: "read"}, func(ctx context.Context) error {
		_, err := s.client.Auth().Token().LookupSelfWithContext(ctx)
		return err
	})
}

// health asks Vault for its state, which is the same for all namespaces and told to the root one alone.
func (s *Store) health(ctx context.Context) error {
	h, err := s.root.Sys().HealthWithContext(ctx)
	switch {
	case err != nil:
		return err
	case !h.Initialized:
		return failure{uninitialised, "not initialised"}
	case h.Sealed:
		return failure{sealed, "sealed"}
	}
	return nil
}

// bound gives ctx the store's own deadline. Its cause tells the two apart.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.timeout, errTooSlow)
}

// errClosed answers calls after Close.
var errClosed = errs.New(errs.Unavailable, "the server is shutting down")
