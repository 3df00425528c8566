package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"strongroom/client"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/usage"
)

// Flags are made anew for each command, because a flag keeps the value it was given.

// shared puts flags that most commands have behind a command's own in its help.
func shared(flags ...cli.Flag) []cli.Flag {
	for _, f := range flags {
		f.(cli.CategorizableFlag).SetCategory("Of most commands:")
	}
	return flags
}

// ConfigsPathFlag names the profiles file.
func ConfigsPathFlag() cli.Flag {
	return &cli.StringFlag{
		Name:        "configs-path",
		Usage:       "Path to the influx CLI configurations",
		Sources:     cli.EnvVars("INFLUX_CONFIGS_PATH"),
		DefaultText: "~/.influxdbv2/configs",
	}
}

// ConnectFlags returns the flags of every command that speaks to the server.
func ConnectFlags() []cli.Flag {
	return shared(
		&cli.StringFlag{
			Name:        "host",
			Usage:       "HTTP address of InfluxDB",
			Sources:     cli.EnvVars("INFLUX_HOST"),
			DefaultText: "the profile's, or " + DefaultHost,
		},
		&cli.BoolFlag{
			Name:    "skip-verify",
			Usage:   "Skip TLS certificate chain and host name verification",
			Sources: cli.EnvVars("INFLUX_SKIP_VERIFY"),
		},
		&cli.StringFlag{
			Name: "client-cert",
			Usage: "File with a certificate (PEM) to show to a server that asks its clients for one; with " +
				"--client-key",
			Sources:   cli.EnvVars("INFLUX_CLIENT_CERT"),
			TakesFile: true,
		},
		&cli.StringFlag{
			Name:      "client-key",
			Usage:     "File with the private key of --client-cert (PEM)",
			Sources:   cli.EnvVars("INFLUX_CLIENT_KEY"),
			TakesFile: true,
		},
		ConfigsPathFlag(),
		&cli.StringFlag{
			Name:    "active-config",
			Aliases: []string{"c"},
			Usage:   "Config name to use for this command",
			Sources: cli.EnvVars("INFLUX_ACTIVE_CONFIG"),
		},
		&cli.StringFlag{
			Name:        "timeout",
			Usage:       "The longest `time` that one request may take, its answer included, such as 10s or 2m",
			DefaultText: client.DefaultTimeout.String(),
			Validator:   validTimeout,
		},
		&cli.BoolFlag{
			Name:  "http-debug",
			Usage: "Print requests and answers to standard error, without tokens, passwords and values of secrets",
		},
	)
}

// PrintFlags returns the flags of every command that prints a table.
func PrintFlags() []cli.Flag {
	return shared(
		&cli.BoolFlag{Name: "json", Usage: "Output data as JSON", Sources: cli.EnvVars("INFLUX_OUTPUT_JSON")},
		&cli.BoolFlag{
			Name:    "hide-headers",
			Usage:   "Hide the table headers in output data",
			Sources: cli.EnvVars("INFLUX_HIDE_HEADERS"),
		},
	)
}

func tokenFlag() cli.Flag {
	return &cli.StringFlag{
		Name:    "token",
		Aliases: []string{"t"},
		Usage:   "Authentication token",
		Sources: cli.EnvVars("INFLUX_TOKEN"),
	}
}

// CommonFlags returns the flags of a command that needs a token and prints a table, followed by its own.
func CommonFlags(own ...cli.Flag) []cli.Flag {
	flags := append(ConnectFlags(), PrintFlags()...)
	return append(append(flags, shared(tokenFlag())...), own...)
}

// OrgFlags choose the organisation a command is about.
func OrgFlags(own ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{
			Name:      "org-id",
			Usage:     "The ID of the organization",
			Sources:   cli.EnvVars("INFLUX_ORG_ID"),
			Validator: ValidID,
		},
		&cli.StringFlag{
			Name:        "org",
			Aliases:     []string{"o"},
			Usage:       "The name of the organization",
			Sources:     cli.EnvVars("INFLUX_ORG"),
			DefaultText: "the profile's",
		},
	}, own...)
}

// NamedOrgFlags choose an organisation in the commands that are about organisations.
func NamedOrgFlags(own ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{
			Name:    "name",
			Aliases: []string{"n"},
			Usage:   "The organization name",
			Sources: cli.EnvVars("INFLUX_ORG"),
		},
		&cli.StringFlag{
			Name:      "id",
			Aliases:   []string{"i"},
			Usage:     "The organization ID",
			Sources:   cli.EnvVars("INFLUX_ORG_ID"),
			Validator: ValidID,
		},
	}, own...)
}

// SharedFlags returns the flags that are understood before a command, too.
func SharedFlags() []cli.Flag { return CommonFlags(OrgFlags()...) }

