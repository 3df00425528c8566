package config

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"strongroom/internal/influxd/config/value"
)

// VaultAPI is how Vault's clients are served.
type VaultAPI struct {
	Disabled    bool
	BindAddress string // "" for none of its own
	Mount       string
	Refresh     time.Duration
	NewOrgs     bool
	Merge       bool
}

// vaultAPIPrefix is what the names of these settings begin with. Those of the Vault that keeps secrets begin like it.
const vaultAPIPrefix = "vault-api-"

func vaultAPIGroup(v *VaultAPI) group {
	return group{"Vault's clients (the KV v2 HTTP API below /v1/)", []setting{
		{name: vaultAPIPrefix + "disabled", value: value.YesNo(&v.Disabled), def: "false",
			help: "do not answer Vault's clients"},
		{name: vaultAPIPrefix + "bind-address", value: value.Address(&v.BindAddress),
			help: "address that answers Vault's clients and nothing else; they are answered on the API's address, too"},
		{name: vaultAPIPrefix + "mount", value: value.Text(&v.Mount), def: "secret",
			help: "what the mount is called by them"},
		{name: vaultAPIPrefix + "refresh", value: value.Duration(&v.Refresh), def: "0",
			help: "how soon consul-template, Vault Agent and others are told to read again (lease_duration); 0 " +
				"leaves it to them"},
		{name: vaultAPIPrefix + "new-orgs", value: value.YesNo(&v.NewOrgs), def: "false",
			help: "the first write to an organisation that is not there makes it, for a token that may write " +
				"organisations: for an InfluxDB in which organisations are made"},
		{name: vaultAPIPrefix + "merge", value: value.YesNo(&v.Merge), def: "false",
			help: "a write of a whole organisation that was made of an earlier version (cas) goes through where " +
				"others have changed other secrets since, and is not refused as Vault does"},
	}}
}

// mountName is a path that can stand below /v1/, and is nobody else's.
var mountName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$`)

func (c *Config) checkVaultAPI() error {
	const name = vaultAPIPrefix + "mount"
	first, _, _ := strings.Cut(c.VaultAPI.Mount, "/")
	if !mountName.MatchString(c.VaultAPI.Mount) || len(c.VaultAPI.Mount) > 128 {
		return fmt.Errorf("%s: a mount is called by letters, digits, and - _ . between slashes, such as "+
			"secret or team/kv", c.Place(name))
	}
	switch first {
	case "sys", "auth", "identity", "cubbyhole":
		return fmt.Errorf("%s: %s/ is Vault's own; choose another name, such as secret", c.Place(name), first)
	}
	return nil
}
