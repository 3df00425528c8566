// Package usage says what is wrong with a command line, and where its help is.
package usage

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"
)

// flagName finds a long flag that the library writes with one dash.
var flagName = regexp.MustCompile(`flag -[a-zA-Z][-a-zA-Z]+`)

// Error says what is wrong and where help is, rather than print all of the help.
func Error(cmd *cli.Command, args []string, err error) error {
	if word := strayWord(cmd, args); word != "" {
		return unknownCommand(cmd, word)
	}
	msg := err.Error()
	if name, ok := strings.CutPrefix(msg, "flag provided but not defined: -"); ok {
		msg = "unknown flag -" + name
	}
	msg = flagName.ReplaceAllStringFunc(msg, func(m string) string { return strings.Replace(m, "flag -", "flag --", 1) })
	if msg != "" && msg[0] >= 'A' && msg[0] <= 'Z' {
		msg = strings.ToLower(msg[:1]) + msg[1:]
	}
	return WithHint(cmd, msg)
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
		return WithHint(group, fmt.Sprintf("there is no command %q here: this server keeps secrets and no time series; use InfluxDB's own influx for those", word))
	}
	return WithHint(group, fmt.Sprintf("unknown command %q for %q", word, group.FullName()))
}

// WithHint is an error that says where help is.
func WithHint(cmd *cli.Command, msg string) error {
	return fmt.Errorf("%s\nSee '%s --help'", msg, cmd.FullName())
}

// NoArgs refuses what is neither a flag nor a command.
func NoArgs(_ context.Context, cmd *cli.Command) error {
	if !cmd.Args().Present() || cmd.Name == "help" {
		return nil
	}
	if len(cmd.VisibleCommands()) > 0 {
		return unknownCommand(cmd, cmd.Args().First())
	}
	return WithHint(cmd, fmt.Sprintf("%q takes flags only, and has the argument %q too many", cmd.FullName(), cmd.Args().First()))
}
