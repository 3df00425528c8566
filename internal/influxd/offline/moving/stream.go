package moving

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/term"

	"strongroom/internal/influxd/command"
)

// target is what an export is written to: a new file or, for the path -, standard output.
type target struct {
	io.Writer
	file *os.File  // nil for standard output
	Name string    // for messages
	Told io.Writer // where messages go
}

// newTarget makes the file, which must not be there yet.
func newTarget(p command.Process, path string) (*target, error) {
	if path == "-" {
		if f, ok := p.Stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return nil,
				command.Usage(errors.New("flag --out: standard output is a terminal, and an export is not for " +
					"reading: name a file, or send it to a program"))
		}
		return &target{Writer: p.Stdout, Name: "standard output", Told: p.Stderr}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("flag --out: %s is there already; name another file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("flag --out: %w", err)
	}
	return &target{Writer: f, file: f, Name: path, Told: p.Stdout}, nil
}

// finish makes what was written last or, where it failed with err, takes the file away again.
func (t *target) finish(err error) error {
	if t.file == nil {
		return err
	}
	if err == nil {
		err = t.file.Sync()
	}
	if err = errors.Join(err, t.file.Close()); err != nil {
		err = errors.Join(err, os.Remove(t.file.Name()))
	}
	return err
}

// source is the file of a path or, for -, standard input.
func source(p command.Process, path string) (io.ReadCloser, error) {
	if path != "-" {
		return os.Open(path)
	}
	if p.Stdin == nil {
		return nil, errors.New("there is no standard input")
	}
	return io.NopCloser(p.Stdin), nil
}
