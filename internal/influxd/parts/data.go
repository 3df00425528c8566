package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"strongroom/internal/influxd/config"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/servers"
)

// Data is the engine of the server's data.
type Data interface {
	kv.Store
	// Backup writes the data as they are at one moment, as a file that bolt.Open opens, and as sealed as they are.
	Backup(ctx context.Context, w io.Writer) error
	// Health says why nothing can be written, or read, if that is so.
	Health() error
}

// Copying is the record of data that a copy has begun to make and not ended: they are not whole.
const Copying = "core/copying"

// errCopying keeps servers off such data.
var errCopying = errors.New("a copy to these data was begun and has not ended: run influxd store copy, or influxd " +
	"restore, once more, to its end")

// OpenData opens the engine that the configuration names.
func OpenData(ctx context.Context, cfg *config.Config, log *slog.Logger) (Data, error) {
	data, err := openEngine(ctx, cfg, cfg.Store, nearPrefixes, log)
	if err != nil {
		return nil, err
	}
	if err := ready(ctx, data); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", DataPlace(cfg, cfg.Store), err), data.Close())
	}
	return data, nil
}

// ready says why no server starts on the data, if that is so: they are not all there, or of a form that is not known.
func ready(ctx context.Context, data kv.Store) error {
	switch _, err := data.Get(ctx, Copying); {
	case err == nil:
		return errCopying
	case !errors.Is(err, kv.ErrNotFound):
		return err
	}
	return servers.CheckFormat(ctx, data)
}

// OpenEngine opens an engine, whatever its data are, for who goes through them once: nothing of them stays in memory.
func OpenEngine(ctx context.Context, cfg *config.Config, name string, log *slog.Logger) (Data, error) {
	return openEngine(ctx, cfg, name, nil, log)
}

// openEngine opens an engine. What begins with the prefixes is kept in memory, too, where the engine is elsewhere.
func openEngine(ctx context.Context, cfg *config.Config, name string, prefixes []string,
	log *slog.Logger) (Data, error) {
	if name == config.EngineEtcd {
		data, err := openEtcd(ctx, cfg, prefixes, log)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", DataPlace(cfg, name), err)
		}
		return data, nil
	}
	data, err := bolt.Open(cfg.BoltPath, bolt.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", DataPlace(cfg, name), err)
	}
	return data, nil
}

// DataPlace is the setting that says where the data are.
func DataPlace(cfg *config.Config, engine string) string {
	if engine == config.EngineEtcd {
		return cfg.Place("etcd-endpoints")
	}
	return cfg.Place("bolt-path")
}
