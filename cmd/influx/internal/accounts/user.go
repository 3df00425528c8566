package accounts

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/usage"
)

// User is the command influx user.
func User(p *session.Process) *cli.Command {
	id := func(required bool) cli.Flag {
		return &cli.StringFlag{
			Name:      "id",
			Aliases:   []string{"i"},
			Usage:     "The user ID",
			Required:  required,
			Validator: session.ValidID,
		}
	}
	name := func(usage string) *cli.StringFlag {
		return &cli.StringFlag{Name: "name", Aliases: []string{"n"}, Usage: usage}
	}
	password := func() cli.Flag {
		return &cli.StringFlag{
			Name:    "password",
			Aliases: []string{"p"},
			Usage:   "The `password`, which then shows in the process list and in the shell's history",
		}
	}
	newName := name("The user name")
	newName.Required, newName.Sources = true, cli.EnvVars("INFLUX_NAME")
	return &cli.Command{
		Name:  "user",
		Usage: "User management commands",
		Commands: []*cli.Command{
			{
				Name:  "create",
				Usage: "Create user, as a member of an organization",
				Description: `Without a password the user cannot sign in yet: set one with influx user password.
--password-file - reads it from standard input.`,
				Flags:  session.CommonFlags(session.OrgFlags(newName, password(), passwordFileFlag())...),
				Action: p.Connected(session.Authenticated, createUser),
			},
			{
				Name:   "delete",
				Usage:  "Delete user",
				Flags:  session.CommonFlags(id(true)),
				Action: p.Connected(session.Authenticated, deleteUser),
			},
			{
				Name:    "list",
				Aliases: []string{"find", "ls"},
				Usage:   "List users",
				Flags:   session.CommonFlags(id(false), name("The user name")),
				Action:  p.Connected(session.Authenticated, listUsers),
			},
			{
				Name:   "update",
				Usage:  "Update user",
				Flags:  session.CommonFlags(id(true), name("The new user name")),
				Action: p.Connected(session.Authenticated, updateUser),
			},
			{
				Name:        "password",
				Usage:       "Set the password of a user",
				Description: "Asks for the password twice, without echo, unless a flag gives it. It has 8 to 72 bytes.",
				Flags:       session.CommonFlags(id(false), name("The user name"), password(), passwordFileFlag()),
				Action:      p.Connected(session.Authenticated, setUserPassword),
			},
		},
	}
}

func createUser(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	name := cmd.String("name")
	password, err := passwordFromFlags(cmd, s.Term)
	if err != nil {
		return err
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	user, err := s.Client.CreateUser(ctx, name)
	if err != nil {
		return fmt.Errorf("failed to create user %q: %w", name, err)
	}
	// The user is there from here on: print it whatever else fails, so that its ID is known.
	if err := printUser(s, user, false); err != nil {
		return err
	}
	if _, err := s.Client.AddMember(ctx, orgID, user.ID); err != nil {
		return fmt.Errorf("the user %q was made, but is no member of the organization yet; influx org members add "+
			"tries again: %w", name, err)
	}
	if password == "" {
		s.Term.Warn("Warning: the user has no password yet; influx user password sets one")
		return nil
	}
	if err := s.Client.SetPassword(ctx, user.ID, password); err != nil {
		return fmt.Errorf("the user %q was made, but the password was not set; influx user password tries again: %w",
			name, err)
	}
	return nil
}

func deleteUser(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	id := cmd.String("id")
	user, err := s.Client.User(ctx, id)
	if session.DoesNotOpen(err) {
		user, err = &client.User{ID: id}, nil
	}
	if err != nil {
		return fmt.Errorf("failed to find user %q: %w", id, err)
	}
	if err := s.Client.DeleteUser(ctx, id); err != nil {
		return fmt.Errorf("failed to delete user %q: %w", id, err)
	}
	return printUser(s, user, true)
}

func listUsers(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	users, err := s.Client.Users(ctx, client.UserFilter{ID: cmd.String("id"), Name: cmd.String("name")})
	if err != nil {
		return fmt.Errorf("failed to list users: %w", err)
	}
	if s.Print.AsJSON {
		if users == nil {
			users = []client.User{}
		}
		return s.Print.JSON(users)
	}
	return printUsers(s, false, users...)
}

func updateUser(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	id, name := cmd.String("id"), cmd.String("name")
	if name == "" {
		return usage.Mistake("nothing to update: give --name")
	}
	user, err := s.Client.UpdateUser(ctx, id, client.UserUpdate{Name: &name})
	if err != nil {
		return fmt.Errorf("failed to update user %q: %w", id, err)
	}
	return printUser(s, user, false)
}

func setUserPassword(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	id, name := cmd.String("id"), cmd.String("name")
	if id == "" && name == "" {
		return usage.Mistake("name the user with --id or --name")
	}
	shown := session.FirstOf(id, name)
	password, err := passwordFromFlags(cmd, s.Term)
	if err != nil {
		return err
	}
	if id == "" {
		user, err := s.UserByName(ctx, name)
		if err != nil {
			return err
		}
		id = user.ID
	}
	if password == "" {
		if !s.Term.Interactive() {
			password, err = readPassword(s.Term, "-")
		} else {
			password, err = s.Term.NewSecret(ctx, fmt.Sprintf("Please type new password for %q", shown), checkPassword)
		}
		if err != nil {
			return err
		}
	}
	if err := s.Client.SetPassword(ctx, id, password); err != nil {
		return fmt.Errorf("failed to set password for user %q: %w", shown, err)
	}
	if s.Print.AsJSON {
		return s.Print.JSON(map[string]string{"id": id})
	}
	_, err = fmt.Fprintf(s.Print.Out, "Successfully updated password for user %q\n", shown)
	return err
}

func printUser(s *session.Session, user *client.User, deleted bool) error {
	if s.Print.AsJSON {
		return s.Print.JSON(user)
	}
	return printUsers(s, deleted, *user)
}

func printUsers(s *session.Session, deleted bool, users ...client.User) error {
	// The original's columns first: scripts cut them apart by their place.
	headers := []string{"ID", "Name"}
	if !deleted {
		headers = append(headers, "Status")
	}
	rows := make([][]string, len(users))
	for i, u := range users {
		rows[i] = []string{u.ID, u.Name}
		if !deleted {
			rows[i] = append(rows[i], u.Status)
		}
	}
	return s.PrintRows(headers, rows, deleted)
}
