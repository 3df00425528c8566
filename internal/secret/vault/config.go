// Package vault keeps secrets in HashiCorp Vault or OpenBao, where InfluxDB keeps them: one entry of a KV version 2
// engine for each organisation, <mount>/data/<org-id>, whose data maps each key to its value as a string. InfluxDB and
// this server can share a Vault.
//
// What is not set in Config is taken from Vault's own variables (VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT
// and so on), and then from the defaults of Vault's client.
package vault

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"strongroom/internal/id"
)

// DefaultTimeout bounds one call of the store, all requests to Vault and their repetitions included, where neither the
// Config nor VAULT_CLIENT_TIMEOUT sets it. It is below the five seconds within which callers get an answer.
const DefaultTimeout = 4500 * time.Millisecond

// DefaultMount is where the KV engine is mounted, as InfluxDB has it.
const DefaultMount = "secret"

// Config says which Vault, and how to reach it. A zero field is not set.
type Config struct {
	Address       string         // URL; VAULT_ADDR
	Token         string         // VAULT_TOKEN
	Namespace     string         // VAULT_NAMESPACE
	ClientTimeout *time.Duration // of one call of the store; VAULT_CLIENT_TIMEOUT
	MaxRetries    *int           // repetitions of a request that fails at the server or on the way; VAULT_MAX_RETRIES
	CACert        string         // file (PEM); VAULT_CACERT
	CAPath        string         // folder of such files; VAULT_CAPATH
	ClientCert    string         // file (PEM); VAULT_CLIENT_CERT
	ClientKey     string         // file (PEM); VAULT_CLIENT_KEY
	SkipVerify    *bool          // VAULT_SKIP_VERIFY
	TLSServerName string         // VAULT_TLS_SERVER_NAME
	Mount         string         // DefaultMount
	Logger        *slog.Logger
}

// newClient makes a client from the settings over the variables. It asks nothing of the network.
func newClient(c Config) (*api.Client, time.Duration, error) {
	if err := checkEnvironment(); err != nil {
		return nil, 0, err
	}
	conf := api.DefaultConfig() // reads the variables
	if conf.Error != nil {
		return nil, 0, fmt.Errorf("Vault's variables (VAULT_…): %w", conf.Error)
	}
	if c.Address != "" {
		conf.Address, conf.AgentAddress = c.Address, ""
	}
	if err := checkAddress(cmp.Or(conf.AgentAddress, conf.Address)); err != nil {
		return nil, 0, err
	}
	if err := configureTLS(conf, c); err != nil {
		return nil, 0, err
	}
	timeout := DefaultTimeout
	if os.Getenv(api.EnvVaultClientTimeout) != "" {
		timeout = conf.Timeout
	}
	if c.ClientTimeout != nil {
		timeout = *c.ClientTimeout
	}
	if timeout <= 0 {
		return nil, 0, fmt.Errorf("--vault-client-timeout must be above zero")
	}
	conf.Timeout = timeout
	if c.MaxRetries != nil {
		conf.MaxRetries = *c.MaxRetries
	}
	// Vault's client waits a second and more before it repeats; a caller waits with it. Start small.
	conf.MinRetryWait, conf.MaxRetryWait = 50*time.Millisecond, time.Second
	conf.CheckRetry = retry

	client, err := api.NewClient(conf)
	if err != nil {
		return nil, 0, fmt.Errorf("the Vault client cannot be made: %w", err)
	}
	if c.Token != "" {
		client.SetToken(c.Token)
	}
	if c.Namespace != "" {
		client.SetNamespace(c.Namespace)
	}
	return client, timeout, nil
}

// checkEnvironment names the variable that cannot be read, which Vault's client does not always do.
func checkEnvironment() error {
	bad := func(name, want string) error { return fmt.Errorf("%s cannot be read: %s", name, want) }
	for _, name := range []string{api.EnvVaultSkipVerify, api.EnvVaultSRVLookup, api.EnvVaultDisableRedirects} {
		if v := os.Getenv(name); v != "" {
			if _, err := strconv.ParseBool(v); err != nil {
				return bad(name, "it must be true or false")
			}
		}
	}
	if v := os.Getenv(api.EnvVaultMaxRetries); v != "" {
		if _, err := strconv.ParseUint(v, 10, 31); err != nil {
			return bad(api.EnvVaultMaxRetries, "it must be a number from 0 on")
		}
	}
	if (os.Getenv(api.EnvVaultClientCert) == "") != (os.Getenv(api.EnvVaultClientKey) == "") {
		return fmt.Errorf("%s and %s go together; set both or neither", api.EnvVaultClientCert, api.EnvVaultClientKey)
	}
	return nil
}

func checkAddress(address string) error {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || rest == "" || scheme != "http" && scheme != "https" && scheme != "unix" {
		return errors.New("the address of Vault must be a URL such as https://127.0.0.1:8200; set --vault-addr or VAULT_ADDR")
	}
	return nil
}

// configureTLS puts the settings over what the variables have set up already.
func configureTLS(conf *api.Config, c Config) error {
	for _, f := range []struct{ flag, path string }{
		{"--vault-cacert", c.CACert}, {"--vault-capath", c.CAPath}, {"--vault-client-cert", c.ClientCert}, {"--vault-client-key", c.ClientKey},
	} {
		if f.path == "" {
			continue
		}
		if _, err := os.Stat(f.path); err != nil {
			return fmt.Errorf("%s: %w", f.flag, err)
		}
	}
	t := api.TLSConfig{CACert: c.CACert, CAPath: c.CAPath, TLSServerName: c.TLSServerName}
	if c.ClientCert != "" || c.ClientKey != "" {
		t.ClientCert = cmp.Or(c.ClientCert, os.Getenv(api.EnvVaultClientCert))
		t.ClientKey = cmp.Or(c.ClientKey, os.Getenv(api.EnvVaultClientKey))
		if t.ClientCert == "" || t.ClientKey == "" {
			return errors.New("--vault-client-cert and --vault-client-key go together; set both or neither")
		}
	}
	if t.CACert != "" && t.CAPath != "" {
		return errors.New("--vault-cacert and --vault-capath exclude each other; set one")
	}
	if err := conf.ConfigureTLS(&t); err != nil {
		return fmt.Errorf("TLS to Vault (--vault-cacert, --vault-capath, --vault-client-cert, --vault-client-key): %w", err)
	}
	if c.CAPath != "" {
		if found, err := filepath.Glob(filepath.Join(c.CAPath, "*")); err == nil && len(found) == 0 {
			return fmt.Errorf("--vault-capath: there is no certificate in %s", c.CAPath)
		}
	}
	if c.SkipVerify != nil {
		transport, ok := conf.HttpClient.Transport.(*http.Transport)
		if !ok {
			return errors.New("the Vault client has no TLS to configure")
		}
		transport.TLSClientConfig.InsecureSkipVerify = *c.SkipVerify
	}
	return nil
}

// New makes the store. It asks nothing of the network; see Preflight.
func New(c Config) (*Store, error) {
	client, timeout, err := newClient(c)
	if err != nil {
		return nil, err
	}
	mount := strings.Trim(cmp.Or(c.Mount, DefaultMount), "/")
	s := &Store{
		client: client, timeout: timeout, mount: mount, writers: make(map[id.ID]*writer),
		log: newNotices(cmp.Or(c.Logger, slog.Default())),
	}
	if client.Token() == "" {
		return nil, errors.New("there is no Vault token; set VAULT_TOKEN or --vault-token")
	}
	return s, nil
}
