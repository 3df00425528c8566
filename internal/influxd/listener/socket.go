package listener

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"strongroom/internal/influxd/config"
)

// askTime bounds the question whether somebody listens on a socket that is there already.
const askTime = time.Second

// listenSocket opens the Unix socket of --http-socket. One that a killed server has left is replaced, and nothing else.
func listenSocket(ctx context.Context, cfg *config.Config) (net.Listener, error) {
	path := cfg.HTTPSocket
	if err := removeLeft(ctx, path); err != nil {
		return nil, err
	}
	mode, err := strconv.ParseUint(cfg.HTTPSocketMode, 8, 32)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the folder of %s is not there; make it first", path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("this user may not make %s; choose a folder that is its own", path)
	case err != nil:
		return nil, err
	}
	if err := os.Chmod(path, fs.FileMode(mode)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeLeft removes a socket on which nobody listens.
func removeLeft(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket; choose another path", path)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%s is in use by another program, maybe an influxd; stop it or choose another path", path)
	}
	return os.Remove(path)
}
