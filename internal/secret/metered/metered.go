// Package metered counts, times and logs the calls of any secret.Store.
package metered

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/outage"
	"strongroom/internal/secret"
	"strongroom/internal/tracing"
)

// store is a store that counts and times the calls of another, and logs those that fail: each way to fail once a
// minute, however many calls there are, and where the store was unavailable, the end of that. It is applied once, after
// the store has been chosen, so that all stores are seen alike.
type store struct {
	secret.Store
	name    string
	log     *slog.Logger
	outages *outage.Log
	failing sync.Map // by message: the refusal that was last so, of whose organisation the next success is the end
	seconds *prometheus.HistogramVec
	calls   *prometheus.CounterVec
	good    sync.Map // by op: *good, the series of calls that end well, found once and not anew for each call
	fault   func(error)
}

type refusal struct {
	org id.ID
	at  time.Time
}

type good struct {
	seconds prometheus.Observer
	calls   prometheus.Counter
}

// New wraps the store under the name that its metrics carry ("bolt", "vault"). Fault hears each error that no caller
// causes, and none that is an outage.
func New(s secret.Store, name string, reg prometheus.Registerer, log *slog.Logger, fault func(error)) secret.Store {
	m := &store{Store: s, name: name, outages: outage.New(log), log: log, fault: fault,
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "strongroom_secret_store_duration_seconds",
			Help:    "Time that calls of the secret store took.",
			Buckets: prometheus.ExponentialBuckets(10e-6, 4, 10), // 10 µs to 2.6 s
		}, []string{"store", "op"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strongroom_secret_store_calls_total",
			Help: "Calls of the secret store by how they ended: ok, or the error's code.",
		}, []string{"store", "op", "outcome"}),
	}
	reg.MustRegister(m.seconds, m.calls)
	return m
}

// observe notes how a call went, and gives the word for how it ended.
func (m *store) observe(ctx context.Context, op string, org id.ID, start time.Time, err error) (outcome string) {
	took := time.Since(start)
	if err == nil {
		g := m.goodOf(op)
		g.seconds.Observe(took.Seconds())
		g.calls.Inc()
		if m.outages.Open() {
			m.served(org, start)
		}
		return "ok"
	}
	switch {
	case ctx.Err() != nil:
		outcome = "cancelled"
	default:
		outcome = string(errs.CodeOf(err))
	}
	m.seconds.WithLabelValues(m.name, op).Observe(took.Seconds())
	m.calls.WithLabelValues(m.name, op, outcome).Inc()
	args := []any{"store", m.name, "op", op, "org", org, "took", took, "error", err}
	switch code := errs.CodeOf(err); {
	case outcome == "cancelled" || code == errs.NotFound || code == errs.PreconditionFailed:
	case code == errs.Internal:
		m.fault(err)
		m.outages.Failed(ctx, slog.LevelError, err.Error(), "the secret store failed", args...)
	case code == errs.Unavailable:
		m.failing.Store(errs.Message(err), refusal{org, time.Now()}) // the store's own few messages
		m.outages.Failed(ctx, slog.LevelWarn, errs.Message(err), "the secret store refused", args...)
	default:
		m.outages.Failed(ctx, slog.LevelWarn, string(code), "the secret store refused", args...)
	}
	return outcome
}

// served ends what the organisation's calls were refused for before one was begun that was served. Another's may be
// refused still.
func (m *store) served(org id.ID, begun time.Time) {
	m.failing.Range(func(message, last any) bool {
		if was := last.(refusal); was.org == org && was.at.Before(begun) && m.failing.CompareAndDelete(message, last) {
			if ended, lasted := m.outages.Served(begun, message.(string)); len(ended) > 0 {
				m.log.Info("the secret store serves again", "store", m.name, "was", message, "for",
					outage.Words(lasted))
			}
		}
		return true
	})
}

func (m *store) goodOf(op string) *good {
	if g, ok := m.good.Load(op); ok {
		return g.(*good)
	}
	g, _ := m.good.LoadOrStore(op, &good{m.seconds.WithLabelValues(m.name, op),
		m.calls.WithLabelValues(m.name, op, "ok")})
	return g.(*good)
}

