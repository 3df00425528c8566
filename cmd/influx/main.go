// Command influx is the command-line client of Strongroom. It has the commands, flags, profiles and output of the
// original influx CLI as far as secrets, organisations, users and tokens go, and works with an InfluxDB v2 as well.
//
// It speaks to the server through the public client and nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
)

// Set with -ldflags at build time; where they are not, what the Go tool recorded of the source stands in.
var (
	version = "dev"
	commit  = ""
	date    = ""
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; after it, a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program but for the process around it: it gives the exit code, 0 or 1.
func run(ctx context.Context, args []string, stdin *os.File, stdout, stderr io.Writer) int {
	a := &app{session.Process{
		Term:      terminal.New(stdin, stderr),
		Out:       stdout,
		Err:       stderr,
		UserAgent: fmt.Sprintf("influx/%s (%s) strongroom", version, runtime.GOOS),
	}}
	root := a.root()
	_ = root.Walk(func(cmd *cli.Command) error {
		cmd.OnUsageError = func(_ context.Context, cmd *cli.Command, err error, _ bool) error {
			if word := strayWord(cmd, args); word != "" {
				return unknownCommand(cmd, word)
			}
			return usageError(cmd, err)
		}
		return nil
	})
	err := root.Run(ctx, args)
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	_, _ = fmt.Fprintln(stderr, "Error:", err)
	return 1
}

// app is the tree of commands.
type app struct{ session.Process }

func (a *app) root() *cli.Command {
	root := &cli.Command{
		Name:  "influx",
		Usage: "manage secrets, organizations, users and tokens",
		Description: `The address of the server, the token and the organization come from flags, or else from the environment, or else
from the active profile (influx config --help), or else the address is ` + session.DefaultHost + `.

Flags stand after the command, as in: influx secret list --org my-org`,
		Writer:         a.Out,
		ErrWriter:      a.Err,
		HideVersion:    true,
		ArgValidator:   noArgs,
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // run prints it
		Commands: []*cli.Command{
			a.setupCmd(),
			a.pingCmd(),
			a.versionCmd(),
			a.configCmd(),
			a.secretCmd(),
			a.orgCmd(),
			a.userCmd(),
			a.authCmd(),
			a.bucketCmd(),
			a.serverConfigCmd(),
			a.auditCmd(),
			a.sealCmd(),
			a.backupCmd(),
		},
	}
	_ = root.Walk(func(cmd *cli.Command) error {
		cmd.DisableSliceFlagSeparator = true // a secret's name may hold a comma
		return nil
	})
	return root
}

// flagName finds a long flag that the library writes with one dash.
var flagName = regexp.MustCompile(`flag -[a-zA-Z][-a-zA-Z]+`)

// usageError says what is wrong and where help is, rather than print all of the help.
func usageError(cmd *cli.Command, err error) error {
	msg := err.Error()
	if name, ok := strings.CutPrefix(msg, "flag provided but not defined: -"); ok {
		msg = "unknown flag -" + name
	}
	msg = flagName.ReplaceAllStringFunc(msg, func(m string) string { return strings.Replace(m, "flag -", "flag --", 1) })
	if msg != "" && msg[0] >= 'A' && msg[0] <= 'Z' {
		msg = strings.ToLower(msg[:1]) + msg[1:]
	}
	return withHint(cmd, msg)
}

// strayWord is the word where one of the group's commands should be, if there is one: its flags are unknown to the group, and
// the library speaks of those alone.
func strayWord(group *cli.Command, args []string) string {
	depth := len(strings.Fields(group.FullName()))
	if len(group.VisibleCommands()) == 0 || group.ArgsUsage != "" || depth >= len(args) || strings.HasPrefix(args[depth], "-") {
		return ""
	}
	return args[depth]
}

// seriesCommands are the original's for data, queries and what builds on them.
var seriesCommands = []string{"apply", "bucket-schema", "dashboards", "delete", "export", "pkger", "query", "remote", "repl",
	"replication", "scripts", "stacks", "task", "telegrafs", "template", "transpile", "v1", "write"}

func unknownCommand(group *cli.Command, word string) error {
	if slices.Contains(seriesCommands, word) && group == group.Root() {
		return withHint(group, fmt.Sprintf("there is no command %q here: this server keeps secrets and no time series; use InfluxDB's own influx for those", word))
	}
	return withHint(group, fmt.Sprintf("unknown command %q for %q", word, group.FullName()))
}

func withHint(cmd *cli.Command, msg string) error {
	return fmt.Errorf("%s\nSee '%s --help'", msg, cmd.FullName())
}

// noArgs refuses what is neither a flag nor a command.
func noArgs(_ context.Context, cmd *cli.Command) error {
	if !cmd.Args().Present() || cmd.Name == "help" {
		return nil
	}
	if len(cmd.VisibleCommands()) > 0 {
		return unknownCommand(cmd, cmd.Args().First())
	}
	return withHint(cmd, fmt.Sprintf("%q takes flags only, and has the argument %q too many", cmd.FullName(), cmd.Args().First()))
}

func (a *app) versionCmd() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "Print the influx CLI version",
		Action: func(context.Context, *cli.Command) error {
			commit, date := built()
			_, err := fmt.Fprintf(a.Out, "Influx CLI %s (git: %s) build_date: %s\n", version, commit, date)
			return err
		},
	}
}

func built() (rev, at string) {
	rev, at = commit, date
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && rev == "" {
				rev = s.Value
			}
			if s.Key == "vcs.time" && at == "" {
				at = s.Value
			}
		}
	}
	if rev == "" {
		rev = "none"
	}
	if at == "" {
		at = "unknown"
	}
	return rev, at
}

func (a *app) pingCmd() *cli.Command {
	return &cli.Command{
		Name:  "ping",
		Usage: "Check the InfluxDB /health endpoint",
		Flags: session.ConnectFlags(),
		Action: a.Connected(session.Anonymous, func(ctx context.Context, _ *cli.Command, s *session.Session) error {
			if h, err := s.Client.Health(ctx); err != nil {
				if h != nil && h.Message != "" {
					return fmt.Errorf("%s is not healthy: %s", s.Client.Host(), h.Message)
				}
				return err
			}
			_, err := fmt.Fprintln(a.Out, "OK")
			return err
		}),
	}
}
