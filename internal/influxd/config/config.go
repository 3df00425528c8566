// Package config is the daemon's configuration: one table, from which the flags, the INFLUXD_* variables, the keys of
// the configuration file and the help text are all made.
//
// A setting is looked for as a flag (--bolt-path), then as a variable (INFLUXD_BOLT_PATH; an empty one counts as not
// set), then as a key of the configuration file (bolt-path), and last it has its default. What is not in the table, in
// whichever of the three places, ends the start: a misspelt name in a secrets server must never mean "the default".
package config

import (
	"path/filepath"
	"time"

	"strongroom/internal/seal"
)

// Config is the effective configuration. Every field is one setting of the table.
type Config struct {
	HTTPBindAddress       string
	HTTPReadHeaderTimeout time.Duration
	HTTPReadTimeout       time.Duration
	HTTPWriteTimeout      time.Duration
	HTTPIdleTimeout       time.Duration
	HTTPMaxConnections    int
	ShutdownTimeout       time.Duration
	MetricsDisabled       bool
	UIDisabled            bool

	TLSCert          string
	TLSKey           string
	TLSMinVersion    string
	TLSStrictCiphers bool

	MaxBodySize        int64
	MaxSecretValueSize int64
	MaxSecretKeySize   int64

	SessionLength        int // minutes
	SessionRenewDisabled bool

	BoltPath    string
	NewData     bool
	Seal        Seal
	SealKeyFile string
	SealKeys    *bool // the names of secrets; nil leaves them as they are
	SecretStore string

	SecretHistory int // versions of a secret

	Vault Vault

	AuditSinks       []string
	LogLevel         string
	LogFormat        string
	ConfigPath       string
	PIDFile          string
	OverwritePIDFile bool

	sources map[string]string // by setting: where its value comes from
	notices []string
}

// Seal is who wraps the root key. (The key file is beside it, as SealKeyFile.)
type Seal struct {
	Type           string
	PassphraseFile string
	Transit        Transit
}

// Transit is the key of the seal in Vault's transit engine. Without an Addr it is in the Vault of the Vault settings.
type Transit struct {
	Key, Mount, Namespace   string
	Addr, TokenFile, CACert string
}

// Vault is what was said of Vault. What was not said (nil, "") is Vault's own variables' to say, then Vault's defaults'.
type Vault struct {
	Addr          string
	ClientTimeout *time.Duration
	MaxRetries    *int
	CACert        string
	CAPath        string
	ClientCert    string
	ClientKey     string
	SkipVerify    *bool
	TLSServerName string
	Token         string
	TokenFile     string
	Wait          time.Duration

	Mount, Path, Namespace string
	Layout                 string
	ReadOnly               bool
	CacheTTL, CacheStale   time.Duration
	Routes                 []string

	AuthMethod, AuthMount, AuthRole string
	AuthRoleID, AuthRoleIDFile      string
	AuthSecretID, AuthSecretIDFile  string
	AuthJWTFile                     string
	AuthUsername, AuthPasswordFile  string
}

// The secret stores, as --secret-store names them.
const (
	StoreBolt  = "bolt"
	StoreVault = "vault"
)

// setting is one row of the table. Its variable is INFLUXD_ and its name in capitals, its key in the file its name.
type setting struct {
	name   string
	value  value
	def    string // as it would be written; "" where there is none
	help   string
	secret bool // never printed, logged or answered
	// notInFile marks what a file cannot say because it is needed to find the file.
	notInFile bool
}

// group is a heading of the help text with the settings under it.
type group struct {
	title    string
	settings []setting
}

