// Package command is what a command of the daemon is, and what it has of the process it runs in.
package command

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"strongroom/internal/influxd/config"
)

// Process is what the daemon has of the process it runs in. Tests make their own and so start the real program.
type Process struct {
	Args           []string  // without the program's name
	Env            []string  // as os.Environ gives it
	Stdin          io.Reader // nil for none
	Stdout, Stderr io.Writer

	// Hangup says when the log files may have been moved and are to be opened anew (SIGHUP); nil for never.
	Hangup <-chan os.Signal

	// Answers keeps what somebody at the terminal was asked for in this run, so that he is asked
	// once; nil: nothing is kept.
	Answers *Answers

	// Listening, where it is set, is called with the API's URL as soon as connections are taken.
	Listening func(url string)

	// EtcdPatience is for how long etcd may be silent before the server counts it as away. It is for tests, whose
	// machine may be slow; 0: as it comes.
	EtcdPatience time.Duration
}

// Log is the log of a command, which has no settings for one.
func (p Process) Log() *slog.Logger { return slog.New(slog.NewTextHandler(p.Stderr, nil)) }

// Spec is one thing the program does.
type Spec struct {
	Name    string // one word or more
	Summary string
	Run     func(ctx context.Context, p Process, args config.Args) error
	Flags   []config.Flag // of its own, beside the settings
}
