package accounts

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

// Org is the command influx org.
func Org(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:    "org",
		Aliases: []string{"organization"},
		Usage:   "Organization management commands",
		Commands: []*cli.Command{
			{
				Name:  "create",
				Usage: "Create organization",
				Flags: session.CommonFlags(
					&cli.StringFlag{
						Name:     "name",
						Aliases:  []string{"n"},
						Usage:    "Name to set on the new organization",
						Required: true,
					},
					&cli.StringFlag{Name: "description", Aliases: []string{"d"},
						Usage: "Description to set on the new organization"},
				),
				Action: p.Connected(session.Authenticated, createOrg),
			},
			{
				Name:  "delete",
				Usage: "Delete organization, with its secrets",
				Flags: session.CommonFlags(
					&cli.StringFlag{
						Name:      "id",
						Aliases:   []string{"i"},
						Usage:     "The organization ID",
						Sources:   cli.EnvVars("INFLUX_ORG_ID"),
						Required:  true,
						Validator: session.ValidID,
					},
				),
				Action: p.Connected(session.Authenticated, deleteOrg),
			},
			{
				Name:    "list",
				Aliases: []string{"find", "ls"},
				Usage:   "List organizations",
				Flags:   session.CommonFlags(session.NamedOrgFlags()...),
				Action:  p.Connected(session.Authenticated, listOrgs),
			},
			orgMembersCmd(p),
			{
				Name:  "update",
				Usage: "Update organization",
				Flags: session.CommonFlags(
					&cli.StringFlag{
						Name:      "id",
						Aliases:   []string{"i"},
						Usage:     "The organization ID",
						Sources:   cli.EnvVars("INFLUX_ORG_ID"),
						Required:  true,
						Validator: session.ValidID,
					},
					// Not from INFLUX_ORG, as the original has it: whoever set that to work in one
					// organization would rename another.
					&cli.StringFlag{Name: "name", Aliases: []string{"n"}, Usage: "New name to set on the organization"},
					&cli.StringFlag{
						Name:    "description",
						Aliases: []string{"d"},
						Usage:   "New description to set on the organization",
						Sources: cli.EnvVars("INFLUX_ORG_DESCRIPTION"),
						Validator: func(s string) error {
							if s == "" {
								return errors.New("its value is empty; --no-description removes the description")
							}
							return nil
						},
					},
					&cli.BoolFlag{Name: "no-description", Usage: "Remove the description"},
				),
				Action: p.Connected(session.Authenticated, updateOrg),
			},
		},
	}
}

func listOrgs(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	id, name := session.OrgChoice(cmd, "id", "name")
	orgs, err := s.Client.Orgs(ctx, client.OrgFilter{ID: id, Name: name})
	if err != nil {
		return fmt.Errorf("failed to list organizations: %w", err)
	}
	if s.Print.AsJSON {
		if orgs == nil {
			orgs = []client.Org{}
		}
		return s.Print.JSON(orgs)
	}
	return printOrgs(s, false, orgs...)
}

func createOrg(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	org, err := s.Client.CreateOrg(ctx, cmd.String("name"), cmd.String("description"))
	if err != nil {
		return fmt.Errorf("failed to create organization %q: %w", cmd.String("name"), err)
	}
	return printOrg(s, org, false)
}

func updateOrg(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	id := cmd.String("id")
	var up client.OrgUpdate
	if name := cmd.String("name"); name != "" {
		up.Name = &name
	}
	description := cmd.String("description")
	switch {
	case description != "" && cmd.Bool("no-description"):
		return usage.Mistake("give either --description or --no-description, not both")
	case description != "" || cmd.Bool("no-description"):
		up.Description = &description
	}
	if up == (client.OrgUpdate{}) {
		return usage.Mistake("nothing to update: give --name, --description or --no-description")
	}
	org, err := s.Client.UpdateOrg(ctx, id, up)
	if err != nil {
		return fmt.Errorf("failed to update organization %q: %w", id, err)
	}
	return printOrg(s, org, false)
}

func deleteOrg(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	id := cmd.String("id")
	org, err := s.Client.Org(ctx, id)
	if session.DoesNotOpen(err) {
		org, err = &client.Org{ID: id}, nil
	}
	if err != nil {
		return fmt.Errorf("failed to find organization %q: %w", id, err)
	}
	left, err := s.Client.DeleteOrg(ctx, id)
	if err != nil {
		return fmt.Errorf("failed to delete organization %q: %w", id, err)
	}
	if left != "" {
		s.Term.Warn("%s", left)
	}
	return printOrg(s, org, true)
}

func printOrg(s *session.Session, org *client.Org, deleted bool) error {
	if s.Print.AsJSON {
		return s.Print.JSON(org)
	}
	return printOrgs(s, deleted, *org)
}

func printOrgs(s *session.Session, deleted bool, orgs ...client.Org) error {
	rows := make([][]string, len(orgs))
	for i, org := range orgs {
		rows[i] = []string{org.ID, org.Name}
	}
	return s.PrintRows([]string{"ID", "Name"}, rows, deleted)
}
