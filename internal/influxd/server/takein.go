package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/barrier"
	"strongroom/internal/identity"
	"strongroom/internal/influxd/config"
	"strongroom/internal/keyring"
	"strongroom/internal/kv"
	"strongroom/internal/seal"
)

// orphaned names what there is of a server whose data are missing: the key file, or the record of what it did. A first
// start makes all of them, so the data are lost, or in a volume that is not mounted, or somebody has put the file there
// before. Only he can tell; and a server that begins anew by itself answers every client 401, and makes the next who
// asks for set-up its operator. It is "" where there are data, or nothing at all.
func orphaned(cfg *config.Config) string {
	if info, err := os.Stat(cfg.BoltPath); !errors.Is(err, fs.ErrNotExist) && (err != nil || info.Size() > 0) {
		return ""
	}
	if cfg.Seal.Type == seal.TypeKeyFile {
		if _, err := os.Stat(cfg.SealKeyFile); err == nil {
			return "the key file " + cfg.SealKeyFile
		}
	}
	for _, sink := range cfg.AuditSinks {
		path := strings.TrimPrefix(sink, "file:")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
			return "the audit log " + path
		}
	}
	return ""
}

// takeIn puts the barrier before the records of users, tokens and organisations. Data that an older influxd has made
// have them in clear: they are sealed, once, on record and with a warning, since what was written into the file until
// then by somebody else is taken in with them.
func (s *Server) takeIn(ctx context.Context, data kv.Store, keys *keyring.Keyring) (*barrier.Store, error) {
	b := barrier.New(data, keys, identity.Sealed)
	b.Tell(s.log, s.refused)
	if keys.IdentitiesSealed() {
		return b, s.keyIndexes(ctx, b)
	}
	act := access.Act{Action: "identities.seal"}
	if err := s.Guard.Allow(ctx, access.System(), act); err != nil {
		return nil, err
	}
	n, err := b.TakeIn(ctx)
	if err != nil {
		return nil, s.Guard.Done(ctx, access.System(), act,
			fmt.Errorf("sealing the records of users and tokens: %w", err))
	}
	s.log.WarnContext(ctx, "the records of users, tokens and organizations, which an older influxd has written in "+
		"clear, are sealed from now on; if this server has started with them sealed before, an old file has been put "+
		"back: see docs/backup.md", "records", n)
	return b, s.keyIndexes(ctx, b)
}

// keyIndexes hides the hashes by which tokens are found, in data in which an older influxd has them in clear.
func (s *Server) keyIndexes(ctx context.Context, b *barrier.Store) error {
	n, err := b.KeyIndexes(ctx)
	if err != nil {
		return fmt.Errorf("keying the hashes of tokens: %w", err)
	}
	if n > 0 {
		s.log.InfoContext(ctx, "the hashes of tokens, which an older influxd has kept in clear, are keyed from now on",
			"tokens", n)
	}
	return nil
}
