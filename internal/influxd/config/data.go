package config

import (
	"fmt"

	"strongroom/internal/influxd/config/value"
	"strongroom/internal/seal"
)

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

func (c *Config) dataSettings() group {
	t := &c.Seal.Transit
	return group{"Data", []setting{
		{name: "store", value: engine(&c.Store), def: EngineBolt,
			help: "where the server's data are: bolt, the file of --bolt-path, for one server; etcd, for any number " +
				"of them; `influxd store copy` goes from one to the other"},
		{name: "bolt-path", value: value.Path(&c.BoltPath), def: "~/.strongroom/influxd.bolt",
			help: "file with the server's data; made at the first start"},
		{name: "new-data", value: value.YesNo(&c.NewData), def: "false",
			help: "begin new data although the seal's key file or an audit log is there already; for a first " +
				"start with a key that was put there, not for good, since a lost data file is then not noticed"},
		{name: "seal-key-file", value: value.Path(&c.SealKeyFile), def: "seal.key beside the file of --bolt-path",
			help: "file with the key that opens the data; made at the first start, to be kept apart from " +
				"backups of the data"},
		{name: "seal", value: value.OneOf(&c.Seal.Type, seal.Types...), def: seal.TypeKeyFile,
			help: "what opens the data: a key file, a passphrase, or a key in Vault's transit engine; `influxd " +
				"seal change` goes from one to another"},
		{name: "seal-passphrase-file", value: value.Path(&c.Seal.PassphraseFile),
			help: "file whose first line is the passphrase; without it, systemd's credential seal-passphrase, " +
				"or else whoever is at the terminal is asked"},
		{name: "seal-transit-key", value: value.Text(&t.Key),
			help: "name of the key in Vault's transit engine; how Vault is reached and logged in to is said by " +
				"the settings for Vault below"},
		{name: "seal-transit-mount", value: value.Text(&t.Mount),
			help: "where the engine is mounted; transit where not set"},
		{name: "seal-transit-namespace", value: value.Text(&t.Namespace),
			help: "namespace of the engine (Vault Enterprise, OpenBao)"},
		{name: "seal-transit-addr", value: value.Text(&t.Addr),
			help: "URL of the Vault with the key, where that is another than the one of --vault-addr; then the " +
				"next two say how, and of the settings for Vault only its variables, timeout, retries and " +
				"wait count"},
		{name: "seal-transit-token-file", value: value.Path(&t.TokenFile),
			help: "file with the token for it, such as a Vault Agent writes"},
		{name: "seal-transit-cacert", value: value.Path(&t.CACert),
			help: "file with the CA certificate that its certificate is checked against (PEM)"},
		{name: "seal-keys", value: value.OptYesNo(&c.SealKeys),
			help: "seal the names of secrets in the file, too, and not their values alone; what is there is " +
				"brought to it while the server runs. Data once sealed so stay so without the flag; " +
				"--seal-keys=false writes names in clear again"},
		{name: "secret-store", value: value.OneOf(&c.SecretStore, StoreBolt, StoreVault), def: StoreBolt,
			help: "where secrets are kept: bolt, the encrypted file of --bolt-path, or vault"},
		{name: "secret-history", value: value.Count(&c.SecretHistory), def: "10",
			help: "how many versions of a secret the embedded store keeps; with 0 a deleted secret is gone at " +
				"once instead of after 7 days"},
		{name: "max-org-secrets", value: value.Count(&c.MaxOrgSecrets), def: "0",
			help: "how many secrets an organization may have that are not deleted; 0 is without a bound"},
		{name: "max-org-bytes", value: value.Room(&c.MaxOrgBytes), def: "0",
			help: "how much room an organization's secrets may take, such as 64MiB, with earlier values and " +
				"deleted secrets; in Vault, the names and values of one entry for the organization; 0 is " +
				"without a bound"},
	}}
}

// checkTransit checks the settings of the seal in Vault against each other. They may be there with another seal, too:
// as what a change of the seal goes to.
func (c *Config) checkTransit() error {
	t := c.Seal.Transit
	switch {
	case c.Seal.Type == seal.TypeTransit && t.Key == "":
		return fmt.Errorf("%s: transit needs --seal-transit-key, the name of the key in Vault", c.Place("seal"))
	case t.Addr != "" && t.TokenFile == "":
		return fmt.Errorf(
			"%s: needs --seal-transit-token-file too: no token is sent to another Vault than its own",
			c.Place("seal-transit-addr"),
		)
	case t.Addr == "" && t.TokenFile != "":
		return fmt.Errorf(
			"%s: needs --seal-transit-addr too; the token for the Vault of --vault-addr is in --vault-token-file",
			c.Place("seal-transit-token-file"),
		)
	case t.Addr == "" && t.CACert != "":
		return fmt.Errorf(
			"%s: needs --seal-transit-addr too; the authority of the Vault of --vault-addr is in --vault-cacert",
			c.Place("seal-transit-cacert"),
		)
	}
	return nil
}