// WantsJSON says whether a command line, which may be a wrong one, asks for JSON.
func WantsJSON(args []string) bool {
	on, err := strconv.ParseBool(os.Getenv("INFLUX_OUTPUT_JSON"))
	on = on && err == nil
	for _, arg := range args {
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		switch {
		case arg == "--":
			return on
		case name != "-json" && name != "json" || arg == "json":
		case !hasValue:
			on = true
		default:
			on, err = strconv.ParseBool(value)
			on = on && err == nil
		}
	}
	return on
}

func validTimeout(s string) error {
	if s == "" {
		return nil
	}
	if d, err := time.ParseDuration(s); err != nil || d <= 0 {
		return fmt.Errorf("%q is not a time such as 10s or 2m", s)
	}
	return nil
}

// timeout is the client's where no flag says otherwise.
func timeout(cmd *cli.Command) time.Duration {
	d, _ := time.ParseDuration(cmd.String("timeout")) // it is valid or empty
	return d
}

var idForm = regexp.MustCompile(`^[0-9a-fA-F]{16}$`)

// ValidID checks an ID of a flag; an empty one is left to who needs it.
func ValidID(s string) error {
	if s != "" && (!idForm.MatchString(s) || s == "0000000000000000") {
		return fmt.Errorf(
			"an ID has 16 hexadecimal digits, such as 031c8cbefe101000, and not all zero; %q is none (a name?)",
			s,
		)
	}
	return nil
}

// NotNegative checks a number of things.
func NotNegative(n int) error {
	if n < 0 {
		return fmt.Errorf("%d is negative", n)
	}
	return nil
}

// OrgChoice is the organisation by ID or name as the flags of the given names have it. Where a name comes from the
// command line and an ID from the environment, the command line wins.
func OrgChoice(cmd *cli.Command, idFlag, nameFlag string) (id, name string) {
	id, name = cmd.String(idFlag), cmd.String(nameFlag)
	fromEnv := func(value, variable string) bool { return value != "" && value == os.Getenv(variable) }
	if name != "" && fromEnv(id, "INFLUX_ORG_ID") && !fromEnv(name, "INFLUX_ORG") {
		id = ""
	}
	if id != "" {
		name = ""
	}
	return id, name
}

// Org finds the ID of the organisation a command is about: by flags or environment, or else the profile's.
func (s *Session) Org(ctx context.Context, cmd *cli.Command, idFlag, nameFlag string) (string, error) {
	id, name := OrgChoice(cmd, idFlag, nameFlag)
	if id != "" {
		return id, nil
	}
	if name = FirstOf(name, s.Profile.Org); name == "" {
		return "", usage.Mistake(
			"no organization: give --%s or --%s, or set one in the profile with influx config set",
			nameFlag,
			idFlag,
		)
	}
	org, err := s.Client.OrgByName(ctx, name)
	var refused *client.Error
	if errors.As(err, &refused) && (refused.Code == client.CodeNotFound || refused.Code == client.CodeUnauthorized) &&
		refused.Message != unknownIdentity {
		return "", fmt.Errorf(
			"failed to look up organization %q: %w (a token that may not read organizations needs --%s)",
			name,
			err,
			idFlag,
		)
	}
	if err != nil {
		return "", fmt.Errorf("failed to look up organization %q: %w", name, err)
	}
	return org.ID, nil
}

// UserByName takes the user of exactly that name, and never the first of a list.
func (s *Session) UserByName(ctx context.Context, name string) (*client.User, error) {
	users, err := s.Client.Users(ctx, client.UserFilter{Name: name})
	if err != nil {
		return nil, fmt.Errorf("failed to find user %q: %w", name, err)
	}
	for i := range users {
		if users[i].Name == name {
			return &users[i], nil
		}
	}
	return nil, exit.With(exit.NotFound, fmt.Errorf("no user found with name %q", name))
}

// PrintRows prints a table, with a column that says so where the rows are of things just deleted.
func (s *Session) PrintRows(headers []string, rows [][]string, deleted bool) error {
	if deleted {
		headers = append(headers, "Deleted")
		for i := range rows {
			rows[i] = append(rows[i], "true")
		}
	}
	return s.Print.Table(headers, rows)
}

// OneKey is the secret's key that a flag or the argument names.
func OneKey(cmd *cli.Command) (string, error) {
	key, arg := cmd.String("key"), cmd.Args().First()
	switch {
	case key != "" && cmd.Args().Present():
		return "", usage.WithHint(cmd, "give the key as an argument or with --key, not both")
	case key == "" && arg == "":
		return "", usage.WithHint(cmd, "no key: which secret is it?")
	}
	return FirstOf(key, arg), nil
}
