package vault

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
	"github.com/hashicorp/vault/api"

	"strongroom/internal/errs"
)

// What callers are told. None names an address, a path or a policy: those are for the log.
var (
	errSealed      = errs.New(errs.Unavailable, "the secret store is sealed")
	errSlow        = errs.New(errs.Unavailable, "the secret store does not answer in time")
	errUnreachable = errs.New(errs.Unavailable, "the secret store cannot be reached")
	errRefused     = errs.New(errs.Unavailable, "the secret store refuses this server's access")
	errBusy        = errs.New(errs.Unavailable, "the secret store is busy")
	errNoEngine    = errs.New(errs.Unavailable, "the secret store is not set up")
	errFailed      = errs.New(errs.Unavailable, "the secret store failed")
	errTooLarge    = errs.New(errs.RequestTooLarge, "the organization's secrets together do not fit into one entry of the secret store; its limit is reached")
)

// explain turns an error of Vault's client into what callers are told, and tells the operator, in the log, what happened
// and what to do. The capability is what the token's policy must allow on the path.
func (s *Store) explain(ctx context.Context, capability, path string, err error) error {
	if err == nil {
		return nil
	}
	told, advice := classify(ctx, capability, err)
	s.log.warn(told.Msg, "path", path, "advice", advice, "error", err)
	return told
}

func classify(ctx context.Context, capability string, err error) (told *errs.Error, advice string) {
	var refused *api.ResponseError
	if !errors.As(err, &refused) {
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			return errSlow, "see whether Vault is overloaded, or give it more time with --vault-client-timeout"
		}
		return errUnreachable, "see whether Vault is running at this address (--vault-addr, VAULT_ADDR), and whether its TLS certificate is accepted (--vault-cacert)"
	}
	switch code := refused.StatusCode; {
	case code == http.StatusForbidden:
		return errRefused, "the token is not valid any more, or its policy lacks the capability \"" + capability + "\" on this path"
	case code == http.StatusNotFound:
		return errNoEngine, "no engine is mounted here; enable it: vault secrets enable -path=" + DefaultMount + " kv-v2"
	case code == http.StatusServiceUnavailable:
		return errSealed, "unseal Vault: vault operator unseal"
	case code == http.StatusRequestEntityTooLarge, tooLarge(refused):
		return errTooLarge, "Vault's storage or listener refuses an entry of this size"
	case code == http.StatusTooManyRequests, code == 473, code == 472:
		return errBusy, "Vault limits the rate of requests, or this node does not serve them; see vault status"
	}
	return errFailed, "see Vault's own log"
}

// tooLarge knows the words of Vault's request parser, its listener, and its Raft, Consul and other storage.
func tooLarge(e *api.ResponseError) bool {
	for _, words := range []string{"exceeds allowed length", "exceeds max", "too large", "byte limit"} {
		if mentions(e, words) {
			return true
		}
	}
	return false
}

// retry decides which requests are repeated: those that did not arrive and those that failed at the server, and not a
// sealed Vault, which does not unseal itself. A write may be repeated too: its check-and-set refuses the second one.
func retry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if resp != nil && resp.StatusCode == http.StatusServiceUnavailable {
		return false, nil
	}
	if resp != nil && resp.StatusCode == http.StatusPreconditionFailed { // a standby that is behind
		return true, nil
	}
	return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
}

// quiet is for how long the same notice is not repeated.
const quiet = 10 * time.Second

// notices writes warnings to the log without flooding it during an outage: each text at most once in a while, with how
// often it was left out.
type notices struct {
	log  *slog.Logger
	mu   sync.Mutex
	last map[string]*notice
}

type notice struct {
	at      time.Time
	omitted int
}

func newNotices(log *slog.Logger) *notices {
	return &notices{log: log, last: make(map[string]*notice)}
}

func (n *notices) warn(text string, args ...any) {
	n.mu.Lock()
	last, ok := n.last[text]
	if ok && time.Since(last.at) < quiet {
		last.omitted++
		n.mu.Unlock()
		return
	}
	if !ok { // texts are ours, so there are few
		last = &notice{}
		n.last[text] = last
	}
	omitted := last.omitted
	last.at, last.omitted = time.Now(), 0
	n.mu.Unlock()
	if omitted > 0 {
		args = append(args, "omitted", omitted)
	}
	n.log.Warn(text, args...)
}
