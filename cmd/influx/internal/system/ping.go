// Package system has the commands about the server itself: ping, server-config, audit, seal and backup.
package system

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/session"
)

// Ping is the command influx ping.
func Ping(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "ping",
		Usage: "Check the InfluxDB /health endpoint",
		Flags: session.ConnectFlags(),
		Action: p.Connected(session.Anonymous, func(ctx context.Context, _ *cli.Command, s *session.Session) error {
			if h, err := s.Client.Health(ctx); err != nil {
				if h != nil && h.Message != "" {
					return fmt.Errorf("%s is not healthy: %s", s.Client.Host(), h.Message)
				}
				return err
			}
			_, err := fmt.Fprintln(p.Out, "OK")
			return err
		}),
	}
}
