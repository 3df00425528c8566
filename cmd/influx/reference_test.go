package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/session"
)

var update = flag.Bool("update", false, "write the generated part of docs/influx.md anew")

// What is below this line of docs/influx.md comes from the tables of commands, flags and exit codes.
const generated = "<!-- Below: make reference -->\n"

func TestReference(t *testing.T) {
	const page = "../../docs/influx.md"
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	written, below, found := strings.Cut(string(raw), generated)
	if !found {
		t.Fatalf("%s has no line %q", page, generated)
	}
	want := reference()
	if *update {
		if err := os.WriteFile(page, []byte(written+generated+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, below); diff != "" {
		t.Errorf(
			"%s is not of this program; run make reference (-want +got):\n%s",
			page,
			diff,
		)
	}
}

func reference() string {
	root := tree()
	var b strings.Builder
	fmt.Fprint(&b, "\n## Exit codes\n\n| code | word in JSON | meaning |\n|---|---|---|\n")
	for _, row := range exit.Codes {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", row.Code, row.Word, row.Meaning)
	}
	fmt.Fprint(&b, "\n## Flags that commands share\n\n")
	shared := session.SharedFlags()
	for _, f := range shared {
		writeFlag(&b, f)
	}
	fmt.Fprint(&b, "\n## Commands\n\n")
	var walk func(cmd *cli.Command, words string, do func(cmd *cli.Command, words string))
	walk = func(cmd *cli.Command, words string, do func(cmd *cli.Command, words string)) {
		if cmd.Hidden {
			return
		}
		if len(cmd.Commands) == 0 || len(cmd.Flags) > 0 {
			do(cmd, words)
		}
		for _, sub := range cmd.Commands {
			walk(sub, words+" "+sub.Name, do)
		}
	}
	walk(root, "influx", func(cmd *cli.Command, words string) {
		fmt.Fprintf(&b, "- [`%s`](#%s): %s\n", words, strings.ReplaceAll(words, " ", "-"), sentence(cmd.Usage))
	})
	walk(root, "influx", func(cmd *cli.Command, words string) {
		fmt.Fprintf(
			&b,
			"\n### %s\n\n    %s [flags]%s\n\n%s\n",
			words,
			words,
			strings.TrimRight(" "+cmd.ArgsUsage, " "),
			sentence(cmd.Usage),
		)
		if len(cmd.Aliases) > 0 {
			fmt.Fprintf(&b, "Also called `%s`.\n", strings.Join(cmd.Aliases, "`, `"))
		}
		if cmd.Description != "" {
			fmt.Fprintf(&b, "\n%s\n", description(cmd.Description))
		}
		if own := slices.DeleteFunc(slices.Clone(cmd.Flags), func(f cli.Flag) bool { return isShared(shared, f) }); len(
			own,
		) > 0 {
			fmt.Fprintln(&b)
			for _, f := range own {
				writeFlag(&b, f)
			}
		}
		if len(cmd.Flags) == 0 {
			fmt.Fprint(&b, "\nIt has no flags.\n")
		}
	})
	return b.String()
}

// isShared says whether a flag is the shared one, and not another of the same name.
func isShared(shared []cli.Flag, f cli.Flag) bool {
	return slices.ContainsFunc(shared, func(s cli.Flag) bool { return s.String() == f.String() })
}

func writeFlag(b *strings.Builder, f cli.Flag) {
	d := f.(cli.DocGenerationFlag)
	// The word in backquotes is what the value is called.
	name, text := "", d.GetUsage()
	if parts := strings.SplitN(text, "`", 3); len(parts) == 3 {
		name, text = strings.ToUpper(parts[1]), strings.Join(parts, "")
	} else if d.TakesValue() {
		name = strings.ToUpper(d.TypeName())
	}
	var names []string
	for _, n := range f.Names() {
		names = append(names, "`"+strings.TrimSpace(dashes(n)+" "+name)+"`")
	}
	var more []string
	if r := f.(cli.RequiredFlag); r.IsRequired() && !strings.Contains(text, "(required)") {
		more = append(more, "required")
	}
	if text := d.GetDefaultText(); text != "" && text != "false" {
		more = append(more, "default: "+text)
	}
	for _, v := range d.GetEnvVars() {
		more = append(more, "`"+v+"`")
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, "; ") + ")"
	}
	fmt.Fprintf(b, "- %s: %s\n", strings.Join(names, ", "), strings.TrimSuffix(text, "."))
}

// description gives examples, which are indented, the room that Markdown wants.
func description(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if example, ok := strings.CutPrefix(line, "   "); ok {
			lines[i] = "    " + example
		}
	}
	return strings.Join(lines, "\n")
}

func sentence(s string) string { return strings.TrimSuffix(s, ".") + "." }
