package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/audit/auditlog"
	"strongroom/internal/disk"
	"strongroom/internal/errs"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/bolt/snapshot"
	"strongroom/internal/secret/embedded/commitlog"
	"strongroom/internal/servers"
)

var restoreFlags = []config.Flag{
	{Name: "from", Value: "PATH", Help: "the backup, as influx backup has written it"},
	{Name: "dry-run", Help: "check the backup and change nothing"},
}

// restore puts a backup where the configuration says that the data are.
func restore(ctx context.Context, p command.Process, args config.Args) error {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	from := args.Flag("from")
	if from == "" {
		return command.Usage(errors.New("flag --from: name the backup"))
	}
	if cfg.Store == config.EngineEtcd {
		return restoreEtcd(ctx, p, cfg, from, args.Switch("dry-run"))
	}
	return restoreFile(ctx, p, cfg, from, args.Switch("dry-run"))
}

// restoreFile puts a backup in the place of the data file. The backup is copied beside it and the copy checked whole,
// every record opened with the configured seal, before anything is replaced; what was there is kept aside.
func restoreFile(ctx context.Context, p command.Process, cfg *config.Config, from string, dry bool) (err error) {
	if same(from, cfg.BoltPath) {
		return command.Usage(errors.New("flag --from: it is the data file itself"))
	}
	dir := filepath.Dir(cfg.BoltPath)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	place, _, err := bolt.Place(cfg.BoltPath)
	if err != nil {
		return err
	}
	release, err := bolt.Hold(cfg.BoltPath)
	if err != nil {
		return fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
	}
	defer func() { err = errors.Join(err, release()) }()

	candidate, err := copyBeside(ctx, from, place)
	if err != nil {
		return fmt.Errorf("copying the backup %s: %w; nothing was changed", from, err)
	}
	defer os.Remove(candidate) // gone under this name where it took its place
	if err := isSound(ctx, p, cfg, candidate, from); err != nil {
		return err
	}
	if dry {
		fmt.Fprintf(p.Stdout, "%s is sound; nothing was changed\n", from)
		return nil
	}
	if err := raiseVersions(ctx, candidate); err != nil {
		return fmt.Errorf("the copy of the backup %s cannot be written to: %w; nothing was changed", from, err)
	}
	done, err := onRecord(ctx, p, cfg, candidate, from)
	if err != nil {
		return fmt.Errorf("the restore cannot be put on record: %w; nothing was changed", err)
	}
	_, err = os.Lstat(place)
	aside, err := put(place, candidate, errors.Is(err, fs.ErrNotExist))
	if err = done(err); err != nil {
		return err
	}
	fmt.Fprintf(p.Stdout, "Restored %s from %s\n", place, from)
	if aside != "" {
		fmt.Fprintf(p.Stdout, "The former data are in %s; remove them when you are sure\n", aside)
	}
	return nil
}

// isSound refuses a backup in which anything is wrong.
func isSound(ctx context.Context, p command.Process, cfg *config.Config, candidate, from string) error {
	found, err := inspect(ctx, p, cfg, candidate)
	if err != nil {
		return fmt.Errorf("the backup %s cannot be restored, and nothing was changed: %w", from, err)
	}
	found.write(p)
	if n := len(found.problems); n > 0 {
		return fmt.Errorf("the backup %s has %d problems and was not restored; nothing was changed", from, n)
	}
	return nil
}

// raiseVersions raises the versions of the organisations' secrets, so that none is one that a client knows of changes
// that the backup has not.
func raiseVersions(ctx context.Context, path string) (err error) {
	data, err := bolt.OpenCandidate(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	return commitlog.RaiseVersions(ctx, data, time.Now())
}

// onRecord puts the restore on record, with the keys of the data that are to be restored, and returns what
// does so with its outcome.
func onRecord(ctx context.Context, p command.Process, cfg *config.Config,
	candidate, from string) (done func(error) error, err error) {
	chainKey, err := chainKeyOf(ctx, p, cfg, candidate)
	if err != nil {
		return nil, err
	}
	log, err := command.NewLogger(p.Stderr, cfg)
	if err != nil {
		return nil, err
	}
	trail, err := auditlog.Open(auditlog.Config{Sinks: cfg.AuditSinks, ChainKey: chainKey, Logger: log,
		Server: parts.AmongSeveral(cfg), Stdout: p.Stderr})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("audit-sinks"), err)
	}
	guard, caller := access.NewGuard(trail), command.Operator("influxd restore")
	act := access.Act{Action: "restore", Target: errs.Clip(from)}
	if err := guard.Allow(ctx, caller, act, access.WriteServer); err != nil {
		return nil, errors.Join(err, trail.Close())
	}
	return func(err error) error { return errors.Join(guard.Done(ctx, caller, act, err), trail.Close()) }, nil
}

// chainKeyOf gives the key of the audit log's chain of a data file.
func chainKeyOf(ctx context.Context, p command.Process, cfg *config.Config, path string) ([]byte, error) {
	data, _, err := snapshot.Read(ctx, path)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	if err := servers.CheckFormat(ctx, data); err != nil {
		return nil, err
	}
	keys, err := keyring.Open(ctx, data, keyring.Config{Seal: parts.Seal(cfg, p, p.Log())})
	if err != nil {
		return nil, err
	}
	defer keys.Close()
	return keys.DeriveKey(parts.AuditLabel)
}

func same(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(x, y)
}

// copyBeside copies the backup to a new file, mode 0600, in the folder of the data file.
func copyBeside(ctx context.Context, from, path string) (_ string, err error) {
	in, err := os.OpenFile(from, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe must not wait for its writer
	if err != nil {
		return "", err
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", errors.Join(err, errors.New("it is not a file"))
	}
	out, err := os.CreateTemp(filepath.Dir(path), bolt.CandidatePattern(path))
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, readerOf(ctx, in))
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return "", errors.Join(err, os.Remove(out.Name()))
	}
	return out.Name(), nil
}

// readerOf ends with ctx.
func readerOf(ctx context.Context, r io.Reader) io.Reader { return ctxReader{ctx, r} }

type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// put puts the candidate in its place, and gives the name under which what was there is kept; "" where
// there was nothing. Nothing may be taken from under a program that does not know of our lock and has begun
// a file there meanwhile.
func put(place, candidate string, fresh bool) (aside string, err error) {
	if fresh {
		err = disk.PutNew(candidate, place)
	} else {
		aside = fmt.Sprintf("%s.before-restore-%s", place, time.Now().UTC().Format("20060102T150405.000Z"))
		err = disk.Replace(place, candidate, aside)
	}
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("something is at %s by now, of a server that was started meanwhile perhaps; nothing "+
			"was changed", place)
	}
	if err != nil {
		return "", fmt.Errorf("putting the backup in place: %w", err)
	}
	return aside, nil
}
