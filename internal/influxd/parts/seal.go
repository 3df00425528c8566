// Package parts makes what the configuration names: the seal of the data, the store of the secrets, the way to Vault.
// With package server it is the one that knows which implementation stands behind an interface.
package parts

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/errs"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/keyring"
	"strongroom/internal/rotation"
	"strongroom/internal/seal"
)

// AuditLabel names the audit chain's key among those derived from the keyring. Another label would be another key, and
// every chain written so far would read as forged.
const AuditLabel = "strongroom/v1/audit/chain"

// credential is the name under which systemd hands over the passphrase (LoadCredential=seal-passphrase:…).
const credential = "seal-passphrase"

// Seal is the seal that the configuration names. A new seal is a case here, and one in sealFor.
func Seal(cfg *config.Config, p command.Process, log *slog.Logger) seal.Source {
	switch cfg.Seal.Type {
	case seal.TypePassphrase:
		return Passphrase(cfg.Seal.PassphraseFile, p)
	case seal.TypeTransit:
		return transitSource(cfg, log)
	default: // the configuration lets no other through
		return seal.KeyFile(cfg.SealKeyFile)
	}
}

// SealPlace is what messages about the seal begin with.
func SealPlace(cfg *config.Config) string {
	switch cfg.Seal.Type {
	case seal.TypeKeyFile:
		return cfg.Place("seal-key-file")
	case seal.TypeTransit:
		return cfg.Place("seal-transit-key")
	default:
		return cfg.Place("seal")
	}
}

// Passphrase is the file, systemd's credential, or whoever sits at the terminal.
func Passphrase(file string, p command.Process) seal.Passphrase {
	if file != "" {
		return seal.PassphraseFile(file, false)
	}
	for _, e := range p.Env {
		if dir, ok := strings.CutPrefix(e, "CREDENTIALS_DIRECTORY="); ok {
			path := filepath.Join(dir, credential)
			if _, err := os.Stat(path); err == nil {
				return seal.PassphraseFile(path, true)
			}
		}
	}
	return seal.Passphrase{From: "terminal", Ask: askTerminal}
}

// Sealing makes the service that changes seal and keys of the data.
func Sealing(cfg *config.Config, p command.Process, guard *access.Guard, all Rewriter, keys *keyring.Keyring,
	configured seal.Source, log *slog.Logger) *rotation.Service {
	return rotation.New(rotation.Config{
		Keyring: keys, Rewriter: all, Guard: guard, Configured: configured, SealNames: cfg.SealKeys, Logger: log,
		Seal: func(ctx context.Context, to rotation.Target) (seal.Seal, error) { return sealFor(ctx, cfg, p, to, log) },
	})
}

// sealFor makes the seal that somebody asks for over the API. What it shows of the server's files is nothing: the log
// has the rest.
func sealFor(ctx context.Context, cfg *config.Config, p command.Process, to rotation.Target,
	log *slog.Logger) (seal.Seal, error) {
	if field := to.Superfluous(); field != "" && slices.Contains(seal.Types, to.Type) {
		return nil, errs.New(errs.Invalid, "%s is not for the seal %s", field, to.Type)
	}
	switch to.Type {
	case seal.TypeKeyFile:
		path := to.KeyFile
		if path == "" {
			path = cfg.SealKeyFile
		}
		if !filepath.IsAbs(path) {
			return nil, errs.New(errs.Invalid, "a key file needs an absolute path on the server in keyFile")
		}
		s, err := KeyFileSeal(ctx, path)
		if err != nil {
			return nil, errs.Wrap(err, errs.Unprocessable,
				"the key file can be neither read nor made; the server's log says why")
		}
		return s, nil
	case seal.TypePassphrase:
		if n := len(to.Passphrase); n > 0 && n < seal.MinPassphrase || n > seal.MaxPassphrase {
			return nil, errs.New(errs.Invalid, "a passphrase must be between %d and %d bytes long", seal.MinPassphrase,
				seal.MaxPassphrase)
		}
		if to.Passphrase != "" {
			from := seal.Passphrase{From: "request", Ask: func(context.Context, bool) ([]byte, error) {
				return []byte(to.Passphrase), nil
			}}
			return from.Load(ctx)
		}
		source := Passphrase(cfg.Seal.PassphraseFile, p)
		if source.From == "terminal" { // nobody is to be asked in the middle of a request
			return nil, errs.New(errs.Invalid, "passphrase is missing, and the server's configuration names no "+
				"file with one")
		}
		return source.Load(ctx)
	case seal.TypeTransit:
		source := TransitTo(cfg, to.TransitKey, to.TransitMount, log)
		if source.Key == "" {
			return nil, errs.New(errs.Invalid, "transitKey (influx: --transit-key) is missing, and the server's "+
				"configuration names no key in Vault")
		}
		source.Wait = 0 // whoever asks can ask again
		s, err := source.Load(ctx)
		if err != nil {
			return nil, errs.Wrap(err, errs.Unprocessable, "the key in Vault cannot be used; the server's log says why")
		}
		return s, nil
	}
	return nil, errs.New(errs.Invalid, "type must be one of %s", strings.Join(seal.Types, ", "))
}

// KeyFileSeal gives the seal of a key file, which is made where there is none.
func KeyFileSeal(ctx context.Context, path string) (seal.Seal, error) {
	s, err := seal.KeyFile(path).Load(ctx)
	if errors.Is(err, seal.ErrNoKey) {
		s, err = seal.KeyFile(path).Create(ctx)
	}
	return s, err
}
