package offline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/servers"
	"strongroom/internal/tempdir"
)

// restoring is held by a restore, so that there is one at a time.
const restoring = "restore"

// restoreEtcd puts a backup into etcd, where nothing is below the prefix but what an earlier restore of it has begun.
// The backup is checked whole, as for a file, and read back from etcd. Until it is all there no server starts on it.
func restoreEtcd(ctx context.Context, p command.Process, cfg *config.Config, from string, dry bool) (err error) {
	target, err := parts.OpenEngine(ctx, cfg, config.EngineEtcd, p.Log())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if err := parts.Unused(ctx, target, restoring); err != nil {
		return fmt.Errorf("%s: %w; nothing was changed", cfg.Place("etcd-prefix"), err)
	}
	dir, remove, err := tempdir.New(restoring)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	candidate, err := copyBeside(ctx, from, filepath.Join(dir, "influxd.bolt"))
	if err != nil {
		return fmt.Errorf("copying the backup %s: %w; nothing was changed", from, err)
	}
	if err := isSound(ctx, p, cfg, candidate, from); err != nil {
		return err
	}
	if err := raiseVersions(ctx, candidate); err != nil {
		return fmt.Errorf("the copy of the backup %s cannot be written to: %w; nothing was changed", from, err)
	}
	source, err := bolt.OpenCandidate(candidate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	// Those that ran when the backup was made are not there.
	if _, err := source.Txn(ctx, nil, []kv.Op{kv.DeletePrefix(servers.Folder)}); err != nil {
		return err
	}
	would, err := parts.CopyData(ctx, source, target, true)
	if err != nil {
		return fmt.Errorf("%s: %w; nothing was changed", cfg.Place("etcd-prefix"), err)
	}
	if dry {
		fmt.Fprintf(p.Stdout, "%s is sound, and %d records would be restored; nothing was changed\n", from,
			would.Records)
		return nil
	}
	held, release, err := target.Hold(ctx, restoring)
	if err != nil {
		return fmt.Errorf("%s: %w; nothing was changed", cfg.Place("etcd-endpoints"), err)
	}
	defer release()
	done, err := onRecord(ctx, p, cfg, candidate, from)
	if err != nil {
		return fmt.Errorf("the restore cannot be put on record: %w; nothing was changed", err)
	}
	copied, err := parts.CopyData(held, source, target, false)
	if err != nil {
		err = fmt.Errorf("the restore ended early, and can be run again to go on: %w", err)
	}
	if err = done(err); err != nil {
		return err
	}
	fmt.Fprintf(p.Stdout, "Restored %d records into etcd, below %q, from %s\n", copied.Records, cfg.Etcd.Prefix, from)
	return nil
}
