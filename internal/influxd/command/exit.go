package command

import (
	"context"
	"errors"

	"strongroom/internal/influxd/config"
)

// The codes that the process ends with. Those of the CLI are the same, as far as the daemon has them.
const (
	CodeOK          = 0
	CodeFailure     = 1
	CodeUsage       = 2
	CodeInterrupted = 130
)

// usage is a mistake on the command line.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// Usage marks an error as a mistake on the command line.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usage{err}
}

// Code is what the process ends with after err.
func Code(err error) int {
	var u usage
	var setting config.Invalid
	switch {
	case err == nil:
		return CodeOK
	case errors.As(err, &u), errors.As(err, &setting):
		return CodeUsage
	case errors.Is(err, context.Canceled):
		return CodeInterrupted
	}
	return CodeFailure
}
