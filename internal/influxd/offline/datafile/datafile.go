// Package datafile opens the data file for a command that is given on the machine itself, with its keyring, or reads it
// beside a server that has it open.
package datafile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"strongroom/internal/barrier"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt/snapshot"
	"strongroom/internal/seal"
	"strongroom/internal/servers"
)

// OpenKeys opens the keyring of the data with the configured seal. A command that is given a wrong place finds none: it
// makes no new data there, and no key for them.
func OpenKeys(ctx context.Context, p command.Process, cfg *config.Config, data kv.Store) (*keyring.Keyring, error) {
	if err := servers.CheckFormat(ctx, data); err != nil {
		return nil, fmt.Errorf("%s: %w", parts.DataPlace(cfg, cfg.Store), err)
	}
	source := parts.Seal(cfg, p, p.Log())
	if phrase, ok := source.(seal.Passphrase); ok && p.Answers != nil {
		phrase.Ask = p.Answers.Once(cfg.BoltPath, phrase.Ask)
		source = phrase
	}
	keys, err := keyring.Open(ctx, data, keyring.Config{Seal: source})
	switch {
	case errors.Is(err, keyring.ErrNone) && cfg.Store == config.EngineEtcd:
		return nil, fmt.Errorf("%s: %w, below the prefix %q of that etcd; the first start of a server makes them",
			cfg.Place("etcd-prefix"), err, cfg.Etcd.Prefix)
	case errors.Is(err, keyring.ErrNone):
		return nil, fmt.Errorf("%s: %w, in %s; the first start of a server makes them", cfg.Place("bolt-path"), err,
			cfg.BoltPath)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", parts.SealPlace(cfg), err)
	}
	return keys, nil
}

// Name is what the data are called in messages.
func Name(cfg *config.Config) string {
	if cfg.Store == config.EngineEtcd {
		return fmt.Sprintf("etcd, below %q", cfg.Etcd.Prefix)
	}
	return cfg.BoltPath
}

// Read reads a data file, which a server may have open, or what several have in etcd, as it is at one moment.
func Read(ctx context.Context, p command.Process, cfg *config.Config) (*snapshot.Snapshot, error) {
	if cfg.Store == config.EngineEtcd {
		data, problems, err := parts.MomentOf(ctx, cfg, p.Log())
		if err == nil && len(problems) > 0 {
			err = fmt.Errorf("%s: what is there is damaged; see influxd check: %s", cfg.Place("etcd-prefix"),
				problems[0])
		}
		return data, err
	}
	data, problems, err := snapshot.Read(ctx, cfg.BoltPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no file %s, and no organization is known without it; the server's "+
			"first start makes one", cfg.Place("bolt-path"), cfg.BoltPath)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
	case len(problems) > 0:
		return nil, fmt.Errorf("%s: the file is damaged; see influxd check: %s", cfg.Place("bolt-path"), problems[0])
	}
	return data, nil
}

// ReadIdentities reads the records of users and organisations, as Read does.
func ReadIdentities(ctx context.Context, p command.Process, cfg *config.Config) (kv.Store, error) {
	data, err := Read(ctx, p, cfg)
	if err != nil {
		return nil, err
	}
	keys, err := OpenKeys(ctx, p, cfg, data)
	if err != nil {
		return nil, err
	}
	return barrier.New(data, keys, identity.Sealed), nil
}

// PeekKeyring opens the keyring of a file that a server may have open, and gives what the file knows of the audit log,
// or what is known of that of each of several servers, by their names.
func PeekKeyring(ctx context.Context, p command.Process,
	cfg *config.Config) (_ *keyring.Keyring, marks map[string][]byte, err error) {
	if cfg.Store == config.EngineEtcd {
		data, err := parts.OpenData(ctx, cfg, p.Log())
		if err != nil {
			return nil, nil, err
		}
		defer data.Close()
		if marks, err = parts.MarksOfAll(ctx, data); err != nil {
			return nil, nil, err
		}
		keys, err := OpenKeys(ctx, p, cfg, data)
		return keys, marks, err
	}
	records, err := snapshot.Peek(cfg.BoltPath, keyring.SealRecord, keyring.KeyringRecord, parts.AuditMark,
		parts.FormerMark(cfg), servers.FormatRecord)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
	}
	marks = map[string][]byte{"": records[parts.AuditMark].Value}
	if former, ok := records[parts.FormerMark(cfg)]; ok && former.Value != nil { // it counts until the server has begun
		marks[""] = former.Value
	}
	if records[keyring.SealRecord].Key == "" || records[keyring.KeyringRecord].Key == "" {
		return nil, nil, fmt.Errorf("%s: %s has no keyring yet; the first start of the server makes one",
			cfg.Place("bolt-path"), cfg.BoltPath)
	}
	keys, err := OpenKeys(ctx, p, cfg, peeked(records))
	return keys, marks, err
}

// peeked is a kv.Store of a few records, for reading.
type peeked map[string]kv.Record

func (p peeked) Get(_ context.Context, key string) (kv.Record, error) {
	r, ok := p[key]
	if !ok {
		return r, kv.ErrNotFound
	}
	return r, nil
}

func (p peeked) List(context.Context, string, string, int) ([]kv.Record, error) {
	return nil, fmt.Errorf("listing: %w", kv.ErrClosed)
}

func (p peeked) ListBack(context.Context, string, string, int) ([]kv.Record, error) {
	return nil, fmt.Errorf("listing: %w", kv.ErrClosed)
}

func (p peeked) Txn(context.Context, []kv.Cond, []kv.Op) (int64, error) {
	return 0, fmt.Errorf("writing: %w", kv.ErrClosed)
}

func (p peeked) Watch(context.Context, string, int64, func(kv.Update)) error {
	return kv.ErrUnavailable
}

func (p peeked) Hold(context.Context, string) (context.Context, func(), error) {
	return nil, nil, kv.ErrUnavailable
}

func (p peeked) Close() error { return nil }
