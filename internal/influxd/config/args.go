package config

import (
	"fmt"
	"slices"
	"strings"
)

// Args is a command line taken apart.
type Args struct {
	// Words are the arguments that belong to no flag: the command, and what follows it.
	Words []string
	// Help says that -h or --help was among them.
	Help bool

	given []given
}

// given is a setting somebody gave: its raw text, and how its place is called in messages and in print-config.
type given struct {
	name, text string
	place      string // "flag --bolt-path"
	source     string // "flag"
}

// ParseArgs takes a command line apart: --flag value, --flag=value, the same with one dash, switches without a value,
// and words, in any order; "--" ends the flags. (InfluxDB reads the word after a switch as a command and so takes
// `influxd --reporting-disabled --secret-store vault` for the command "vault".)
func ParseArgs(args []string) (Args, error) {
	var out Args
	kinds := make(map[string]kind)
	for _, s := range new(Config).settings() {
		kinds[s.name] = s.value.kind()
	}
	for name, isSwitch := range ignored {
		kinds[name] = kindText
		if isSwitch {
			kinds[name] = kindSwitch
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
				return Args{}, fmt.Errorf("flag --%s: write --%[1]s=%s; a switch takes no value after a space", lastSwitch, arg)
			}
			out.Words, lastSwitch = append(out.Words, arg), ""
			continue
		}
		name, text, hasText := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		lastSwitch = ""
		if name == "h" || name == "help" {
			out.Help = true
			continue
		}
		k, known := kinds[name]
		if !known {
			// What follows "=" may be a secret, and so may a word with one dash in front.
			return Args{}, fmt.Errorf("flag --%s: there is no such flag%s; `influxd help` lists them", printable(name), suggest(name, kinds))
		}
		if seen[name] {
			return Args{}, fmt.Errorf("flag --%s: given twice; leave one out", name)
		}
		seen[name] = true
		switch {
		case hasText:
		case k == kindSwitch:
			text, lastSwitch = "true", name
		case i+1 == len(args):
			return Args{}, fmt.Errorf("flag --%s: its value is missing", name)
		default:
			i++
			text = args[i]
			if next := strings.TrimLeft(text, "-"); next != text && isKnown(next, kinds) {
				return Args{}, fmt.Errorf("flag --%s: its value is missing, the next argument is the flag --%s", name, nameOf(next))
			}
		}
		out.given = append(out.given, given{name: name, text: text, place: "flag --" + name, source: "flag"})
	}
	return out, nil
}

func nameOf(arg string) string {
	name, _, _ := strings.Cut(arg, "=")
	return name
}

func isKnown(arg string, kinds map[string]kind) bool {
	_, ok := kinds[nameOf(arg)]
	return ok
}

// printable is a name as it was given, unless it looks like no name: then it may be a secret in the wrong place.
func printable(name string) string {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' {
			return "…"
		}
	}
	if len(name) > 48 {
		return "…"
	}
	return name
}

// suggest is " (did you mean …?)" with the known name nearest to name, or "" where none is near.
func suggest[T any](name string, known map[string]T) string {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	best, bestDistance := "", max(2, len(name)/4)+1
	for candidate := range known {
		if d := distance(name, candidate); d < bestDistance || d == bestDistance && candidate < best {
			best, bestDistance = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance is the number of characters to insert, remove or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
