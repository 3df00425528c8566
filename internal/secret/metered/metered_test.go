package metered

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
)

// away is a store that answers every call with err.
type away struct {
	secret.Store
	err error
}

func (a *away) Keys(context.Context, id.ID) ([]string, error) { return nil, a.err }

func (a *away) Purge(context.Context, id.ID) error { return a.err }

// TestOver has a purge end because another has done what it was for, or has to do it: that is no fault of the store.
func TestOver(t *testing.T) {
	out := new(strings.Builder)
	m := New(&away{err: kv.ErrOver}, "bolt", prometheus.NewRegistry(), slog.New(slog.NewTextHandler(out, nil)),
		func(err error) { t.Errorf("it is told as a fault: %v", err) })
	if err := m.Purge(t.Context(), 1); !errors.Is(err, kv.ErrOver) {
		t.Error(err)
	}
	if out.Len() > 0 {
		t.Errorf("it is told in the log: %s", out)
	}
}

// TestOutageInTheLog has a store that is away for three minutes while everybody asks it.
func TestOutageInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(strings.Builder)
		store := &away{err: errs.New(errs.Unavailable, "the secret store cannot be reached")}
		m := New(store, "vault", prometheus.NewRegistry(), slog.New(slog.NewTextHandler(out, nil)),
			func(err error) { t.Errorf("it is told as a fault: %v", err) })
		ask := func(org id.ID, times int) {
			for range times {
				_, _ = m.Keys(t.Context(), org)
				time.Sleep(10 * time.Millisecond)
			}
		}
		ask(1, 18000)
		if n := strings.Count(out.String(), "the secret store refused"); n != 3 {
			t.Errorf("three minutes are %d lines, want one a minute:\n%s", n, out)
		}
		store.err = nil
		ask(2, 10)
		if strings.Contains(out.String(), "serves again") {
			t.Errorf("another organisation's success is told as the end:\n%s", out)
		}
		ask(1, 10)
		if n := strings.Count(out.String(), "the secret store serves again"); n != 1 {
			t.Errorf("the end is told %d times:\n%s", n, out)
		}
	})
}
