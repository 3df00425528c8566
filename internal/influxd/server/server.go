// Package server is the life of the server: it opens the parts in order, serves, and closes them in reverse.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"strongroom/internal/access"
	"strongroom/internal/audit/auditlog"
	"strongroom/internal/audit/notes"
	"strongroom/internal/barrier"
	"strongroom/internal/clock"
	"strongroom/internal/httpapi"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/inflight"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/influxd/release"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/pause"
	"strongroom/internal/peer"
	"strongroom/internal/pemfile"
	"strongroom/internal/refused"
	"strongroom/internal/secret"
	"strongroom/internal/secret/due"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/lastuse"
	"strongroom/internal/secret/metered"
	"strongroom/internal/secret/service"
	"strongroom/internal/servers"
	"strongroom/internal/ui"
	"strongroom/internal/vaultapi"
)

// Server is the opened parts. Close it at the end.
type Server struct {
	Data parts.Data
	// Identities is the data as the records of users, tokens and organisations are read and written: behind the
	// barrier.
	Identities *barrier.Store
	Guard      *access.Guard
	Store      secret.Store
	Secrets    *service.Service

	handler  http.Handler
	vaultAPI http.Handler // nil where Vault's clients are not answered
	identity *directory.Service
	trail    *auditlog.Log
	log      *slog.Logger
	refused  *refused.Records
	// certificates are the server's own and those by which it reaches its data, to be known before it serves.
	certificates []func() []pemfile.State
	certified    sync.Mutex // guards certificates: those of the listener come when the metrics may be asked for already
	// servers is this one among the others over the same data; nil where it is the only one.
	servers *servers.Server
	closers []func() error // in the order of opening
}

// lookEvery is how often Vault is looked at for changes that somebody waits for, where no value is kept in memory: as
// often as it is where values are kept for the usual time.
const lookEvery = 5 * time.Second

// lastNotices is how long those who wait for changes may take to hear of the server's end.
const lastNotices = 2 * time.Second

