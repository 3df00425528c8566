package secrets

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
)

// maxValue is over what the server takes with its default limits for a body; the server has the last word.
const maxValue = 4 << 20

func updateCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "update",
		Usage: "Update secret, or create it",
		Description: `The value comes from --value-file, or from standard input where something is piped in, or else is
asked for twice without echo:

   influx secret update -k tls-key --value-file server.pem
   pass show db | influx secret update -k db-password
   influx secret update -k db-password

A value of one line loses the line break at its end, which echo, editors and most programs add. A
value of more lines, such as a PEM file, is stored byte for byte. --keep-newline stores a single
line byte for byte, too. Values are text in UTF-8; encode anything else, for example with base64.`,
		Flags: session.CommonFlags(session.OrgFlags(
			keyFlag(),
			&cli.StringFlag{
				Name:    "value",
				Aliases: []string{"v"},
				Usage:   "The `value`, which then shows in the process list and in the shell's history",
				Validator: func(s string) error {
					if s == "" {
						return errors.New("its value is empty; --empty stores an empty secret")
					}
					return nil
				},
			},
			&cli.StringFlag{
				Name:      "value-file",
				TakesFile: true,
				Usage:     "Read the value from this `file`, or from standard input where it is -",
			},
			&cli.BoolFlag{Name: "keep-newline", Usage: "Keep the line break at the end of a value of one line"},
			&cli.BoolFlag{Name: "empty", Usage: "Store an empty value"},
			&cli.BoolFlag{
				Name: "new",
				Usage: "Only create: fail and change nothing where the secret exists (InfluxDB's own server " +
					"ignores this)",
			},
		)...),
		Action: p.Connected(session.Authenticated, updateSecret),
	}
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

// secretValue is what the flags, standard input or the person at the terminal give as a value. One that is empty must
// be asked for by --empty: it comes from a variable that is not set, or a program that failed, nearly always.
func secretValue(ctx context.Context, cmd *cli.Command, s *session.Session) (string, error) {
	path := cmd.String("value-file")
	given := 0
	for _, name := range []string{"value", "value-file", "empty"} {
		if cmd.IsSet(name) {
			given++
		}
	}
	if given > 1 {
		return "", usage.Mistake("give one of --value, --value-file and --empty")
	}
	if cmd.Bool("empty") {
		return "", nil
	}
	if cmd.IsSet("value") {
		s.Term.Warn(
			"Warning: a value on the command line shows in the process list and in the shell's history; prefer " +
				"--value-file or standard input",
		)
		return cmd.String("value"), utf8Only([]byte(cmd.String("value")))
	}
	if path == "" && s.Term.Interactive() {
		return s.Term.NewSecret(ctx, "Please type your secret", notEmpty)
	}
	raw, err := s.Term.ReadFile(session.FirstOf(path, "-"), maxValue)
	if err != nil {
		return "", usage.Mistake("cannot read the value: %w", err)
	}
	if !cmd.Bool("keep-newline") {
		raw = terminal.TrimSingleLine(raw)
	}
	if err := notEmpty(string(raw)); err != nil {
		return "", err
	}
	return string(raw), utf8Only(raw)
}

func notEmpty(value string) error {
	if value == "" {
		return usage.Mistake("the value is empty; --empty stores an empty one")
	}
	return nil
}

func utf8Only(raw []byte) error {
	if !utf8.Valid(raw) {
		return usage.Mistake(
			"the value is not text in UTF-8, which is all a secret can be; encode it, for example with base64",
		)
	}
	return nil
}