// table is the whole configuration, bound to c.
func (c *Config) table() []group {
	v, t := &c.Vault, &c.Seal.Transit
	return []group{
		{"HTTP", []setting{
			{name: "http-bind-address", value: address(&c.HTTPBindAddress), def: "127.0.0.1:9999",
				help: "address the API listens on; :8086 means port 8086 on every interface, port 0 a free one"},
			{name: "http-read-header-timeout", value: duration(&c.HTTPReadHeaderTimeout), def: "10s", help: "longest time a request's header may take to arrive; 0 for no limit"},
			{name: "http-read-timeout", value: duration(&c.HTTPReadTimeout), def: "1m", help: "longest time a whole request may take to arrive; 0 for no limit"},
			{name: "http-write-timeout", value: duration(&c.HTTPWriteTimeout), def: "2m", help: "longest time from a request's header to the end of its answer; 0 for no limit"},
			{name: "http-idle-timeout", value: duration(&c.HTTPIdleTimeout), def: "3m", help: "how long a connection without a request is kept; 0 for no limit"},
			{name: "http-max-connections", value: count(&c.HTTPMaxConnections), def: "4096", help: "connections open at a time; more wait until one ends; 0 for no limit"},
			{name: "shutdown-timeout", value: duration(&c.ShutdownTimeout), def: "30s", help: "how long requests in flight may go on after SIGTERM or SIGINT before they are cut off; 0 cuts at once"},
			{name: "metrics-disabled", value: yesNo(&c.MetricsDisabled), def: "false", help: "do not serve /metrics"},
			{name: "ui-disabled", value: yesNo(&c.UIDisabled), def: "false", help: "do not serve the web page; the API goes on"},
		}},
		{"TLS", []setting{
			{name: "tls-cert", value: path(&c.TLSCert), help: "file with the server's certificate and its chain (PEM); with --tls-key the API is served as https"},
			{name: "tls-key", value: path(&c.TLSKey), help: "file with the certificate's private key (PEM)"},
			{name: "tls-min-version", value: oneOf(&c.TLSMinVersion, "1.2", "1.3"), def: "1.2", help: "oldest TLS version a client may use"},
			{name: "tls-strict-ciphers", value: yesNo(&c.TLSStrictCiphers), def: "false", help: "TLS 1.2 with ECDHE key exchange and AES-GCM or ChaCha20-Poly1305 only"},
		}},
		{"Limits", []setting{
			{name: "max-body-size", value: size(&c.MaxBodySize), def: "4MiB", help: "largest body of a request"},
			{name: "max-secret-value-size", value: size(&c.MaxSecretValueSize), def: "1MiB", help: "longest value of a secret"},
			{name: "max-secret-key-size", value: size(&c.MaxSecretKeySize), def: "1KiB", help: "longest key of a secret"},
		}},
		{"Sessions", []setting{
			{name: "session-length", value: positive(&c.SessionLength), def: "60", help: "minutes a session lasts after sign-in, or after its last use"},
			{name: "session-renew-disabled", value: yesNo(&c.SessionRenewDisabled), def: "false", help: "end a session its length after sign-in, however much it is used"},
		}},
		{"Data", []setting{
			{name: "bolt-path", value: path(&c.BoltPath), def: "~/.strongroom/influxd.bolt", help: "file with the server's data; made at the first start"},
			{name: "new-data", value: yesNo(&c.NewData), def: "false", help: "begin new data although the seal's key file is there already; for a first start with a key that was put there, not for good, since a lost data file is then not noticed"},
			{name: "seal-key-file", value: path(&c.SealKeyFile), def: "seal.key beside the file of --bolt-path", help: "file with the key that opens the data; made at the first start, to be kept apart from backups of the data"},
			{name: "seal", value: oneOf(&c.Seal.Type, seal.Types...), def: seal.TypeKeyFile, help: "what opens the data: a key file, a passphrase, or a key in Vault's transit engine; `influxd seal change` goes from one to another"},
			{name: "seal-passphrase-file", value: path(&c.Seal.PassphraseFile), help: "file whose first line is the passphrase; without it, systemd's credential seal-passphrase, or else whoever is at the terminal is asked"},
			{name: "seal-transit-key", value: text(&t.Key), help: "name of the key in Vault's transit engine; how Vault is reached and logged in to is said by the settings for Vault below"},
			{name: "seal-transit-mount", value: text(&t.Mount), help: "where the engine is mounted; transit where not set"},
			{name: "seal-transit-namespace", value: text(&t.Namespace), help: "namespace of the engine (Vault Enterprise, OpenBao)"},
			{name: "seal-transit-addr", value: text(&t.Addr), help: "URL of the Vault with the key, where that is another than the one of --vault-addr; then the next two say how, and of the settings for Vault only its variables, timeout, retries and wait count"},
			{name: "seal-transit-token-file", value: path(&t.TokenFile), help: "file with the token for it, such as a Vault Agent writes"},
			{name: "seal-transit-cacert", value: path(&t.CACert), help: "file with the CA certificate that its certificate is checked against (PEM)"},
			{name: "seal-keys", value: optYesNo(&c.SealKeys), help: "seal the names of secrets in the file, too, and not their values alone; what is there is brought to it while the server runs. Data once sealed so stay so without the flag; --seal-keys=false writes names in clear again"},
			{name: "secret-store", value: oneOf(&c.SecretStore, StoreBolt, StoreVault), def: StoreBolt, help: "where secrets are kept: bolt, the encrypted file of --bolt-path, or vault"},
			{name: "secret-history", value: count(&c.SecretHistory), def: "10", help: "how many versions of a secret the embedded store keeps; with 0 a deleted secret is gone at once instead of after 7 days"},
		}},
		{"Vault (what is not set here is taken from Vault's own variables, VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE and so on)", []setting{
			{name: "vault-addr", value: text(&v.Addr), help: "URL of the Vault server, for example https://127.0.0.1:8200"},
			{name: "vault-client-timeout", value: optDuration(&v.ClientTimeout), help: "longest time one act at Vault may take, its repetitions included"},
			{name: "vault-max-retries", value: optCount(&v.MaxRetries), help: "how often a request that Vault answers with a server error is repeated; 0 for never"},
			{name: "vault-cacert", value: path(&v.CACert), help: "file with the CA certificate that Vault's certificate is checked against (PEM)"},
			{name: "vault-capath", value: path(&v.CAPath), help: "folder with such files"},
			{name: "vault-client-cert", value: path(&v.ClientCert), help: "file with the certificate shown to Vault (PEM)"},
			{name: "vault-client-key", value: path(&v.ClientKey), help: "file with that certificate's private key (PEM)"},
			{name: "vault-skip-verify", value: optYesNo(&v.SkipVerify), help: "do not check Vault's certificate; whoever is on the network can then read every secret"},
			{name: "vault-tls-server-name", value: text(&v.TLSServerName), help: "name expected in Vault's certificate, and sent as SNI"},
			{name: "vault-token", value: text(&v.Token), secret: true, help: "token to log in to Vault with; better given as a variable, since others on the machine can see flags"},
			{name: "vault-token-file", value: path(&v.TokenFile), help: "file with such a token; read again when it changes"},
			{name: "vault-wait", value: duration(&v.Wait), def: "30s", help: "how long a start waits for a Vault that cannot be reached or is sealed"},
		}},
		{"Where in Vault", []setting{
			{name: "vault-mount", value: text(&v.Mount), help: "where the KV engine (version 2) is mounted; secret, as InfluxDB has it, where not set"},
			{name: "vault-path", value: text(&v.Path), help: "path of an organisation's secrets below that, with {org} for its ID and {orgName} for its name; {org} where not set, as InfluxDB has it"},
			{name: "vault-layout", value: oneOf(&v.Layout, "org", "secret"), def: "org", help: "org keeps an organisation's secrets in one entry, as InfluxDB does; secret keeps each in an entry of its own, below that path; `influxd secrets relayout` goes from one to the other"},
			{name: "vault-namespace", value: text(&v.Namespace), help: "namespace (Vault Enterprise, OpenBao)"},
			{name: "vault-read-only", value: yesNo(&v.ReadOnly), def: "false", help: "refuse changes: others manage the secrets, in Vault itself"},
			{name: "vault-cache-ttl", value: duration(&v.CacheTTL), def: "5s", help: "how long a value read for use is given out from memory; 0 to ask Vault each time"},
			{name: "vault-cache-stale", value: duration(&v.CacheStale), def: "0", help: "how much longer while Vault is away"},
			{name: "vault-routes", value: list(&v.Routes), help: "what is different for single organisations, such as `031c8cbefe101000 mount=team-a path=x/{org} namespace=eu layout=secret read-only`; one text each"},
		}},
		{"Logging in to Vault (without a token, or when it ends)", []setting{
			{name: "vault-auth-method", value: oneOf(&v.AuthMethod, "token", "approle", "kubernetes", "jwt", "cert", "userpass"), def: "token", help: "how to get a token, and another when it ends"},
			{name: "vault-auth-mount", value: text(&v.AuthMount), help: "where the method is mounted below auth/, where that is not its own name"},
			{name: "vault-auth-role", value: text(&v.AuthRole), help: "role of kubernetes, jwt or cert to log in as"},
			{name: "vault-auth-role-id", value: text(&v.AuthRoleID), help: "role ID of approle"},
			{name: "vault-auth-role-id-file", value: path(&v.AuthRoleIDFile), help: "file with it"},
			{name: "vault-auth-secret-id", value: text(&v.AuthSecretID), secret: true, help: "secret ID of approle, or the wrapping token of one; better given in a file"},
			{name: "vault-auth-secret-id-file", value: path(&v.AuthSecretIDFile), help: "file with it; read at each log-in"},
			{name: "vault-auth-jwt-file", value: path(&v.AuthJWTFile), help: "file with the JWT of jwt, or of kubernetes where it is not the pod's own; read at each log-in"},
			{name: "vault-auth-username", value: text(&v.AuthUsername), help: "user of userpass"},
			{name: "vault-auth-password-file", value: path(&v.AuthPasswordFile), help: "file with that user's password; read at each log-in"},
		}},
		{"Process", []setting{
			{name: "audit-sinks", value: list(&c.AuditSinks), def: "audit.log beside the file of --bolt-path", help: "where the record of every act goes, one or more of a file's path, stdout and syslog; an act that none of them takes does not happen"},
			{name: "log-level", value: oneOf(&c.LogLevel, "debug", "info", "warn", "error"), def: "info", help: "least level that is logged"},
			{name: "log-format", value: oneOf(&c.LogFormat, "auto", "text", "json"), def: "auto", help: "auto is text on a terminal and JSON lines elsewhere"},
			{name: "config-path", value: path(&c.ConfigPath), notInFile: true, help: "configuration file (.toml, .yaml, .yml, .json), or a folder with one called config; none is looked for elsewhere"},
			{name: "pid-file", value: path(&c.PIDFile), help: "file to write the process's id to while it runs"},
			{name: "overwrite-pid-file", value: yesNo(&c.OverwritePIDFile), def: "false", help: "replace a pid file that is there already"},
		}},
	}
}

