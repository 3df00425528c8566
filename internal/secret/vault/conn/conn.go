// Package conn is the connection to Vault: how it is made and secured, who logs in, and how requests are sent,
// repeated, refused for a while, measured and reported. It knows nothing of secrets or where they are.
//
// # Errors
//
// What callers get names a state and nothing else. Addresses, paths and Vault's own words go to the log, where an
// outage is one line a minute and one at its end. Neither holds a token or a value.
//
// # Outages
//
// After a request that found no Vault, or one that has waited for a second while nothing came back, the connection
// asks for Vault's state itself, on a connection of its own. If that fails too, calls are answered at once, also
// those that wait, until Vault is back, which is asked for two to four times a second (package breaker). If it
// succeeds, the connections on which nothing came back are not used any more, and what only reads is sent again
// (package wire). A token that ends is renewed or replaced in time, and one that is refused is replaced and the
// request repeated (package login).
package conn

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/sync/errgroup"

	"strongroom/internal/background"
	"strongroom/internal/errs"
	"strongroom/internal/pemfile"
	"strongroom/internal/secret/vault/breaker"
	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/wire"
)

// DefaultTimeout bounds an operation where neither Config nor VAULT_CLIENT_TIMEOUT says otherwise. It is less than the
// 5 s within which the API answers for a Vault that does not.
const DefaultTimeout = 4500 * time.Millisecond

// Config says which Vault, and how. A field that is set wins over the variable beside it; one that is not takes the
// variable, then the default. The variables that have no field act too: VAULT_AGENT_ADDR (in place of VAULT_ADDR),
// VAULT_CACERT_BYTES, VAULT_RATE_LIMIT, VAULT_HTTP_PROXY and VAULT_PROXY_ADDR, VAULT_HEADERS, VAULT_SRV_LOOKUP,
// VAULT_DISABLE_REDIRECTS. So do OpenBao's, which are named BAO_ and go before Vault's. VAULT_WRAP_TTL does not:
// wrapped answers would be of no use. A variable that cannot be read ends the start, also where a field wins over it.
type Config struct {
	Address string // VAULT_ADDR; https://127.0.0.1:8200
	Token   string // VAULT_TOKEN; none is right for a Vault Agent that adds its own
	// Login is any other way to get a token; its own fields for one do not count. VAULT_TOKEN then has no effect.
	Login login.Config
	// Namespace is where requests go that are for no other; VAULT_NAMESPACE.
	Namespace string

	// ClientTimeout (VAULT_CLIENT_TIMEOUT) bounds an operation of the store: all requests it takes, their repetitions
	// and the waiting for other changes of the same organisation. DefaultTimeout, not Vault's 60 s.
	ClientTimeout *time.Duration

	// MaxRetries (VAULT_MAX_RETRIES) is how often a request is repeated that found no answer, a server error (5xx) or
	// too many requests (429); 2. The waits between grow from 0.1 s to at most 1 s, and none goes beyond the timeout.
	MaxRetries *int

	CACert        string // VAULT_CACERT; a PEM file. Without CACert and CAPath, the machine's own authorities.
	CAPath        string // VAULT_CAPATH; a folder of PEM files
	ClientCert    string // VAULT_CLIENT_CERT; a PEM file
	ClientKey     string // VAULT_CLIENT_KEY; a PEM file
	SkipVerify    *bool  // VAULT_SKIP_VERIFY
	TLSServerName string // VAULT_TLS_SERVER_NAME

	Logger *slog.Logger // slog.Default
	// Files is what is said to of the files of certificates; Logger where nil.
	Files *slog.Logger
}

// Conn is a connection to Vault. Make it with New, and start it with Run when it has been found good.
type Conn struct {
	Address string      // as the settings have it
	Client  *api.Client // in Config.Namespace
	Root    *api.Client // the same, outside any namespace
	Session *login.Session
	Timeout time.Duration // of an operation
	Log     *slog.Logger

	wire    *wire.Wire             // the client's
	denied  atomic.Bool            // the last request for data
	uses    atomic.Pointer[string] // see UsesWarning
	reports reports
	breaker *breaker.Breaker
	metrics metrics
	base    context.Context // ends with Close
	stop    context.CancelCauseFunc
	running sync.WaitGroup
}

// New makes a connection that has not spoken to Vault yet.
func New(c Config) (*Conn, error) {
	s := &Conn{Log: c.Logger, metrics: newMetrics()}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	s.reports = newReports(s.Log)
	if err := c.connect(s); err != nil {
		return nil, err
	}
	if login.Variable(api.EnvVaultWrapTTL) != "" {
		s.Log.Warn(login.VariableName(api.EnvVaultWrapTTL) + " has no effect here: Vault's answers are not wrapped")
	}
	s.breaker = breaker.New(breaker.Config{
		Probe: s.probe, Interval: 500 * time.Millisecond, Timeout: s.probeTime(),
		Hopeless: func(reason error) bool { return Is(reason, Unreachable) || Is(reason, Slow) || Is(reason, Busy) },
		Opened:   func(error) { s.wire.Drop() },
		Closed: func(time.Duration) {
			s.reports.recovered(time.Now())
			s.Session.Back()
		},
	})
	s.wire.Doubt = s.breaker.Failed
	s.base, s.stop = context.WithCancelCause(context.Background())
	return s, nil
}

