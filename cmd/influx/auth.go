package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v3"

	"strongroom/client"
)

func (a *app) authCmd() *cli.Command {
	id := func(required bool) cli.Flag {
		usage := "The authorization ID"
		if required {
			usage += " (required)"
		}
		return &cli.StringFlag{Name: "id", Aliases: []string{"i"}, Usage: usage, Required: required, Validator: validID}
	}
	return &cli.Command{
		Name:    "auth",
		Aliases: []string{"authorization"},
		Usage:   "Authorization management commands",
		Commands: []*cli.Command{
			a.authCreateCmd(),
			{
				Name:   "delete",
				Usage:  "Delete authorization",
				Flags:  commonFlags(id(true)),
				Action: a.connected(authenticated, deleteAuth),
			},
			{
				Name:        "list",
				Aliases:     []string{"find", "ls"},
				Usage:       "List authorizations",
				Description: "Tokens are shown when they are made and never again: the column Token is empty, or says REDACTED, afterwards.",
				Flags: commonFlags(orgFlags(
					id(false),
					&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "The user name"},
					&cli.StringFlag{Name: "user-id", Usage: "The user ID", Validator: validID},
				)...),
				Action: a.connected(authenticated, listAuths),
			},
			{
				Name:   "active",
				Usage:  "Active authorization",
				Flags:  commonFlags(id(true)),
				Action: a.connected(authenticated, setAuthStatus("active")),
			},
			{
				Name:   "inactive",
				Usage:  "Inactive authorization",
				Flags:  commonFlags(id(true)),
				Action: a.connected(authenticated, setAuthStatus("inactive")),
			},
		},
	}
}

func deleteAuth(ctx context.Context, cmd *cli.Command, s *session) error {
	id := cmd.String("id")
	// First, because a deletion answers nothing that could be printed.
	auth, err := s.client.Authorization(ctx, id)
	if err != nil {
		return fmt.Errorf("could not find auth with ID %q: %w", id, err)
	}
	if err := s.client.DeleteAuthorization(ctx, id); err != nil {
		return fmt.Errorf("could not remove auth with ID %q: %w", id, err)
	}
	return s.printAuth(auth, true)
}

func listAuths(ctx context.Context, cmd *cli.Command, s *session) error {
	if id := cmd.String("id"); id != "" {
		auth, err := s.client.Authorization(ctx, id)
		if err != nil {
			return fmt.Errorf("could not find authorization with ID %q: %w", id, err)
		}
		return s.printAuth(auth, false)
	}
	f := client.AuthorizationFilter{User: cmd.String("user"), UserID: cmd.String("user-id")}
	f.OrgID, f.Org = orgChoice(cmd, "org-id", "org")
	auths, err := s.client.Authorizations(ctx, f)
	if err != nil {
		return fmt.Errorf("could not find authorization with given parameters: %w", err)
	}
	// InfluxDB takes one filter of several and leaves the rest out.
	auths = slices.DeleteFunc(auths, func(a client.Authorization) bool {
		return differs(f.User, a.User) || differs(f.UserID, a.UserID) || differs(f.OrgID, a.OrgID) || differs(f.Org, a.Org)
	})
	if s.print.AsJSON {
		rows := make([]authRow, len(auths))
		for i := range auths {
			rows[i] = newAuthRow(&auths[i])
		}
		return s.print.JSON(rows)
	}
	return s.printAuths(false, auths...)
}

func differs(wanted, got string) bool { return wanted != "" && wanted != got }

func setAuthStatus(status string) sessionFunc {
	return func(ctx context.Context, cmd *cli.Command, s *session) error {
		id := cmd.String("id")
		auth, err := s.client.UpdateAuthorization(ctx, id, client.AuthorizationUpdate{Status: &status})
		if err != nil {
			return fmt.Errorf("could not update status of auth with ID %q: %w", id, err)
		}
		return s.printAuth(auth, false)
	}
}

// authRow is an authorization as the original prints it as JSON.
type authRow struct {
	ID          string   `json:"id"`
	Description string   `json:"description"`
	Token       string   `json:"token"`
	Status      string   `json:"status"`
	UserName    string   `json:"userName"`
	UserID      string   `json:"userID"`
	Permissions []string `json:"permissions"`
	ExpiresAt   string   `json:"expiresAt,omitempty"`
}

func newAuthRow(a *client.Authorization) authRow {
	row := authRow{
		ID: a.ID, Description: a.Description, Token: a.Token, Status: a.Status,
		UserName: a.User, UserID: a.UserID, Permissions: make([]string, len(a.Permissions)),
	}
	for i, p := range a.Permissions {
		row.Permissions[i] = p.String()
	}
	if a.ExpiresAt != nil {
		row.ExpiresAt = a.ExpiresAt.UTC().Format("2006-01-02T15:04:05Z")
	}
	return row
}

func (s *session) printAuth(auth *client.Authorization, deleted bool) error {
	if s.print.AsJSON {
		return s.print.JSON(newAuthRow(auth))
	}
	return s.printAuths(deleted, *auth)
}

func (s *session) printAuths(deleted bool, auths ...client.Authorization) error {
	rows := make([][]string, len(auths))
	for i := range auths {
		r := newAuthRow(&auths[i])
		rows[i] = []string{r.ID, r.Description, r.Token, r.UserName, r.UserID, fmt.Sprint(r.Permissions)}
	}
	return s.printRows([]string{"ID", "Description", "Token", "User Name", "User ID", "Permissions"}, rows, deleted)
}
