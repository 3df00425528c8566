// Package grammar has the rules that hold for every command line of the CLI, so that no command has to think of them:
//
//   - An empty value of a flag is a mistake: it comes from a variable that is not set, nearly always, and must not mean
//     "none", "for ever" or "the profile's". Whoever wants nothing says so by a word of its own.
//   - A flag that takes one value is given once.
//   - A flag that stands where a value should be is a mistake: `-t $TOKEN -o x`, with TOKEN not set.
//   - An environment variable that is empty counts as not set.
//   - Flags that many commands share are understood before the command, too.
//   - "help" before, between or behind the words of a command shows that command's help.
package grammar

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/usage"
)

// Enforce puts the rules about values on every flag of the tree. It returns an error for a kind of flag that it does
// not know, so that none is forgotten.
func Enforce(root *cli.Command) error {
	return root.Walk(func(cmd *cli.Command) error {
		for _, f := range cmd.Flags {
			switch f := f.(type) {
			case *cli.StringFlag:
				f.OnlyOnce, f.Sources, f.Validator = true, setVariables(f.Sources), filled(f.Validator)
			case *cli.StringSliceFlag:
				f.Sources, f.Validator = setVariables(f.Sources), allFilled(f.Validator)
			case *cli.IntFlag:
				f.OnlyOnce, f.Sources = true, setVariables(f.Sources)
			case *cli.BoolFlag:
				f.OnlyOnce, f.Sources = true, setVariables(f.Sources)
			default:
				return fmt.Errorf("%s: no rule about empty values for flags such as --%s (%T)", cmd.FullName(),
					f.Names()[0], f)
			}
		}
		return nil
	})
}

var errEmpty = errors.New("its value is empty; give one, or leave the flag out")

// filled refuses an empty value, after the flag's own check, which may know better what to do instead.
func filled(own func(string) error) func(string) error {
	return func(s string) error {
		if own != nil {
			if err := own(s); err != nil {
				return err
			}
		}
		if s == "" {
			return errEmpty
		}
		return nil
	}
}

func allFilled(own func([]string) error) func([]string) error {
	return func(all []string) error {
		if own != nil {
			if err := own(all); err != nil {
				return err
			}
		}
		if slices.Contains(all, "") {
			return errEmpty
		}
		return nil
	}
}

// setVariables are the same sources, variables that are empty left out.
func setVariables(chain cli.ValueSourceChain) cli.ValueSourceChain {
	var out cli.ValueSourceChain
	for _, key := range chain.EnvKeys() {
		out.Chain = append(out.Chain, variable{cli.EnvVar(key), key})
	}
	return out
}

type variable struct {
	cli.ValueSource
	key string
}

func (v variable) IsFromEnv() bool { return true }
func (v variable) Key() string     { return v.key }
func (v variable) Lookup() (string, bool) {
	value := os.Getenv(v.key)
	return value, value != ""
}

// Formerly lets a command understand a flag by a name it had, which no help shows.
func Formerly(cmd *cli.Command, old, name string) {
	if cmd.Metadata == nil {
		cmd.Metadata = map[string]any{}
	}
	cmd.Metadata[formerly+old] = name
}

const formerly = "formerly --"

// line is a command line on its way to be arranged.
type line struct {
	program string
	cmd     *cli.Command
	path    []string // the command's words
	shared  []string // flags that stood before it
	help    bool
	rest    []string
}

// Arrange brings a command line into the order that the library reads, in which flags follow the command, and checks
// what the library would take: a flag in the place of a value, and --switch= with nothing behind it. Shared are the
// flags that may stand before the command.
func Arrange(root *cli.Command, shared []cli.Flag, args []string) ([]string, error) {
	if len(args) == 0 {
		return args, nil
	}
	l := line{program: root.Name, cmd: root, rest: args[1:]}
	if err := l.words(root, shared); err != nil {
		return nil, err
	}
	l.rest = append(l.shared, l.rest...)
	own, err := l.own()
	if err != nil {
		return nil, err
	}
	out := append([]string{args[0]}, l.path...)
	if l.help {
		return append(out, "--help"), nil
	}
	return append(out, own...), nil
}

