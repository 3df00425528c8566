package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v3"

	"strongroom/cmd/influx/internal/exit"
	"strongroom/cmd/influx/internal/session"
	"strongroom/cmd/influx/internal/terminal"
)

// leaf is a command that does something, with its words.
type leaf struct {
	words []string
	cmd   *cli.Command
}

func tree() *cli.Command { return commands(&session.Process{Term: terminal.New(os.Stdin, os.Stderr)}) }

func leaves(t *testing.T) []leaf {
	t.Helper()
	var all []leaf
	var walk func(cmd *cli.Command, words []string)
	walk = func(cmd *cli.Command, words []string) {
		if cmd.Name == "completion" || cmd.Name == "__complete" {
			return // it is for shells, and takes no flags
		}
		if len(cmd.Commands) == 0 || len(cmd.Flags) > 0 {
			all = append(all, leaf{words, cmd})
		}
		for _, sub := range cmd.Commands {
			walk(sub, append(slices.Clone(words), sub.Name))
		}
	}
	walk(tree(), nil)
	if len(all) < 30 {
		t.Fatalf("found %d commands", len(all))
	}
	return all
}

// runWith runs the program without a home, without a server and without input.
func runWith(t *testing.T, args ...string) (code exit.Code, stdout, stderr string) {
	t.Helper()
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	var out, errs strings.Builder
	return exit.Code(
		run(t.Context(), append([]string{"influx"}, args...), stdin, &out, &errs),
	), out.String(), errs.String()
}

// TestEmptyFlags gives every flag of every command an empty value, as a variable that is not set does.
func TestEmptyFlags(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("INFLUX_HOST", "http://127.0.0.1:1")
	tried := 0
	for _, l := range leaves(t) {
		for _, f := range l.cmd.Flags {
			for _, name := range f.Names() {
				forms := [][]string{{dashes(name) + "="}}
				if _, isSwitch := f.(*cli.BoolFlag); !isSwitch {
					forms = append(forms, []string{dashes(name), ""})
				}
				for _, form := range forms {
					tried++
					code, stdout, stderr := runWith(t, append(slices.Clone(l.words), form...)...)
					if code != exit.Usage || stdout != "" || !strings.Contains(stderr, name+": ") {
						t.Errorf("%v %q: code %d, %s%s", l.words, form, code, stdout, stderr)
					}
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("tried only %d", tried)
	}
}

// TestRepeatedFlags gives every flag that takes one value two.
func TestRepeatedFlags(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("INFLUX_HOST", "http://127.0.0.1:1")
	for _, l := range leaves(t) {
		for _, f := range l.cmd.Flags {
			name := "--" + f.Names()[0]
			twice := []string{name, name}
			switch f := f.(type) {
			case *cli.StringSliceFlag:
				continue
			case *cli.IntFlag:
				twice = []string{name + "=1", name + "=2"}
			case *cli.StringFlag:
				// What is valid of one kind or the other.
				value := "0123456789abcdef"
				for _, valid := range []string{"30d", "10s", "HUP", "0640"} {
					if f.Validator != nil && f.Validator(value) != nil {
						value = valid
					}
				}
				twice = []string{name, value, name, value}
			}
			code, _, stderr := runWith(t, append(slices.Clone(l.words), twice...)...)
			if code != exit.Usage || !strings.Contains(stderr, name+": given twice") ||
				strings.Contains(stderr, "0123456789abcdef") {
				t.Errorf("%v %q: code %d, %s", l.words, twice, code, stderr)
			}
		}
	}
}

// TestEmptyVariables: a variable that is empty counts as not set, whatever flag it stands for.
func TestEmptyVariables(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	variables := map[string]bool{}
	for _, l := range leaves(t) {
		for _, f := range l.cmd.Flags {
			for _, v := range f.(cli.DocGenerationFlag).GetEnvVars() {
				variables[v] = true
				t.Setenv(v, "")
			}
		}
	}
	for _, v := range []string{"INFLUX_HOST", "INFLUX_TOKEN", "INFLUX_ORG", "INFLUX_ORG_ID", "INFLUX_OUTPUT_JSON",
		"INFLUX_HIDE_HEADERS", "INFLUX_CONFIGS_PATH", "INFLUX_ACTIVE_CONFIG", "INFLUX_SKIP_VERIFY"} {
		if !variables[v] {
			t.Errorf("no flag has the variable %s of the original CLI", v)
		}
	}
	if code, _, stderr := runWith(t, "secret", "list"); code != exit.Usage || !strings.Contains(stderr, "no token: ") {
		t.Errorf("code %d, %s", code, stderr)
	}
	if code, stdout, stderr := runWith(t, "config", "ls"); code != exit.OK || stdout != "Active\tName\tURL\tOrg\n" {
		t.Errorf("code %d, %s%s", code, stdout, stderr)
	}
}

// TestEveryCommand: each has a usage and a help of its own, and prints JSON.
func TestEveryCommand(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for _, l := range leaves(t) {
		if l.cmd.Usage == "" {
			t.Errorf("%v has no usage", l.words)
		}
		if !slices.ContainsFunc(l.cmd.Flags, func(f cli.Flag) bool { return f.Names()[0] == "json" }) {
			t.Errorf("%v has no --json", l.words)
		}
		for _, args := range [][]string{append([]string{"help"}, l.words...), append(slices.Clone(l.words), "--help"),
			append([]string{"-h"}, l.words...)} {
			code, stdout, stderr := runWith(t, args...)
			if code != exit.OK || stderr != "" ||
				!strings.Contains(stdout, "influx "+strings.Join(l.words, " ")+" - "+strings.Fields(l.cmd.Usage)[0]) {
				t.Errorf("%q: code %d, %s%s", args, code, stdout, stderr)
			}
		}
	}
}

func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
