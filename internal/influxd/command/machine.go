package command

import (
	"bytes"
	"errors"
	"log/slog"
	"os"

	"strongroom/internal/access"
	"strongroom/internal/influxd/config"
)

// Load reads the configuration for a command that works without a server.
func Load(p Process, args config.Args) (*config.Config, *slog.Logger, error) {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return nil, nil, err
	}
	log, err := NewLogger(p.Stderr, cfg)
	return cfg, log, err
}

// Operator is the caller of a command that was given on the machine itself, by somebody who can read the seal's key.
func Operator(command string) *access.Caller {
	return &access.Caller{Principal: &access.Principal{User: command, Permissions: access.Operator()}}
}

// FirstLine returns a file's first line, which must not be empty.
func FirstLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
		return "", errors.New("its first line is empty")
	}
	return string(line), nil
}