// timed makes one call of the store and notes how it went.
func timed[T any](ctx context.Context, m *store, op string, org id.ID,
	call func(context.Context) (T, error)) (T, error) {
	start := time.Now()
	inner, span := tracing.Begin(ctx, "secret store", op)
	got, err := call(inner)
	span.End(m.observe(ctx, op, org, start, err), err != nil)
	return got, err
}

func timedErr(ctx context.Context, m *store, op string, org id.ID, call func(context.Context) error) error {
	_, err := timed(ctx, m, op, org, func(ctx context.Context) (struct{}, error) { return struct{}{}, call(ctx) })
	return err
}

func (m *store) Keys(ctx context.Context, org id.ID) ([]string, error) {
	return timed(ctx, m, "keys", org, func(ctx context.Context) ([]string, error) { return m.Store.Keys(ctx, org) })
}

func (m *store) Read(ctx context.Context, org id.ID, q secret.Query) (secret.Snapshot, error) {
	op := "get"
	if q.ForUse {
		op = "use"
	}
	return timed(ctx, m, op, org, func(ctx context.Context) (secret.Snapshot, error) {
		return m.Store.Read(ctx, org, q)
	})
}

func (m *store) Apply(ctx context.Context, org id.ID, change secret.Change) (secret.Outcome, error) {
	return timed(ctx, m, "apply", org, func(ctx context.Context) (secret.Outcome, error) {
		return m.Store.Apply(ctx, org, change)
	})
}

func (m *store) Purge(ctx context.Context, org id.ID) error {
	return timedErr(ctx, m, "purge", org, func(ctx context.Context) error { return m.Store.Purge(ctx, org) })
}

func (m *store) Info(ctx context.Context, org id.ID, key string) (secret.Info, error) {
	return timed(ctx, m, "info", org, func(ctx context.Context) (secret.Info, error) {
		return m.Store.Info(ctx, org, key)
	})
}

func (m *store) Infos(ctx context.Context, org id.ID, page secret.Page) ([]secret.Info, error) {
	return timed(ctx, m, "infos", org, func(ctx context.Context) ([]secret.Info, error) {
		return m.Store.Infos(ctx, org, page)
	})
}

func (m *store) Deleted(ctx context.Context, org id.ID, page secret.Page) ([]secret.Info, error) {
	return timed(ctx, m, "deleted", org, func(ctx context.Context) ([]secret.Info, error) {
		return m.Store.Deleted(ctx, org, page)
	})
}

func (m *store) ReadVersion(ctx context.Context, org id.ID, key string, version int) (secret.Secret, error) {
	return timed(ctx, m, "version", org, func(ctx context.Context) (secret.Secret, error) {
		return m.Store.ReadVersion(ctx, org, key, version)
	})
}

func (m *store) Describe(ctx context.Context, org id.ID, key string, d secret.Description) error {
	return timedErr(ctx, m, "describe", org, func(ctx context.Context) error {
		return m.Store.Describe(ctx, org, key, d)
	})
}

func (m *store) Restore(ctx context.Context, org id.ID, key string, version int, by string) (secret.Outcome, error) {
	return timed(ctx, m, "restore", org, func(ctx context.Context) (secret.Outcome, error) {
		return m.Store.Restore(ctx, org, key, version, by)
	})
}

func (m *store) Mark(ctx context.Context, org id.ID, key string, marking secret.Marking) (secret.Outcome, error) {
	return timed(ctx, m, "mark", org, func(ctx context.Context) (secret.Outcome, error) {
		return m.Store.Mark(ctx, org, key, marking)
	})
}

func (m *store) Remove(ctx context.Context, org id.ID, key string, deletedOnly bool) error {
	return timedErr(ctx, m, "remove", org, func(ctx context.Context) error {
		return m.Store.Remove(ctx, org, key, deletedOnly)
	})
}

// Unwrap gives the store that is metered, for what few stores can (secret.As).
func (m *store) Unwrap() secret.Store { return m.Store }
