package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/errs"
	"strongroom/internal/outage"
)

// How long the next log-in waits after one that failed. An unreachable Vault is asked again soon, since requests wait
// for its return. One that refuses the credentials is not: it may lock the account, and only a person can mend it.
const (
	soonest      = 100 * time.Millisecond
	unreachable  = 2 * time.Second
	refused      = 30 * time.Second
	pollInterval = time.Second // how often the token file is looked at
	// doubt is how long a token that may not be looked up is taken for good after its log-in, whatever is refused.
	doubt = 10 * time.Second
)

// State is what is known of the session, for health checks and metrics.
type State struct {
	Method    string
	LoggedIn  bool
	Expires   time.Time // zero where the token does not end, or Vault does not tell
	Renewable bool
	// MayLookUp is whether the token could be looked up, so that a refused look-up means that it has ended.
	MayLookUp bool
	// Failing is since when no log-in succeeds; zero where that is not so.
	Failing time.Time
	// Untaken is since when the token file holds another token that cannot be taken, while the one before is good; zero
	// where that is not so.
	Untaken                         time.Time
	LogIns, LogInFailures, Renewals int
}

// Life is how long the token lasts from now on. ok is false where it has no end that is known.
func (s State) Life(now time.Time) (d time.Duration, ok bool) {
	if s.Expires.IsZero() {
		return 0, false
	}
	return max(0, s.Expires.Sub(now)), true
}

// Session keeps a client's token good.
type Session struct {
	client  *api.Client // whose token is set
	bare    *api.Client // the same without a token; it never changes, so it can be copied at any time
	method  *Method
	timeout time.Duration
	log     *slog.Logger
	changed chan struct{} // there is another token; holds one notice
	back    chan struct{} // Vault is back; holds one notice
	outages *outage.Log

	// Proves reports whether Vault serves a client's token, for tokens that may not look themselves up; nil where that
	// is not known. It is set before the session is used.
	Proves func(ctx context.Context, client *api.Client) bool

	mu       sync.Mutex
	state    State
	secret   *api.Secret
	flight   *flight
	failures int       // log-ins that failed in a row
	away     bool      // the last of them since Vault was
	next     time.Time // none is tried before
	loggedIn time.Time
	lastErr  error
}

// flight is a log-in under way.
type flight struct {
	done chan struct{}
	err  error
	// spare is a log-in beside a token that is good as far as one knows: it changes nothing where it fails.
	spare bool
}

// NewSession makes a session that is not logged in yet. A log-in or renewal takes no longer than timeout.
func NewSession(client *api.Client, m *Method, timeout time.Duration, log *slog.Logger) *Session {
	bare := client.WithNamespace(client.Namespace())
	bare.ClearToken()
	return &Session{client: client, bare: bare, method: m, timeout: timeout, log: log, outages: outage.New(log),
		changed: make(chan struct{}, 1), back: make(chan struct{}, 1), state: State{Method: m.name}}
}

// State is the present one.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Lasting reports whether the session can obtain another token when this one ends.
func (s *Session) Lasting() bool { return s.method.again }

// LogIn obtains a token. However many ask, one log-in is under way at a time and all wait for it. Within the pause
// after one that failed it gives that one's error.
func (s *Session) LogIn(ctx context.Context) error { return s.another(ctx, s.client.Token(), false) }

// Back is told that Vault is there again: a log-in that failed for want of it is tried again at once.
func (s *Session) Back() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastErr == nil || !s.away {
		return
	}
	s.next = time.Time{}
	select {
	case s.back <- struct{}{}:
	default:
	}
}

// Refused is told that Vault refused (403) a request with the token. It reports whether there is another one now with
// which to try again. A token that is still good was refused for what its policies lack, and stays.
func (s *Session) Refused(ctx context.Context, token string) bool {
	if s.client.Token() != token {
		return true
	}
	if !s.method.again || s.good(ctx, token) {
		return false
	}
	return s.another(ctx, token, false) == nil && s.client.Token() != token
}

