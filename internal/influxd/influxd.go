// Package influxd is the daemon: it finds the command that the arguments name, and runs it. Without
// one that is the server.
package influxd

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/offline"
	"strongroom/internal/influxd/parts"
	"strongroom/internal/influxd/release"
	"strongroom/internal/influxd/server"
)

// commands is the table of them. The first is also what happens without a command.
func commands() []command.Spec {
	return slices.Concat(
		[]command.Spec{{Name: "run", Summary: "start the server; so does influxd without a command", Run: server.Run}},
		offline.Commands(),
		[]command.Spec{
			{Name: "print-config", Summary: "show every setting, its value and where it comes from", Run: printConfig,
				Flags: []config.Flag{
					{Name: "key-name", Value: "SETTING",
						Help: "show the value of this setting alone, and nothing else"},
				}},
			{Name: "version", Summary: "show the version", Run: printVersion},
			{Name: "help", Summary: "show this text or, with the words of a command behind it, that command",
				Run: printHelp},
		})
}

// Run does what the arguments say, until it is done or ctx ends; for a server, the end of ctx means to finish the
// requests in flight and stop. The error is one message for whoever started the program.
func Run(ctx context.Context, p command.Process) error {
	var own []config.Flag
	for _, c := range commands() {
		own = append(own, c.Flags...)
	}
	args, err := config.ParseArgs(p.Args, own...)
	if err != nil {
		return command.Usage(err)
	}
	if args.Help || slices.Contains(args.Words, "help") {
		return printHelp(ctx, p, args)
	}
	cmd, err := choose(args.Words)
	if err != nil {
		return command.Usage(err)
	}
	for _, name := range args.OwnFlags() {
		if !slices.ContainsFunc(cmd.Flags, func(f config.Flag) bool { return f.Name == name }) {
			return command.Usage(fmt.Errorf("flag --%s: the command %s has no such flag; `influxd help` tells "+
				"whose it is", name, cmd.Name))
		}
	}
	return cmd.Run(ctx, p, args)
}

// choose finds the command that the words name. None takes arguments that are not flags.
func choose(words []string) (command.Spec, error) {
	table := commands()
	if len(words) == 0 {
		return table[0], nil
	}
	for _, c := range table {
		if c.Name == strings.Join(words, " ") {
			return c, nil
		}
		if n := len(strings.Fields(c.Name)); n < len(words) && c.Name == strings.Join(words[:n], " ") {
			return command.Spec{}, fmt.Errorf("the command %s takes no arguments but flags", c.Name)
		}
	}
	if kin := slices.DeleteFunc(commands(), func(c command.Spec) bool {
		return !strings.HasPrefix(c.Name, words[0]+" ")
	}); len(kin) > 0 {
		return command.Spec{}, fmt.Errorf("the word %s needs the right one behind it: %s; `influxd help` tells more",
			words[0], names(kin))
	}
	var known []string
	for _, c := range table {
		known = append(known, c.Name)
	}
	// The words are not shown: a value that slipped behind its flag may be a secret.
	if meant := config.Suggest(strings.Join(words, " "), known...); meant != "" {
		return command.Spec{}, fmt.Errorf("there is no such command%s; `influxd help` lists them", meant)
	}
	return command.Spec{}, fmt.Errorf("there is no such command; the commands are %s, and `influxd help` tells more",
		names(table))
}

func names(table []command.Spec) string {
	var all []string
	for _, c := range table {
		all = append(all, c.Name)
	}
	return strings.Join(all, ", ")
}

// printConfig shows the configuration. A secret is hidden in either form.
func printConfig(_ context.Context, p command.Process, args config.Args) error {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	name := args.Flag("key-name")
	if name == "" {
		cfg.Print(p.Stdout)
		for _, v := range parts.VaultVariables(cfg, p.Env) {
			inPlace := ""
			if v.For != "" {
				inPlace = ", for " + v.For
			}
			fmt.Fprintf(p.Stdout, "# %s: %s  # variable%s\n", v.Name, v.Value, inPlace)
		}
		return nil
	}
	value, ok := cfg.Shown(name)
	if !ok {
		return command.Usage(fmt.Errorf("flag --key-name: there is no such setting%s; `influxd help` lists them",
			config.Suggest(name, config.Names()...)))
	}
	fmt.Fprintln(p.Stdout, value)
	return nil
}

// printHelp shows the help of the command that the words name, behind "help" or before --help, or else of all.
func printHelp(_ context.Context, p command.Process, args config.Args) error {
	words := slices.DeleteFunc(slices.Clone(args.Words), func(w string) bool { return w == "help" })
	if len(words) > 0 && words[0] != "run" {
		return printCommandHelp(p, words)
	}
	fmt.Fprint(p.Stdout, "influxd keeps the secrets of organisations, encrypted in a file of its own, in etcd or in "+
		"Vault, behind InfluxDB's API and Vault's.\n\nUsage: influxd [command] [flags]\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(p.Stdout, "  %-31s %s\n", c.Name, c.Summary)
		writeFlags(p.Stdout, c.Flags)
	}
	fmt.Fprintln(p.Stdout)
	config.WriteHelp(p.Stdout)
	return nil
}

// printCommandHelp shows one command or, where the words only begin some, each of those.
func printCommandHelp(p command.Process, words []string) error {
	name := strings.Join(words, " ")
	chosen := slices.DeleteFunc(commands(), func(c command.Spec) bool {
		return c.Name != name && !strings.HasPrefix(c.Name, name+" ")
	})
	if len(chosen) == 0 {
		_, err := choose(words)
		return command.Usage(err)
	}
	for _, c := range chosen {
		fmt.Fprintf(p.Stdout, "Usage: influxd %s [flags]\n\n  %s\n", c.Name, c.Summary)
		writeFlags(p.Stdout, c.Flags)
		fmt.Fprintln(p.Stdout)
	}
	fmt.Fprintln(p.Stdout, "Every setting is a flag of it, too; `influxd help` lists them.")
	return nil
}

func writeFlags(w io.Writer, flags []config.Flag) {
	for _, f := range flags {
		fmt.Fprintf(w, "      --%-26s%s\n", strings.TrimSpace(f.Name+" "+f.Value), f.Help)
	}
}

// printVersion writes the version in the form of InfluxDB's, which scripts take apart.
func printVersion(_ context.Context, p command.Process, _ config.Args) error {
	fmt.Fprintf(p.Stdout, "Strongroom %s (git: %s) build_date: %s\n", release.Version(), release.Commit(),
		release.Date())
	return nil
}
