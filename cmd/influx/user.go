package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"strongroom/client"
)

func (a *app) userCmd() *cli.Command {
	id := func(required bool) cli.Flag {
		return &cli.StringFlag{Name: "id", Aliases: []string{"i"}, Usage: "The user ID", Required: required, Validator: validID}
	}
	name := func(usage string) *cli.StringFlag {
		return &cli.StringFlag{Name: "name", Aliases: []string{"n"}, Usage: usage}
	}
	password := func() cli.Flag {
		return &cli.StringFlag{Name: "password", Aliases: []string{"p"}, Usage: "The `password`, which then shows in the process list and in the shell's history"}
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
				Flags:  commonFlags(orgFlags(newName, password(), passwordFileFlag())...),
				Action: a.connected(authenticated, createUser),
			},
			{
				Name:   "delete",
				Usage:  "Delete user",
				Flags:  commonFlags(id(true)),
				Action: a.connected(authenticated, deleteUser),
			},
			{
				Name:    "list",
				Aliases: []string{"find", "ls"},
				Usage:   "List users",
				Flags:   commonFlags(id(false), name("The user name")),
				Action:  a.connected(authenticated, listUsers),
			},
			{
				Name:   "update",
				Usage:  "Update user",
				Flags:  commonFlags(id(true), name("The new user name")),
				Action: a.connected(authenticated, updateUser),
			},
			{
				Name:        "password",
				Usage:       "Set the password of a user",
				Description: "Asks for the password twice, without echo, unless a flag gives it. It has 8 to 72 bytes.",
				Flags:       commonFlags(id(false), name("The user name"), password(), passwordFileFlag()),
				Action:      a.connected(authenticated, setUserPassword),
			},
		},
	}
}

func createUser(ctx context.Context, cmd *cli.Command, s *session) error {
	name := cmd.String("name")
	password, err := passwordFromFlags(cmd, s.term)
	if err != nil {
		return err
	}
	orgID, err := s.org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	user, err := s.client.CreateUser(ctx, name)
	if err != nil {
		return fmt.Errorf("failed to create user %q: %w", name, err)
	}
	// The user is there from here on: print it whatever else fails, so that its ID is known.
	if err := s.printUser(user, false); err != nil {
		return err
	}
	if _, err := s.client.AddMember(ctx, orgID, user.ID); err != nil {
		return fmt.Errorf("failed setting org membership for user %q, use `influx org members add` to retry: %w", name, err)
	}
	if password == "" {
		s.term.Warn("WARN: initial password not set for user, use `influx user password` to set it")
		return nil
	}
	if err := s.client.SetPassword(ctx, user.ID, password); err != nil {
		return fmt.Errorf("failed setting password for user %q, use `influx user password` to retry: %w", name, err)
	}
	return nil
}

func deleteUser(ctx context.Context, cmd *cli.Command, s *session) error {
	id := cmd.String("id")
	user, err := s.client.User(ctx, id)
	if err != nil {
		return fmt.Errorf("failed to find user %q: %w", id, err)
	}
	if err := s.client.DeleteUser(ctx, id); err != nil {
		return fmt.Errorf("failed to delete user %q: %w", id, err)
	}
	return s.printUser(user, true)
}

func listUsers(ctx context.Context, cmd *cli.Command, s *session) error {
	users, err := s.client.Users(ctx, client.UserFilter{ID: cmd.String("id"), Name: cmd.String("name")})
	if err != nil {
		return fmt.Errorf("failed to list users: %w", err)
	}
	if s.print.AsJSON {
		if users == nil {
			users = []client.User{}
		}
		return s.print.JSON(users)
	}
	return s.printUsers(false, users...)
}

func updateUser(ctx context.Context, cmd *cli.Command, s *session) error {
	id, name := cmd.String("id"), cmd.String("name")
	if name == "" {
		return errors.New("nothing to update: give --name")
	}
	user, err := s.client.UpdateUser(ctx, id, client.UserUpdate{Name: &name})
	if err != nil {
		return fmt.Errorf("failed to update user %q: %w", id, err)
	}
	return s.printUser(user, false)
}

func setUserPassword(ctx context.Context, cmd *cli.Command, s *session) error {
	id, name := cmd.String("id"), cmd.String("name")
	if id == "" && name == "" {
		return errors.New("must specify user ID or user name")
	}
	shown := firstOf(id, name)
	password, err := passwordFromFlags(cmd, s.term)
	if err != nil {
		return err
	}
	if id == "" {
		user, err := s.userByName(ctx, name)
		if err != nil {
			return err
		}
		id = user.ID
	}
	if password == "" {
		if !s.term.Interactive() {
			password, err = readPassword(s.term, "-")
		} else {
			password, err = s.term.NewSecret(ctx, fmt.Sprintf("Please type new password for %q", shown), checkPassword)
		}
		if err != nil {
			return err
		}
	}
	if err := s.client.SetPassword(ctx, id, password); err != nil {
		return fmt.Errorf("failed to set password for user %q: %w", shown, err)
	}
	_, err = fmt.Fprintf(s.print.Out, "Successfully updated password for user %q\n", shown)
	return err
}

// userByName takes the user of exactly that name, and never the first of a list.
func (s *session) userByName(ctx context.Context, name string) (*client.User, error) {
	users, err := s.client.Users(ctx, client.UserFilter{Name: name})
	if err != nil {
		return nil, fmt.Errorf("failed to find user %q: %w", name, err)
	}
	for i := range users {
		if users[i].Name == name {
			return &users[i], nil
		}
	}
	return nil, fmt.Errorf("no user found with name %q", name)
}

func (s *session) printUser(user *client.User, deleted bool) error {
	if s.print.AsJSON {
		return s.print.JSON(user)
	}
	return s.printUsers(deleted, *user)
}

func (s *session) printUsers(deleted bool, users ...client.User) error {
	rows := make([][]string, len(users))
	for i, u := range users {
		rows[i] = []string{u.ID, u.Name}
	}
	return s.printRows([]string{"ID", "Name"}, rows, deleted)
}
