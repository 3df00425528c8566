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

	"strongroom/internal/influxd/config/value"
	"strongroom/internal/peer"
)

// Config is the effective configuration. Every field is one setting of the table.
type Config struct {
	HTTPBindAddress          string
	HTTPSocket               string
	HTTPSocketMode           string
	HTTPReadHeaderTimeout    time.Duration
	HTTPReadTimeout          time.Duration
	HTTPWriteTimeout         time.Duration
	HTTPIdleTimeout          time.Duration
	HTTPMaxClientConnections int
	TrustedProxies           []string
	BasePath                 string
	HTTPMaxConnections       int
	ShutdownTimeout          time.Duration
	MetricsDisabled          bool
	UIDisabled               bool

	TLSCert          string
	TLSKey           string
	TLSMinVersion    string
	TLSClientCACert  string
	TLSStrictCiphers bool

	MaxBodySize        int64
	MaxSecretValueSize int64
	MaxSecretKeySize   int64
	MaxInFlight        int64

	SessionLength        int // minutes
	SessionRenewDisabled bool

	Store       string
	Etcd        Etcd
	BoltPath    string
	NewData     bool
	Seal        Seal
	SealKeyFile string
	SealKeys    *bool // the names of secrets; nil leaves them as they are
	SecretStore string

	SecretHistory int // versions of a secret
	MaxOrgSecrets int // 0 is without a bound
	MaxOrgBytes   int64

	Vault    Vault
	VaultAPI VaultAPI

	Due Due

	AuditSinks       []string
	LogLevel         string
	LogFormat        string
	TracingEndpoint  string
	TracingRatio     float64
	ConfigPath       string
	PIDFile          string
	OverwritePIDFile bool

	Proxies peer.Proxies // of TrustedProxies

	sources map[string]string // by setting: where its value comes from
	notices []string
}

// The engines of the data, as --store names them.
const (
	EngineBolt = "bolt"
	EngineEtcd = "etcd"
)

// The secret stores, as --secret-store names them.
const (
	StoreBolt  = "bolt"
	StoreVault = "vault"
)

// setting is one row of the table. Its variable is INFLUXD_ and its name in capitals, its key in the file its name.
type setting struct {
	name   string
	value  value.Value
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
	return []group{
		c.httpSettings(), vaultAPIGroup(&c.VaultAPI), c.tlsSettings(), c.limitSettings(), c.sessionSettings(),
		c.dataSettings(), c.etcdSettings(), dueSettings(&c.Due),
		c.vaultSettings(), c.vaultPlaceSettings(), c.vaultLoginSettings(),
		c.processSettings(),
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
		if all[s.name] = value.Plain(s.value); s.secret {
			all[s.name] = s.shown()
		}
	}
	return all
}

// Hidden is what is shown for a secret.
const Hidden = "[hidden]"

// shown is the setting's value as it may be seen.
func (s setting) shown() string {
	if s.secret && s.value.String() != "" {
		return Hidden
	}
	return s.value.String()
}

// beside is a file in the folder of the data file: the default of settings that name one.
func beside(boltPath, name string) string { return filepath.Join(filepath.Dir(boltPath), name) }
