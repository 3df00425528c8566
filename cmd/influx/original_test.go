package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v3"
)

// ofOriginal are the commands and flags of InfluxData's influx 2.7, as far as they are about what this server has. Its
// flags of every command are in TestEmptyVariables, by their variables, and below.
var ofOriginal = map[string]string{
	"setup":              "username u password p token t org o bucket b retention r force f name n",
	"ping":               "",
	"version":            "",
	"server-config":      "toml yaml",
	"config":             "",
	"config create":      "config-name n host-url u token t username-password p org o active a",
	"config set":         "config-name n host-url u token t username-password p org o active a",
	"config update":      "config-name n",
	"config rm":          "",
	"config delete":      "",
	"config remove":      "",
	"config ls":          "",
	"config list":        "",
	"org create":         "name n description d",
	"organization list":  "name n id i",
	"org find":           "name n id i",
	"org ls":             "name n id i",
	"org update":         "name n id i description d",
	"org delete":         "id i",
	"org members add":    "name n id i member m",
	"org members list":   "name n id i",
	"org members remove": "name n id i member m",
	"user create":        "name n password p org o org-id",
	"user list":          "name n id i",
	"user update":        "name n id i",
	"user delete":        "id i",
	"user password":      "name n id i",
	"auth list":          "org o org-id id i user u user-id",
	"auth delete":        "id i",
	"auth active":        "id i",
	"auth inactive":      "id i",
	"authorization create": "org o org-id description d user u operator all-access read-bucket write-bucket " +
		"read-buckets write-buckets read-user write-user read-dbrps write-dbrps read-authorizations " +
		"write-authorizations",
	"secret list":   "org o org-id",
	"secret find":   "org o org-id",
	"secret update": "org o org-id key k value v",
	"secret delete": "org o org-id key k",
	"bucket list":   "org o org-id name n id i limit offset page-size",
}

func TestOriginal(t *testing.T) {
	known := make(map[string]*cli.Command)
	var walk func(cmd *cli.Command, words string)
	walk = func(cmd *cli.Command, words string) {
		known[words] = cmd
		for _, sub := range cmd.Commands {
			for _, name := range sub.Names() {
				walk(sub, strings.TrimPrefix(words+" "+name, " "))
			}
		}
	}
	walk(tree(), "")
	for words, flags := range ofOriginal {
		cmd := known[words]
		if cmd == nil {
			t.Errorf("there is no command %q", words)
			continue
		}
		all := strings.Fields(flags)
		if cmd.Name != "version" && !strings.HasPrefix(words, "config") {
			all = append(all, "host", "skip-verify", "configs-path", "active-config", "c", "http-debug")
			if cmd.Name != "ping" {
				all = append(all, "token", "t", "json", "hide-headers")
			}
		}
		for _, name := range all {
			if !slices.ContainsFunc(cmd.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }) {
				t.Errorf("%q has no flag %s", words, dashes(name))
			}
		}
	}
}
