package offline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/vault"
	"strongroom/internal/transfer"
)

var copyFlags = []config.Flag{
	{Name: "from", Value: "STORE", Help: "bolt or vault, where the secrets are"},
	{Name: "to", Value: "STORE", Help: "bolt or vault, where they shall be too"},
	{Name: "from-config", Value: "PATH", Help: "configuration file of the store to copy from, where it is not the server's own"},
	{Name: "to-config", Value: "PATH", Help: "configuration file of the store to copy to: for another Vault, mount, path or data file"},
	{Name: "org-id", Value: "ID", Help: "copy this organization's secrets only"},
	{Name: "overwrite", Help: "replace what has another value there"},
	{Name: "delete-source", Help: "delete from --from what was read back the same from --to"},
	{Name: "dry-run", Help: "report what would happen and change nothing"},
	{Name: "json", Help: "write the report as JSON, with a line for every secret"},
}

// side is a store to copy from or to.
type side struct {
	store secret.Store
	name  string
	close func() error
}

// copySecrets copies secrets between stores. A data file that is only read may be one that a server has open.
func copySecrets(ctx context.Context, p command.Process, args config.Args) (err error) {
	own, log, err := offline(p, args)
	if err != nil {
		return err
	}
	dry, deletes := args.Switch("dry-run"), args.Switch("delete-source")
	fromCfg, err := configOf(p, own, args.Flag("from-config"))
	if err != nil {
		return err
	}
	toCfg, err := configOf(p, own, args.Flag("to-config"))
	if err != nil {
		return err
	}
	if args.Flag("from") == args.Flag("to") && args.Flag("from-config") == args.Flag("to-config") {
		return errors.New("flags --from and --to: they are the same store; another one of the kind needs --to-config or --from-config")
	}
	orgs, err := orgsToCopy(ctx, own, args.Flag("org-id"))
	if err != nil {
		return err
	}
	from, err := openSide(ctx, p, own, fromCfg, log, "from", args.Flag("from"), deletes && !dry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	to, err := openSide(ctx, p, own, toCfg, log, "to", args.Flag("to"), !dry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	return runCopy(ctx, p, args, transfer.Copy{From: from.store, To: to.store, FromName: from.name, ToName: to.name}, orgs)
}

// runCopy copies as the flags say that all copying commands have, and reports.
func runCopy(ctx context.Context, p command.Process, args config.Args, c transfer.Copy, orgs []id.ID) error {
	c.DryRun, c.Overwrite, c.DeleteSource = args.Switch("dry-run"), args.Switch("overwrite"), args.Switch("delete-source")
	c.Progress = func(done, orgs, secrets int) {
		fmt.Fprintf(p.Stderr, "%d of %d organizations, %d secrets\n", done, orgs, secrets)
	}
	report, err := c.Run(ctx, orgs)
	write := report.WriteText
	if args.Switch("json") {
		write = report.WriteJSON
	}
	if err := errors.Join(err, write(p.Stdout)); err != nil {
		return fmt.Errorf("the copy ended early, and can be run again to go on: %w", err)
	}
	return nil
}

// configOf is the command's own configuration, or that of a file, for which flags and INFLUXD_ variables do not count:
// they are about the other side.
func configOf(p command.Process, own *config.Config, path string) (*config.Config, error) {
	if path == "" {
		return own, nil
	}
	args, err := config.ParseArgs([]string{"--config-path", path})
	if err != nil {
		return nil, err
	}
	var env []string
	for _, e := range p.Env {
		if !strings.HasPrefix(e, "INFLUXD_") {
			env = append(env, e)
		}
	}
	return config.Load(args, env)
}

// orgsToCopy are the organisations of the data file, or the one that is named.
func orgsToCopy(ctx context.Context, cfg *config.Config, named string) ([]id.ID, error) {
	if named != "" {
		org, err := id.Parse(named)
		if err != nil {
			return nil, fmt.Errorf("flag --org-id: %w", err)
		}
		return []id.ID{org}, nil
	}
	data, problems, err := bolt.ReadFile(ctx, cfg.BoltPath)
	if err != nil {
		return nil, fmt.Errorf("%s: the organizations are found there: %w", cfg.Place("bolt-path"), err)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: the file is damaged; see influxd check: %s", cfg.Place("bolt-path"), problems[0])
	}
	return identity.OrgIDs(ctx, data)
}

// openSide opens a store, for writing only where it is needed.
func openSide(ctx context.Context, p command.Process, own, cfg *config.Config, log *slog.Logger, flag, kind string, writes bool) (side, error) {
	switch kind {
	case config.StoreBolt:
		return openBoltSide(ctx, p, cfg, writes)
	case config.StoreVault:
		conf, err := parts.VaultConfig(cfg, log)
		if err != nil {
			return side{}, err
		}
		conf.OrgName = orgNamesOf(own)
		s, err := vault.New(ctx, conf)
		if err != nil {
			return side{}, fmt.Errorf("flag --%s: vault: %w", flag, err)
		}
		return side{s, "vault", func() error { s.Close(); return nil }}, nil
	case "":
		return side{}, fmt.Errorf("flag --%s: name a store, bolt or vault", flag)
	default:
		return side{}, fmt.Errorf("flag --%s: must be bolt or vault", flag)
	}
}

func openBoltSide(ctx context.Context, p command.Process, cfg *config.Config, writes bool) (_ side, err error) {
	var data kv.Store
	if _, err := os.Stat(cfg.BoltPath); errors.Is(err, fs.ErrNotExist) {
		return side{}, fmt.Errorf("%s: there is no file %s; the server's first start makes one", cfg.Place("bolt-path"), cfg.BoltPath)
	}
	if writes {
		data, err = bolt.Open(cfg.BoltPath, bolt.Options{})
	} else {
		var problems []string
		if data, problems, err = bolt.ReadFile(ctx, cfg.BoltPath); len(problems) > 0 {
			err = fmt.Errorf("the file is damaged; see influxd check: %s", problems[0])
		}
	}
	if err != nil {
		return side{}, fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
	}
	keys, err := keyring.OpenOrInit(ctx, data, keyring.Config{Seal: parts.Seal(cfg, p, p.Log())})
	if err != nil {
		return side{}, errors.Join(fmt.Errorf("%s: %w", parts.SealPlace(cfg), err), data.Close())
	}
	return side{
		store: embedded.New(embedded.Config{KV: data, Keyring: keys, History: cfg.SecretHistory}),
		name:  "bolt (" + cfg.BoltPath + ")",
		close: func() error { keys.Close(); return data.Close() },
	}, nil
}
