package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/agnivade/levenshtein"

	"strongroom/internal/influxd/config/value"
)

// Args is a command line taken apart.
type Args struct {
	// Words are the arguments that belong to no flag: the command, and what follows it.
	Words []string
	// Help says that -h or --help was among them.
	Help bool

	given []given
	own   map[string]string
}

// Flag is a flag of one command. It is no setting: no variable and no file has it.
type Flag struct {
	Name  string
	Value string // what the help calls its value, such as PATH; "" for a switch
	Help  string
	// Stream says that - stands for standard input or output, of a flag whose Value is PATH.
	Stream bool
	// Former is a name it had, which is still understood; "" for none.
	Former string
}

// Flag is the value of a command's own flag; "" where it was not given.
func (a Args) Flag(name string) string { return a.own[name] }

// Switch reports whether a command's own switch is on.
func (a Args) Switch(name string) bool { return a.own[name] == "true" }

// OwnFlags are the names of the commands' own flags that were given, sorted.
func (a Args) OwnFlags() []string { return slices.Sorted(maps.Keys(a.own)) }

// given is a setting somebody gave: its raw text, and how its place is called in messages and in print-config.
type given struct {
	name, text string
	place      string // "flag --bolt-path"
	source     string // "flag"
}

// ParseArgs takes a command line apart: --flag value, --flag=value, the same with one dash, switches without a value,
// and words, in any order; "--" ends the flags. (InfluxDB reads the word after a switch as a command and so takes
// `influxd --reporting-disabled --secret-store vault` for the command "vault".) Own are the flags of all commands;
// whoever knows the command checks that they are its.
func ParseArgs(args []string, own ...Flag) (Args, error) {
	out := Args{own: make(map[string]string)}
	kinds := make(map[string]value.Kind)
	for _, s := range new(Config).settings() {
		kinds[s.name] = s.value.Kind()
	}
	for name, isSwitch := range ignored {
		kinds[name] = value.KindText
		if isSwitch {
			kinds[name] = value.KindSwitch
		}
	}
	isOwn, now := make(map[string]bool), make(map[string]string)
	for _, f := range own {
		if f.Former != "" {
			now[f.Former] = f.Name
		}
		isOwn[f.Name], kinds[f.Name] = true, value.KindText
		switch {
		case f.Value == "":
			kinds[f.Name] = value.KindSwitch
		case f.Value == string(value.KindPath) && !f.Stream:
			kinds[f.Name] = value.KindPath
		}
	}
	seen := make(map[string]bool)
	lastSwitch := ""
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			out.Words = append(out.Words, args[i+1:]...)
			break
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" {
			if lastSwitch != "" && slices.Contains([]string{"true", "false"}, arg) {
				return Args{}, fmt.Errorf(
					"flag --%s: write --%[1]s=%s; a switch takes no value after a space",
					lastSwitch,
					arg,
				)
			}
			out.Words, lastSwitch = append(out.Words, arg), ""
			continue
		}
		name, text, hasText := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		lastSwitch = ""
		if present, renamed := now[name]; renamed {
			name = present
		}
		if name == "h" || name == "help" {
			out.Help = true
			continue
		}
		k, known := kinds[name]
		if !known {
			// What follows "=" may be a secret, and so may a word with one dash in front.
			return Args{}, fmt.Errorf(
				"flag --%s: there is no such flag%s; `influxd help` lists them",
				value.PrintableName(name),
				suggest(name, kinds),
			)
		}
		if seen[name] {
			return Args{}, fmt.Errorf("flag --%s: given twice; leave one out", name)
		}
		seen[name] = true
		switch {
		case hasText:
		case k == value.KindSwitch:
			text, lastSwitch = "true", name
		case i+1 == len(args):
			return Args{}, fmt.Errorf("flag --%s: its value is missing", name)
		default:
			i++
			text = args[i]
			if next := strings.TrimLeft(text, "-"); next != text && (isKnown(next, kinds) || now[nameOf(next)] != "") {
				return Args{}, fmt.Errorf(
					"flag --%s: its value is missing, the next argument is the flag --%s",
					name,
					nameOf(next),
				)
			}
		}
		if isOwn[name] {
			v, err := ownValue(text, k)
			if err != nil {
				return Args{}, fmt.Errorf("flag --%s: %w", name, err)
			}
			out.own[name] = v
			continue
		}
		out.given = append(out.given, given{name: name, text: text, place: "flag --" + name, source: "flag"})
	}
	return out, nil
}

// ownValue is the value of a command's own flag: "true" or "false" for a switch.
func ownValue(s string, k value.Kind) (string, error) {
	if k != value.KindSwitch {
		return s, value.Check(k, s)
	}
	on := false
	err := value.YesNo(&on).Set(s)
	return strconv.FormatBool(on), err
}

func nameOf(arg string) string {
	name, _, _ := strings.Cut(arg, "=")
	return name
}

func isKnown(arg string, kinds map[string]value.Kind) bool {
	_, ok := kinds[nameOf(arg)]
	return ok
}

// Suggest is " (did you mean …?)" with the known name nearest to name, or "" where none is near.
func Suggest(name string, known ...string) string {
	all := make(map[string]bool)
	for _, k := range known {
		all[k] = true
	}
	return suggest(name, all)
}

// suggest is " (did you mean …?)" with the known name nearest to name, or "" where none is near.
func suggest[T any](name string, known map[string]T) string {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	best, bestDistance := "", max(2, len(name)/4)+1
	for candidate := range known {
		if d := levenshtein.ComputeDistance(name, candidate); d < bestDistance ||
			d == bestDistance && candidate < best {
			best, bestDistance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}