// words reads up to the last word of the command.
func (l *line) words(root *cli.Command, shared []cli.Flag) error {
	for len(l.rest) > 0 && len(l.cmd.Commands) > 0 {
		arg := l.rest[0]
		name, _, hasValue := split(arg)
		f, sub := find(shared, name), l.cmd.Command(arg)
		switch {
		case name == "version" && l.cmd == root:
			l.rest[0] = "version" // as most programs have it; the original has the command alone
		case name == "h" || name == "help" || arg == "help" || arg == "h":
			l.help, l.rest = true, l.rest[1:]
		case f != nil && takesValue(f) && !hasValue:
			if len(l.rest) < 2 {
				return usage.Hint(l.name(), "flag "+arg+": its value is missing")
			}
			if next, _, _ := split(l.rest[1]); find(shared, next) != nil {
				return l.flagForValue(arg, l.rest[1])
			}
			l.shared, l.rest = append(l.shared, l.rest[:2]...), l.rest[2:]
		case f != nil:
			l.shared, l.rest = append(l.shared, arg), l.rest[1:]
		case sub != nil:
			l.cmd, l.path, l.rest = sub, append(l.path, arg), l.rest[1:]
		case name == "" && arg != "--" && l.cmd.ArgsUsage == "":
			return usage.UnknownCommand(l.cmd, l.name(), arg)
		default:
			return nil
		}
	}
	return nil
}

// name is the command's with those above it. The library knows that of itself only once it runs.
func (l *line) name() string { return strings.Join(append([]string{l.program}, l.path...), " ") }

// own checks the flags behind the command, and gives them by the names they have now.
func (l *line) own() ([]string, error) {
	var out []string
	for i := 0; i < len(l.rest); i++ {
		arg := l.rest[i]
		name, value, hasValue := split(arg)
		switch {
		case arg == "--":
			return append(out, l.rest[i:]...), nil
		case name == "" && l.cmd.StopOnNthArg != nil:
			// Or else the library would take a "--" further on for the end of our flags.
			return append(append(out, "--"), l.rest[i:]...), nil
		}
		if now, ok := l.cmd.Metadata[formerly+name].(string); ok {
			name, arg = now, strings.Replace(arg, name, now, 1)
		}
		out = append(out, arg)
		f := find(l.cmd.Flags, name)
		switch {
		case f == nil:
		case takesValue(f) && !hasValue && i+1 < len(l.rest):
			i++
			next, _, _ := split(l.rest[i])
			if find(l.cmd.Flags, next) != nil || next == "help" {
				return nil, l.flagForValue(arg, l.rest[i])
			}
			out = append(out, l.rest[i])
		case !takesValue(f) && hasValue && value == "":
			return nil, usage.Hint(l.name(), "flag --"+name+": its value is empty; write --"+name+", or --"+
				name+"=false")
		}
	}
	return out, nil
}

func (l *line) flagForValue(arg, next string) error {
	next, _, _ = strings.Cut(next, "=")
	return usage.Hint(l.name(), fmt.Sprintf("flag %s: its value is missing: the next argument is the flag %s "+
		"(%[1]s=VALUE gives a value that begins with a dash)", arg, next))
}

// split takes --name=value apart; the name is empty where the argument is no flag.
func split(arg string) (name, value string, hasValue bool) {
	if !strings.HasPrefix(arg, "-") || arg == "-" || arg == "--" {
		return "", "", false
	}
	name, value, hasValue = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
	return name, value, hasValue
}

func find(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name && name != "" {
				return f
			}
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	_, isSwitch := f.(*cli.BoolFlag)
	return !isSwitch
}
