package offline

import (
	"context"
	"log/slog"

	"strongroom/internal/id"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/secret/vault"
)

// checkVault tries the settings for Vault without starting a server. It does not ask for --secret-store vault: one
// wants to know before one changes that.
func checkVault(ctx context.Context, p command.Process, args config.Args) error {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	conf, err := parts.VaultConfig(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	conf.OrgName = func(context.Context, id.ID) (string, error) { return "", nil } // no organisation is looked at
	return vault.Examine(ctx, conf, p.Stdout)
}
