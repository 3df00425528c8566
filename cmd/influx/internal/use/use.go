// Package use has the commands that give values of secrets to those who need them: a pipe, a program, a file. They take
// a token that may use secrets, and put no value on a terminal, a command line or a disk unless that is asked for.
package use

import (
	"context"
	"fmt"
	"io"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
)

// Commands are those of influx secret.
func Commands(p *session.Process) []*cli.Command {
	return []*cli.Command{getCmd(p), execCmd(p), exportCmd(p)}
}

func getCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:      "get",
		Usage:     "Give out the value of one secret, to a pipe or a file",
		ArgsUsage: "[KEY]",
		Description: `Writes the value as it is, without a line break behind it. It goes to a terminal only with --show.
It takes a token that may use the secret (influx auth create --use-secret), and each use is on
record.

   influx secret get db/password | psql-login
   influx secret get -k tls/key > /run/app/tls.key

With --json: an object {"key", "orgID", "value"}.`,
		Flags: session.CommonFlags(session.OrgFlags(
			&cli.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "The secret key, where no argument is"},
			&cli.BoolFlag{Name: "show", Usage: "Show the value on a terminal, too"},
		)...),
		ArgValidator: atMostOne,
		Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
			s *session.Session) error {
			return get(ctx, cmd, s, p.Out)
		}),
	}
}

func atMostOne(_ context.Context, cmd *cli.Command) error {
	if cmd.Args().Len() > 1 {
		return usage.WithHint(cmd, "give the key of one secret")
	}
	return nil
}

func get(ctx context.Context, cmd *cli.Command, s *session.Session, out io.Writer) error {
	key, err := session.OneKey(cmd)
	if err != nil {
		return err
	}
	shown := terminal.Is(out)
	if shown && !cmd.Bool("show") {
		return usage.Mistake("standard output is a terminal; --show shows the value there")
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	value, err := s.Client.SecretValue(ctx, orgID, key)
	if err != nil {
		return fmt.Errorf("failed to get secret with key %q: %w", key, session.WhoMayUse(err))
	}
	if s.Print.AsJSON {
		return s.Print.JSON(map[string]string{"key": key, "orgID": orgID, "value": value.Reveal()})
	}
	text := value.Reveal()
	if shown {
		text += "\n"
	}
	_, err = io.WriteString(out, text)
	return err
}
