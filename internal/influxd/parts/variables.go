package parts

import (
	"net/url"
	"strings"

	"github.com/hashicorp/vault/api"

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
	api.EnvVaultAddress: {"vault-addr"}, api.EnvVaultAgentAddr: {"vault-addr"}, api.EnvVaultNamespace: {"vault-namespace"},
	api.EnvVaultToken:         {"vault-token", "vault-token-file"},
	api.EnvVaultClientTimeout: {"vault-client-timeout"}, api.EnvVaultMaxRetries: {"vault-max-retries"},
	api.EnvVaultCACert: {"vault-cacert", "vault-capath"}, api.EnvVaultCAPath: {"vault-capath", "vault-cacert"}, api.EnvVaultCACertBytes: {"vault-cacert", "vault-capath"},
	api.EnvVaultClientCert: {"vault-client-cert"}, api.EnvVaultClientKey: {"vault-client-key"},
	api.EnvVaultSkipVerify: {"vault-skip-verify"}, api.EnvVaultTLSServerName: {"vault-tls-server-name"},
}

// VaultVariables are those that count in an environment, as os.Environ gives it: none where nothing is in Vault, and none
// that a setting, or another variable, goes before.
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
		if v == "" || name == api.EnvVaultWrapTTL || beaten(cfg, name, value) {
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
	case api.EnvVaultToken:
		return cfg.Vault.AuthMethod != login.Token
	case api.EnvVaultAddress:
		return value(api.EnvVaultAgentAddr) != ""
	case api.EnvVaultCACertBytes:
		return value(api.EnvVaultCACert) != ""
	case api.EnvVaultCAPath:
		return value(api.EnvVaultCACert)+value(api.EnvVaultCACertBytes) != ""
	case api.EnvHTTPProxy:
		return value(api.EnvVaultProxyAddr) != ""
	}
	return false
}

// variableShown is the value as it may be seen: what may hold a secret is hidden.
func variableShown(name, value string) string {
	switch name {
	case api.EnvVaultToken, api.EnvVaultHeaders:
		return config.Hidden
	case api.EnvVaultCACertBytes:
		return "(certificates)"
	case api.EnvVaultAddress, api.EnvVaultAgentAddr, api.EnvHTTPProxy, api.EnvVaultProxyAddr:
		if u, err := url.Parse(value); err != nil || u.User != nil {
			return config.Hidden
		}
	}
	return value
}
