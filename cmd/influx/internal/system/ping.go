// Package system has the commands about the server itself: ping, server-config, audit, seal and backup.
package system

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/session"
)

// Ping is the command influx ping.
func Ping(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "ping",
		Usage: "Check the InfluxDB /health endpoint",
		Flags: append(session.ConnectFlags(), session.PrintFlags()...),
		Action: p.Connected(session.Anonymous, func(ctx context.Context, _ *cli.Command, s *session.Session) error {
			h, err := s.Client.Health(ctx)
			if h != nil && s.Print.AsJSON {
				err = errors.Join(err, s.Print.JSON(h))
			}
			switch {
			case err != nil && h != nil && h.Message != "":
				return exit.With(exit.Unreachable, fmt.Errorf("%s is not healthy: %s", s.Client.Host(), h.Message))
			case err != nil || s.Print.AsJSON:
				return err
			}
			_, err = fmt.Fprintln(p.Out, "OK")
			return err
		}),
	}
}
