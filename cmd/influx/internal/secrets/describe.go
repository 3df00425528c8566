package secrets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/duration"
	"strongroom/cmd/influx/internal/grammar"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

func describeCmd(p *session.Process) *cli.Command {
	cmd := &cli.Command{
		Name:        "describe",
		Usage:       "Note what a secret is for, and when its value should be replaced",
		Description: "What no flag gives stays as it is.",
		Flags: session.CommonFlags(session.OrgFlags(
			keyFlag(),
			&cli.StringFlag{
				Name:    "description",
				Aliases: []string{"d"},
				Usage:   "What it is for",
				Validator: func(s string) error {
					if s == "" {
						return errors.New("its value is empty; --no-description removes the description")
					}
					return nil
				},
			},
			&cli.BoolFlag{Name: "no-description", Usage: "Remove the description"},
			&cli.StringFlag{
				Name:      "expires",
				Usage:     "When its value should be replaced: " + duration.Forms,
				Validator: duration.ValidUntil,
			},
		)...),
		Action: p.Connected(session.Authenticated, describeSecret),
	}
	grammar.Formerly(cmd, "expires-in", "expires") // as influx auth create has it
	return cmd
}

// describeSecret changes what is given. The server replaces both at once, so the other is read first.
func describeSecret(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	words, date := cmd.IsSet("description") || cmd.Bool("no-description"), cmd.IsSet("expires")
	switch {
	case cmd.IsSet("description") && cmd.Bool("no-description"):
		return usage.Mistake("give either --description or --no-description, not both")
	case !words && !date:
		return usage.WithHint(cmd, "nothing to change: give --description, --no-description or --expires")
	}
	key := cmd.String("key")
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	description, expires := cmd.String("description"), time.Time{}
	if !words || !date {
		info, err := s.Client.Secret(ctx, orgID, key)
		if err != nil {
			return fmt.Errorf(
				"failed to read the description and the date of secret with key %q, of which one is to stay: %w",
				key,
				err,
			)
		}
		if !words {
			description = info.Description
		}
		if !date && info.ExpiresAt != nil {
			expires = *info.ExpiresAt
		}
	}
	if date {
		if expires, err = duration.Until(cmd.String("expires"), time.Now()); err != nil {
			return err
		}
	}
	if err := s.Client.DescribeSecret(ctx, orgID, key, description, expires); err != nil {
		return fmt.Errorf("failed to describe secret with key %q: %w", key, err)
	}
	return printSecret(s, secretRow{Key: key, OrgID: orgID})
}
