package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"strongroom/client"
)

func (a *app) orgCmd() *cli.Command {
	return &cli.Command{
		Name:    "org",
		Aliases: []string{"organization"},
		Usage:   "Organization management commands",
		Commands: []*cli.Command{
			{
				Name:  "create",
				Usage: "Create organization",
				Flags: commonFlags(
					&cli.StringFlag{Name: "name", Aliases: []string{"n"}, Usage: "Name to set on the new organization", Required: true},
					&cli.StringFlag{Name: "description", Aliases: []string{"d"}, Usage: "Description to set on the new organization"},
				),
				Action: a.connected(authenticated, createOrg),
			},
			{
				Name:  "delete",
				Usage: "Delete organization, with its secrets",
				Flags: commonFlags(
					&cli.StringFlag{Name: "id", Aliases: []string{"i"}, Usage: "The organization ID", Sources: cli.EnvVars("INFLUX_ORG_ID"), Required: true, Validator: validID},
				),
				Action: a.connected(authenticated, deleteOrg),
			},
			{
				Name:    "list",
				Aliases: []string{"find", "ls"},
				Usage:   "List organizations",
				Flags:   commonFlags(namedOrgFlags()...),
				Action:  a.connected(authenticated, listOrgs),
			},
			a.orgMembersCmd(),
			{
				Name:  "update",
				Usage: "Update organization",
				Flags: commonFlags(
					&cli.StringFlag{Name: "id", Aliases: []string{"i"}, Usage: "The organization ID", Sources: cli.EnvVars("INFLUX_ORG_ID"), Required: true, Validator: validID},
					&cli.StringFlag{Name: "name", Aliases: []string{"n"}, Usage: "New name to set on the organization", Sources: cli.EnvVars("INFLUX_ORG")},
					&cli.StringFlag{Name: "description", Aliases: []string{"d"}, Usage: "New description to set on the organization", Sources: cli.EnvVars("INFLUX_ORG_DESCRIPTION")},
				),
				Action: a.connected(authenticated, updateOrg),
			},
		},
	}
}

func listOrgs(ctx context.Context, cmd *cli.Command, s *session) error {
	id, name := orgChoice(cmd, "id", "name")
	orgs, err := s.client.Orgs(ctx, client.OrgFilter{ID: id, Name: name})
	if err != nil {
		return fmt.Errorf("failed to list organizations: %w", err)
	}
	if s.print.AsJSON {
		if orgs == nil {
			orgs = []client.Org{}
		}
		return s.print.JSON(orgs)
	}
	return s.printOrgs(false, orgs...)
}

func createOrg(ctx context.Context, cmd *cli.Command, s *session) error {
	org, err := s.client.CreateOrg(ctx, cmd.String("name"), cmd.String("description"))
	if err != nil {
		return fmt.Errorf("failed to create organization %q: %w", cmd.String("name"), err)
	}
	return s.printOrg(org, false)
}

func updateOrg(ctx context.Context, cmd *cli.Command, s *session) error {
	id := cmd.String("id")
	var up client.OrgUpdate
	// An empty name is no name; an empty description is one.
	if name := cmd.String("name"); name != "" {
		up.Name = &name
	}
	if cmd.IsSet("description") {
		description := cmd.String("description")
		up.Description = &description
	}
	if up == (client.OrgUpdate{}) {
		return errors.New("nothing to update: give --name or --description")
	}
	org, err := s.client.UpdateOrg(ctx, id, up)
	if err != nil {
		return fmt.Errorf("failed to update organization %q: %w", id, err)
	}
	return s.printOrg(org, false)
}

func deleteOrg(ctx context.Context, cmd *cli.Command, s *session) error {
	id := cmd.String("id")
	org, err := s.client.Org(ctx, id)
	if err != nil {
		return fmt.Errorf("failed to find organization %q: %w", id, err)
	}
	if err := s.client.DeleteOrg(ctx, id); err != nil {
		return fmt.Errorf("failed to delete organization %q: %w", id, err)
	}
	return s.printOrg(org, true)
}

func (s *session) printOrg(org *client.Org, deleted bool) error {
	if s.print.AsJSON {
		return s.print.JSON(org)
	}
	return s.printOrgs(deleted, *org)
}

func (s *session) printOrgs(deleted bool, orgs ...client.Org) error {
	rows := make([][]string, len(orgs))
	for i, org := range orgs {
		rows[i] = []string{org.ID, org.Name}
	}
	return s.printRows([]string{"ID", "Name"}, rows, deleted)
}

// printRows prints a table, with a column that says so where the rows are of things just deleted.
func (s *session) printRows(headers []string, rows [][]string, deleted bool) error {
	if deleted {
		headers = append(headers, "Deleted")
		for i := range rows {
			rows[i] = append(rows[i], "true")
		}
	}
	return s.print.Table(headers, rows)
}
