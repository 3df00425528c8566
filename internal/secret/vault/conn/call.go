package conn

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/errs"
	"strongroom/internal/secret/vault/wire"
	"strongroom/internal/tracing"
)

// Request names a request for the log: its path, and the capability that Vault's policies must give for it.
type Request struct {
	Method, Kind, Path, Needs string
	// Optional requests are those that Vault need not allow or know, since there is another way.
	Optional bool
	// Entry is what is kept in an entry, for the message where Vault takes none so large, and
	// Remedy what to do about it.
	Entry, Remedy string
}

// Kind is one way in which Vault does not serve.
type Kind int

const (
	Unreachable Kind = iota
	Slow
	Sealed
	Uninitialised
	Denied
	Busy
	Failing
	Unmounted
	Strange
	Untrusted
	Kinds // how many there are
)

// outage reports whether a request that ended so says that no request will be served for now.
func (k Kind) outage() bool {
	return k == Unreachable || k == Slow || k == Sealed || k == Uninitialised || k == Untrusted
}

// What an organisation's end comes to where the policy allows it in part only, or not at all.
var (
	ErrKeptVersions = errs.New(errs.Unavailable, "the secret store deleted the organization's secrets but "+
		"refused to remove their earlier versions (permission denied)"+howToEnd)
	errKeptAll = errs.New(errs.Unavailable, "the secret store refused to remove the organization's secrets "+
		"(permission denied)"+howToEnd)
)

const howToEnd = "; give the server's token in Vault the policy that influxd vault check prints, or remove by hand " +
	"what is left there"

// Kept is the error of an organisation's end, where that is a refusal with what to do about it.
func Kept(err error) error {
	if Is(err, Denied) {
		return errKeptAll
	}
	return err
}

// doubtful reports whether a request that ended so is a reason to ask for Vault's state.
func (k Kind) doubtful() bool { return k.outage() || k == Busy || k == Failing }

// told is what callers hear of each.
var told = [Kinds]*errs.Error{
	Unreachable:   errs.New(errs.Unavailable, "the secret store cannot be reached"),
	Slow:          errs.New(errs.Unavailable, "the secret store did not answer in time"),
	Sealed:        errs.New(errs.Unavailable, "the secret store is sealed"),
	Uninitialised: errs.New(errs.Unavailable, "the secret store is not initialised"),
	Denied:        errs.New(errs.Unavailable, "the secret store refused the server's token (permission denied)"),
	Busy:          errs.New(errs.Unavailable, "the secret store is busy"),
	Failing:       errs.New(errs.Unavailable, "the secret store has a fault of its own"),
	Unmounted: errs.New(errs.Unavailable,
		"the secret store is not set up: nothing is mounted where secrets are kept"),
	Strange:   errs.New(errs.Unavailable, "the secret store gave an answer that is not understood"),
	Untrusted: errs.New(errs.Unavailable, "the secret store and this server do not take each other's certificates"),
}

// What the write path deals with itself.
var (
	ErrMismatch = errors.New("the entry has changed since it was read") // check-and-set
	ErrTooSlow  = errors.New("Vault did not answer in time")
)

// failure is what went wrong with a request, in words for the log.
type failure struct {
	kind   Kind
	detail string
}

func (f failure) Error() string { return f.detail }

// Is reports whether a request ended in this way.
func Is(err error, k Kind) bool { return errors.Is(err, told[k]) }

// Away reports whether a request that ended so found nobody who serves, rather than one who refuses.
func Away(err error) bool {
	for _, k := range []Kind{Unreachable, Slow, Sealed, Uninitialised, Busy, Failing} {
		if Is(err, k) {
			return true
		}
	}
	return false
}

// Told is what callers hear.
func (k Kind) Told() error { return told[k] }

// tooLarge is a limit of Vault's that an entry does not keep.
type tooLarge string

func (l tooLarge) Error() string { return "larger than " + string(l) }

