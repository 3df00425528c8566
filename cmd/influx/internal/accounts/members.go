package accounts

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/session"
)

func orgMembersCmd(p *session.Process) *cli.Command {
	member := func() cli.Flag {
		return &cli.StringFlag{
			Name:      "member",
			Aliases:   []string{"m"},
			Usage:     "The member ID",
			Required:  true,
			Validator: session.ValidID,
		}
	}
	return &cli.Command{
		Name:  "members",
		Usage: "Organization membership commands",
		Commands: []*cli.Command{
			{
				Name:  "add",
				Usage: "Add organization member",
				Flags: session.CommonFlags(session.NamedOrgFlags(member())...),
				Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
					s *session.Session) error {
					return changeMember(ctx, cmd, s, true, func(ctx context.Context, orgID, userID string) error {
						_, err := s.Client.AddMember(ctx, orgID, userID)
						return err
					})
				}),
			},
			{
				Name:    "list",
				Aliases: []string{"find", "ls"},
				Usage:   "List organization owners and members",
				Flags:   session.CommonFlags(session.NamedOrgFlags()...),
				Action:  p.Connected(session.Authenticated, listMembers),
			},
			{
				Name:  "remove",
				Usage: "Remove organization member",
				Flags: session.CommonFlags(session.NamedOrgFlags(member())...),
				Action: p.Connected(session.Authenticated, func(ctx context.Context, cmd *cli.Command,
					s *session.Session) error {
					return changeMember(ctx, cmd, s, false, s.Client.RemoveMember)
				}),
			},
		},
	}
}

// changeMember makes a change, after which the user is a member or is not.
func changeMember(
	ctx context.Context, cmd *cli.Command, s *session.Session, member bool,
	change func(ctx context.Context, orgID, userID string) error,
) error {
	done := "removed from"
	if member {
		done = "added as a member of"
	}
	orgID, err := s.Org(ctx, cmd, "id", "name")
	if err != nil {
		return err
	}
	userID := cmd.String("member")
	if err := change(ctx, orgID, userID); err != nil {
		return fmt.Errorf("user %q could not be %s organization %q: %w", userID, done, orgID, err)
	}
	if !member {
		s.Term.Warn("To undo it: influx org members add --id %s --member %s", orgID, userID)
	}
	if s.Print.AsJSON {
		return s.Print.JSON(map[string]any{"userID": userID, "orgID": orgID, "member": member})
	}
	_, err = fmt.Fprintf(s.Print.Out, "user %q has been %s org %q\n", userID, done, orgID)
	return err
}

func listMembers(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	orgID, err := s.Org(ctx, cmd, "id", "name")
	if err != nil {
		return err
	}
	owners, err := s.Client.Owners(ctx, orgID)
	if err != nil {
		return fmt.Errorf("failed to list owners of organization %q: %w", orgID, err)
	}
	members, err := s.Client.Members(ctx, orgID)
	if err != nil {
		return fmt.Errorf("failed to list members of organization %q: %w", orgID, err)
	}
	for i := range owners {
		owners[i].Role = session.FirstOf(owners[i].Role, "owner")
	}
	members = append(owners, members...)
	if s.Print.AsJSON {
		if members == nil {
			members = []client.Member{}
		}
		return s.Print.JSON(members)
	}
	rows := make([][]string, len(members))
	for i, m := range members {
		rows[i] = []string{m.ID, m.Name, session.FirstOf(m.Role, "member"), m.Status}
	}
	return s.Print.Table([]string{"ID", "Name", "User Type", "Status"}, rows)
}
