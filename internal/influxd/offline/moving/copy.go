// Package moving has the commands that bring secrets from one place to another: from store to store, from layout to
// layout, to a file and from it, and what a real InfluxDB keeps.
package moving

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/audit/notes"
	"strongroom/internal/barrier"
	"strongroom/internal/id"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/offline/datafile"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/bolt/snapshot"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/vault"
	"strongroom/internal/transfer"
	"strongroom/internal/transfer/lastcopy"
)

var CopyFlags = []config.Flag{
	{Name: "from", Value: "STORE", Help: "bolt or vault, where the secrets are"},
	{Name: "to", Value: "STORE", Help: "bolt or vault, where they shall be too"},
	{Name: "from-config", Value: "PATH", Help: "configuration file of the store to copy from, where it is not the " +
		"server's own"},
	{Name: "to-config", Value: "PATH", Help: "configuration file of the store to copy to: for another Vault, " +
		"mount, path or data file"},
	{Name: "org", Value: "ORG,FROM=TO,…", Former: "org-id", Help: "ORG: copy this organization's secrets only, " +
		"by its name or ID; FROM=TO: copy one's into another; the others are matched by ID, then by name"},
	{Name: "create-orgs", Help: "make the organizations that --to bolt has not"},
	{Name: "overwrite", Help: "replace, and delete, what was changed there by other means than a copy"},
	{Name: "delete-source", Help: "delete from --from what was read back the same from --to"},
	{Name: "dry-run", Help: "report what would happen and change nothing"},
	{Name: "json", Help: "write the report as JSON, with a line for every secret"},
}

// side is a store to copy from or to.
type side struct {
	store secret.Store
	name  string
	place func(id.ID) string // names where an organisation's secrets are
	// foreign names what is kept among an organisation's secrets and is none; nil: nothing can be
	foreign func(context.Context, id.ID) ([]string, error)
	// whether an organisation has had secrets; nil: there is no doubt
	had   func(context.Context, id.ID) (bool, error)
	data  *bolt.DB         // the data file, where it is open for writing
	keys  *keyring.Keyring // of the data file
	close func() error
}

