package vault

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/errs"
)

// request names a request for the log: its path, and the capability that Vault's policies must give for it.
type request struct {
	method, kind, path, needs string
	// optional requests are those that Vault need not allow or know, since there is another way.
	optional bool
}

// kind is one way in which Vault does not serve.
type kind int

const (
	unreachable kind = iota
	slow
	sealed
	uninitialised
	denied
	busy
	failing
	unmounted
	strange
	kinds // how many there are
)

// outage reports whether a request that ended so says that no request will be served for now.
func (k kind) outage() bool {
	return k == unreachable || k == slow || k == sealed || k == uninitialised
}

// told is what callers hear of each.
var told = [kinds]*errs.Error{
	unreachable:   errs.New(errs.Unavailable, "the secret store cannot be reached"),
	slow:          errs.New(errs.Unavailable, "the secret store did not answer in time"),
	sealed:        errs.New(errs.Unavailable, "the secret store is sealed"),
	uninitialised: errs.New(errs.Unavailable, "the secret store is not initialised"),
	denied:        errs.New(errs.Unavailable, "the secret store refused the server's token (permission denied)"),
	busy:          errs.New(errs.Unavailable, "the secret store is busy"),
	failing:       errs.New(errs.Unavailable, "the secret store has a fault of its own"),
	unmounted:     errs.New(errs.Unavailable, "the secret store is not set up: nothing is mounted where secrets are kept"),
	strange:       errs.New(errs.Unavailable, "the secret store gave an answer that is not understood"),
}

// What the write path deals with itself.
var (
	errMismatch = errors.New("the entry has changed since it was read") // check-and-set
	errTooSlow  = errors.New("Vault did not answer in time")
)

// failure is what went wrong with a request, in words for the log.
type failure struct {
	kind   kind
	detail string
}

func (f failure) Error() string { return f.detail }

// probe asks for Vault's state on behalf of the breaker. Its error is what callers hear.
func (s *Store) probe(ctx context.Context) error {
	err := s.health(ctx)
	if err == nil {
		return nil
	}
	if f := (failure{}); errors.As(classify(err), &f) {
		return told[f.kind]
	}
	return told[unreachable]
}

// do makes a request. Its error is ctx's, errMismatch, or one for callers, whose details have been reported then.
func (s *Store) do(ctx context.Context, r request, send func(context.Context) error) (err error) {
	if reason := s.breaker.Reason(); reason != nil {
		return reason
	}
	defer func(start time.Time) { s.metrics.observe(r, start, outcome(ctx, err)) }(time.Now())
	token := s.client.Token()
	err = send(ctx)
	if isStatus(err, http.StatusForbidden) && s.session.Refused(ctx, token) {
		err = send(ctx)
	}
	if err == nil {
		s.reports.recovered()
		return nil
	}
	if end := ended(ctx); errors.Is(end, errTooSlow) {
		return s.fail(failure{slow, "no answer within " + s.timeout.String() + " (--vault-client-timeout)"}, r)
	} else if end != nil {
		return end
	}
	err = classify(err)
	var f failure
	if !errors.As(err, &f) {
		return err
	}
	if r.optional && !f.kind.outage() && f.kind != failing && f.kind != busy {
		return told[f.kind]
	}
	if f.kind == denied && s.reports.due(denied) {
		f.detail += s.whyDenied(ctx, r)
	}
	return s.fail(f, r)
}

// ended is the error of a context that has ended: errTooSlow where the deadline was ours, the caller's own error
// where it was his, errClosed where the store was closed. A dialler may give up a moment before the context does, so
// the clock is asked as well.
func ended(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		if d, ok := ctx.Deadline(); !ok || time.Now().Before(d) {
			return nil
		}
		<-ctx.Done()
		return ended(ctx)
	case errors.Is(cause, errTooSlow), errors.Is(cause, errClosed):
		return cause
	default:
		return ctx.Err()
	}
}

// fail reports and gives what callers hear.
func (s *Store) fail(f failure, r request) error {
	s.reports.failed(f, r)
	if f.kind.outage() {
		s.breaker.Failed()
	}
	return told[f.kind]
}

// whyDenied tells an ended token from a policy that lacks something, as far as Vault tells.
func (s *Store) whyDenied(ctx context.Context, r request) string {
	fix := "; the token's policies lack the capability " + strconv.Quote(r.needs) + " on " + strconv.Quote(r.path)
	if !s.session.State().MayLookUp {
		return fix + ", or the token has expired or was revoked"
	}
	if _, err := s.client.Auth().Token().LookupSelfWithContext(ctx); isStatus(err, http.StatusForbidden) {
		return "; the token has expired or was revoked: give another with --vault-token or VAULT_TOKEN"
	}
	return fix
}

// classify makes of a client's error what it means: errMismatch, a *errs.Error, or a failure.
func classify(err error) error {
	if f := (failure{}); errors.As(err, &f) {
		return f
	}
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		var broken net.Error
		if errors.As(err, &broken) && broken.Timeout() {
			return failure{slow, err.Error()}
		}
		return failure{unreachable, err.Error()}
	}
	text := strings.Join(answer.Errors, "; ")
	says := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	detail := "status " + strconv.Itoa(answer.StatusCode) + ": " + shown(text)
	switch code := answer.StatusCode; {
	case says("check-and-set parameter did not match"):
		return errMismatch
	case says("put failed due to value being too large", "request is too large"):
		return errs.New(errs.RequestTooLarge, "the secrets of an organisation are kept together and would be larger than the secret store's storage takes (max_entry_size, 1 MiB by default with Vault's integrated storage)")
	case says("JSON string value exceeds"):
		return errs.New(errs.RequestTooLarge, "a value or key is longer than the secret store takes (max_json_string_value_length, 1 MiB by default)")
	case says("JSON") && says("exceeds"):
		return errs.New(errs.RequestTooLarge, "the organisation would have more secrets than the secret store takes in one entry (max_json_object_entry_count, 10,000 by default)")
	case code == http.StatusRequestEntityTooLarge, says("request body too large"):
		return errs.New(errs.RequestTooLarge, "the secrets of an organisation are kept together and would be larger than the secret store takes in one request (max_request_size, 32 MiB by default)")
	case says("Vault is sealed"):
		return failure{sealed, detail}
	case says("not initialized"):
		return failure{uninitialised, detail}
	case code == http.StatusForbidden:
		return failure{denied, detail}
	case code == http.StatusNotFound:
		return failure{unmounted, detail}
	case code == http.StatusTooManyRequests, says("Upgrading from non-versioned"):
		return failure{busy, detail}
	case code >= 500, code == http.StatusPreconditionFailed:
		return failure{failing, detail}
	}
	return failure{strange, detail}
}

// shown is Vault's own text, cut short. What speaks of JSON may quote a value of the entry.
func shown(text string) string {
	if strings.Contains(text, "json") || strings.Contains(text, "JSON") {
		return "(Vault's words are left out, since they may quote data)"
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

func isStatus(err error, code int) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == code
}
