package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v3"
)

// shown finds the calls of influx in a line of a block: at its beginning, behind a pipe or what is to happen before, and
// in $(…). What follows up to the next pipe or the end of the line is theirs.
var shown = regexp.MustCompile(`(?:^|[|&;(]\s*|\$\s|sudo |exec |[A-Z_]+=\S*\s+)(?:bin/)?influx ((?:'[^']*'|"[^"]*"|[^|&;)'"#<>]|<[a-z-]+>|<\(|>[^&])*)`)

// continued is the end of a line that goes on in the next one.
var continued = regexp.MustCompile(`\\\n\s*`)

// word is a word of a shell's line, quotes included.
var word = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`)

// TestPagesShowCommandsThatAre reads each call of influx that a page shows: the command is there, and takes its flags. (Most
// are typed by tests, too; a page cannot show one that nobody could type.)
func TestPagesShowCommandsThatAre(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, page := range append(pages, "../../README.md", "../../CHANGELOG.md") {
		if filepath.Base(page) == "configuration.md" {
			continue // the help of influxd, which speaks of influx
		}
		raw, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		fenced := false
		for line := range strings.Lines(continued.ReplaceAllString(string(raw), " ")) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
				continue
			}
			if !fenced && !strings.HasPrefix(line, "    ") {
				continue
			}
			for _, m := range shown.FindAllStringSubmatch(strings.TrimSpace(line), -1) {
				calls++
				if problem := understood(word.FindAllString(m[1], -1)); problem != "" {
					t.Errorf("%s: influx %s: %s", filepath.Base(page), m[1], problem)
				}
			}
		}
	}
	if calls < 100 {
		t.Errorf("only %d calls were found", calls)
	}
}

// understood says what is wrong with the words of a call, "" where nothing is.
func understood(words []string) string {
	cmd := tree()
	if len(words) > 2 && words[0] == "--host" { // flags may stand before the command, too
		words = words[2:]
	}
	for len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		i := slices.IndexFunc(cmd.Commands, func(c *cli.Command) bool { return c.HasName(words[0]) })
		if i < 0 {
			break
		}
		cmd, words = cmd.Commands[i], words[1:]
	}
	if len(cmd.Commands) > 0 && len(words) > 0 && !strings.HasPrefix(words[0], "-") && !strings.ContainsAny(words[0], "…[") {
		return "there is no command " + words[0]
	}
	for _, w := range words {
		if w == "--" {
			break
		}
		name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
		if !strings.HasPrefix(w, "-") || name == "" || name == "help" || name == "version" {
			continue
		}
		has := func(c *cli.Command) bool {
			return slices.ContainsFunc(c.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
		}
		if !has(cmd) && !has(tree()) {
			return "it takes no flag " + w
		}
	}
	return ""
}

func TestUnderstood(t *testing.T) {
	for call, want := range map[string]string{
		"secret list --org x":              "",
		"secret lost":                      "there is no command lost",
		"secret list --colour red":         "it takes no flag --colour",
		"secret exec -- psql --colour red": "",
		"--version":                        "",
	} {
		if got := understood(strings.Fields(call)); got != want {
			t.Errorf("%s: %q, want %q", call, got, want)
		}
	}
}
