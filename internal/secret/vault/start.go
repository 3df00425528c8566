package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"time"

	"strongroom/internal/outage"
	"strongroom/internal/secret/vault/conn"
)

// start checks that secrets can be kept, and waits for a Vault that is not there yet.
func (s *Store) start(ctx context.Context, wait time.Duration) error {
	began := time.Now()
	waiting := outage.New(s.conn.Log)
	for pause := time.Second; ; pause = min(pause*2, 5*time.Second) {
		err := s.check(ctx)
		if err == nil {
			s.conn.Log.Info("secrets are kept in Vault", "address", s.conn.Address, "path",
				s.places.Everywhere.Mount+"/data/"+s.places.Everywhere.Path)
			return nil
		}
		left := wait - time.Since(began)
		if state := (conn.Temporary{}); ctx.Err() != nil || !errors.As(err, &state) {
			return err
		} else if left <= 0 {
			if wait > 0 {
				err = fmt.Errorf("%w (waited %s for it)", err, wait)
			}
			return err
		}
		waiting.Failed(ctx, slog.LevelWarn, err.Error(), "waiting for Vault", "state", err.Error(), "left",
			left.Round(time.Second))
		select {
		case <-ctx.Done():
			return err
		case <-time.After(min(pause, left)):
		}
	}
}

// check makes the checks of a start, in the order in which one would look for the mistake.
func (s *Store) check(ctx context.Context) error {
	ctx, cancel := s.conn.Bound(ctx)
	defer cancel()
	if err := s.conn.CheckAddress(ctx); err != nil {
		return err
	}
	lookedUp, err := s.conn.CheckToken(ctx)
	if err != nil {
		return err
	}
	if why := s.noNamespaces(ctx); why != "" {
		s.conn.Log.Warn(why)
		if err := s.places.ApartWithoutNamespaces(); err != nil {
			return fmt.Errorf("Vault takes no heed of namespaces, and without them %w", err)
		}
	}
	// Routes may share a mount and not a policy.
	mounts := make(map[Place]bool)
	for _, p := range s.places.All() {
		if at := (Place{Mount: p.Mount, Namespace: p.Namespace, Layout: p.Layout}); !mounts[at] {
			mounts[at] = true
			if err := p.Check(ctx, s.conn, lookedUp == nil, policy(p)); err != nil {
				return err
			}
			s.warnKeeping(ctx, p)
		}
	}
	if lookedUp != nil {
		s.conn.Log.Warn("Vault does not let the token look itself up, so that its end will not be told from a "+
			"missing permission; Vault's default policy allows it", "path", "auth/token/lookup-self")
	}
	for _, p := range s.places.All() {
		s.checkPolicy(ctx, p)
	}
	return nil
}

// noNamespaces says that the settings name a namespace that this server will not keep secrets in; "" where it does.
func (s *Store) noNamespaces(ctx context.Context) string {
	for _, p := range s.places.All() {
		if p.Namespace != "" && s.conn.IgnoresNamespaces(ctx) {
			return fmt.Sprintf("Vault at %s has no namespaces and takes no heed of the namespace %q: secrets are "+
				"kept as if none were set; unset --vault-namespace or VAULT_NAMESPACE (or the route's), or name a "+
				"server that has them (Vault Enterprise, OpenBao 2.3)", s.conn.Address, p.Namespace)
		}
	}
	return ""
}

// checkPolicy says which capabilities the token lacks. That is a warning: a policy may name organisations one by one.
func (s *Store) checkPolicy(ctx context.Context, p Place) {
	at := example(p, s.conn)
	must := slices.DeleteFunc(needs(at), func(n needed) bool { return n.optional })
	missing, _ := lacks(ctx, at, must)
	for _, c := range missing {
		if forSome(ctx, at, c) {
			continue
		}
		s.conn.Log.Warn("the token's policies in Vault may not suffice; influxd vault check tells what they need",
			"path", path.Dir(c.path)+"/*", "lacks", c.capabilities, "policy", policy(p))
	}
}