// probeTime is how long a look for Vault may take.
func (c *Conn) probeTime() time.Duration { return min(time.Second, c.Timeout/2) }

// Run keeps the session, and looks after the files of certificates, until Close.
func (c *Conn) Run() {
	keep := func(f func(context.Context)) { c.running.Go(func() { background.KeepOn(c.base, c.Log, f) }) }
	keep(c.Session.Run)
	keep(func(ctx context.Context) { pemfile.Watch(ctx, c.wire.Files()...) })
}

// Certificates are the states of the files of certificates that the connection has.
func (c *Conn) Certificates() []pemfile.State { return pemfile.States(c.wire.Files()...) }

// Close ends the session and waits for it. What others have under way ends by End before.
func (c *Conn) Close() {
	c.End()
	c.running.Wait()
	c.breaker.Close()
	c.wire.Close()
}

// CloseIdle closes the connections that nothing uses now, for one who will not ask again soon.
func (c *Conn) CloseIdle() { c.wire.Close() }

// End ends what is under way below Base, with ErrClosed.
func (c *Conn) End() { c.stop(ErrClosed) }

// Base is the context of what nobody waits for; it ends with End.
func (c *Conn) Base() context.Context { return c.base }

// Reason is why calls are answered at once, or nil while they are not.
func (c *Conn) Reason() error { return c.breaker.Reason() }

// Opened is how often that began.
func (c *Conn) Opened() int { return c.breaker.Opened() }

// In is the client for a namespace. Its requests carry the token that the session has when they are made: the client
// outlives a token that is replaced.
func (c *Conn) In(namespace string) *api.Client {
	if namespace == c.Client.Namespace() {
		return c.Client
	}
	return c.Root.WithNamespace(namespace).WithRequestCallbacks(func(r *api.Request) {
		r.ClientToken = c.Client.Token()
	})
}

// DeniedLast reports whether Vault refused the last request for data that it answered.
func (c *Conn) DeniedLast() bool { return c.denied.Load() }

// health asks Vault for its state, which is the same for all namespaces and told to the root one alone.
func (c *Conn) health(ctx context.Context) error {
	// Each state has a status that is an answer, not an error.
	query := map[string][]string{}
	for _, state := range []string{"uninit", "sealed", "standby", "drsecondary", "performancestandby", "removed",
		"haunhealthy"} {
		query[state+"code"] = []string{"299"}
	}
	resp, err := c.Root.Logical().ReadRawWithDataWithContext(ctx, "sys/health", query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var h struct{ Initialized, Sealed *bool }
	err = json.NewDecoder(resp.Body).Decode(&h)
	switch {
	// which the client takes for a standby's state
	case resp.StatusCode == http.StatusTooManyRequests && (err != nil || h.Initialized == nil):
		return failure{Busy, "status 429 for sys/health"}
	case err != nil:
		return failure{Strange, "sys/health gives no JSON"}
	case h.Initialized == nil || h.Sealed == nil: // a web page's, or a balancer's
		return failure{Strange, "sys/health does not tell Vault's state"}
	case !*h.Initialized:
		return failure{Uninitialised, "not initialised"}
	case *h.Sealed:
		return failure{Sealed, "sealed"}
	}
	return nil
}

// Bound gives ctx the deadline of an operation. Its cause tells the two apart.
func (c *Conn) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.Timeout, ErrTooSlow)
}

// Bounded is a context of that length for what nobody alone waits for.
func (c *Conn) Bounded() (context.Context, context.CancelFunc) { return c.Bound(c.base) }

// Shorten leaves an eighth of the time to look what became of a write that was not answered.
func (c *Conn) Shorten(ctx context.Context) (context.Context, context.CancelFunc) {
	d, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, d.Add(-c.Timeout/8), ErrTooSlow)
}

// atOnce bounds the requests of one operation that are under way at a time.
const atOnce = 16

// Each does something for n things, some at once, until one fails.
func Each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// Uncertain reports whether a write that ended so may have happened.
func Uncertain(err error) bool { return Is(err, Unreachable) || Is(err, Slow) || Is(err, Failing) }

// unsure marks the errors of writes that may have been made.
type unsure struct{ error }

func (u unsure) Unwrap() error { return u.error }

// Unsure is the error of a write that may have been made, as its caller hears it.
func Unsure(err error) error {
	if errors.Is(err, ErrTooSlow) || errors.Is(err, context.DeadlineExceeded) {
		err = Slow.Told()
	}
	if IsUnsure(err) {
		return err
	}
	return errs.Wrap(unsure{err}, errs.Unavailable, "%s; the change may have been made: look before you make it again",
		errs.Message(err))
}

// IsUnsure reports whether the error is one that Unsure gave.
func IsUnsure(err error) bool {
	var u unsure
	return errors.As(err, &u)
}

// Plain is err as it was before Unsure, for those whose own change it is not.
func Plain(err error) error {
	if u := (unsure{}); errors.As(err, &u) {
		return u.error
	}
	return err
}

// ErrClosed answers calls after Close.
var ErrClosed = errs.New(errs.Unavailable, "the server is shutting down")

// Known is err as callers hear it where it is the end of ctx: that Vault was too slow, or the caller's own error.
func Known(ctx context.Context, err error) error {
	switch end := Ended(ctx); {
	case errors.Is(end, ErrTooSlow):
		return Slow.Told()
	case end != nil:
		return end
	}
	return err
}
