package vault

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/id"
	"strongroom/internal/pemfile"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/login"
)

// About tells what the organisation's layout can, and of the token.
func (s *Store) About(org id.ID) secret.About {
	perSecret := s.places.Layout(org) == kv2.LayoutSecret
	return secret.About{
		History: perSecret, SecretVersions: perSecret, Versions: !perSecret,
		ReadOnly: s.places.ReadOnly(org), Details: s.details(),
	}
}

// details tells of the token, whose end is the outage that can be seen coming.
func (s *Store) details() []secret.Detail {
	state := s.conn.Session.State()
	life, ends := state.Life(time.Now())
	d := secret.Detail{Name: "vault-token", OK: true}
	switch {
	case !state.Failing.IsZero():
		d.OK, d.Message = false, "logging in to Vault has failed since "+state.Failing.UTC().Format(time.RFC3339)
	case !state.Untaken.IsZero():
		d.OK, d.Message = false, "the token file holds another since "+state.Untaken.UTC().Format(time.RFC3339)+
			", which cannot be taken; the one before goes on"
	case !ends:
		d.Message = "does not end, as far as Vault tells"
	case life == 0:
		d.OK, d.Message = false, "has ended"
	case state.Renewable:
		d.Message = "is renewed in time; lasts for " + login.Words(life)
	case s.conn.Session.Lasting():
		d.Message = "is replaced in time; lasts for " + login.Words(life)
	default:
		d.Message = "cannot be renewed and ends in " + login.Words(life)
	}
	details := []secret.Detail{d}
	for _, c := range s.conn.Certificates() {
		details = append(details, secret.Detail{Name: c.Name, OK: c.OK, Message: c.Message})
	}
	return details
}

// Certificates are the states of the files of certificates by which Vault is reached.
func (s *Store) Certificates() []pemfile.State { return s.conn.Certificates() }

// The metrics of what Use gives out; those of requests are the connection's.
var (
	cacheReads = prometheus.NewDesc("strongroom_vault_cache_reads_total",
		"Values read for use: hit, stale (in an outage), or miss.", []string{"outcome"}, nil)
	cacheKept = prometheus.NewDesc("strongroom_vault_cache_entries", "Entries whose secrets are in memory.", nil, nil)
)

// Metrics are the store's own, to be registered.
func (s *Store) Metrics() prometheus.Collector { return collector{s} }

type collector struct{ *Store }

// Describe implements prometheus.Collector.
func (s collector) Describe(to chan<- *prometheus.Desc) {
	s.conn.Describe(to)
	to <- cacheReads
	to <- cacheKept
}

// Collect implements prometheus.Collector.
func (s collector) Collect(to chan<- prometheus.Metric) {
	s.conn.Collect(to)
	c, of := s.org.Cached(), s.secret.Cached()
	count := func(n int, outcome string) {
		to <- prometheus.MustNewConstMetric(cacheReads, prometheus.CounterValue, float64(n), outcome)
	}
	count(c.Hits+of.Hits, "hit")
	count(c.Stale+of.Stale, "stale")
	count(c.Misses+of.Misses, "miss")
	to <- prometheus.MustNewConstMetric(cacheKept, prometheus.GaugeValue, float64(c.Kept+of.Kept))
}
