package vault

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/errs"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

func wantUse(t *testing.T, s *Store, key, want string) {
	t.Helper()
	v, err := useOne(t.Context(), s, org, key)
	if err != nil || string(v.Bytes()) != want {
		t.Errorf("Use(%s) = %q, %v; want %q", key, v.Bytes(), err, want)
	}
}

func TestUseInAnOutage(t *testing.T) {
	v := vaulttest.Shared(t)
	n := vaulttest.Network(t, v)
	mount := v.MountKV(t)
	with, _ := open(t, v, Config{Address: n.Address, Place: Place{Mount: mount}, CacheTTL: time.Millisecond,
		CacheStale: time.Hour})
	without, _ := open(t, v, Config{Address: n.Address, Place: Place{Mount: mount}, CacheTTL: time.Millisecond})
	apply(t, with, set("a", "1"))
	wantUse(t, with, "a", "1")
	wantUse(t, without, "a", "1")
	n.Cut()
	waitFor(t, func() bool { return with.Check(t.Context()) != nil })
	wantUse(t, with, "a", "1")
	if _, err := useOne(t.Context(), with, org, "b"); !errs.Is(err, errs.NotFound) {
		t.Errorf("a key that was not there: %v", err)
	}
	all := func(string) bool { return true }
	if values, err := useAll(t.Context(), with, org, all); err != nil || len(values) != 1 ||
		string(values["a"].Bytes()) != "1" {
		t.Errorf("all for use: %d, %v", len(values), err)
	}
	if _, err := useAll(t.Context(), without, org, all); !errs.Is(err, errs.Unavailable) {
		t.Errorf("all for use without --vault-cache-stale: %v", err)
	}
	if _, err := secret.Get(t.Context(), with, org, "a"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("management reads from memory: %v", err)
	}
	if _, err := useOne(t.Context(), without, org, "a"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("without --vault-cache-stale: %v", err)
	}
	// A change that may have been made leaves nothing to be given out.
	if _, err := with.Apply(t.Context(), org, set("a", "2")); !errs.Is(err, errs.Unavailable) {
		t.Errorf("Apply: %v", err)
	}
	if _, err := useOne(t.Context(), with, org, "a"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("what was read before a change whose outcome is not known: %v", err)
	}
}

// TestUseAfterARefusal has Vault refuse the server: what is in memory bridges absence, not that,
// nor an absence after it.
func TestUseAfterARefusal(t *testing.T) {
	v := vaulttest.Shared(t)
	eachLayout(t, func(t *testing.T, l kv2.Layout) {
		t.Parallel()
		n := vaulttest.Network(t, v)
		p := Place{Mount: v.MountKV(t), Path: "{org}", Layout: l}
		token := v.Token(t, policy(p), time.Hour)
		s, _ := open(t, v, Config{Address: n.Address, Place: p, Token: token, CacheTTL: time.Millisecond,
			CacheStale: time.Hour})
		apply(t, s, set("a", "1"))
		wantUse(t, s, "a", "1")
		all := func(string) bool { return true }
		if _, err := useAll(t.Context(), s, org, all); err != nil {
			t.Fatal(err)
		}
		v.Revoke(t, token)
		waitFor(t, func() bool { _, err := useOne(t.Context(), s, org, "a"); return err != nil })
		refused := func() {
			t.Helper()
			if _, err := useOne(t.Context(), s, org, "a"); !errs.Is(err, errs.Unavailable) {
				t.Errorf("Use: %v", err)
			}
			if _, err := useAll(t.Context(), s, org, all); !errs.Is(err, errs.Unavailable) {
				t.Errorf("UseAll: %v", err)
			}
		}
		refused()
		n.Cut()
		waitFor(t, func() bool { refused(); return s.conn.Reason() != nil })
		refused()
	})
}

func TestUseSeesOurChanges(t *testing.T) {
	v := vaulttest.Shared(t)
	f, calls := recorded(t, v)
	mount := v.MountKV(t)
	s, _ := open(t, v, Config{Address: f.URL, Place: Place{Mount: mount}, CacheTTL: time.Hour})
	apply(t, s, set("a", "1"))
	calls()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() { wantUse(t, s, "a", "1") })
	}
	wg.Wait()
	wantCalls(t, "32 at once", calls(), "GET data")
	v.Write(t, mount, org.String(), `{"a":"theirs"}`)
	wantUse(t, s, "a", "1") // within its time
	apply(t, s, set("a", "theirs"))
	wantUse(t, s, "a", "theirs") // although that changed nothing in Vault
	apply(t, s, set("a", "2"))
	wantUse(t, s, "a", "2")
	if err := s.Purge(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	if _, err := useOne(t.Context(), s, org, "a"); !errs.Is(err, errs.NotFound) {
		t.Errorf("after Purge: %v", err)
	}
}

func TestMetricsAndDetails(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	s, _ := openAs(t, v, Config{Place: Place{Mount: mount}, Login: appRole(t, v, mount, "1h")})
	apply(t, s, set("a", "1"))
	wantKeys(t, s, "a")
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.Metrics())
	got := gathered(t, reg)
	for name, want := range map[string]float64{
		"strongroom_vault_requests_total ok read": 2, "strongroom_vault_requests_total ok write": 1,
		"strongroom_vault_requests_total denied metadata": 1, "strongroom_vault_requests_total denied subkeys": 1,
		"strongroom_vault_logins_total ok": 1, "strongroom_vault_logins_total failed": 0,
		"strongroom_vault_breaker_open": 0, "strongroom_vault_cache_entries": 0,
	} {
		if n, ok := got[name]; !ok || n != want {
			t.Errorf("%s is %v (%t), want %v", name, n, ok, want)
		}
	}
	if left := got["strongroom_vault_token_remaining_seconds"]; left <= 0 || left > 3600 {
		t.Errorf("the token lasts for %v s", left)
	}
	details := s.About(org).Details
	if len(details) != 1 || !details[0].OK || !strings.HasPrefix(details[0].Message, "is renewed in time; lasts for ") {
		t.Errorf("details %+v", details)
	}
	root, _ := open(t, v, Config{Place: Place{Mount: mount}})
	if d := root.About(org).Details; !d[0].OK || !strings.HasPrefix(d[0].Message, "does not end") {
		t.Errorf("details with a token that does not end: %+v", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := useOne(ctx, s, org, "a"); err != context.Canceled {
		t.Errorf("Use of a caller who has gone: %v", err)
	}
}

// gathered are the counters and gauges by name and labels.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}
