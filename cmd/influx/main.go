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
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/accounts"
	"strongroom/cmd/influx/internal/completion"
	"strongroom/cmd/influx/internal/config"
	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/grammar"
	"strongroom/cmd/influx/internal/output"
	"strongroom/cmd/influx/internal/privatedir"
	"strongroom/cmd/influx/internal/secrets"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/system"
	"strongroom/cmd/influx/internal/terminal"
	"strongroom/cmd/influx/internal/tokens"
	"strongroom/cmd/influx/internal/usage"
)

// Set with -ldflags at build time; where they are not, what the Go tool recorded of the source stands in.
var (
	version = "dev"
	commit  = ""
	date    = ""
)

func main() {
	if privatedir.IsKeeper(os.Args) {
		os.Exit(privatedir.Keep(os.Args, os.Stdin))
	}
	if err := harden(); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(int(exit.Failure))
	}
	ctx, stop := untilSignal()
	// The first signal asks for an orderly end; after it, a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// untilSignal is a context that Ctrl-C and SIGTERM end. What whoever started this process had it ignore, stays ignored.
func untilSignal() (context.Context, context.CancelFunc) {
	heard := slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM}, signal.Ignored)
	if len(heard) == 0 { // no signals would mean all of them
		return context.WithCancel(context.Background())
	}
	return signal.NotifyContext(context.Background(), heard...)
}

// run is the whole program but for the process around it: it gives the exit code, one of package exit's.
func run(ctx context.Context, args []string, stdin *os.File, stdout, stderr io.Writer) int {
	root := commands(&session.Process{
		Term:      terminal.New(stdin, stderr),
		Out:       stdout,
		Err:       stderr,
		UserAgent: fmt.Sprintf("influx/%s (%s) strongroom", version, runtime.GOOS),
	})
	err := grammar.Enforce(root)
	if err == nil {
		args, err = grammar.Arrange(root, session.SharedFlags(), args)
	}
	if err == nil {
		if err = root.Run(ctx, args); err != nil && exit.Of(err) == exit.Failure && usage.IsVariable(err) {
			err = usage.Error(root, err)
		}
	}
	if err == nil {
		return int(exit.OK)
	}
	code := exit.Of(err)
	if exit.IsPassed(err) {
		return int(code)
	}
	if code == exit.Interrupted {
		err = exit.With(code, errors.New("interrupted"))
	}
	output.Error(stderr, err, session.WantsJSON(args))
	return int(code)
}

// commands is the tree of them.
func commands(p *session.Process) *cli.Command {
	root := &cli.Command{
		Name:  "influx",
		Usage: "manage secrets, organizations, users and tokens",
		Description: `The address of the server, the token and the organization come from flags, or else from the
environment, or else from the active profile (influx config --help), or else the address is
` + session.DefaultHost + `. An environment variable that is empty counts as not set; an empty
value of a flag is a mistake.

Flags stand behind the command, as in: influx secret list --org my-org. Those that many commands
share, such as --host, --token, --org and --json, are understood before it, too.

A command ends with 0 when it is done; else with 2 for a mistake on the command line, 3 for what
is not found, 4 for what is denied, 5 for a server that cannot be reached, 6 for a conflict, 130
for Ctrl-C, and 1 for anything else. With --json, its error is JSON on standard error.`,
		Writer:         p.Out,
		ErrWriter:      p.Err,
		HideVersion:    true,
		ArgValidator:   usage.NoArgs,
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // run prints it
		Commands: []*cli.Command{
			accounts.Setup(p),
			system.Ping(p),
			system.Status(p),
			versionCmd(p),
			config.Command(p),
			secrets.Command(p),
			accounts.Org(p),
			accounts.User(p),
			tokens.Auth(p),
			accounts.Bucket(p),
			system.ServerConfig(p),
			system.Audit(p),
			system.Seal(p),
			system.Backup(p),
		},
	}
	root.Commands = append(root.Commands, completion.Commands(p, func() *cli.Command { return root })...)
	_ = root.Walk(func(cmd *cli.Command) error {
		cmd.DisableSliceFlagSeparator = true // a secret's name may hold a comma
		cmd.OnUsageError = func(_ context.Context, cmd *cli.Command, err error, _ bool) error {
			return usage.Error(cmd, err)
		}
		return nil
	})
	return root
}

func versionCmd(p *session.Process) *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "Print the influx CLI version",
		Flags: session.PrintFlags(),
		Action: func(_ context.Context, cmd *cli.Command) error {
			commit, date := built()
			if out := p.Printer(cmd); out.AsJSON {
				return out.JSON(map[string]string{"version": version, "commit": commit, "date": date})
			}
			_, err := fmt.Fprintf(p.Out, "Influx CLI %s (git: %s) build_date: %s\n", version, commit, date)
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
