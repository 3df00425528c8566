package system

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
)

// sealPoll is how often a rotation's progress is asked for.
const sealPoll = 200 * time.Millisecond

// Seal is the command influx seal.
func Seal(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:        "seal",
		Usage:       "Show and change what the server's embedded data are sealed with",
		Description: "Needs an operator token. Of a server that does not run, influxd seal does the same.",
		Commands: []*cli.Command{
			{
				Name:   "status",
				Usage:  "Show the seal, and how far a rotation is",
				Flags:  session.CommonFlags(),
				Action: p.Connected(session.Authenticated, sealStatus),
			},
			{
				Name:  "rotate",
				Usage: "Seal everything anew with new data keys, while the server runs",
				Flags: session.CommonFlags(
					&cli.BoolFlag{Name: "no-wait",
						Usage: "Do not wait for the end; influx seal status tells how far it is"},
				),
				Action: p.Connected(session.Authenticated, sealRotate),
			},
			{
				Name:  "change",
				Usage: "Make a new root key, under the same seal or another",
				Description: `The server's configuration must name the new seal from its next start on:

   influx seal change                                           # a new root key, under the same seal
   influx seal change --to key-file --key-file /etc/sr/new.key  # the file is made on the server
   influx seal change --to passphrase                           # asked for twice, without echo
   influx seal change --to transit --transit-key strongroom     # a key in the Vault of the server's configuration`,
				Flags: session.CommonFlags(
					&cli.StringFlag{Name: "to", Usage: "The `seal` to change to: key-file, passphrase or transit"},
					&cli.StringFlag{Name: "key-file",
						Usage: "The `path` of the key file on the server, made where it is missing"},
					&cli.StringFlag{
						Name:      "passphrase-file",
						TakesFile: true,
						Usage: "Read the passphrase from this `file`'s first line, or from standard input " +
							"where it is -",
					},
					&cli.StringFlag{
						Name:  "transit-key",
						Usage: "The `name` of the key in Vault; without it, the one of the server's configuration",
					},
					&cli.StringFlag{
						Name: "transit-mount",
						Usage: "The `path` at which the transit engine is mounted in Vault; without it, as the " +
							"server's configuration says",
					},
				),
				Action: p.Connected(session.Authenticated, sealChange),
			},
		},
	}
}

func sealStatus(ctx context.Context, _ *cli.Command, s *session.Session) error {
	status, err := s.Client.Seal(ctx)
	return printSeal(s, status, err)
}

func sealRotate(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	status, err := s.Client.RotateSeal(ctx)
	for err == nil && !cmd.Bool("no-wait") && status.Rotation.State == "running" {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(sealPoll):
		}
		status, err = s.Client.Seal(ctx)
	}
	return printSeal(s, status, err)
}

func sealChange(ctx context.Context, cmd *cli.Command, s *session.Session) error {
	to := client.SealChange{
		Type: cmd.String("to"), KeyFile: cmd.String("key-file"),
		TransitKey: cmd.String("transit-key"), TransitMount: cmd.String("transit-mount"),
	}
	file := cmd.String("passphrase-file")
	if (to.KeyFile != "" && to.Type != "key-file") || (file != "" && to.Type != "passphrase") {
		return usage.Mistake("--key-file needs --to key-file, and --passphrase-file needs --to passphrase")
	}
	if to.TransitKey+to.TransitMount != "" && to.Type != "transit" {
		return usage.Mistake("--transit-key and --transit-mount need --to transit")
	}
	if to.Type == "passphrase" {
		var err error
		if to.Passphrase, err = sealPassphrase(ctx, file, s); err != nil {
			return err
		}
	}
	status, err := s.Client.ChangeSeal(ctx, to)
	return printSeal(s, status, err)
}

func sealPassphrase(ctx context.Context, file string, s *session.Session) (string, error) {
	if file == "" && s.Term.Interactive() {
		return s.Term.NewSecret(ctx, "Please type the new passphrase", validPassphrase)
	}
	raw, err := s.Term.ReadFile(session.FirstOf(file, "-"), 4096)
	if err != nil {
		return "", err
	}
	passphrase := string(terminal.TrimSingleLine(raw))
	return passphrase, validPassphrase(passphrase)
}

func validPassphrase(passphrase string) error {
	if passphrase == "" {
		return usage.Mistake("the passphrase is empty")
	}
	return nil
}

func printSeal(s *session.Session, status *client.SealStatus, err error) error {
	if err != nil {
		return err
	}
	if s.Print.AsJSON {
		return s.Print.JSON(status)
	}
	if status.Seal.Restart != "" {
		s.Term.Warn("Note: " + status.Seal.Restart)
	}
	r := status.Rotation
	rotation := r.State
	if r.State != "idle" {
		rotation = fmt.Sprintf("%s: %d of %d organizations, %d records", r.State, r.Orgs, r.AllOrgs, r.Records)
	}
	if r.Message != "" {
		rotation += " (" + r.Message + ")"
	}
	return s.Print.Table([]string{"Seal", "Key ID", "Since", "Term", "Names", "Rotation"}, [][]string{{
		status.Seal.Type, status.Seal.KeyID, status.Seal.Since.UTC().Format(time.RFC3339), fmt.Sprint(status.Term),
		status.Names, rotation,
	}})
}
