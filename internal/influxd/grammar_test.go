package influxd

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
)

// runWith runs the program without a variable but HOME, and gives what it wrote.
func runWith(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(t.Context(), command.Process{Args: args, Env: []string{"HOME=" + t.TempDir()}, Stdout: &out,
		Stderr: &out})
	return out.String(), err
}

// TestEmptyFlags gives every flag of every command, and every setting, an empty value, as a
// variable that is not set does.
func TestEmptyFlags(t *testing.T) {
	tried := 0
	for _, c := range commands() {
		names := make(map[string]string) // and what messages call them
		for _, f := range c.Flags {
			names[f.Name] = f.Name
			if f.Former != "" {
				names[f.Former] = f.Name
			}
		}
		if c.Name == "print-config" {
			for _, name := range config.Names() {
				names[name] = name
			}
		}
		words := strings.Fields(c.Name)
		for name, called := range names {
			tried++
			out, err := runWith(t, append(words, "--"+name+"=")...)
			if command.Code(err) != command.CodeUsage || !strings.Contains(err.Error(),
				"flag --"+called+": ") || out != "" {
				t.Errorf("%s --%s=: %v, %s", c.Name, name, err, out)
			}
		}
	}
	if tried < 100 {
		t.Errorf("tried only %d", tried)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"prnt-config"}, "there is no such command (did you mean print-config?)"},
		{[]string{"secret", "copy"}, "there is no such command (did you mean secrets copy?)"},
		{[]string{"help", "sesame"}, "there is no such command"},
		{[]string{"print-config", "--key-name", "bolt-pth"},
			"flag --key-name: there is no such setting (did you mean bolt-path?)"},
		{[]string{"print-config", "--from", "x"}, "flag --from: the command print-config has no such flag"},
		{[]string{"seal", "change", "--key-file", "--to", "key-file"}, "flag --key-file: its value is missing"},
		{[]string{"seal", "change", "--key-file", "a", "--new-key-file", "b"}, "flag --key-file: given twice"},
	} {
		out, err := runWith(t, tt.args...)
		if command.Code(err) != command.CodeUsage || !strings.Contains(err.Error(), tt.want) || out != "" {
			t.Errorf("%q: %v, %s, want %q", tt.args, err, out, tt.want)
		}
	}
	// A command that lacks a flag, or has one that it cannot use, has opened nothing and made nothing.
	for line, want := range map[string]string{
		"seal change --to nothing":              "flag --to: must be one of",
		"seal change --to key-file":             "flag --to: key-file needs --key-file, too",
		"import":                                "flag --influxdb: name InfluxDB's influxd.bolt",
		"restore":                               "flag --from: name the backup",
		"store copy":                            "flag --from: must be one of bolt, etcd",
		"store copy --from bolt --to bolt":      "they are the same engine",
		"store copy --from bolt --to etcd":      "--etcd-endpoints is missing",
		"recovery auth create-operator --org x": "flag --username: name the user; influxd recovery user list",
		"recovery auth create-operator --username x": "flag --org: name the organization; influxd " +
			"recovery org list",
		"recovery user create":                       "flag --username: name the user",
		"recovery user update --active":              "flag --username: name the user",
		"recovery user create --username x --active": "the command recovery user create has no such flag",
		"secrets copy":                               "flag --from: name a store, bolt or vault",
		"secrets copy --from bolt":                   "flag --to: name a store, bolt or vault",
		"secrets copy --from bolt --to vualt":        "flag --to: must be bolt or vault",
		"secrets copy --from bolt --to bolt":         "they are the same store",
		"secrets relayout --all":                     "flag --to: name a layout, org or secret",
		"secrets relayout --to org":                  "flag --org: name an organization, or give --all",
		"secrets export --plain":                     "flag --out: name the file to write to",
		"secrets export --out x":                     "say how the file is protected",
		"secrets import":                             "flag --file: name what influxd secrets export has written",
		"secrets export --out x --recipient y":       "flag --recipient: it is not an age public key",
	} {
		home := t.TempDir()
		var out bytes.Buffer
		err := Run(t.Context(), command.Process{
			Args: strings.Fields(line), Env: []string{"HOME=" + home}, Stdout: &out, Stderr: &out,
		})
		if command.Code(err) != command.CodeUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: code %d, %v, want %q", line, command.Code(err), err, want)
		}
		if made, err := os.ReadDir(home); err != nil || len(made) > 0 {
			t.Errorf("%s: made %v, %v", line, made, err)
		}
	}
	for _, args := range [][]string{{"help", "seal", "change"}, {"seal", "change", "--help"},
		{"seal", "change", "help"}, {"-h", "seal", "change"}} {
		out, err := runWith(t, args...)
		if err != nil || !strings.HasPrefix(out, "Usage: influxd seal change [flags]\n") ||
			strings.Contains(out, "seal rotate") || strings.Contains(out, "--new-") {
			t.Errorf("%q: %v, %s", args, err, out)
		}
	}
	for name, want := range map[string]string{"log-level": "info\n", "vault-token": "[hidden]\n", "pid-file": "\n"} {
		if out, err := runWith(t, "print-config", "--key-name", name, "--vault-token", "sesame"); err != nil ||
			out != want {
			t.Errorf("%s: %v, %q", name, err, out)
		}
	}
	for want, err := range map[int]error{
		command.CodeOK: nil, command.CodeFailure: errors.New("x"), command.CodeInterrupted: fmt.Errorf("x: %w",
			context.Canceled),
		command.CodeUsage: command.Usage(context.Canceled),
	} {
		if got := command.Code(err); got != want {
			t.Errorf("%v: code %d, want %d", err, got, want)
		}
	}
}

var update = flag.Bool("update", false, "write the generated part of docs/influxd.md anew")

// What is below this line of docs/influxd.md comes from the table of commands.
const generated = "<!-- Below: make reference -->\n"

func TestReference(t *testing.T) {
	const page = "../../docs/influxd.md"
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	written, below, found := strings.Cut(string(raw), generated)
	if !found {
		t.Fatalf("%s has no line %q", page, generated)
	}
	var want strings.Builder
	fmt.Fprint(&want, "\n| command | what it does |\n|---|---|\n")
	for _, c := range commands() {
		fmt.Fprintf(&want, "| [`influxd %s`](#influxd-%s) | %s |\n", c.Name,
			strings.ReplaceAll(c.Name, " ", "-"), c.Summary)
	}
	for _, c := range commands() {
		fmt.Fprintf(&want, "\n### influxd %s\n\n%s.\n", c.Name, strings.ToUpper(c.Summary[:1])+c.Summary[1:])
		if len(c.Flags) > 0 {
			fmt.Fprintln(&want)
		}
		for _, f := range c.Flags {
			fmt.Fprintf(&want, "- `%s`: %s\n", strings.TrimSpace("--"+f.Name+" "+f.Value), f.Help)
		}
	}
	if *update {
		if err := os.WriteFile(page, []byte(written+generated+want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), below); diff != "" {
		t.Errorf("%s is not of this program; run make reference (-want +got):\n%s", page, diff)
	}
}
