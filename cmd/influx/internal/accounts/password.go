package accounts

import (
	"fmt"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/usage"
)

func passwordFileFlag() cli.Flag {
	return &cli.StringFlag{
		Name:      "password-file",
		TakesFile: true,
		Usage:     "Read the password from this `file`, or from standard input where it is -",
	}
}

// passwordFromFlags is the password of --password or --password-file, checked; empty where neither is given.
func passwordFromFlags(cmd *cli.Command, term *terminal.Terminal) (string, error) {
	password, path := cmd.String("password"), cmd.String("password-file")
	switch {
	case cmd.IsSet("password") && path != "":
		return "", usage.Mistake("give either --password or --password-file, not both")
	case cmd.IsSet("password"):
		term.Warn(
			"Warning: a password on the command line shows in the process list and in the shell's history; prefer " +
				"--password-file",
		)
		return password, checkPassword(password)
	case path != "":
		return readPassword(term, path)
	}
	return "", nil
}

// readPassword reads one line from a file or, for "-", from standard input.
func readPassword(term *terminal.Terminal, path string) (string, error) {
	raw, err := term.ReadFile(path, 1024)
	if err != nil {
		return "", fmt.Errorf("cannot read the password: %w", err)
	}
	password := string(terminal.TrimSingleLine(raw))
	return password, checkPassword(password)
}

// checkPassword has the server's limits: bcrypt looks at 72 bytes and no more.
func checkPassword(password string) error {
	if len(password) < 8 || len(password) > 72 {
		return usage.Mistake("a password must be 8 to 72 bytes long")
	}
	return nil
}