// settings is the table without its headings.
func (c *Config) settings() []setting {
	var all []setting
	for _, g := range c.table() {
		all = append(all, g.settings...)
	}
	return all
}

// Notices are what the operator should be told although the start goes on, one line each. They hold no secret.
func (c *Config) Notices() []string { return c.notices }

// Source is where a setting's value comes from: "default", "flag", the variable's name, or the file's path.
func (c *Config) Source(name string) string {
	if s, ok := c.sources[name]; ok {
		return s
	}
	return "default"
}

// Place is where a setting's value was found, in the words of messages about it.
func (c *Config) Place(name string) string {
	switch source := c.Source(name); source {
	case "flag", "default":
		return "flag --" + name
	case variable(name):
		return "variable " + source
	default:
		return "file " + source + ": " + name
	}
}

// SessionTTL is the length of a session.
func (c *Config) SessionTTL() time.Duration { return time.Duration(c.SessionLength) * time.Minute }

// TLS reports whether the API is served as https.
func (c *Config) TLS() bool { return c.TLSCert != "" }

// Public is every setting by name, for the API: switches and numbers as such, the rest as text. A secret reads
// "[hidden]", and what is not set "".
func (c *Config) Public() map[string]any {
	all := make(map[string]any)
	for _, s := range c.settings() {
		all[s.name] = s.shown()
		switch v := s.value.(type) {
		case parsed[bool]:
			all[s.name] = *v.p
		case parsed[int]:
			all[s.name] = *v.p
		}
	}
	return all
}

const hidden = "[hidden]"

// shown is the setting's value as it may be seen.
func (s setting) shown() string {
	if s.secret && s.value.String() != "" {
		return hidden
	}
	return s.value.String()
}

// beside is a file in the folder of the data file: the default of settings that name one.
func beside(boltPath, name string) string { return filepath.Join(filepath.Dir(boltPath), name) }
