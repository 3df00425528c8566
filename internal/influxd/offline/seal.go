package offline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/audit/notes"
	"strongroom/internal/barrier"
	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/offline/datafile"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/rotation"
	"strongroom/internal/seal"
	"strongroom/internal/seal/transit"
	"strongroom/internal/secret/embedded"
	"strongroom/internal/secret/embedded/rewrite"
)

var sealFlags = []config.Flag{
	{Name: "to", Value: "SEAL", Help: "key-file, passphrase or transit; without it, the present seal"},
	{Name: "key-file", Value: "PATH", Help: "key file to change to; made where it is missing", Former: "new-key-file"},
	{Name: "passphrase-file", Value: "PATH",
		Help: "file with the passphrase to change to; without it, it is asked for", Former: "new-passphrase-file"},
	{Name: "transit-key", Value: "NAME", Help: "key in Vault to change to; without it, the one of --seal-transit-key",
		Former: "new-transit-key"},
	{Name: "transit-mount", Value: "PATH", Help: "where its engine is mounted; without it, as " +
		"--seal-transit-mount says", Former: "new-transit-mount"},
}

// sealStatus shows what the data are sealed with. It reads a file that a server has open, too.
func sealStatus(ctx context.Context, p command.Process, args config.Args) error {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	keys, _, err := datafile.PeekKeyring(ctx, p, cfg)
	if err != nil {
		return err
	}
	defer keys.Close()
	showSeal(p, keys)
	return nil
}

func showSeal(p command.Process, keys *keyring.Keyring) {
	by, keyID := keys.SealedBy()
	if keyID != "" {
		by += ", key " + keyID
	}
	fmt.Fprintf(p.Stdout, "Seal:      %s\nRoot key:  made %s\n", by, keys.RootSince().UTC().Format(time.DateTime))
	terms := keys.Terms()
	current := terms[len(terms)-1]
	fmt.Fprintf(p.Stdout, "Data keys: term %d, made %s\n", current.Number, current.Created.UTC().Format(time.DateTime))
	if names := rotation.NamesOf(keys); names != rotation.NamesClear {
		fmt.Fprintf(p.Stdout, "Names:     %s\n", names)
	}
	if len(terms) > 1 {
		fmt.Fprintf(p.Stdout, "Rotation:  not finished: term %d is still in use; the server goes on with it, or "+
			"`influxd seal rotate`\n", terms[0].Number)
	}
}

// withData opens the data for a command that changes them, which no server may have open.
func withData(ctx context.Context, p command.Process, cfg *config.Config,
	do func(data *bolt.DB, keys *keyring.Keyring) error) (err error) {
	if _, err := os.Stat(cfg.BoltPath); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no file %s", cfg.Place("bolt-path"), cfg.BoltPath)
	}
	data, err := bolt.Open(cfg.BoltPath, bolt.Options{})
	if err != nil {
		return fmt.Errorf("%s: %w (of a server that runs, `influx seal` changes the keys)", cfg.Place("bolt-path"), err)
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	keys, err := datafile.OpenKeys(ctx, p, cfg, data)
	if err != nil {
		return err
	}
	defer keys.Close()
	return do(data, keys)
}

// sealRotate begins a new term and seals everything anew, or finishes a rotation that was cut short.
func sealRotate(ctx context.Context, p command.Process, args config.Args) error {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	return withData(ctx, p, cfg, func(data *bolt.DB, keys *keyring.Keyring) error {
		rewrite := func() error {
			var done rewrite.Progress
			all := parts.Rewriter{
				Identities: barrier.New(data, keys, identity.Sealed),
				Secrets:    embedded.New(embedded.Config{KV: data, Keyring: keys}),
				Log:        p.Log(),
			}
			term, err := all.Rewrite(ctx, func(r rewrite.Progress) {
				if r.Orgs != done.Orgs {
					fmt.Fprintf(p.Stdout, "%d of %d organizations, %d records\n", r.Orgs, r.AllOrgs, r.Records)
				}
				done = r
			})
			if err == nil {
				err = keys.Retire(ctx, term)
			}
			if err != nil {
				return fmt.Errorf("it stopped; the same command, or the server, goes on with it: %w", err)
			}
			return nil
		}
		if len(keys.Terms()) == 1 {
			if keys.Names().Moving {
				fmt.Fprintln(p.Stdout, "First, bringing the names of secrets to the form that a server has begun")
				if err := rewrite(); err != nil {
					return err
				}
			}
			if err := leaveNote(cfg, keys, "seal.rotate", "", "", nil); err != nil {
				return err
			}
			if _, err := keys.Rotate(ctx, time.Now()); err != nil {
				return err
			}
		} else {
			fmt.Fprintln(p.Stdout, "Finishing the rotation that was cut short")
		}
		if err := rewrite(); err != nil {
			return err
		}
		showSeal(p, keys)
		return nil
	})
}