// probe asks for Vault's state on behalf of the breaker, on a connection of its own. Its error is what callers hear.
func (c *Conn) probe(ctx context.Context) error {
	err := c.health(wire.Fresh(Once(ctx)))
	if err == nil {
		c.wire.Answered()
		return nil
	}
	var f failure
	if !errors.As(c.meaning(ctx, err), &f) {
		f = failure{Unreachable, err.Error()}
	}
	if f.kind == Slow {
		f.detail = "no answer within " + c.probeTime().String()
	}
	if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) { // else another probe was answered
		c.reports.failed(f, healthRequest)
	}
	return told[f.kind]
}

// healthRequest names the question for Vault's state.
var healthRequest = Request{Method: http.MethodGet, Path: "sys/health"}

// meaning is classify's, but that it looks into a connection that was ended: the other side may have its reasons.
func (c *Conn) meaning(ctx context.Context, err error) error {
	err = classify(err)
	if f := (failure{}); errors.As(err, &f) && f.kind == Unreachable {
		if why := c.refusedBy(ctx); why != "" {
			return failure{Untrusted, why}
		}
	}
	return err
}

// errOpened ends a request that waits while the breaker opens.
var errOpened = errors.New("Vault is away")

// whileServing is a context for one operation's requests, which ends when Vault is found to be away.
func (c *Conn) whileServing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(wire.Operation(ctx))
	stop := context.AfterFunc(c.breaker.Live(), func() { cancel(errOpened) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Do makes a request. Its error is ctx's, ErrMismatch, or one for callers, whose details have been reported then.
func (c *Conn) Do(ctx context.Context, r Request, send func(context.Context) error) (err error) {
	if reason := c.breaker.Reason(); reason != nil {
		return reason
	}
	began := time.Now()
	ctx, span := tracing.Begin(ctx, "vault", r.name())
	defer func() {
		how := outcome(ctx, err)
		c.metrics.observe(r, began, how)
		span.End(how, err != nil)
	}()
	token := c.Client.Token()
	serving, done := c.whileServing(ctx)
	defer done()
	err = send(serving)
	if IsStatus(err, http.StatusForbidden) && c.Session.Refused(serving, token) {
		err = send(serving)
	}
	if err == nil {
		c.noteDenied(r, false)
		c.reports.recovered(began)
		return nil
	}
	if end := Ended(ctx); errors.Is(end, ErrTooSlow) {
		return c.fail(failure{Slow, "no answer within " + c.Timeout.String() + " (--vault-client-timeout)"}, r)
	} else if end != nil {
		return end
	}
	if errors.Is(context.Cause(serving), errOpened) {
		return cmp.Or(c.breaker.Reason(), Slow.Told())
	}
	err = c.meaning(ctx, err)
	if limit := tooLarge(""); errors.As(err, &limit) {
		return errs.New(errs.RequestTooLarge, "%s would be larger than %s%s", cmp.Or(r.Entry, "the entry"),
			string(limit), r.Remedy)
	}
	var f failure
	if !errors.As(err, &f) {
		return err
	}
	if f.kind == Denied {
		c.noteDenied(r, true)
	}
	if r.Optional && !f.kind.outage() && f.kind != Failing && f.kind != Busy {
		return told[f.kind]
	}
	if f.kind == Denied && c.reports.due(Denied) {
		f.detail += c.whyDenied(ctx, r)
	}
	return c.fail(f, r)
}

// noteDenied notes how a request for data ended.
func (c *Conn) noteDenied(r Request, denied bool) {
	if r.Kind == "data" {
		c.denied.Store(denied)
	}
}

// Ended is the error of a context that has ended: ErrTooSlow where the deadline was ours, the caller's own error
// where it was his, ErrClosed where the store was closed. A dialler may give up a moment before the context does, so
// the clock is asked as well.
func Ended(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		if d, ok := ctx.Deadline(); !ok || time.Now().Before(d) {
			return nil
		}
		<-ctx.Done()
		return Ended(ctx)
	case errors.Is(cause, ErrTooSlow), errors.Is(cause, ErrClosed):
		return cause
	default:
		return ctx.Err()
	}
}

// Fail reports a failure of a request that was answered, and gives what callers hear.
func (c *Conn) Fail(k Kind, detail string, r Request) error { return c.fail(failure{k, detail}, r) }

// fail reports and gives what callers hear.
func (c *Conn) fail(f failure, r Request) error {
	c.reports.failed(f, r)
	if f.kind.doubtful() {
		c.breaker.Failed()
	}
	return told[f.kind]
}

// whyDenied tells an ended token from a policy that lacks something, as far as Vault tells.
func (c *Conn) whyDenied(ctx context.Context, r Request) string {
	fix := "; the token's policies lack the capability " + strconv.Quote(r.Needs) + " on " + strconv.Quote(r.Path)
	if !c.Session.State().MayLookUp {
		return fix + ", or the token has expired or was revoked"
	}
	if _, err := c.Client.Auth().Token().LookupSelfWithContext(ctx); IsStatus(err, http.StatusForbidden) {
		return "; the token has expired or was revoked: " + c.Session.Remedy()
	}
	return fix
}

// Vault's own words for the states in which it serves no request.
const (
	saysSealed        = "Vault is sealed"
	saysUninitialised = "not initialized"
)

// saysLongName is what the machine says on which Vault keeps an entry in a file of its name.
const saysLongName = "file name too long"

// ErrLongName is of a path that Vault's storage does not take. Nothing is kept there.
var ErrLongName = errs.New(errs.RequestTooLarge, "the name, or a part of it between two slashes, is longer than the "+
	"secret store's storage takes (about 100 letters of ASCII with Vault's file storage); choose a shorter one")

// classify makes of a client's error what it means: ErrMismatch, a *errs.Error, or a failure.
func classify(err error) error {
	if f := (failure{}); errors.As(err, &f) {
		return f
	}
	var answer *api.ResponseError
	if !errors.As(err, &answer) {
		var broken net.Error
		switch {
		case distrust(err) != "":
			return failure{Untrusted, distrust(err)}
		case errors.As(err, &broken) && broken.Timeout(), errors.Is(err, context.DeadlineExceeded):
			return failure{Slow, err.Error()}
		}
		return failure{Unreachable, err.Error()}
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
		return ErrMismatch
	case says(saysLongName):
		return ErrLongName
	case says("put failed due to value being too large", "request is too large"):
		return tooLarge("the secret store's storage takes (max_entry_size, 1 MiB by default with Vault's " +
			"integrated storage)")
	case says("JSON string value exceeds"):
		return errs.New(errs.RequestTooLarge, "a value or key is longer than the secret store takes "+
			"(max_json_string_value_length, 1 MiB by default)")
	case says("JSON") && says("exceeds"):
		return errs.New(errs.RequestTooLarge, "the organization would have more secrets than the secret store takes "+
			"in one entry (max_json_object_entry_count, 10,000 by default)")
	case code == http.StatusRequestEntityTooLarge, says("request body too large"):
		return tooLarge("the secret store takes in one request (max_request_size, 32 MiB by default)")
	case says(saysSealed):
		return failure{Sealed, detail}
	case says(saysUninitialised):
		return failure{Uninitialised, detail}
	case (code == http.StatusBadGateway || code == http.StatusServiceUnavailable ||
		code == http.StatusGatewayTimeout) &&
		(answer.RawError || len(answer.Errors) == 0): // Vault gives a reason
		return failure{Unreachable, "status " + strconv.Itoa(code) + " of what stands before Vault"}
	case code == http.StatusForbidden:
		return failure{Denied, detail}
	case code == http.StatusNotFound:
		return failure{Unmounted, detail}
	case code == http.StatusTooManyRequests, says("Upgrading from non-versioned"):
		return failure{Busy, detail}
	case code >= 500, code == http.StatusPreconditionFailed:
		return failure{Failing, detail}
	}
	return failure{Strange, detail}
}

// shown is Vault's own text, cut short. What speaks of JSON may quote a value of the entry.
func shown(text string) string {
	if strings.Contains(text, "json") || strings.Contains(text, "JSON") {
		return "(Vault's words are left out, since they may quote data)"
	}
	return errs.ClipTo(200, strings.Join(strings.Fields(text), " "))
}

func IsStatus(err error, code int) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == code
}

// NoRoute reports whether Vault answers that nothing is mounted where the request goes.
func NoRoute(err error) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound &&
		strings.Contains(strings.Join(answer.Errors, " "), "no handler for route")
}
