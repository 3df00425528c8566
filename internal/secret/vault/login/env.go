package login

import (
	"os"
	"sync"

	"github.com/hashicorp/vault/api"
)

// Vault's client reads its variables whenever one is made or copied, and its own loader fails at a folder of authorities
// that Kubernetes mounts. What package conn has loaded from there is in the client that is copied.
var variables sync.Mutex

// Variable is one of Vault's variables.
func Variable(name string) string {
	variables.Lock()
	defer variables.Unlock()
	return os.Getenv(name)
}

// WithoutCAPath has clients made or copied as if VAULT_CAPATH were not set.
func WithoutCAPath(do func()) {
	variables.Lock()
	defer variables.Unlock()
	if folder, set := os.LookupEnv(api.EnvVaultCAPath); set {
		os.Unsetenv(api.EnvVaultCAPath)
		defer os.Setenv(api.EnvVaultCAPath, folder)
	}
	do()
}