// sealChange makes a new root key, wrapped by the seal that the flags name.
func sealChange(ctx context.Context, p command.Process, args config.Args) error {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	to, keyFile, passphraseFile := args.Flag("to"), args.Flag("key-file"), args.Flag("passphrase-file")
	inVault := parts.TransitTo(cfg, args.Flag("transit-key"), args.Flag("transit-mount"), p.Log())
	switch {
	case to != "" && !slices.Contains(seal.Types, to):
		return command.Usage(fmt.Errorf("flag --to: must be one of %s", strings.Join(seal.Types, ", ")))
	case keyFile != "" && to != seal.TypeKeyFile:
		return command.Usage(errors.New("flag --key-file: needs --to key-file"))
	case passphraseFile != "" && to != seal.TypePassphrase:
		return command.Usage(errors.New("flag --passphrase-file: needs --to passphrase"))
	case to == seal.TypeKeyFile && keyFile == "":
		return command.Usage(errors.New("flag --to: key-file needs --key-file, too"))
	case args.Flag("transit-key")+args.Flag("transit-mount") != "" && to != seal.TypeTransit:
		return command.Usage(errors.New("flags --transit-key and --transit-mount: need --to transit"))
	case to == seal.TypeTransit && inVault.Key == "":
		return command.Usage(errors.New("flag --to: transit needs --transit-key, too"))
	}
	return withData(ctx, p, cfg, func(_ *bolt.DB, keys *keyring.Keyring) error {
		var next seal.Seal
		var err error
		switch to {
		case seal.TypeKeyFile:
			next, err = parts.KeyFileSeal(ctx, keyFile)
		case seal.TypePassphrase:
			next, err = parts.Passphrase(passphraseFile, p).Load(ctx)
		case seal.TypeTransit:
			next, err = inVault.Load(ctx)
		}
		if err != nil {
			return err
		}
		detail := rotation.Detail(keys, rotation.Target{Type: to, KeyFile: keyFile,
			TransitKey: args.Flag("transit-key"), TransitMount: args.Flag("transit-mount")})
		if err := leaveNote(cfg, keys, "seal.change", to, detail, nil); err != nil {
			return err
		}
		if err := keys.Reseal(ctx, next, time.Now()); err != nil {
			return errors.Join(err, leaveNote(cfg, keys, "seal.change", to, "", err))
		}
		showSeal(p, keys)
		switch to {
		case seal.TypeKeyFile:
			fmt.Fprintf(p.Stdout, "Start the server with --seal key-file --seal-key-file %s from now on\n", keyFile)
		case seal.TypePassphrase:
			fmt.Fprintln(p.Stdout, "Start the server with --seal passphrase from now on, and with "+
				"--seal-passphrase-file where nobody is to be asked")
		case seal.TypeTransit:
			fmt.Fprintf(p.Stdout, "Start the server with --seal transit --seal-transit-key %s%s from now on\n",
				inVault.Key, mountFlag(inVault.Mount))
		}
		return nil
	})
}

// leaveNote leaves what the command is about to do for the server, which takes it into the audit log; or, with why,
// that it failed.
func leaveNote(cfg *config.Config, keys *keyring.Keyring, action, target, detail string, why error) error {
	key, err := keys.DeriveKey(notes.Label)
	if err != nil {
		return err
	}
	defer clear(key)
	at := "at " + time.Now().UTC().Format(time.RFC3339)
	if detail != "" {
		at = detail + "; " + at
	}
	e := audit.Entry{User: "influxd seal", Action: action, Target: target, Outcome: audit.Allowed, Detail: at}
	if why != nil {
		e.Outcome, e.Code = audit.Failed, string(errs.CodeOf(why))
	}
	return notes.Add(parts.NotesPath(cfg), key, e)
}

// mountFlag is what to add to a command line for an engine that is not where it is by default.
func mountFlag(mount string) string {
	if mount == "" || mount == transit.DefaultMount {
		return ""
	}
	return " --seal-transit-mount " + mount
}
