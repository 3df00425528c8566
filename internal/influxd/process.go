// Package influxd is the daemon: it reads the configuration, opens the parts in order, serves, and closes them in
// reverse. It is the one package that knows which implementation stands behind each interface.
package influxd

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"strongroom/internal/influxd/config"
)

// Process is what the daemon has of the process it runs in. Tests make their own and so start the real program.
type Process struct {
	Args           []string // without the program's name
	Env            []string // as os.Environ gives it
	Stdout, Stderr io.Writer

	// Hangup says when the log files may have been moved and are to be opened anew (SIGHUP); nil for never.
	Hangup <-chan os.Signal

	// Listening, where it is set, is called with the API's URL as soon as connections are taken.
	Listening func(url string)
}

// command is one thing the program does.
type command struct {
	name    string // one word or more
	summary string
	run     func(ctx context.Context, p Process, args config.Args) error
	flags   []config.Flag // of its own, beside the settings
}

// commands is the table of them. The first is also what happens without a command.
func commands() []command {
	return []command{
		{name: "run", summary: "start the server; so does influxd without a command", run: runServer},
		{name: "audit verify", summary: "check that no line of the audit log is missing or altered", run: verifyAudit},
		{name: "seal status", summary: "show what the data are sealed with, and how old the keys are", run: sealStatus},
		{name: "seal rotate", summary: "seal everything anew with new data keys", run: sealRotate},
		{name: "seal change", summary: "make a new root key, under the same seal or another", run: sealChange, flags: sealFlags},
		{name: "import", summary: "take over what a real InfluxDB 2 keeps: users, tokens, secrets", run: importInfluxDB, flags: importFlags},
		{name: "check", summary: "look at every record of the data file and tell what is wrong", run: checkFile},
		{name: "restore", summary: "check a backup whole and put it in the place of the data file", run: restoreFile, flags: restoreFlags},
		{name: "vault check", summary: "walk the settings for Vault step by step, and print the policy they need", run: checkVault},
		{name: "secrets copy", summary: "copy secrets from one store to another, and read them back", run: copySecrets, flags: copyFlags},
		{name: "secrets relayout", summary: "convert secrets in Vault from one --vault-layout to the other, where they are", run: relayout, flags: relayoutFlags},
		{name: "secrets export", summary: "write secrets to a file, encrypted by age", run: exportSecrets, flags: exportFlags},
		{name: "secrets import", summary: "take secrets from such a file", run: importSecrets, flags: importSecretsFlags},
		{name: "print-config", summary: "show every setting, its value and where it comes from", run: printConfig},
		{name: "version", summary: "show the version", run: printVersion},
		{name: "help", summary: "show this text", run: printHelp},
	}
}

// Run does what the arguments say, until it is done or ctx ends; for a server, the end of ctx means to finish the
// requests in flight and stop. The error is one message for whoever started the program.
func Run(ctx context.Context, p Process) error {
	var own []config.Flag
	for _, c := range commands() {
		own = append(own, c.flags...)
	}
	args, err := config.ParseArgs(p.Args, own...)
	if err != nil {
		return err
	}
	if args.Help {
		return printHelp(ctx, p, args)
	}
	cmd, err := choose(args.Words)
	if err != nil {
		return err
	}
	for _, name := range args.OwnFlags() {
		if !slices.ContainsFunc(cmd.flags, func(f config.Flag) bool { return f.Name == name }) {
			return fmt.Errorf("flag --%s: the command %s has no such flag; `influxd help` tells whose it is", name, cmd.name)
		}
	}
	return cmd.run(ctx, p, args)
}

// choose finds the command that the words name. None takes arguments that are not flags.
func choose(words []string) (command, error) {
	table := commands()
	if len(words) == 0 {
		return table[0], nil
	}
	for _, c := range table {
		if c.name == strings.Join(words, " ") {
			return c, nil
		}
		if n := len(strings.Fields(c.name)); n < len(words) && c.name == strings.Join(words[:n], " ") {
			return command{}, fmt.Errorf("the command %s takes no arguments but flags", c.name)
		}
	}
	if kin := slices.DeleteFunc(commands(), func(c command) bool { return !strings.HasPrefix(c.name, words[0]+" ") }); len(kin) > 0 {
		return command{}, fmt.Errorf("the word %s needs the right one behind it: %s; `influxd help` tells more", words[0], names(kin))
	}
	// The words are not shown: a value that slipped behind its flag may be a secret.
	return command{}, fmt.Errorf("there is no such command; the commands are %s, and `influxd help` tells more", names(table))
}

func names(table []command) string {
	var all []string
	for _, c := range table {
		all = append(all, c.name)
	}
	return strings.Join(all, ", ")
}

func printConfig(_ context.Context, p Process, args config.Args) error {
	cfg, err := config.Load(args, p.Env)
	if err != nil {
		return err
	}
	cfg.Print(p.Stdout)
	return nil
}

func printHelp(_ context.Context, p Process, _ config.Args) error {
	fmt.Fprint(p.Stdout, "influxd keeps the secrets of organisations, encrypted in a file of its own or in Vault, behind InfluxDB's API.\n\n"+
		"Usage: influxd [command] [flags]\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(p.Stdout, "  %-17s %s\n", c.name, c.summary)
		for _, f := range c.flags {
			fmt.Fprintf(p.Stdout, "      --%-26s%s\n", strings.TrimSpace(f.Name+" "+f.Value), f.Help)
		}
	}
	fmt.Fprintln(p.Stdout)
	config.WriteHelp(p.Stdout)
	return nil
}
