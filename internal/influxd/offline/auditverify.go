package offline

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"strongroom/internal/audit"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
)

// verifyAudit checks the chain of the audit log's files, rotated ones beside them included. The server may be running: the
// key of the chain is derived from the keyring, which is read past the server's lock.
func verifyAudit(ctx context.Context, p command.Process, args config.Args) error {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	keys, err := peekKeyring(ctx, p, cfg)
	if err != nil {
		return err
	}
	defer keys.Close()
	chainKey, err := keys.DeriveKey(parts.AuditLabel)
	if err != nil {
		return err
	}
	defer clear(chainKey)
	files, err := auditFiles(cfg.AuditSinks)
	if err != nil {
		return err
	}
	return audit.VerifyFiles(ctx, files, chainKey, p.Stdout)
}

// auditFiles are the files among the sinks, with those that were rotated away and stand beside them.
func auditFiles(sinks []string) ([]string, error) {
	var files []string
	for _, s := range sinks {
		path, isFile := strings.CutPrefix(s, "file:")
		if !isFile && !strings.Contains(s, "/") {
			continue
		}
		found, err := filepath.Glob(escapeGlob(path) + "*")
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if rest := strings.TrimPrefix(f, path); rest == "" || rest[0] == '.' || rest[0] == '-' {
				files = append(files, f)
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no file of the audit log: name it with --audit-sinks as the server has it")
	}
	return files, nil
}

// escapeGlob makes a path match itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// peekKeyring opens the keyring of a file that a server may have open.
func peekKeyring(ctx context.Context, p command.Process, cfg *config.Config) (*keyring.Keyring, error) {
	records, err := bolt.Peek(cfg.BoltPath, keyring.SealRecord, keyring.KeyringRecord)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
	}
	if len(records) < 2 {
		return nil, fmt.Errorf("%s: %s has no keyring yet; the first start of the server makes one", cfg.Place("bolt-path"), cfg.BoltPath)
	}
	keys, err := keyring.OpenOrInit(ctx, peeked(records), keyring.Config{Seal: parts.Seal(cfg, p, p.Log())})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", parts.SealPlace(cfg), err)
	}
	return keys, nil
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
