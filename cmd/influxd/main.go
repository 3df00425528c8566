// Command influxd is Strongroom's server.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"strongroom/internal/influxd"
	"strongroom/internal/influxd/command"
)

func main() {
	err := run()
	code := command.Code(err)
	if code == command.CodeInterrupted {
		fmt.Fprintln(os.Stderr, "influxd: interrupted before it was done")
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "influxd:", err)
	}
	os.Exit(code)
}

func run() error {
	if err := influxd.Harden(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end; after it, a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	return influxd.Run(ctx, command.Process{
		Args:   os.Args[1:],
		Env:    os.Environ(),
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Hangup: hangup,
	})
}
