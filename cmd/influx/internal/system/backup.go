package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
	"strongroom/internal/disk"
)

// Backup is the command influx backup.
func Backup(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:      "backup",
		Usage:     "Copy the server's data to a file",
		ArgsUsage: "PATH",
		Description: `Writes the data file as it is at one moment, while the server goes on. The copy is as sealed as
the data are: it opens with the same seal key, which is not in it. Needs an operator token. On the
server's machine, influxd restore puts the copy back, and influxd check looks at every record of
it. The path - stands for standard output; a copy is whole only where the command ends with 0.

   influx backup strongroom-2026-01-31.bolt
   influx backup - | age -r age1… > strongroom.bolt.age`,
		Flags:        session.CommonFlags(),
		ArgValidator: func(context.Context, *cli.Command) error { return nil },
		Action:       p.Connected(session.Authenticated, backup),
	}
}

func backup(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	if cmd.Args().Len() != 1 || cmd.Args().First() == "" {
		return usage.WithHint(cmd, "name one file to write to")
	}
	path := cmd.Args().First()
	if path == "-" {
		return backupToStdout(ctx, s)
	}
	n, err := writeNew(path, func(w io.Writer) (int64, error) { return s.Client.Backup(ctx, w) })
	if err != nil {
		return fmt.Errorf("failed to back up to %s: %w", path, err)
	}
	if s.Print.AsJSON {
		return s.Print.JSON(map[string]any{"path": path, "bytes": n})
	}
	return s.Print.Table([]string{"Path", "Bytes"}, [][]string{{path, fmt.Sprint(n)}})
}

// backupToStdout leaves standard output to the copy alone.
func backupToStdout(ctx context.Context, s *session.Session) error {
	if f, ok := s.Print.Out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return usage.Mistake("standard output is a terminal, and a backup is no text: name a file, or send it " +
			"to a program")
	}
	n, err := s.Client.Backup(ctx, s.Print.Out)
	if err != nil {
		return fmt.Errorf("failed to back up, and what was written is no backup: %w", err)
	}
	s.Term.Warn("%d bytes", n)
	return nil
}

// writeNew makes a file, mode 0600, that appears whole or not at all, and never goes over one that is there.
func writeNew(path string, write func(io.Writer) (int64, error)) (int64, error) {
	if _, err := os.Lstat(path); err == nil {
		return 0, exit.With(exit.Conflict, errors.New("it is there already; name another file"))
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	n, err := write(f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	if err := disk.PutNew(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return 0, exit.With(exit.Conflict, errors.New("it is there already; name another file"))
	} else if err != nil {
		return 0, err
	}
	return n, nil
}
