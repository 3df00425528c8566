package config

import (
	"strongroom/internal/influxd/config/value"
	"strongroom/internal/secret/vault"
)

// Vault is what was said of Vault, as the store has it. What was not said (nil, "") is Vault's own variables' to say,
// then Vault's defaults'.
type Vault struct {
	vault.Config
	RouteTexts []string // of Routes, which are read where the store is opened
}

// storeInVault are the settings for Vault that are about keeping secrets there, and not about getting there.
var storeInVault = []string{
	"vault-mount", "vault-path", "vault-layout", "vault-namespace", "vault-read-only",
	"vault-cache-ttl", "vault-cache-stale", "vault-routes",
}

func (c *Config) vaultSettings() group {
	v := &c.Vault
	return group{"Vault (what is not set here is taken from Vault's own variables, " +
		"VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE and so on)", []setting{
		{name: "vault-addr", value: value.Text(&v.Address),
			help: "URL of the Vault server, for example https://127.0.0.1:8200"},
		{name: "vault-client-timeout", value: value.OptDuration(&v.ClientTimeout),
			help: "longest time one act at Vault may take, its repetitions included"},
		{name: "vault-max-retries", value: value.OptCount(&v.MaxRetries),
			help: "how often a request that Vault answers with a server error is repeated; 0 for never"},
		{name: "vault-cacert", value: value.Path(&v.CACert),
			help: "file with the CA certificate that Vault's certificate is checked against (PEM)"},
		{name: "vault-capath", value: value.Path(&v.CAPath),
			help: "folder with such files"},
		{name: "vault-client-cert", value: value.Path(&v.ClientCert),
			help: "file with the certificate shown to Vault (PEM)"},
		{name: "vault-client-key", value: value.Path(&v.ClientKey),
			help: "file with that certificate's private key (PEM)"},
		{name: "vault-skip-verify", value: value.OptYesNo(&v.SkipVerify),
			help: "do not check Vault's certificate; whoever is on the network can then read every secret"},
		{name: "vault-tls-server-name", value: value.Text(&v.TLSServerName),
			help: "name expected in Vault's certificate, and sent as SNI"},
		{name: "vault-token", value: value.Text(&v.Token), secret: true,
			help: "token to log in to Vault with; better given as a variable, since others on the machine can " +
				"see flags"},
		{name: "vault-token-file", value: value.Path(&v.Login.TokenFile),
			help: "file with such a token; read again when it changes"},
		{name: "vault-wait", value: value.Duration(&v.Wait), def: "30s",
			help: "how long a start waits for a Vault that cannot be reached or is sealed"},
	}}
}

func (c *Config) vaultPlaceSettings() group {
	v := &c.Vault
	return group{"Where in Vault", []setting{
		{name: "vault-mount", value: value.Text(&v.Place.Mount),
			help: "where the KV engine (version 2) is mounted; secret, as InfluxDB has it, where not set"},
		{name: "vault-path", value: value.Text(&v.Place.Path),
			help: "path of an organisation's secrets below that, with {org} for its ID and {orgName} for its " +
				"name; {org} where not set, as InfluxDB has it"},
		{name: "vault-layout", value: value.OneOf(&v.Place.Layout, "org", "secret"), def: "org",
			help: "org keeps an organisation's secrets in one entry, as InfluxDB does; secret keeps each in an " +
				"entry of its own, below that path; `influxd secrets relayout` goes from one to the other"},
		{name: "vault-namespace", value: value.Text(&v.Place.Namespace),
			help: "namespace (Vault Enterprise, OpenBao)"},
		{name: "vault-read-only", value: value.YesNo(&v.Place.ReadOnly), def: "false",
			help: "refuse changes: others manage the secrets, in Vault itself"},
		{name: "vault-cache-ttl", value: value.Duration(&v.CacheTTL), def: "5s",
			help: "how long a value read for use is given out from memory; 0 to ask Vault each time"},
		{name: "vault-cache-stale", value: value.Duration(&v.CacheStale), def: "0",
			help: "how much longer while Vault is away"},
		{name: "vault-routes", value: value.List(&v.RouteTexts),
			help: "what is different for single organisations, such as `031c8cbefe101000 mount=team-a " +
				"path=x/{org} namespace=eu layout=secret read-only`; one text each"},
	}}
}

func (c *Config) vaultLoginSettings() group {
	v := &c.Vault
	return group{"Logging in to Vault (without a token, or when it ends)", []setting{
		{
			name:  "vault-auth-method",
			value: value.OneOf(&v.Login.Method, "token", "approle", "kubernetes", "jwt", "cert", "userpass"),
			def:   "token",
			help:  "how to get a token, and another when it ends",
		},
		{name: "vault-auth-mount", value: value.Text(&v.Login.Mount),
			help: "where the method is mounted below auth/, where that is not its own name"},
		{name: "vault-auth-role", value: value.Text(&v.Login.Role),
			help: "role of kubernetes, jwt or cert to log in as"},
		{name: "vault-auth-role-id", value: value.Text(&v.Login.RoleID),
			help: "role ID of approle"},
		{name: "vault-auth-role-id-file", value: value.Path(&v.Login.RoleIDFile),
			help: "file with it"},
		{name: "vault-auth-secret-id", value: value.Text(&v.Login.SecretID), secret: true,
			help: "secret ID of approle, or the wrapping token of one; better given in a file"},
		{name: "vault-auth-secret-id-file", value: value.Path(&v.Login.SecretIDFile),
			help: "file with it; read at each log-in"},
		{name: "vault-auth-jwt-file", value: value.Path(&v.Login.JWTFile),
			help: "file with the JWT of jwt, or of kubernetes where it is not the pod's own; read at each " +
				"log-in"},
		{name: "vault-auth-username", value: value.Text(&v.Login.Username),
			help: "user of userpass"},
		{name: "vault-auth-password-file", value: value.Path(&v.Login.PasswordFile),
			help: "file with that user's password; read at each log-in"},
	}}
}
