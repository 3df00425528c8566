package parts

import (
	"context"
	"fmt"
	"log/slog"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/config"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/vault"
)

// OpenStore opens the secret store that --secret-store chooses, and says how it is closed. A new
// store is one case here.
func OpenStore(ctx context.Context, cfg *config.Config, embedded *embedded.Store, data kv.Store,
	log *slog.Logger) (_ secret.Store, closes func(), err error) {
	switch cfg.SecretStore {
	case config.StoreBolt:
		if err := embedded.Recover(ctx); err != nil {
			// Whoever next reads or writes that organisation's secrets tries again.
			log.Error("a change that an earlier run left half-done could not be finished", "error", err)
		}
		return embedded, func() {}, nil
	case config.StoreVault:
		conf, err := VaultConfig(cfg, log)
		if err != nil {
			return nil, nil, err
		}
		conf.OrgName = func(ctx context.Context, org id.ID) (string, error) { return identity.OrgName(ctx, data, org) }
		conf.EndedNames = func(ctx context.Context, org id.ID) ([]string, error) {
			return identity.EndingNames(ctx, data, org)
		}
		s, err := vault.New(ctx, conf)
		if err != nil {
			return nil, nil, fmt.Errorf("the secret store: %w", err)
		}
		return s, s.Close, nil
	default:
		return nil, nil, fmt.Errorf("%s: there is no secret store %q", cfg.Place("secret-store"), cfg.SecretStore)
	}
}

// VaultConfig is what the configuration says of Vault, with the routes read.
func VaultConfig(cfg *config.Config, log *slog.Logger) (vault.Config, error) {
	out := cfg.Vault.Config
	out.Quota = Quota(cfg)
	out.Logger, out.Routes = log, make(map[id.ID]vault.Place, len(cfg.Vault.RouteTexts))
	for _, text := range cfg.Vault.RouteTexts {
		org, place, err := vault.ParseRoute(text)
		if err != nil {
			return vault.Config{}, fmt.Errorf("%s: %w", cfg.Place("vault-routes"), err)
		}
		if _, twice := out.Routes[org]; twice {
			return vault.Config{}, fmt.Errorf("%s: there are two routes for the organisation %s",
				cfg.Place("vault-routes"), org)
		}
		out.Routes[org] = place
	}
	return out, nil
}

// Quota is what the configuration lets an organisation have.
func Quota(cfg *config.Config) secret.Quota {
	return secret.Quota{Secrets: int64(cfg.MaxOrgSecrets), Bytes: cfg.MaxOrgBytes}
}
