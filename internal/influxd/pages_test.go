package influxd

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"strongroom/internal/influxd/config"
)

// shown finds the calls of influxd in a line of a block of a page.
var shown = regexp.MustCompile(`(?:^|[|&;(]\s*|\$\s|sudo |exec |[A-Z_]+=\S*\s+)(?:bin/)?influxd((?: (?:'[^']*'|"[^"]*"|[^|&;)'"#<>]|<[a-z-]+>)*)?)(?:$|[|&;)#>\\])`)

// continued is the end of a line that goes on in the next one.
var continued = regexp.MustCompile(`\\\n\s*`)

// word is a word of a shell's line, quotes included.
var word = regexp.MustCompile(`(?:'[^']*'|"[^"]*"|[^\s'"])+`)

// TestPagesShowCommandsThatAre reads each call of influxd that a page shows: the command is there, and takes its flags.
func TestPagesShowCommandsThatAre(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	calls := 0
	for _, page := range append(pages, "../../README.md", "../../CHANGELOG.md", "../../packaging/systemd/strongroom.service") {
		if filepath.Base(page) == "configuration.md" {
			continue // the help
		}
		fenced := false
		for line := range strings.Lines(continued.ReplaceAllString(string(readFile(t, page)), " ")) {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
				continue
			}
			if !fenced && !strings.HasPrefix(line, "    ") {
				continue
			}
			for _, m := range shown.FindAllStringSubmatch(strings.TrimSpace(line), -1) {
				calls++
				words := word.FindAllString(m[1], -1)
				if err := understood(words); err != nil {
					t.Errorf("%s: influxd%s: %v", filepath.Base(page), m[1], err)
				}
			}
		}
	}
	if calls < 30 {
		t.Errorf("only %d calls were found", calls)
	}
}

// understood is why a call of influxd would be refused for its words, and nil where it would not.
func understood(words []string) error {
	var own []config.Flag
	longest := ""
	for _, c := range commands() {
		name := strings.Fields(c.Name)
		if len(words) >= len(name) && strings.Join(words[:len(name)], " ") == c.Name && len(c.Name) > len(longest) {
			own, longest = c.Flags, c.Name
		}
	}
	if n := len(words); n > 0 && words[n-1] == "…" {
		words = words[:n-1]
	}
	args, err := config.ParseArgs(words, own...)
	if err != nil {
		return err
	}
	if said := strings.Join(args.Words, " "); longest == "" && said != "" && said != "run" && said != "help" &&
		said != "print-config" && said != "version" && !strings.HasPrefix(said, "completion") {
		return fmt.Errorf("there is no command %s", said)
	}
	return nil
}
