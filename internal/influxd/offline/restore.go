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

	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/kv/bolt"
)

var restoreFlags = []config.Flag{
	{Name: "from", Value: "PATH", Help: "the backup, as influx backup has written it"},
	{Name: "dry-run", Help: "check the backup and change nothing"},
}

// restoreFile puts a backup in the place of the data file. The backup is copied beside it and the copy checked whole,
// every record opened with the configured seal, before anything is replaced; what was there is kept aside.
func restoreFile(ctx context.Context, p command.Process, args config.Args) (err error) {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	from := args.Flag("from")
	if from == "" {
		return errors.New("flag --from: name the backup")
	}
	if same(from, cfg.BoltPath) {
		return errors.New("flag --from: it is the data file itself")
	}
	dir := filepath.Dir(cfg.BoltPath)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	place, fresh, err := placeOf(cfg.BoltPath)
	if err != nil {
		return err
	}
	release, err := hold(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()

	candidate, err := copyBeside(ctx, from, place)
	if err != nil {
		return fmt.Errorf("copying the backup %s: %w; nothing was changed", from, err)
	}
	defer os.Remove(candidate) // gone under this name where it took its place
	found, err := inspect(ctx, p, cfg, candidate)
	if err != nil {
		return fmt.Errorf("the backup %s cannot be restored, and nothing was changed: %w", from, err)
	}
	found.write(p)
	if n := len(found.problems); n > 0 {
		return fmt.Errorf("the backup %s has %d problems and was not restored; nothing was changed", from, n)
	}
	if args.Switch("dry-run") {
		fmt.Fprintf(p.Stdout, "%s is sound; nothing was changed\n", from)
		return nil
	}
	aside := ""
	if fresh {
		err = putNew(place, candidate)
	} else {
		aside, err = replace(place, candidate)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.Stdout, "Restored %s from %s\n", place, from)
	if aside != "" {
		fmt.Fprintf(p.Stdout, "The former data are in %s; remove them when you are sure\n", aside)
	}
	return nil
}

func same(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(x, y)
}

// hold keeps servers off the data file while it is being replaced. Where it is damaged so that it cannot be opened, no
// server can open it either.
func hold(cfg *config.Config) (release func() error, err error) {
	release = func() error { return nil }
	if _, err := os.Stat(cfg.BoltPath); errors.Is(err, fs.ErrNotExist) {
		return release, nil
	}
	data, err := bolt.Open(cfg.BoltPath, bolt.Options{})
	switch {
	case errors.Is(err, bolt.ErrInUse):
		return nil, fmt.Errorf("%s: %w", cfg.Place("bolt-path"), err)
	case err != nil:
		return release, nil
	}
	return data.Close, nil
}

// placeOf is where the data file is, or would be made. Where the setting names a link, it is what that leads to: the link
// must not become the file, on another disk perhaps, and the former data stay where nobody looks for them.
func placeOf(path string) (place string, fresh bool, err error) {
	place, err = filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, true, nil
	}
	return place, false, err
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
	out, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".restore-*")
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

// putNew puts the candidate where there was no data file. Nothing holds a file that is not there: one that a server has
// begun meanwhile must not be taken from under it.
func putNew(place, candidate string) error {
	if err := os.Link(candidate, place); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("something is at %s by now, of a server that was started meanwhile perhaps; nothing was changed", place)
	} else if err != nil {
		return fmt.Errorf("putting the backup in place: %w; nothing was changed", err)
	}
	return syncFolder(place)
}

// replace puts the candidate in the place of the data file, whose content stays under the name it gives. At every moment
// the place holds one or the other, whole.
func replace(place, candidate string) (aside string, err error) {
	aside = fmt.Sprintf("%s.before-restore-%s", place, time.Now().UTC().Format("20060102T150405.000Z"))
	if err := os.Link(place, aside); err != nil {
		return "", fmt.Errorf("keeping the former data aside: %w; nothing was changed", err)
	}
	if err := os.Rename(candidate, place); err != nil {
		return aside, fmt.Errorf("putting the backup in place: %w; nothing was changed", err)
	}
	return aside, syncFolder(place)
}

// syncFolder makes the name of a file as lasting as what is in it.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
