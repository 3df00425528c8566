// Package secrets has the commands about an organisation's secrets. None of them shows a value.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
)

// maxValue is over what the server takes with its default limits for a body; the server has the last word.
const maxValue = 4 << 20

// Command is the command influx secret.
func Command(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "secret",
		Usage: "Secret management commands",
		Commands: append(historyCmds(p), []*cli.Command{
			{
				Name:   "delete",
				Usage:  "Delete secret",
				Flags:  session.CommonFlags(session.OrgFlags(keyFlag())...),
				Action: p.Connected(session.Authenticated, deleteSecret),
			},
			{
				Name:    "list",
				Aliases: []string{"find", "ls"},
				Usage:   "List secrets",
				Description: `Lists the names of the organization's secrets; no command shows a value.
With --json: a list of objects {"key", "orgID"}.`,
				Flags:  session.CommonFlags(session.OrgFlags()...),
				Action: p.Connected(session.Authenticated, listSecrets),
			},
			{
				Name:  "update",
				Usage: "Update secret, or create it",
				Description: `The value comes from --value-file, or from standard input where something is piped in, or else is asked for twice
without echo:

   influx secret update -k tls-key --value-file server.pem
   pass show db | influx secret update -k db-password
   influx secret update -k db-password

A value of one line loses the line break at its end, which echo, editors and most programs add. A value of more lines,
such as a PEM file, is stored byte for byte. --keep-newline stores a single line byte for byte, too.
Values are text in UTF-8; encode anything else, for example with base64.`,
				Flags: session.CommonFlags(session.OrgFlags(
					keyFlag(),
					&cli.StringFlag{Name: "value", Aliases: []string{"v"}, Usage: "The `value`, which then shows in the process list and in the shell's history"},
					&cli.StringFlag{Name: "value-file", TakesFile: true, Usage: "Read the value from this `file`, or from standard input where it is -"},
					&cli.BoolFlag{Name: "keep-newline", Usage: "Keep the line break at the end of a value of one line"},
					&cli.BoolFlag{Name: "new", Usage: "Only create: fail and change nothing where the secret exists (InfluxDB's own server ignores this)"},
				)...),
				Action: p.Connected(session.Authenticated, updateSecret),
			},
		}...),
	}
}

func keyFlag() cli.Flag {
	return &cli.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "The secret key (required)", Required: true, Validator: func(s string) error {
		if s == "" {
			return errors.New("a secret's key is not empty")
		}
		return nil
	}}
}

func listSecrets(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
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

func updateSecret(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	key := cmd.String("key")
	// The value first: what cannot be read is not worth a request.
	value, err := secretValue(ctx, cmd, s)
	if err != nil {
		return err
	}
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	set := s.Client.SetSecrets
	if cmd.Bool("new") {
		set = s.Client.CreateSecrets
	}
	if err := set(ctx, orgID, map[string]string{key: value}); err != nil {
		return fmt.Errorf("failed to update secret with key %q: %w", key, err)
	}
	return printSecret(s, secretRow{Key: key, OrgID: orgID})
}

func deleteSecret(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	key := cmd.String("key")
	orgID, err := s.Org(ctx, cmd, "org-id", "org")
	if err != nil {
		return err
	}
	// With the key in the body: InfluxDB does not decode one in the path, and keeps the secret.
	if err := s.Client.DeleteSecrets(ctx, orgID, key); err != nil {
		return fmt.Errorf("failed to delete secret with key %q: %w", key, err)
	}
	return printSecret(s, secretRow{Key: key, OrgID: orgID, Deleted: true})
}

func secretValue(ctx context.Context, cmd *cli.Command, s *session.Session) (string, error) {
	path := cmd.String("value-file")
	if cmd.IsSet("value") {
		if path != "" {
			return "", errors.New("give either --value or --value-file, not both")
		}
		s.Term.Warn("Warning: a value on the command line shows in the process list and in the shell's history; prefer --value-file or standard input")
		return cmd.String("value"), utf8Only([]byte(cmd.String("value")))
	}
	if path == "" && s.Term.Interactive() {
		return s.Term.NewSecret(ctx, "Please type your secret", notEmpty)
	}
	raw, err := s.Term.ReadFile(session.FirstOf(path, "-"), maxValue)
	if err != nil {
		return "", fmt.Errorf("cannot read the value: %w", err)
	}
	if len(raw) == 0 {
		return "", errors.New("the value is empty: nothing came from the file or standard input; give --value '' to store an empty one")
	}
	if !cmd.Bool("keep-newline") {
		raw = terminal.TrimSingleLine(raw)
	}
	return string(raw), utf8Only(raw)
}

func notEmpty(value string) error {
	if value == "" {
		return errors.New("the value is empty; give --value '' to store an empty one")
	}
	return nil
}

func utf8Only(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("the value is not text in UTF-8, which is all a secret can be; encode it, for example with base64")
	}
	return nil
}

// secretRow is a secret in tables and JSON; a value is never part of it.
type secretRow struct {
	Key     string `json:"key"`
	OrgID   string `json:"orgID"`
	Deleted bool   `json:"deleted,omitempty"`
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
		if secret.Deleted {
			headers = []string{"Key", "Organization ID", "Deleted"}
			row = append(row, "true")
		}
		rows = append(rows, row)
	}
	return s.Print.Table(headers, rows)
}