// Open opens the parts, each over those before it. When one fails, those before it are closed again.
func Open(ctx context.Context, cfg *config.Config, p command.Process, log *slog.Logger) (_ *Server, err error) {
	s := &Server{log: log, refused: &refused.Records{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	if err := refuseOwnVault(ctx, cfg); err != nil {
		return nil, err
	}
	shared := cfg.Store == config.EngineEtcd
	if left := orphaned(cfg); left != "" && !shared && !cfg.NewData {
		return nil, fmt.Errorf("%s: there are no data in %s, but %s is there: if there were data, put the file back "+
			"or name it with --bolt-path; if this is to be a first start all the same, start once with --new-data",
			cfg.Place("bolt-path"), cfg.BoltPath, left)
	}
	if err := parts.GuardFiles(cfg, log); err != nil {
		return nil, err
	}
	data, err := parts.OpenData(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	if own, ok := data.(prometheus.Collector); ok {
		metrics.MustRegister(own)
	}
	if own, ok := data.(certified); ok {
		s.certifies(own.Certificates)
	}
	s.closes(data.Close)
	s.Data = data
	s.runs(ctx, s.watchData)
	// Only now: a second server on the same data must not write over the file of the first, and remove it when it ends.
	removePIDFile, err := writePIDFile(cfg)
	if err != nil {
		return nil, err
	}
	s.closes(removePIDFile)

	source := parts.Seal(cfg, p, log)
	keys, err := keyring.OpenOrInit(ctx, data, keyring.Config{Seal: source, Shared: shared})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", parts.SealPlace(cfg), err)
	}
	s.closes(func() error { keys.Close(); return nil })
	if err := keys.EndHandover(ctx); err != nil && !shared { // in data that come from several servers
		return nil, fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
	}
	if shared {
		s.runs(ctx, func(ctx context.Context) {
			keys.Follow(ctx, func(err error) {
				log.Error("what another server changed of the keys cannot be taken over", "error", err)
			})
		})
	}

	chainKey, err := keys.DeriveKey(parts.AuditLabel)
	if err != nil {
		return nil, err
	}
	s.trail, err = auditlog.Open(auditlog.Config{
		Sinks: cfg.AuditSinks, ChainKey: chainKey, Marks: parts.MarksOf(cfg, data, ""), Server: parts.AmongSeveral(cfg),
		Logger: log, Stdout: p.Stdout,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("audit-sinks"), err)
	}
	s.closes(s.trail.Close)
	s.runs(ctx, s.trail.Maintain)
	notesKey, err := keys.DeriveKey(notes.Label)
	if err != nil {
		return nil, err
	}
	s.runs(ctx, func(ctx context.Context) { notes.Run(ctx, parts.NotesPath(cfg), notesKey, s.trail, log) })
	metrics.MustRegister(auditMetrics{s.trail})

	acts := &servers.Acts{Own: s.trail}
	var named func() string
	if shared {
		if err := s.joinOthers(ctx, cfg, keys); err != nil {
			return nil, err
		}
		acts.Server, named = s.servers, s.servers.Twice
		acts.Logs = func(ctx context.Context) ([]string, error) {
			marks, err := parts.MarksOfAll(ctx, data)
			return slices.Collect(maps.Keys(marks)), err
		}
	} else if err := raiseAlone(ctx, data, log); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
	}
	trail := actsOfAll{acts, s.trail}

	s.Guard = access.NewGuard(s.trail)
	s.runs(ctx, s.Guard.Maintain)
	if s.Identities, err = s.takeIn(ctx, data, keys); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
	}

	// One store of the embedded data, also where the secrets are in Vault: a rotation of the keys waits for its
	// writers.
	secretsConf := embedded.Config{KV: data, Keyring: keys, History: cfg.SecretHistory, Quota: parts.Quota(cfg),
		Beside: notesIn(data), Far: shared, Stale: cfg.Etcd.StaleSecrets, Homes: s.Identities, Home: identity.OrgKey,
		Gone: identity.ErrOrgNotFound}
	if near, ok := data.(embedded.Near); ok {
		secretsConf.Near = near
	}
	if ample, ok := data.(kv.Ample); ok {
		secretsConf.Ample = ample
	}
	embedded := embedded.New(secretsConf)
	times := clock.New(data, log)
	s.runs(ctx, times.Run)
	s.runsAlone(ctx, "sweep", func(ctx context.Context) {
		times.Wait(ctx) // what it removes is gone for good
		embedded.Maintain(ctx, func(err error) {
			s.damaged(err)
			log.Warn("removing secrets that were deleted long ago failed and will be tried again", "error", err)
		})
	})
	store, closeStore, err := parts.OpenStore(ctx, cfg, embedded, s.Identities, log)
	if err != nil {
		return nil, err
	}
	s.closes(func() error { closeStore(); return nil })
	if own, ok := store.(interface{ Metrics() prometheus.Collector }); ok {
		metrics.MustRegister(own.Metrics())
	}
	ends := certificateMetrics{s.certificateStates}
	if own, ok := store.(certified); ok { // which tells the health checks of them itself
		ends = append(ends, own.Certificates)
	}
	metrics.MustRegister(ends)
	metrics.MustRegister(s.refused)
	store = metered.New(store, cfg.SecretStore, metrics, log, s.damaged)
	s.Store = store

	usesKey, err := keys.DeriveKey(lastuse.Label)
	if err != nil {
		return nil, err
	}
	uses := lastuse.New(data, usesKey)
	noted, err := s.openNotes(data, keys, parts.Quota(cfg), store)
	if err != nil {
		return nil, err
	}
	logins, err := authn.New(authn.Config{
		KV: s.Identities, Guard: s.Guard, Logger: log, SessionLength: cfg.SessionTTL(),
		KeepSession: cfg.SessionRenewDisabled, Shared: shared, Stale: cfg.Etcd.Stale,
	})
	if err != nil {
		return nil, err
	}
	s.runs(ctx, logins.Maintain)
	s.runs(ctx, logins.Follow)
	s.identity, err = directory.New(directory.Config{
		KV: s.Identities, Mark: keys, Guard: s.Guard, Authn: logins, Logger: log,
		Secrets: kept{service.Remembered{Store: store, Uses: uses}, noted}, Places: secret.PlacedOf(store),
		AlwaysAsk: shared && cfg.Etcd.Stale == 0,
	})
	if err != nil {
		return nil, err
	}
	if err := s.identity.CheckPlaces(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("vault-routes"), err)
	}
	s.runsAlone(ctx, "directory", s.identity.Maintain)
	s.runs(ctx, s.identity.FollowNames)

	seals := parts.Sealing(cfg, p, s.Guard, parts.Rewriter{Identities: s.Identities, Secrets: embedded, Log: log}, keys,
		source, log)
	if err := seals.BeginNames(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("seal-keys"), err)
	}
	s.runs(ctx, seals.Run)
	s.runs(ctx, seals.Watch)

	secrets := service.New(store, s.Guard, s.identity, uses, secret.Limits{
		MaxKey: int(cfg.MaxSecretKeySize), MaxValue: int(cfg.MaxSecretValueSize),
	})
	s.Secrets = secrets
	// Requests that wait for changes end when the server begins to stop, and keep it from nothing.
	notices := secrets.Notices(cmp.Or(cfg.Vault.CacheTTL, lookEvery))
	context.AfterFunc(ctx, notices.End)
	s.closes(func() error {
		notices.End()
		ctx, cancel := context.WithTimeout(context.Background(), lastNotices)
		defer cancel()
		notices.Wait(ctx)
		return nil
	})
	s.runs(ctx, func(ctx context.Context) {
		uses.Maintain(ctx, secrets.Names, func(err error) {
			log.Warn("noting when secrets were used failed and will be tried again", "error", err)
		})
	})
	dueKey, err := keys.DeriveKey(due.Label)
	if err != nil {
		return nil, err
	}
	dueWatch, err := parts.Due(cfg, store, data, s.Identities, dueKey, s.damaged, log)
	if err != nil {
		return nil, err
	}
	if dueWatch != nil {
		metrics.MustRegister(dueWatch)
		s.runsAlone(ctx, "due", func(ctx context.Context) {
			times.Wait(ctx) // by a clock that is wrong all would be overdue
			dueWatch.Run(ctx)
		})
	}
	budget, pauses := inflight.New(cfg.MaxInFlight), pause.New()
	metrics.MustRegister(inFlightMetrics{budget}, pauseMetrics{pauses})
	api := httpapi.Config{
		Budget: budget, Pauses: pauses,
		Guard: s.Guard, Authn: logins, Directory: s.identity, Secrets: secrets, Store: store, Trail: trail,
		Seals: seals, Data: data, Named: named,
		Version: release.API(), Commit: release.Commit(), Settings: cfg.Public,
		MaxBody: cfg.MaxBodySize, Secure: cfg.TLS(), Metrics: metrics, Logger: log,
		Certificates: s.certificateStates, Damage: s.refused.Problem,
	}
	if !cfg.MetricsDisabled {
		api.Gather = metrics
	}
	if !cfg.UIDisabled {
		pages, err := ui.New(ui.Config{
			Guard: s.Guard, Authn: logins, Directory: s.identity, Secrets: secrets, Store: store, Trail: trail,
			Seals: seals, StoreName: cfg.SecretStore, InEtcd: shared, Facts: storeFacts(cfg), Data: data.Health,
			NoHistory: cfg.SecretStore == config.StoreBolt && cfg.SecretHistory == 0, Version: release.Version(),
			MaxBody: cfg.MaxBodySize, Budget: budget, Pauses: pauses, Quota: parts.Quota(cfg), Secure: cfg.TLS(),
			Gather: metrics, Logger: log,
		})
		if err != nil {
			return nil, err
		}
		s.runs(ctx, pages.Run)
		api.UI = pages
	}
	if s.handler, err = httpapi.New(api); err != nil {
		return nil, err
	}
	if !cfg.VaultAPI.Disabled {
		own, err := vaultapi.New(vaultapi.Config{
			Guard: s.Guard, Authn: logins, Directory: s.identity, Secrets: secrets, Store: store, Notes: noted,
			Mount: cfg.VaultAPI.Mount, Refresh: cfg.VaultAPI.Refresh, NewOrgs: cfg.VaultAPI.NewOrgs,
			Merge: cfg.VaultAPI.Merge, MaxBody: cfg.MaxBodySize, Budget: budget, Pauses: pauses, Metrics: metrics,
			Logger: log,
		})
		if err != nil {
			return nil, err
		}
		s.handler = inFront(own, s.handler)
		s.vaultAPI = &peer.Front{Proxies: cfg.Proxies, Base: cfg.BasePath, Handler: own}
	}
	if s.servers != nil {
		s.handler = forServers(s.servers.Handler(s.trail), s.handler)
	}
	s.handler = &peer.Front{Proxies: cfg.Proxies, Base: cfg.BasePath, Handler: s.handler}
	return s, nil
}

// CheckPlaces refuses settings by which the secrets of two of the organisations are in one place.
func (s *Server) CheckPlaces(ctx context.Context) error { return s.identity.CheckPlaces(ctx) }

// certified is what has certificates of its own.
type certified interface{ Certificates() []pemfile.State }

// certifies takes note of certificates.
func (s *Server) certifies(of func() []pemfile.State) {
	s.certified.Lock()
	defer s.certified.Unlock()
	s.certificates = append(s.certificates, of)
}

// certificateStates are those of the server's own certificates, and of its data's.
func (s *Server) certificateStates() (states []pemfile.State) {
	s.certified.Lock()
	all := slices.Clone(s.certificates)
	s.certified.Unlock()
	for _, of := range all {
		states = append(states, of()...)
	}
	return states
}
