package login

import (
	"os"
	"strings"
	"sync"

	"github.com/hashicorp/vault/api"
)

// Variables lists the environment variables that Vault's client reads. OpenBao's client reads each by a name that
// begins with BAO_ first.
var Variables = []string{
	api.EnvVaultAddress, api.EnvVaultAgentAddr, api.EnvVaultToken, api.EnvVaultNamespace, api.EnvVaultClientTimeout,
	api.EnvVaultMaxRetries, api.EnvVaultCACert, api.EnvVaultCACertBytes, api.EnvVaultCAPath, api.EnvVaultClientCert,
	api.EnvVaultClientKey, api.EnvVaultSkipVerify, api.EnvVaultTLSServerName, api.EnvRateLimit, api.EnvHTTPProxy,
	api.EnvVaultProxyAddr, api.EnvVaultHeaders, api.EnvVaultSRVLookup, api.EnvVaultDisableRedirects,
	api.EnvVaultWrapTTL,
}

// openBaos is the variable's name for OpenBao's client.
func openBaos(name string) string { return "BAO_" + strings.TrimPrefix(name, "VAULT_") }

// variables is held by whoever reads or changes the environment: Vault's client reads it whenever
// one is made or copied.
var variables sync.Mutex

// Variable is one of Vault's variables, by Vault's name for it. OpenBao's goes before it, also one that is empty.
func Variable(name string) string {
	variables.Lock()
	defer variables.Unlock()
	_, value := Lookup(name, os.LookupEnv)
	return value
}

// VariableName is the name that the variable's value is under.
func VariableName(name string) string {
	variables.Lock()
	defer variables.Unlock()
	under, _ := Lookup(name, os.LookupEnv)
	return under
}

// Lookup finds a variable in an environment, and gives the name that its value is under.
func Lookup(name string, env func(string) (string, bool)) (under, value string) {
	if v, set := env(openBaos(name)); set {
		return openBaos(name), v
	}
	v, _ := env(name)
	return name, v
}

// WithVariables has clients made or copied with the variables as they count: with OpenBao's for Vault's, and without
// VAULT_CAPATH, at which the client's own loader fails where Kubernetes mounts the folder. What package conn has loaded
// from there is in the client that is copied.
func WithVariables(do func()) {
	variables.Lock()
	defer variables.Unlock()
	for _, name := range Variables {
		under, value := Lookup(name, os.LookupEnv)
		if under == name && name != api.EnvVaultCAPath {
			continue
		}
		if name == api.EnvVaultCAPath {
			value = ""
		}
		before, set := os.LookupEnv(name)
		if value == "" && !set {
			continue
		}
		_ = os.Setenv(name, value) // the names are right; an empty one counts as not set
		defer func() {
			if set {
				_ = os.Setenv(name, before)
			} else {
				_ = os.Unsetenv(name)
			}
		}()
	}
	do()
}
