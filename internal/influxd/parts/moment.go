package parts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"strongroom/internal/influxd/config"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/bolt/snapshot"
	"strongroom/internal/tempdir"
)

// dump makes a data file of the records of one moment, which take puts there.
func (d *etcdData) dump(ctx context.Context, path string,
	take func(context.Context, kv.Store, []kv.Record) error) error {
	file, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	return errors.Join(d.cluster.Each(ctx, func(recs []kv.Record) error { return take(ctx, file, recs) }), file.Close())
}

// MomentOf reads etcd's data as they are at one moment, also beside running servers: once from the beginning to the
// end, into a file without a name, as sealed as they are. Whoever goes over them then asks etcd for nothing more, and
// needs no moment that etcd may have compacted. Problems are the records that no engine takes, one line each.
func MomentOf(ctx context.Context, cfg *config.Config, log *slog.Logger) (s *snapshot.Snapshot, problems []string,
	err error) {
	data, err := openEtcd(ctx, cfg, nil, log)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", DataPlace(cfg, config.EngineEtcd), err)
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	if err := ready(ctx, data); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", DataPlace(cfg, config.EngineEtcd), err)
	}
	some, err := data.List(ctx, "", "", 1)
	if err == nil && len(some) == 0 {
		err = errors.New("there are no data below it in that etcd; the first start of a server makes them")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", cfg.Place("etcd-prefix"), err)
	}
	dir, remove, err := tempdir.New("check")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, remove()) }() // who has the file open reads on
	path := filepath.Join(dir, "influxd.bolt")
	if err := data.dump(ctx, path, func(ctx context.Context, to kv.Store, recs []kv.Record) error {
		err := put(ctx, to, recs)
		if !unfit(err) {
			return err
		}
		for _, r := range recs {
			if err := put(ctx, to, []kv.Record{r}); unfit(err) {
				problems = append(problems, fmt.Sprintf("%q: no influxd has written it: %v", r.Key, err))
			} else if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", DataPlace(cfg, config.EngineEtcd), err)
	}
	s, of, err := snapshot.Read(ctx, path)
	return s, append(problems, of...), err
}

// unfit reports whether a record can be in no engine of ours, as one that somebody else has put into etcd.
func unfit(err error) bool { return errors.Is(err, kv.ErrTooLarge) || errors.Is(err, kv.ErrInvalid) }
