package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"strongroom/internal/influxd/config"
)

// writePIDFile writes the process's id where --pid-file says, and returns what removes the file again.
func writePIDFile(cfg *config.Config) (remove func() error, err error) {
	path := cfg.PIDFile
	if path == "" {
		return func() error { return nil }, nil
	}
	// A new file, put in the place of what is there: a link is not followed, and a file is never half written.
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("pid-file"), err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil && !cfg.OverwritePIDFile {
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("%s: %s is there already; another influxd may be running, and if none is, remove "+
				"the file or give --overwrite-pid-file",
				cfg.Place("pid-file"), path)
		}
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Place("pid-file"), err)
	}
	return func() error { return os.Remove(path) }, nil
}
