// Package completion completes what is typed in a shell: commands, flags, names of profiles, and files where a flag
// takes one. A script for each shell asks the program itself, by a command that no help shows; it needs no server.
package completion

import (
	"context"
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/session"
)

//go:embed scripts
var scripts embed.FS

// Files is the line that tells a shell to complete the name of a file.
const Files = ":file"

// Commands are influx completion, and the one that its scripts run. Root is the tree that is
// completed, once it is whole.
func Commands(p *session.Process, root func() *cli.Command) []*cli.Command {
	completion := &cli.Command{
		Name:  "completion",
		Usage: "Print the script that completes commands and flags in a shell",
		Description: `   source <(influx completion bash)                                        # in ~/.bashrc
   source <(influx completion zsh)                                         # in ~/.zshrc, after compinit
   influx completion fish > ~/.config/fish/completions/influx.fish         # once`,
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		completion.Commands = append(completion.Commands, &cli.Command{
			Name:  shell,
			Usage: "Print the script for " + shell,
			Action: func(context.Context, *cli.Command) error {
				script, err := scripts.ReadFile("scripts/influx." + shell)
				if err == nil {
					_, err = p.Out.Write(script)
				}
				return err
			},
		})
	}
	return []*cli.Command{completion, {
		Name:            "__complete",
		Usage:           "Print what can be the last of the words",
		Hidden:          true,
		SkipFlagParsing: true,
		ArgValidator:    func(context.Context, *cli.Command) error { return nil },
		Action: func(_ context.Context, cmd *cli.Command) error {
			return write(p.Out, Complete(root(), cmd.Args().Slice(), func() []string { return profiles(p, cmd) }))
		},
	}}
}

// profiles are the names of those there are. A file that cannot be read completes to nothing.
func profiles(p *session.Process, cmd *cli.Command) []string {
	f, err := p.LoadProfiles(cmd)
	if err != nil {
		return nil
	}
	var names []string
	for _, profile := range f.List() {
		names = append(names, profile.Name)
	}
	return names
}

// Candidate is what the last word can be.
type Candidate struct {
	Text, Help string
}

func write(w io.Writer, all []Candidate) error {
	for _, c := range all {
		help, _, _ := strings.Cut(c.Help, "\n")
		if _, err := fmt.Fprintf(w, "%s\t%s\n", c.Text, strings.ReplaceAll(help, "`", "")); err != nil {
			return err
		}
	}
	return nil
}

// place is where in a command line the last word stands.
type place struct {
	cmd     *cli.Command
	awaited cli.Flag // whose value the word is; nil for none
	args    bool     // behind "--"
}

// Complete gives what the last of the words can be. They are those behind the program's name.
func Complete(root *cli.Command, words []string, profiles func() []string) []Candidate {
	words = joined(words)
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	at := find(root, words[:len(words)-1])
	name, value, hasValue := strings.Cut(strings.TrimLeft(last, "-"), "=")
	if strings.HasPrefix(last, "-") && hasValue {
		at.awaited, last = flagOf(at.cmd, name), value
	}
	var all []Candidate
	switch {
	case at.awaited != nil:
		all = values(at.awaited, profiles)
	case strings.HasPrefix(last, "-") && !at.args:
		all = flags(at.cmd)
	default:
		all = arguments(at.cmd, profiles)
	}
	return slices.DeleteFunc(all, func(c Candidate) bool { return c.Text != Files && !strings.HasPrefix(c.Text, last) })
}

// joined puts --flag=value together again, which bash takes for three words.
func joined(words []string) []string {
	var out []string
	for i := 0; i < len(words); i++ {
		if n := len(out); words[i] == "=" && n > 0 && strings.HasPrefix(out[n-1], "--") {
			out[n-1] += "="
			if i+1 < len(words) {
				i++
				out[n-1] += words[i]
			}
			continue
		}
		out = append(out, words[i])
	}
	return out
}

func find(root *cli.Command, words []string) place {
	at := place{cmd: root}
	for _, word := range words {
		switch sub := at.cmd.Command(word); {
		case at.awaited != nil:
			at.awaited = nil
		case at.args:
		case word == "--":
			at.args = true
		case strings.HasPrefix(word, "-"):
			name, _, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
			f := flagOf(at.cmd, name)
			if _, isSwitch := f.(*cli.BoolFlag); f != nil && !isSwitch && !hasValue {
				at.awaited = f
			}
		case sub != nil:
			at.cmd = sub
		}
	}
	return at
}

// flagsOf are the flags that can stand behind the command's words: its own or, of a group, those that commands share.
func flagsOf(cmd *cli.Command) []cli.Flag {
	if slices.ContainsFunc(cmd.Commands, func(sub *cli.Command) bool { return !isHelp(sub) }) {
		return session.SharedFlags()
	}
	return cmd.Flags
}

// isHelp knows the command that the library gives to every other.
func isHelp(cmd *cli.Command) bool { return cmd.Name == "help" }

func flagOf(cmd *cli.Command, name string) cli.Flag {
	for _, f := range flagsOf(cmd) {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func flags(cmd *cli.Command) []Candidate {
	var all []Candidate
	for _, f := range flagsOf(cmd) {
		all = append(all, Candidate{"--" + f.Names()[0], f.(cli.DocGenerationFlag).GetUsage()})
	}
	return append(all, Candidate{"--help", "Show help"})
}

func values(f cli.Flag, profiles func() []string) []Candidate {
	s, isString := f.(*cli.StringFlag)
	switch name := f.Names()[0]; {
	case isString && s.TakesFile || name == "configs-path":
		return []Candidate{{Text: Files}}
	case name == "active-config" || name == "config-name" || name == "to-config" || name == "with-config":
		return named(profiles())
	case name == "to":
		return named([]string{"key-file", "passphrase", "transit"})
	case name == "outcome":
		return named([]string{"allowed", "denied", "failed"})
	}
	return nil
}

func arguments(cmd *cli.Command, profiles func() []string) []Candidate {
	var all []Candidate
	for _, sub := range cmd.VisibleCommands() {
		if !isHelp(sub) {
			all = append(all, Candidate{sub.Name, sub.Usage})
		}
	}
	switch {
	case strings.HasPrefix(cmd.ArgsUsage, "[config name]"):
		all = append(all, named(profiles())...)
	case cmd.ArgsUsage == "PATH":
		all = append(all, Candidate{Text: Files})
	}
	return all
}

func named(names []string) []Candidate {
	all := make([]Candidate, len(names))
	for i, name := range names {
		all[i] = Candidate{Text: name}
	}
	return all
}
