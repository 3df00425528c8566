package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"strongroom/internal/influxd/config"
)

// writePIDFile writes the process's id where --pid-file says, and returns what removes the file again.
func writePIDFile(cfg *config.Config) (remove func() error, err error) {
	path := cfg.PIDFile
	if path == "" {
		return func() error { return nil }, nil
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if cfg.OverwritePIDFile {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s: %s is there already; another influxd may be running, and if none is, remove the file or give --overwrite-pid-file",
			cfg.Place("pid-file"), path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("pid-file"), err)
	}
	_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("pid-file"), errors.Join(err, os.Remove(path)))
	}
	return func() error { return os.Remove(path) }, nil
}
