package login

import (
	"context"
	"time"

	"github.com/hashicorp/vault/api"
)

// Run keeps the session until ctx ends: it renews the token when two thirds of its time are over, logs in again
// where it cannot be renewed further, and takes the token file's content when that changes. Vault's own
// LifetimeWatcher does the renewing.
func (s *Session) Run(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		secret, failing := s.secret, s.lastErr != nil
		s.mu.Unlock()
		if secret == nil || failing {
			if !s.sleepUntilNext(ctx) {
				return
			}
			_ = s.another(ctx, s.client.Token(), false) // logged; the next turn waits and tries again
			continue
		}
		s.watch(ctx, secret)
	}
}

// watch looks after one token: until another has taken its place, or it is time for that.
func (s *Session) watch(ctx context.Context, secret *api.Secret) {
	renewals, ended, stop := s.renewing(secret)
	defer stop()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	file := successor{session: s, old: secret.Auth.ClientToken}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
			s.mu.Lock()
			other := s.secret != secret
			s.mu.Unlock()
			if other {
				return
			}
		case r := <-renewals:
			s.renewed(secret, r.Secret)
		case <-ended: //nolint:errcheck // why it ended, Vault's answer to the next log-in tells
			if s.method.again {
				_ = s.another(ctx, secret.Auth.ClientToken, false)
				if s.client.Token() == secret.Auth.ClientToken { // the token file has not been written yet
					select {
					case <-ctx.Done():
					case <-poll.C:
					}
				}
				return
			}
			ended = nil // nothing to be done but to say so, while there is time
			s.log.Warn("Vault's token cannot be renewed any further and ends soon; "+s.Remedy()+
				", or let the server log in by itself with --vault-token-file or --vault-auth-method",
				"ends", s.State().Expires.Format(time.RFC3339))
		case <-poll.C:
			file.look(ctx)
		}
	}
}

// renewing starts a watcher on the token, where it ends at all. stop waits for the watcher to have ended.
func (s *Session) renewing(secret *api.Secret) (renewals <-chan *api.RenewOutput, ended <-chan error, stop func()) {
	nothing := func() {}
	if secret.Auth.LeaseDuration <= 0 || secret.Auth.ClientToken == "" {
		return nil, nil, nothing
	}
	// The watcher gives its requests no context, so the client must see to their end.
	var c *api.Client
	var err error
	WithVariables(func() { c, err = s.client.Clone() })
	if err != nil {
		s.log.Error("Vault's token cannot be watched", "error", err)
		return nil, nil, nothing
	}
	c.SetClientTimeout(s.timeout)
	c.SetWrappingLookupFunc(func(string, string) string { return "" })
	if ns := s.client.Namespace(); ns != "" {
		c.SetNamespace(ns)
	}
	c.SetToken(secret.Auth.ClientToken)
	w, err := c.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: secret})
	if err != nil {
		s.log.Error("Vault's token cannot be watched", "error", err)
		return nil, nil, nothing
	}
	done := make(chan struct{})
	out := make(chan error, 1)
	go w.Start()
	go func() {
		defer close(done)
		out <- <-w.DoneCh()
	}()
	return w.RenewCh(), out, func() {
		w.Stop()
		<-done
	}
}

func (s *Session) renewed(of, secret *api.Secret) {
	if secret == nil || secret.Auth == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret != of {
		return
	}
	s.state.Renewals++
	s.state.Renewable = secret.Auth.Renewable
	s.state.Expires = time.Now().Add(time.Duration(secret.Auth.LeaseDuration) * time.Second)
}

// sleepUntilNext waits for the end of the pause after a failed log-in, for Vault's return where it was away, or for the
// token file to change. It reports false when ctx has ended.
func (s *Session) sleepUntilNext(ctx context.Context) bool {
	before := s.fileToken()
	for {
		s.mu.Lock()
		pause := time.Until(s.next)
		s.mu.Unlock()
		if pause <= 0 {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-s.back:
		case <-time.After(min(pause, pollInterval)):
		}
		if s.fileToken() != before {
			s.mu.Lock()
			s.next = time.Time{}
			s.mu.Unlock()
		}
	}
}

// fileToken is the token in the file; "" where there is none now, as while it is being written.
func (s *Session) fileToken() string {
	if s.method.file == "" {
		return ""
	}
	token, err := readFile("--vault-token-file", s.method.file)
	if err != nil {
		return ""
	}
	return token
}

// successor is the next token, as the token file has it. It is tried until it is taken or the file holds yet another:
// it may be written by half, or Vault be away.
type successor struct {
	session *Session
	old     string // the present one
	token   string // the last that was tried
	tries   int
	next    time.Time
}

// look tries what the file holds, where it is time.
func (f *successor) look(ctx context.Context) {
	token := f.session.fileToken()
	if token == "" || token == f.old {
		return
	}
	if token != f.token {
		f.session.log.Info("the token file has changed", "flag", "--vault-token-file")
		f.token, f.tries, f.next = token, 0, time.Time{}
	}
	if time.Now().Before(f.next) {
		return
	}
	if err := f.session.another(ctx, f.old, true); err != nil {
		f.next = time.Now().Add(min(soonest<<min(f.tries, 12), pauseAfter(err)))
		f.tries++
	}
}
