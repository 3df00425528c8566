// Package secrets has the commands about an organisation's secrets. None of them shows a value; those that use
// values are in package use.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/between"
	"strongroom/cmd/influx/internal/credentials"
	"strongroom/cmd/influx/internal/output"
	"strongroom/cmd/influx/internal/render"
	"strongroom/cmd/influx/internal/rotate"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
	"strongroom/cmd/influx/internal/use"
)

// Command is the command influx secret.
func Command(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "secret",
		Usage: "Secret management commands",
		Commands: append([]*cli.Command{
			listCmd(p), usageCmd(p), showCmd(p), historyCmd(p),
			updateCmd(p), generateCmd(p), importCmd(p), describeCmd(p), deleteCmd(p), restoreCmd(p), undeleteCmd(p),
		}, slices.Concat(use.Commands(p), between.Commands(p),
			[]*cli.Command{render.Command(p), rotate.Command(p), credentials.Command(p)})...),
	}
}

func deleteCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "delete",
		Usage: "Delete secret",
		Description: `The column Deleted says false where there was no such secret, which is no failure. Where the
server keeps deleted secrets, influx secret restore brings it back.`,
		Flags:  session.CommonFlags(session.OrgFlags(keyFlag())...),
		Action: p.Connected(session.Authenticated, deleteSecret),
	}
}

func listCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:    "list",
		Aliases: []string{"find", "ls"},
		Usage:   "List secrets",
		Description: `Lists the names of the organization's secrets, and no value: influx secret get gives one.
With --json: a list of objects {"key", "orgID"}.

   influx secret list --expiring 30d     # what should be replaced within 30 days, and should have been`,
		Flags: session.CommonFlags(session.OrgFlags(
			&cli.StringFlag{
				Name: "expiring",
				Usage: "List those whose values should be replaced before this: a time from now such as 30d, a date " +
					"or a time; 0d for what is overdue",
				Validator: func(s string) error { _, err := expiring(s, time.Now()); return err },
			},
			&cli.BoolFlag{Name: "deleted", Usage: "List deleted secrets that influx secret restore brings back"},
		)...),
		Action: p.Connected(session.Authenticated, listSecrets),
	}
}

func keyFlag() cli.Flag {
	return &cli.StringFlag{
		Name:     "key",
		Aliases:  []string{"k"},
		Usage:    "The secret key (required)",
		Required: true,
		Validator: func(s string) error {
			if s == "" {
				return errors.New("a secret's key is not empty")
			}
			return nil
		},
	}
}

func listSecrets(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	if cmd.Bool("deleted") && cmd.IsSet("expiring") {
		return usage.WithHint(cmd, "give either --deleted or --expiring")
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	switch {
	case cmd.Bool("deleted"):
		return listDeleted(ctx, s, orgID)
	case cmd.IsSet("expiring"):
		before, err := expiring(cmd.String("expiring"), time.Now())
		if err != nil {
			return err
		}
		return listExpiring(ctx, s, orgID, before)
	}
	keys, err := s.Client.SecretKeys(ctx, orgID)
	if err != nil {
		return fmt.Errorf("failed to list secrets: %w", err)
	}
	secrets := make([]secretRow, len(keys))
	for i, key := range keys {
		secrets[i] = secretRow{Key: key, OrgID: orgID}
	}
	if s.Print.AsJSON {
		return s.Print.JSON(secrets)
	}
	return printSecrets(s, secrets...)
}

func deleteSecret(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	key := cmd.String("key")
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	// First, because a deletion answers the same whether there was something to delete. A token may write and not read.
	keys, errList := s.Client.SecretKeys(ctx, orgID)
	// With the key in the body: InfluxDB does not decode one in the path, and keeps the secret.
	if err := s.Client.DeleteSecrets(ctx, orgID, key); err != nil {
		return fmt.Errorf("failed to delete secret with key %q: %w", key, err)
	}
	deleted := true
	switch {
	case errList != nil:
		s.Term.Warn("Note: whether there was a secret %q is not known: %s", key, errList)
	case !slices.Contains(keys, key):
		deleted = false
		s.Term.Warn("Note: there was no secret %q; nothing was deleted", key)
	default:
		tellUndo(ctx, s, orgID, key)
	}
	return printSecret(s, secretRow{Key: key, OrgID: orgID, Deleted: &deleted})
}

// tellUndo says how a secret that was just deleted is brought back, where the server keeps it.
func tellUndo(ctx context.Context, s *session.Session, orgID, key string) {
	info, err := s.Client.Secret(ctx, orgID, key)
	if err != nil || info.DeletedAt == nil {
		return // the store keeps nothing, or the server is InfluxDB
	}
	until := ""
	if info.KeptUntil != nil {
		until = ", until " + output.Stamp(info.KeptUntil)
	}
	s.Term.Warn("To bring it back%s: influx secret restore --org-id %s --key %s", until, orgID, shellWord(key))
}

var plainWord = regexp.MustCompile(`^[\w./:@%+=-]+$`)

// shellWord is a word as it is typed into a shell.
func shellWord(s string) string {
	if plainWord.MatchString(s) && !strings.HasPrefix(s, "-") {
		return s
	}
	return terminal.ShellQuote(s)
}

// secretRow is a secret in tables and JSON; a value is never part of it.
type secretRow struct {
	Key     string `json:"key"`
	OrgID   string `json:"orgID"`
	Deleted *bool  `json:"deleted,omitempty"` // nil where nothing was to be deleted
}

func printSecret(s *session.Session, row secretRow) error {
	if s.Print.AsJSON {
		return s.Print.JSON(row)
	}
	return printSecrets(s, row)
}

func printSecrets(s *session.Session, secrets ...secretRow) error {
	headers := []string{"Key", "Organization ID"}
	var rows [][]string
	for _, secret := range secrets {
		row := []string{secret.Key, secret.OrgID}
		if secret.Deleted != nil {
			headers = []string{"Key", "Organization ID", "Deleted"}
			row = append(row, strconv.FormatBool(*secret.Deleted))
		}
		rows = append(rows, row)
	}
	return s.Print.Table(headers, rows)
}
