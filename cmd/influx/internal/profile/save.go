package profile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"

	"strongroom/internal/disk"
)

// Save writes the file: mode 0600, and whole or not at all, even through a crash.
func (f *File) Save() error {
	var b bytes.Buffer
	b.Write(f.head)
	enc := toml.NewEncoder(&b)
	enc.SetIndentTables(false)
	if err := enc.Encode(f.doc); err != nil {
		return fmt.Errorf("cannot write the profiles: %w", err)
	}
	b.Write(f.tail)
	tmp, err := f.temp()
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // fails after the rename, as it should
	_, err = tmp.Write(b.Bytes())
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("cannot write the profiles: %w", err)
	}
	if err := os.Rename(tmp.Name(), f.target()); err != nil {
		return fmt.Errorf("cannot write the profiles: %w", err)
	}
	f.Exposed = ""
	if err := disk.SyncFolder(filepath.Dir(f.target())); err != nil {
		return fmt.Errorf("cannot write the profiles: %w", err)
	}
	return nil
}

// Writable makes sure that Save can work, before something that cannot be undone.
func (f *File) Writable() error {
	tmp, err := f.temp()
	if err != nil {
		return err
	}
	return errors.Join(tmp.Close(), os.Remove(tmp.Name()))
}

func (f *File) temp() (*os.File, error) {
	if f.nowhere != nil {
		return nil, f.nowhere
	}
	dir := filepath.Dir(f.target())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot write the profiles: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".configs-*") // made with mode 0600
	if err != nil {
		return nil, fmt.Errorf("cannot write the profiles: %w", err)
	}
	return tmp, nil
}

// target is the file behind a symbolic link, which dotfile collections use: the link itself must not be replaced.
func (f *File) target() string {
	if behind, err := filepath.EvalSymlinks(f.path); err == nil {
		return behind
	}
	return f.path
}
