// Package usage says what is wrong with a command line, and where its help is.
package usage

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/agnivade/levenshtein"
	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/exit"
)

// The library's messages that Error says in other words. It quotes the value of a flag, which may be a token: what a
// message tells of a value is for the flag's own check to say.
var (
	badValue    = regexp.MustCompile(`^invalid value "(?:[^"\\]|\\.)*" for flag -([^:]+): ((?s).*)$`)
	badVariable = regexp.MustCompile(
		`^could not parse "(?:[^"\\]|\\.)*" as \S+ value from environment variable "([^"]+)" for flag \S+: ((?s).*)$`,
	)
	missingFlags  = regexp.MustCompile(`^Required flags? "([^"]+)" not set$`)
	missingValue  = regexp.MustCompile(`^flag needs an argument: -*(.+)$`)
	undefinedFlag = regexp.MustCompile(`^flag provided but not defined: -(.*)$`)
	badNumber     = regexp.MustCompile(`^strconv\.Parse(Int|Bool): parsing .*$`)
)

// Error says what is wrong and where help is, rather than print all of the help.
func Error(cmd *cli.Command, err error) error {
	msg := err.Error()
	switch {
	case undefinedFlag.MatchString(msg):
		name := undefinedFlag.FindStringSubmatch(msg)[1]
		return WithHint(cmd, "unknown flag "+dashed(printable(name))+didYouMean(name, flagNames(cmd)))
	case missingFlags.MatchString(msg):
		names := strings.Split(missingFlags.FindStringSubmatch(msg)[1], ", ")
		for i := range names {
			names[i] = dashed(names[i])
		}
		if len(names) == 1 {
			return WithHint(cmd, "flag "+names[0]+" is required")
		}
		return WithHint(cmd, "flags "+strings.Join(names, " and ")+" are required")
	case missingValue.MatchString(msg):
		return WithHint(cmd, "flag "+dashed(missingValue.FindStringSubmatch(msg)[1])+": its value is missing")
	case badValue.MatchString(msg):
		m := badValue.FindStringSubmatch(msg)
		return WithHint(cmd, "flag "+dashed(m[1])+": "+why(m[2]))
	case badVariable.MatchString(msg):
		m := badVariable.FindStringSubmatch(msg)
		return WithHint(cmd, "variable "+m[1]+": "+why(m[2]))
	}
	return WithHint(cmd, msg)
}

// IsVariable says whether the library refuses what a variable holds, of which no command is told.
func IsVariable(err error) bool { return badVariable.MatchString(err.Error()) }

// why is what a flag's check said, or the library in its place.
func why(msg string) string {
	switch m := badNumber.FindStringSubmatch(msg); {
	case msg == "can't duplicate this flag":
		return "given twice; leave one out"
	case m != nil && m[1] == "Int":
		return "a whole number is needed"
	case m != nil || msg == "parse error":
		return "write true or false"
	}
	return msg
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// printable is a name as it was given, unless it looks like no name: then it may be a secret in the wrong place.
func printable(name string) string {
	odd := func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_", unicode.ToLower(r))
	}
	if len(name) > 48 || strings.ContainsFunc(name, odd) {
		return "…"
	}
	return name
}

func flagNames(cmd *cli.Command) []string {
	var names []string
	for _, f := range cmd.VisibleFlags() {
		for _, name := range f.Names() {
			if len(name) > 1 {
				names = append(names, dashed(name))
			}
		}
	}
	return names
}

// didYouMean is " (did you mean …?)" with the known name nearest to name, or "" where none is near.
func didYouMean(name string, known []string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	best, bestDistance := "", max(2, len(name)/4)+1
	for _, candidate := range slices.Sorted(slices.Values(known)) {
		if d := levenshtein.ComputeDistance(name, strings.TrimLeft(candidate, "-")); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// seriesCommands are the original's for data, queries and what builds on them.
var seriesCommands = []string{
	"apply",
	"bucket-schema",
	"dashboards",
	"delete",
	"export",
	"pkger",
	"query",
	"remote",
	"repl",
	"replication",
	"scripts",
	"stacks",
	"task",
	"telegrafs",
	"template",
	"transpile",
	"v1",
	"write",
}

// UnknownCommand is the error for a word where one of the group's commands should stand. Name is the group's with those
// above it.
func UnknownCommand(group *cli.Command, name, word string) error {
	if slices.Contains(seriesCommands, word) && name == group.Name {
		return Hint(name, fmt.Sprintf("there is no command %q here: this server keeps secrets and no time series; "+
			"use InfluxDB's own influx for those", word))
	}
	var known []string
	for _, cmd := range group.VisibleCommands() {
		known = append(known, cmd.Names()...)
	}
	return Hint(name, fmt.Sprintf("unknown command %q for %q", word, name)+didYouMean(word, known))
}

// WithHint is an error that says where help is.
func WithHint(cmd *cli.Command, msg string) error { return Hint(cmd.FullName(), msg) }

// Hint is the same for a command by its name and those above it.
func Hint(name, msg string) error { return Mistake("%s\nSee '%s --help'", msg, name) }

// Mistake is an error of the command line.
func Mistake(format string, args ...any) error {
	return exit.With(exit.Usage, fmt.Errorf(format, args...))
}

// NoArgs refuses what is neither a flag nor a command.
func NoArgs(_ context.Context, cmd *cli.Command) error {
	if !cmd.Args().Present() || cmd.Name == "help" {
		return nil
	}
	if len(cmd.VisibleCommands()) > 0 {
		return UnknownCommand(cmd, cmd.FullName(), cmd.Args().First())
	}
	// An argument is not shown: a value that slipped behind its flag may be a secret.
	return WithHint(cmd, fmt.Sprintf("%q takes flags and no arguments", cmd.FullName()))
}