// good asks Vault whether the token is. Where its policies forbid to ask, a new one is not obtained at each request
// that they forbid, but once in a while.
func (s *Session) good(ctx context.Context, token string) bool {
	c := s.own()
	c.SetToken(token)
	_, err := c.Auth().Token().LookupSelfWithContext(ctx)
	if !forbidden(err) { // a Vault that cannot be asked now is not asked for a token either
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.state.MayLookUp && time.Since(s.loggedIn) < doubt
}

// another logs in, but where the client has a token other than old already. spare says that old is good.
func (s *Session) another(ctx context.Context, old string, spare bool) error {
	s.mu.Lock()
	f := s.flight
	switch {
	case f != nil:
	case s.client.Token() != old:
		s.mu.Unlock()
		return nil
	case !spare && s.lastErr != nil && time.Now().Before(s.next):
		defer s.mu.Unlock()
		return s.lastErr
	default:
		f = &flight{done: make(chan struct{}), spare: spare}
		s.flight = f
		// It is everybody's, so nobody's context ends it.
		go s.fly(context.WithoutCancel(ctx), f)
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Session) fly(ctx context.Context, f *flight) {
	defer close(f.done)
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	secret, mayLookUp, err := s.obtain(ctx)
	if err == nil && !mayLookUp && s.method.file != "" {
		err = s.proved(ctx, secret.Auth.ClientToken)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight, f.err = nil, err
	switch {
	case err != nil && f.spare:
		s.untaken(err)
		return
	case err != nil:
		s.failed(err)
		return
	}
	again := s.state.LogIns > 0 && secret.Auth.ClientToken != s.client.Token()
	s.keep(secret)
	s.state.MayLookUp = mayLookUp
	s.state.LogIns++
	s.failures, s.lastErr, s.state.Failing, s.state.Untaken = 0, nil, time.Time{}, time.Time{}
	s.outages.Ended("log-in", "logging in to Vault succeeds again", "method", s.method.name)
	s.outages.Ended("token file", "the token file's token is taken", "flag", "--vault-token-file")
	s.loggedIn = time.Now()
	s.client.SetToken(secret.Auth.ClientToken)
	select {
	case s.changed <- struct{}{}:
	default:
	}
	if again || s.method.name != Token {
		s.log.Info("logged in to Vault", "method", s.method.name, "lasts", lasts(secret))
	}
}

// obtain logs in, and finds out whether the token may be looked up.
func (s *Session) obtain(ctx context.Context) (_ *api.Secret, mayLookUp bool, err error) {
	c := s.own()
	secret, err := s.method.login(ctx, c)
	if err != nil {
		return nil, false, fmt.Errorf("logging in to Vault by %s: %w", s.method.name, err)
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" && s.method.name != Token {
		return nil, false, fmt.Errorf("logging in to Vault by %s: the answer holds no token (does the role ask for a "+
			"second factor?)", s.method.name)
	}
	if s.method.name == Token { // which has looked it up already
		return secret, secret.Auth.Accessor != "", nil
	}
	c.SetToken(secret.Auth.ClientToken)
	_, err = c.Auth().Token().LookupSelfWithContext(ctx)
	return secret, err == nil, nil
}

// proved reports why a token of the file that may not look itself up is not taken: Vault serves it nothing, and it does
// serve the one before. A file may have been written by half.
func (s *Session) proved(ctx context.Context, token string) error {
	old := s.client.Token()
	if token == old || !s.State().LoggedIn {
		return nil
	}
	serves := func(token string) bool {
		c := s.own()
		c.SetToken(token)
		return s.Proves != nil && s.Proves(ctx, c)
	}
	if serves(token) {
		return nil
	}
	c := s.own()
	c.SetToken(old)
	if _, err := c.Auth().Token().LookupSelfWithContext(ctx); err == nil || serves(old) {
		return errors.New("Vault refuses the token in the file of --vault-token-file; the one before goes on")
	}
	return nil
}

// untaken notes that the file's token cannot be taken. The lock is held.
func (s *Session) untaken(err error) {
	if s.state.Untaken.IsZero() {
		s.state.Untaken = time.Now()
	}
	s.outages.Failed(context.Background(), slog.LevelError, "token file",
		"the token file has changed and its token cannot be taken; the one before goes on, and the file is "+
			"tried again", "flag", "--vault-token-file", "error", OneLine(err))
}

// own is a client for the session's own requests, without the token, which would be sent along with a log-in.
func (s *Session) own() *api.Client { return s.bare.WithNamespace(s.bare.Namespace()) }

// keep takes what Vault said of the token. The lock is held.
func (s *Session) keep(secret *api.Secret) {
	s.secret = secret
	a := secret.Auth
	s.state.LoggedIn, s.state.Renewable, s.state.Expires = true, a.Renewable, time.Time{}
	if a.LeaseDuration > 0 {
		s.state.Expires = time.Now().Add(time.Duration(a.LeaseDuration) * time.Second)
	}
}

// failed sets the time of the next try. The lock is held.
func (s *Session) failed(err error) {
	longest := pauseAfter(err)
	pause := min(soonest<<min(s.failures, 12), longest)
	pause = pause/2 + rand.N(pause/2) // jitter: of many servers, not all at once
	s.failures++
	s.away = longest == unreachable
	s.state.LogInFailures++
	if s.state.Failing.IsZero() {
		s.state.Failing = time.Now()
	}
	s.next, s.lastErr = time.Now().Add(pause), err
	s.outages.Failed(context.Background(), slog.LevelError, "log-in", "the log-in to Vault failed; it is tried again",
		"method", s.method.name, "in", pause.Round(time.Millisecond), "failures", s.failures, "error", OneLine(err))
}

// pauseAfter is how long at most the next log-in waits.
func pauseAfter(err error) time.Duration {
	if answer := (*api.ResponseError)(nil); errors.As(err, &answer) && answer.StatusCode < 500 &&
		answer.StatusCode != http.StatusTooManyRequests {
		return refused
	}
	return unreachable
}

func lasts(secret *api.Secret) string {
	if d := secret.Auth.LeaseDuration; d > 0 {
		return Words(time.Duration(d) * time.Second)
	}
	return "without end"
}

func forbidden(err error) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusForbidden
}

// OneLine is for errors of Vault's client, which are lists over several lines and name an address
// that may be a stand-in.
func OneLine(err error) string {
	text := err.Error()
	if answer := (*api.ResponseError)(nil); errors.As(err, &answer) {
		text = strings.Replace(text, answer.Error(), fmt.Sprintf("status %d: %s", answer.StatusCode,
			strings.Join(answer.Errors, "; ")), 1)
	}
	return errs.ClipTo(500, strings.Join(strings.Fields(text), " "))
}

// GiveBack revokes the token that a log-in has given, where one has been: for a session that ends at once. Vault's
// default policy lets a token do so; where it may not, the token ends in its time.
func (s *Session) GiveBack(ctx context.Context) {
	if s.method.name == Token || !s.State().LoggedIn {
		return
	}
	c := s.own()
	c.SetToken(s.client.Token())
	_ = c.Auth().Token().RevokeSelfWithContext(ctx, "")
}
