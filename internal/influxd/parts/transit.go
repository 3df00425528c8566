package parts

import (
	"cmp"
	"log/slog"

	"strongroom/internal/influxd/config"
	"strongroom/internal/seal/transit"
	"strongroom/internal/secret/vault/conn"
	"strongroom/internal/secret/vault/login"
)

// anotherVault are the names that messages about the Vault of --seal-transit-addr have, in pairs of old and new. What
// it has no setting for is its variables' to say.
var anotherVault = []string{
	"--vault-addr or VAULT_ADDR", "--seal-transit-addr",
	"--vault-addr", "--seal-transit-addr",
	"--vault-cacert or VAULT_CACERT", "--seal-transit-cacert",
	"--vault-cacert", "--seal-transit-cacert",
	"--vault-tls-server-name or VAULT_TLS_SERVER_NAME", "VAULT_TLS_SERVER_NAME",
	"--vault-client-cert and --vault-client-key or VAULT_CLIENT_CERT and VAULT_CLIENT_KEY",
	"VAULT_CLIENT_CERT and VAULT_CLIENT_KEY", "--vault-token-file", "--seal-transit-token-file",
	"--vault-token", "--seal-transit-token-file",
}

// transitSource is the key in Vault that the configuration names. It is reached as the secrets in Vault are, unless it
// is in a Vault of its own, which gets no token that is for the other.
func transitSource(cfg *config.Config, log *slog.Logger) transit.Source {
	v, t := cfg.Vault, cfg.Seal.Transit
	s := transit.Source{Mount: t.Mount, Key: t.Key, Wait: v.Wait, Log: log}
	if t.Addr != "" {
		s.Vault = conn.Config{Address: t.Addr, CACert: t.CACert, Login: login.Config{TokenFile: t.TokenFile},
			Namespace: t.Namespace, ClientTimeout: v.ClientTimeout, MaxRetries: v.MaxRetries}
		s.Rename = anotherVault
		return s
	}
	s.Vault = v.Connection()
	s.Vault.Namespace = t.Namespace
	return s
}

// TransitTo is the key in Vault to change to: the configured one, but for what is said otherwise.
func TransitTo(cfg *config.Config, key, mount string, log *slog.Logger) transit.Source {
	s := transitSource(cfg, log)
	s.Key, s.Mount = cmp.Or(key, s.Key), cmp.Or(mount, s.Mount)
	return s
}
