package parts

import (
	"net/url"
	"strings"

	"strongroom/internal/influxd/config"
	"strongroom/internal/seal"
	"strongroom/internal/secret/vault/login"
)

// Variable is one of Vault's variables, or OpenBao's in its place, that counts.
type Variable struct {
	Name  string // that it is set under
	Value string // as it may be seen
	For   string // the setting that it is in place of; "" where there is none
}

// settingsFor are the settings that go before Vault's variables.
var settingsFor = map[string][]string{
	"VAULT_ADDR": {"vault-addr"}, "VAULT_AGENT_ADDR": {"vault-addr"}, "VAULT_NAMESPACE": {"vault-namespace"},
	"VAULT_TOKEN":          {"vault-token", "vault-token-file"},
	"VAULT_CLIENT_TIMEOUT": {"vault-client-timeout"}, "VAULT_MAX_RETRIES": {"vault-max-retries"},
	"VAULT_CACERT": {"vault-cacert", "vault-capath"}, "VAULT_CAPATH": {"vault-capath", "vault-cacert"},
	"VAULT_CACERT_BYTES": {"vault-cacert", "vault-capath"}, "VAULT_CLIENT_CERT": {"vault-client-cert"},
	"VAULT_CLIENT_KEY": {"vault-client-key"}, "VAULT_SKIP_VERIFY": {"vault-skip-verify"},
	"VAULT_TLS_SERVER_NAME": {"vault-tls-server-name"},
}

// VaultVariables returns the variables of Vault's that count in an environment, as os.Environ gives it: none where
// nothing is in Vault, and none that a setting, or another variable, goes before.
func VaultVariables(cfg *config.Config, environ []string) (all []Variable) {
	if cfg.SecretStore != config.StoreVault && cfg.Seal.Type != seal.TypeTransit {
		return nil
	}
	env := make(map[string]string)
	for _, e := range environ {
		if name, value, is := strings.Cut(e, "="); is {
			env[name] = value
		}
	}
	lookup := func(name string) (string, bool) {
		value, set := env[name]
		return value, set
	}
	value := func(name string) string {
		_, v := login.Lookup(name, lookup)
		return v
	}
	for _, name := range login.Variables {
		under, v := login.Lookup(name, lookup)
		if v == "" || name == "VAULT_WRAP_TTL" || beaten(cfg, name, value) {
			continue
		}
		of := ""
		if s := settingsFor[name]; len(s) > 0 {
			of = s[0]
		}
		all = append(all, Variable{Name: under, Value: variableShown(name, v), For: of})
	}
	return all
}

// beaten reports whether a setting or another variable goes before the variable.
func beaten(cfg *config.Config, name string, value func(string) string) bool {
	for _, s := range settingsFor[name] {
		if cfg.Source(s) != "default" {
			return true
		}
	}
	switch name {
	case "VAULT_TOKEN":
		return cfg.Vault.Login.Method != login.Token
	case "VAULT_ADDR":
		return value("VAULT_AGENT_ADDR") != ""
	case "VAULT_CACERT_BYTES":
		return value("VAULT_CACERT") != ""
	case "VAULT_CAPATH":
		return value("VAULT_CACERT")+value("VAULT_CACERT_BYTES") != ""
	case "VAULT_HTTP_PROXY":
		return value("VAULT_PROXY_ADDR") != ""
	}
	return false
}

// variableShown is the value as it may be seen: what may hold a secret is hidden.
func variableShown(name, value string) string {
	switch name {
	case "VAULT_TOKEN", "VAULT_HEADERS":
		return config.Hidden
	case "VAULT_CACERT_BYTES":
		return "(certificates)"
	case "VAULT_ADDR", "VAULT_AGENT_ADDR", "VAULT_HTTP_PROXY", "VAULT_PROXY_ADDR":
		if u, err := url.Parse(value); err != nil || u.User != nil {
			return config.Hidden
		}
	}
	return value
}
