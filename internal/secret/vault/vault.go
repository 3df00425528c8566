// Package vault keeps secrets in Vault's KV engine, version 2. How they lie there is a layout's affair (packages perorg
// and persecret); where, package kv2's; how Vault is spoken to, package conn's. This package makes a store of them.
//
// # Start
//
// New does not return a store that cannot work. A mistake in the settings ends the start at once, with one line that
// says what to change: a wrong CA file, a certificate that is not trusted, a token that Vault refuses, no engine at the
// mount, KV of version 1. A Vault that cannot be reached, is sealed or not yet initialised is no mistake: machines
// start in any order. New waits for it for Config.Wait, saying so in the log, and then fails, so that systemd or
// Kubernetes shows the state and starts the process again.
package vault

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/vault/cache"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/perorg"
	"strongroom/internal/secret/vault/persecret"
)

// Place says where in Vault an organisation's secrets are.
type Place = kv2.Place

// Layout is how an organisation's secrets lie in Vault.
type Layout = kv2.Layout

// The layouts.
const (
	LayoutOrg    = kv2.LayoutOrg
	LayoutSecret = kv2.LayoutSecret
)

// ParseRoute reads a route as the configuration gives it.
func ParseRoute(text string) (id.ID, Place, error) { return kv2.ParseRoute(text) }

// Config says which Vault, and how. Fields up to TLSServerName are those of conn.Config, where Vault's own variables
// that stand in for them are told.
type Config struct {
	Address       string
	Token         string
	Login         login.Config
	ClientTimeout *time.Duration
	MaxRetries    *int
	CACert        string
	CAPath        string
	ClientCert    string
	ClientKey     string
	SkipVerify    *bool
	TLSServerName string

	// Place is where secrets are, and Routes where those of single organisations are; what a route does not say is as
	// Place says. OrgName is for paths with {orgName}; its errors go to callers, and "" is for one that is gone.
	Place   Place
	Routes  map[id.ID]Place
	OrgName func(ctx context.Context, org id.ID) (string, error)
	// EndedNames are the names of an organisation whose end is under way, as kv2.Names has it.
	EndedNames func(ctx context.Context, org id.ID) ([]string, error)

	// CacheTTL is how long Use gives out what was read; 0 for not at all. CacheStale is how much longer it does so
	// while Vault is away; 0 for not at all.
	CacheTTL, CacheStale time.Duration
	// Quota bounds what an organisation may have: in one entry for an organisation its names and values, in an entry
	// for each secret the secrets alone, and several writers at a time may pass it by a few.
	Quota secret.Quota

	// Wait is how long New waits for a Vault that cannot be reached or is sealed; 0 for not at all.
	Wait time.Duration

	Logger *slog.Logger // slog.Default
}

// Connection is what of it a connection needs.
func (c Config) Connection() conn.Config {
	return conn.Config{
		Address: c.Address, Token: c.Token, Login: c.Login, Namespace: c.Place.Namespace,
		ClientTimeout: c.ClientTimeout, MaxRetries: c.MaxRetries,
		CACert: c.CACert, CAPath: c.CAPath, ClientCert: c.ClientCert, ClientKey: c.ClientKey,
		SkipVerify: c.SkipVerify, TLSServerName: c.TLSServerName, Logger: c.Logger,
	}
}

// Store is a secret.Store in Vault.
type Store struct {
	quota  secret.Quota
	conn   *conn.Conn
	places *kv2.Places
	org    *perorg.Store
	secret *persecret.Store
	served sync.Map // the examples that have been served, by path
}

// layout is how an organisation's secrets lie in Vault, and so what reads and writes them.
type layout interface {
	Keys(ctx context.Context, org id.ID) ([]string, error)
	Read(ctx context.Context, org id.ID, q secret.Query) (secret.Snapshot, error)
	Apply(ctx context.Context, org id.ID, c secret.Change) (secret.Outcome, error)
	Purge(ctx context.Context, org id.ID) error
	Foreign(ctx context.Context, org id.ID) ([]string, error)
	Cached() cache.Counts
	Waiting(org id.ID) int
	Close()
}

// layout is the organisation's.
func (s *Store) layout(org id.ID) layout {
	if s.places.Layout(org) == kv2.LayoutSecret {
		return s.secret
	}
	return s.org
}

var _ secret.Store = (*Store)(nil)

// New connects to Vault, checks that secrets can be kept there, and returns the store. Its errors name addresses and
// settings and are meant for the operator who starts the process. It waits as Config.Wait says, and no longer than ctx.
func New(ctx context.Context, c Config) (*Store, error) {
	s, err := c.store()
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, c.Wait); err != nil {
		s.Close()
		return nil, err
	}
	s.conn.Run()
	return s, nil
}

// store makes a store that has not spoken to Vault yet.
func (c Config) store() (*Store, error) {
	to, err := conn.New(c.Connection())
	if err != nil {
		return nil, err
	}
	places, err := kv2.NewPlaces(to, c.Place, c.Routes, kv2.Names{Of: c.OrgName, Ended: c.EndedNames})
	if err != nil {
		to.Close()
		return nil, err
	}
	s := &Store{
		conn: to, places: places, quota: c.Quota,
		org: perorg.New(perorg.Config{Conn: to, Places: places, CacheTTL: c.CacheTTL, CacheStale: c.CacheStale,
			Quota: c.Quota}),
		secret: persecret.New(persecret.Config{Conn: to, Places: places, CacheTTL: c.CacheTTL,
			CacheStale: c.CacheStale, Quota: c.Quota}),
	}
	to.Session.Proves = s.proves
	return s, nil
}

// Close ends what is under way and waits for it. Calls that come later are answered errs.Unavailable.
func (s *Store) Close() {
	s.conn.End()
	s.org.Close()
	s.secret.Close()
	s.conn.Close()
}

// Keys lists the organisation's secrets.
func (s *Store) Keys(ctx context.Context, org id.ID) ([]string, error) {
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	return s.layout(org).Keys(ctx, org)
}

// Read reads values. For use, they come from memory for Config.CacheTTL after they were read, and during an outage for
// Config.CacheStale longer. One read of the same is under way at a time. A change through this store is seen at once.
func (s *Store) Read(ctx context.Context, org id.ID, q secret.Query) (secret.Snapshot, error) {
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	return s.layout(org).Read(ctx, org, q)
}

// Apply changes the organisation's secrets.
func (s *Store) Apply(ctx context.Context, org id.ID, c secret.Change) (secret.Outcome, error) {
	if s.places.ReadOnly(org) {
		return secret.Outcome{}, kv2.ErrReadOnly
	}
	if c.Empty() && !c.Depends() {
		return secret.Outcome{}, ctx.Err()
	}
	return s.layout(org).Apply(ctx, org, c)
}

// Purge removes the organisation's secrets with all their versions. What is managed elsewhere is
// left to who manages it.
func (s *Store) Purge(ctx context.Context, org id.ID) error {
	if s.places.ReadOnly(org) {
		s.conn.Log.Info("secrets that are managed in Vault stay there after the end of their organisation", "org", org)
		return ctx.Err()
	}
	return s.layout(org).Purge(ctx, org)
}

// Foreign names what lies among the organisation's secrets and is none, since its value is not a text.
func (s *Store) Foreign(ctx context.Context, org id.ID) ([]string, error) {
	return s.layout(org).Foreign(ctx, org)
}
