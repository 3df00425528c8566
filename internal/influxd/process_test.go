package influxd

import (
	"bytes"
	"strings"
	"strongroom/internal/influxd/command"
	"testing"
)

func TestCommandErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		env  []string
		want string
	}{
		{"no such command", []string{"serve"}, nil, "there is no such command; the commands are run, audit verify, "},
		{"a value without its flag", []string{"hvs.sesame"}, nil, "there is no such command"},
		{"half a command", []string{"audit"}, nil, "the word audit needs the right one behind it: audit verify; "},
		{"half a command and another word", []string{"seal", "sesame"}, nil, "seal status, seal rotate, seal change"},
		{"words after a command", []string{"version", "sesame"}, nil,
			"the command version takes no arguments but flags"},
		{"no such flag", []string{"version", "--sesam"}, nil, "flag --sesam: there is no such flag"},
		{"bad setting", []string{"print-config"}, []string{"HOME=/h", "INFLUXD_SESSION_LENGTH=x"},
			"variable INFLUXD_SESSION_LENGTH"},
		{"bad setting at the start", nil, []string{"HOME=/h", "INFLUXD_SESSION_LENGTH=x"},
			"variable INFLUXD_SESSION_LENGTH"},
		{"no home", []string{"run"}, nil, "--bolt-path"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := Run(t.Context(), command.Process{Args: tt.args, Env: tt.env, Stdout: &out, Stderr: &out})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if out.Len() > 0 {
				t.Errorf("wrote before it failed: %s", out.String())
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Errorf("the error shows what may be a secret: %v", err)
			}
		})
	}
}

func TestCommands(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"version"}, []string{"Strongroom dev (git: unknown) build_date: unknown\n"}},
		{[]string{"help"}, []string{"Usage: influxd [command] [flags]", " show every setting, its value and where it comes from",
			"  secrets relayout ", "--passphrase-file PATH      file", "--http-bind-address HOST:PORT"}},
		{[]string{"run", "--help"}, []string{"Usage: influxd [command] [flags]"}},
		{[]string{"-h"}, []string{"Usage: influxd [command] [flags]"}},
		{[]string{"print-config", "--secret-store", "vault"},
			[]string{"# BAO_ADDR: http://bao:8200  # variable, for vault-addr\n",
				"# VAULT_TOKEN: [hidden]  # variable, for vault-token\n"}},
		{[]string{"--reporting-disabled", "print-config", "--session-length", "7"},
			[]string{"session-length: 7  # flag\n", "log-level: \"warn\"  # INFLUXD_LOG_LEVEL\n"}},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var out, problems bytes.Buffer
			err := Run(t.Context(), command.Process{Args: tt.args, Env: []string{"HOME=/h", "INFLUXD_LOG_LEVEL=warn",
				"BAO_ADDR=http://bao:8200", "VAULT_TOKEN=sesame"}, Stdout: &out, Stderr: &problems})
			if err != nil || problems.Len() > 0 {
				t.Fatalf("error %v, %s", err, problems.String())
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in what it wrote:\n%s", want, out.String())
				}
			}
		})
	}
}