// Copy copies secrets between stores. A data file that is only read may be one that a server has open.
func Copy(ctx context.Context, p command.Process, args config.Args) (err error) {
	p.Answers = new(command.Answers)
	defer p.Answers.Forget()
	own, log, err := command.Load(p, args)
	if err != nil {
		return err
	}
	dry, deletes, fromKind, toKind := args.Switch("dry-run"), args.Switch("delete-source"), args.Flag("from"),
		args.Flag("to")
	for _, flag := range []string{"from", "to"} {
		switch args.Flag(flag) {
		case config.StoreBolt, config.StoreVault:
		case "":
			return command.Usage(fmt.Errorf("flag --%s: name a store, bolt or vault", flag))
		default:
			return command.Usage(fmt.Errorf("flag --%s: must be bolt or vault", flag))
		}
	}
	fromCfg, err := configOf(p, own, args.Flag("from-config"))
	if err != nil {
		return err
	}
	toCfg, err := configOf(p, own, args.Flag("to-config"))
	if err != nil {
		return err
	}
	if fromKind == toKind && (args.Flag("from-config") == args.Flag("to-config") || fromKind == config.StoreBolt &&
		sameFile(fromCfg, toCfg)) {
		return command.Usage(errors.New("flags --from and --to: they are the same store; another one of the " +
			"kind needs --to-config or --from-config"))
	}
	if args.Switch("create-orgs") && toKind != config.StoreBolt {
		return command.Usage(errors.New("flag --create-orgs: organizations are made in a data file, and so with " +
			"--to bolt only"))
	}
	fromHome, toHome := home(own, fromCfg, fromKind), home(own, toCfg, toKind)
	only, named, err := takenOrgs(args)
	if err != nil {
		return err
	}
	pairs, missing, err := matched(ctx, p, only, named, fromHome, toHome)
	if err != nil {
		return err
	}
	from, err := openSide(ctx, p, fromHome, fromCfg, log, "from", fromKind, deletes && !dry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	to, err := openSide(ctx, p, toHome, toCfg, log, "to", toKind, !dry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	if args.Switch("create-orgs") {
		made := themselves(missing) // as a dry run has it
		if !dry {
			if made, err = makeOrgs(ctx, barrier.New(to.data, to.keys, identity.Sealed), missing); err != nil {
				return err
			}
		}
		pairs, missing = append(pairs, made...), nil
	}
	keys := from.keys
	if toKind == config.StoreBolt && toCfg == own {
		keys = to.keys
	} else if fromKind != config.StoreBolt || fromCfg != own {
		keys = nil
	}
	return runCopy(ctx, p, "influxd secrets copy", args, own, keys, transfer.Copy{
		From: from.store, To: to.store, FromName: from.name, ToName: to.name, FromPlace: from.place, ToPlace: to.place,
		Emptied: from.had, Foreign: from.foreign, Missing: missing, Ended: only == nil,
	}, pairs)
}

// runCopy copies as the flags say that all copying commands have, and reports. keys are those of the own data file, nil
// where it has not been opened.
func runCopy(ctx context.Context, p command.Process, called string, args config.Args, own *config.Config,
	keys *keyring.Keyring, c transfer.Copy, orgs []transfer.Pair) (err error) {
	c.DryRun, c.Overwrite, c.DeleteSource = args.Switch("dry-run"), args.Switch("overwrite"),
		args.Switch("delete-source")
	target := ""
	if !c.Ended {
		target = recorded(orgs, func(p transfer.Pair) id.ID { return p.From })
	}
	c.Progress = func(done, orgs, secrets int) {
		fmt.Fprintf(p.Stderr, "%d of %d organizations, %d secrets\n", done, orgs, secrets)
	}
	keys, done, err := ownKeys(ctx, p, own, keys)
	if err != nil {
		return err
	}
	defer done()
	if !c.DryRun {
		detail := "from " + c.FromName + " to " + c.ToName
		if c.DeleteSource {
			detail += ", deleting them where they came from"
		}
		if err := note(own, keys, called, "secrets.copy", target, detail); err != nil {
			return err
		}
	}
	var closes func() error
	if c.Book, closes, err = openBook(ctx, own, keys, c.DryRun); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closes()) }()
	report, err := c.Run(ctx, orgs)
	write := report.WriteText
	if args.Switch("json") {
		write = report.WriteJSON
	}
	if err := errors.Join(err, write(p.Stdout)); err != nil {
		return fmt.Errorf("the copy ended early, and can be run again to go on: %w", err)
	}
	return report.Incomplete("secret")
}

// ownKeys are the keys of the own data file: those given, or they are opened for this. Close them with done.
func ownKeys(ctx context.Context, p command.Process, own *config.Config,
	opened *keyring.Keyring) (keys *keyring.Keyring, done func(), err error) {
	if opened != nil {
		return opened, func() {}, nil
	}
	data, err := datafile.Read(ctx, p, own)
	if err != nil {
		return nil, nil, err
	}
	if keys, err = datafile.OpenKeys(ctx, p, own, data); err != nil {
		return nil, nil, err
	}
	return keys, keys.Close, nil
}

// note puts on record what the command is about to do, for the server to take into the audit log.
func note(own *config.Config, keys *keyring.Keyring, called, action, org, detail string) error {
	key, err := keys.DeriveKey(notes.Label)
	if err != nil {
		return err
	}
	defer clear(key)
	return notes.Add(parts.NotesPath(own), key, audit.Entry{
		User: called, Action: action, OrgID: org, Outcome: audit.Allowed, Detail: detail + "; at " +
			"" + time.Now().UTC().Format(time.RFC3339),
	})
}

