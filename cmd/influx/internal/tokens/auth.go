// Package tokens has the command auth: authorizations, which are tokens and what they may do, and the roles by which
// machines get tokens.
package tokens

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/duration"
	"strongroom/cmd/influx/internal/output"
	"strongroom/cmd/influx/internal/session"
)

// Auth is the command influx auth.
func Auth(p *session.Process) *cli.Command {
	id := func(required bool) cli.Flag {
		usage := "The authorization ID"
		if required {
			usage += " (required)"
		}
		return &cli.StringFlag{
			Name:      "id",
			Aliases:   []string{"i"},
			Usage:     usage,
			Required:  required,
			Validator: session.ValidID,
		}
	}
	return &cli.Command{
		Name:    "auth",
		Aliases: []string{"authorization"},
		Usage:   "Authorization management commands",
		Commands: []*cli.Command{
			authCreateCmd(p),
			appRoleCmd(p),
			{
				Name:   "delete",
				Usage:  "Delete authorization",
				Flags:  session.CommonFlags(id(true)),
				Action: p.Connected(session.Authenticated, deleteAuth),
			},
			{
				Name:    "list",
				Aliases: []string{"find", "ls"},
				Usage:   "List authorizations",
				Description: "Tokens are shown when they are made and never again: the column Token is empty, or " +
					"says REDACTED, afterwards.",
				Flags: session.CommonFlags(session.OrgFlags(
					id(false),
					&cli.StringFlag{Name: "user", Aliases: []string{"u"}, Usage: "The user name"},
					&cli.StringFlag{Name: "user-id", Usage: "The user ID", Validator: session.ValidID},
				)...),
				Action: p.Connected(session.Authenticated, listAuths),
			},
			{
				Name:   "active",
				Usage:  "Activate authorization",
				Flags:  session.CommonFlags(id(true)),
				Action: p.Connected(session.Authenticated, setAuthStatus("active")),
			},
			{
				Name:   "inactive",
				Usage:  "Deactivate authorization; active undoes it",
				Flags:  session.CommonFlags(id(true)),
				Action: p.Connected(session.Authenticated, setAuthStatus("inactive")),
			},
		},
	}
}

func deleteAuth(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	id := cmd.String("id")
	// First, because a deletion answers nothing that could be printed.
	auth, err := s.Client.Authorization(ctx, id)
	if session.DoesNotOpen(err) {
		auth, err = &client.Authorization{ID: id}, nil
	}
	if err != nil {
		return fmt.Errorf("failed to find authorization %q: %w", id, err)
	}
	if err := s.Client.DeleteAuthorization(ctx, id); err != nil {
		return fmt.Errorf("failed to delete authorization %q: %w", id, err)
	}
	return printAuth(s, auth, true)
}

func listAuths(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	if id := cmd.String("id"); id != "" {
		auth, err := s.Client.Authorization(ctx, id)
		if err != nil {
			return fmt.Errorf("failed to find authorization %q: %w", id, err)
		}
		return printAuth(s, auth, false)
	}
	f := client.AuthorizationFilter{User: cmd.String("user"), UserID: cmd.String("user-id")}
	f.OrgID, f.Org = session.OrgChoice(cmd, "org-id", "org")
	auths, err := s.Client.Authorizations(ctx, f)
	if err != nil {
		return fmt.Errorf("failed to list authorizations: %w", err)
	}
	// InfluxDB takes one filter of several and leaves the rest out.
	auths = slices.DeleteFunc(auths, func(a client.Authorization) bool {
		return differs(f.User, a.User) || differs(f.UserID, a.UserID) || differs(f.OrgID, a.OrgID) ||
			differs(f.Org, a.Org)
	})
	if s.Print.AsJSON {
		rows := make([]authRow, len(auths))
		for i := range auths {
			rows[i] = newAuthRow(&auths[i])
		}
		return s.Print.JSON(rows)
	}
	return printAuths(s, false, auths...)
}

func differs(wanted, got string) bool { return wanted != "" && wanted != got }

func setAuthStatus(status string) session.Func {
	return func(ctx context.Context, cmd *cli.Command, s *session.Session) error {
		id := cmd.String("id")
		auth, err := s.Client.UpdateAuthorization(ctx, id, client.AuthorizationUpdate{Status: &status})
		if err != nil {
			return fmt.Errorf("failed to change the status of authorization %q: %w", id, err)
		}
		return printAuth(s, auth, false)
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
	LastUsedAt  string   `json:"lastUsedAt,omitempty"` // to about a minute; never where it is not there
}

func newAuthRow(a *client.Authorization) authRow {
	row := authRow{
		ID: a.ID, Description: a.Description, Token: a.Token, Status: a.Status,
		UserName: a.User, UserID: a.UserID, Permissions: make([]string, len(a.Permissions)),
	}
	for i, p := range a.Permissions {
		row.Permissions[i] = p.String()
	}
	row.ExpiresAt, row.LastUsedAt = output.Stamp(a.ExpiresAt), output.Stamp(a.LastUsedAt)
	return row
}

func printAuth(s *session.Session, auth *client.Authorization, deleted bool) error {
	if s.Print.AsJSON {
		return s.Print.JSON(newAuthRow(auth))
	}
	return printAuths(s, deleted, *auth)
}

func printAuths(s *session.Session, deleted bool, auths ...client.Authorization) error {
	// The original's columns first: scripts cut them apart by their place.
	headers := []string{"ID", "Description", "Token", "User Name", "User ID", "Permissions"}
	if !deleted {
		headers = append(headers, "Status", "Expires", "Last Used")
	}
	rows := make([][]string, len(auths))
	for i := range auths {
		r := newAuthRow(&auths[i])
		rows[i] = []string{r.ID, r.Description, r.Token, r.UserName, r.UserID, fmt.Sprint(r.Permissions)}
		if !deleted {
			rows[i] = append(
				rows[i],
				r.Status,
				session.FirstOf(r.ExpiresAt, duration.Never),
				session.FirstOf(r.LastUsedAt, duration.Never),
			)
		}
	}
	return s.PrintRows(headers, rows, deleted)
}