// openBook opens what earlier copies have left to remember; for a dry run, only to read it.
func openBook(ctx context.Context, own *config.Config, keys *keyring.Keyring, dry bool) (_ *lastcopy.Book,
	closes func() error, err error) {
	key, err := keys.DeriveKey(lastcopy.Label)
	if err != nil {
		return nil, nil, err
	}
	defer clear(key)
	path := parts.CopiedPath(own)
	var data kv.Store
	if dry {
		file, problems, err := snapshot.Read(ctx, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, func() error { return nil }, nil
		case err == nil && len(problems) > 0:
			err = errors.New(problems[0])
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s, which remembers what was copied before: %w", path, err)
		}
		data = file
	} else if data, err = bolt.Open(path, bolt.Options{}); err != nil {
		return nil, nil, fmt.Errorf("%s, which remembers what was copied before: %w", path, err)
	}
	book, err := lastcopy.New(data, key)
	if err != nil {
		return nil, nil, errors.Join(err, data.Close())
	}
	return book, data.Close, nil
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

// openSide opens a store, for writing only where it is needed. In home's data file are its organisations.
func openSide(ctx context.Context, p command.Process, home, cfg *config.Config, log *slog.Logger, flag, kind string,
	writes bool) (side, error) {
	switch kind {
	case config.StoreBolt:
		return openBoltSide(ctx, p, cfg, writes)
	case config.StoreVault:
		conf, err := parts.VaultConfig(cfg, log)
		if err != nil {
			return side{}, err
		}
		conf.OrgName = orgNamesOf(p, home)
		s, err := vault.New(ctx, conf)
		if err != nil {
			return side{}, fmt.Errorf("flag --%s: vault: %w", flag, err)
		}
		return side{
			store: s, name: "vault", had: s.Had, foreign: s.Foreign,
			place: func(org id.ID) string { return s.Where(ctx, org) },
			close: func() error { s.Close(); return nil },
		}, nil
	default:
		return side{}, command.Usage(fmt.Errorf("flag --%s: must be bolt or vault", flag))
	}
}

func openBoltSide(ctx context.Context, p command.Process, cfg *config.Config, writes bool) (_ side, err error) {
	var data kv.Store
	var open *bolt.DB
	shared := cfg.Store == config.EngineEtcd
	if shared && writes {
		return side{}, command.Usage(fmt.Errorf("%s: this writes to the embedded store, which it does in a file only. "+
			"End all servers, and then: influxd store copy --from etcd --to bolt --bolt-path NEW.bolt; this command "+
			"with --store bolt --bolt-path NEW.bolt; influxd store copy --from bolt --to etcd --bolt-path NEW.bolt "+
			"--etcd-prefix NEW/; start the servers with --etcd-prefix NEW/", cfg.Place("store")))
	}
	if _, err := os.Stat(cfg.BoltPath); errors.Is(err, fs.ErrNotExist) && !shared {
		return side{}, fmt.Errorf("%s: there is no file %s; the first start of a server makes it",
			cfg.Place("bolt-path"), cfg.BoltPath)
	}
	if writes {
		if open, err = bolt.Open(cfg.BoltPath, bolt.Options{}); err != nil {
			return side{}, fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
		}
		data = open
	} else if data, err = datafile.Read(ctx, p, cfg); err != nil {
		return side{}, err
	}
	keys, err := datafile.OpenKeys(ctx, p, cfg, data)
	if err != nil {
		return side{}, errors.Join(err, data.Close())
	}
	return side{
		store: embedded.New(embedded.Config{KV: data, Keyring: keys, History: cfg.SecretHistory,
			Quota: parts.Quota(cfg)}),
		name:  "bolt (" + datafile.Name(cfg) + ")",
		place: func(id.ID) string { return "bolt " + keys.StoreID() },
		data:  open, keys: keys,
		close: func() error { keys.Close(); return data.Close() },
	}, nil
}
