// Command vaultserver is a real Vault for the tests: the core of HashiCorp Vault 1.14.1, the last line under MPL-2.0,
// with its own HTTP handler, its KV and transit engines and the auth methods that Strongroom speaks. The vault command
// itself does not start under today's Go with all of its plugins (../vaultcommand is built without them), and later
// releases cannot be built from what the module proxy serves. The sdk
// is the one of the same commit: transit does not build with the older one that 1.14.1's go.mod names, and the core
// panics with the newer v0.9.2.
//
// It is a module and a process of its own: its dependencies stay out of the product, and a test can kill it.
//
// It prints one line of JSON with its address, root token and unseal key when it is ready, and ends when its standard
// input does, so that it never outlives a test. What else a test wants (seal, mounts, policies, auth methods) it
// does over Vault's API.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/helper/namespace"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

type options struct {
	listen, data                 string
	tlsCert, tlsKey, tlsClientCA string
	maxValueSize                 int
	verbose, noMount             bool
}

// keys is what the server prints, and keeps in its data folder for the next start. These are keys of a test's Vault.
type keys struct {
	Address   string `json:"address"`
	RootToken string `json:"root_token"`
	UnsealKey string `json:"unseal_key"`
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "the address to listen on")
	flag.StringVar(&o.data, "data", "", "a folder that keeps the data over a restart; none: in memory")
	flag.StringVar(&o.tlsCert, "tls-cert", "", "serve TLS with this certificate (PEM)")
	flag.StringVar(&o.tlsKey, "tls-key", "", "its key (PEM)")
	flag.StringVar(&o.tlsClientCA, "tls-client-ca", "", "require client certificates that this authority signed (PEM)")
	flag.IntVar(&o.maxValueSize, "max-value-size", 0, "what the storage takes in one entry, in bytes (in memory "+
		"only); 0: anything")
	flag.BoolVar(&o.noMount, "no-mount", false, "do not mount KV version 2 at secret/")
	flag.BoolVar(&o.verbose, "v", false, "log more than errors")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "vaultserver:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	level := hclog.Error
	if o.verbose {
		level = hclog.Debug
	}
	log := hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: level})

	listener, err := listen(o)
	if err != nil {
		return err
	}
	core, k, err := open(ctx, o, log)
	if err != nil {
		return err
	}
	scheme := "http"
	if o.tlsCert != "" {
		scheme = "https"
	}
	k.Address = scheme + "://" + listener.Addr().String()

	server := &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core: core, ListenerConfig: &configutil.Listener{MaxRequestSize: vaulthttp.DefaultMaxRequestSize,
				MaxRequestDuration: 90 * time.Second},
		}),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.StandardLogger(nil),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if !o.noMount {
		if err := awaitKV(ctx, core, k.RootToken); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(k); err != nil {
		return err
	}
	parent := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(parent)
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	case <-parent:
	}
	_ = server.Close()
	return core.Shutdown()
}

func listen(o options) (net.Listener, error) {
	l, err := net.Listen("tcp", o.listen)
	if err != nil || o.tlsCert == "" {
		return l, err
	}
	cert, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		ClientAuth: tls.RequestClientCert} // what the cert auth method needs to see one
	if o.tlsClientCA != "" {
		pem, err := os.ReadFile(o.tlsClientCA)
		if err != nil {
			return nil, err
		}
		conf.ClientCAs, conf.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !conf.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("no certificate in " + o.tlsClientCA)
		}
	}
	return tls.NewListener(l, conf), nil
}

// open makes the core, initialised and unsealed.
func open(ctx context.Context, o options, log hclog.Logger) (*vault.Core, keys, error) {
	var k keys
	var storage physical.Backend
	var err error
	if o.data == "" {
		storage, err = inmem.NewInmem(map[string]string{"max_value_size": strconv.Itoa(o.maxValueSize)}, log)
	} else {
		if err := os.MkdirAll(filepath.Join(o.data, "vault"), 0o700); err != nil {
			return nil, k, err
		}
		storage, err = file.NewFileBackend(map[string]string{"path": filepath.Join(o.data, "vault")}, log)
	}
	if err != nil {
		return nil, k, err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical: storage, Logger: log, DisableMlock: true, EnableUI: false, ClusterName: "test",
		RedirectAddr: "http://127.0.0.1:8200", LogicalBackends: logicalBackends, CredentialBackends: credentialBackends,
		BuiltinRegistry: registry{}, DefaultLeaseTTL: 0, MaxLeaseTTL: 0,
	})
	if err != nil {
		return nil, k, err
	}
	saved := filepath.Join(o.data, "keys.json")
	if done, err := core.Initialized(ctx); err != nil {
		return nil, k, err
	} else if done {
		b, err := os.ReadFile(saved)
		if err != nil {
			return nil, k, err
		}
		if err := json.Unmarshal(b, &k); err != nil {
			return nil, k, err
		}
		return core, k, unseal(core, k)
	}
	return initialise(ctx, core, o, saved)
}

func initialise(ctx context.Context, core *vault.Core, o options, saved string) (*vault.Core, keys, error) {
	seal := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	res, err := core.Initialize(ctx, &vault.InitParams{BarrierConfig: seal, RecoveryConfig: &vault.SealConfig{}})
	if err != nil {
		return nil, keys{}, err
	}
	k := keys{RootToken: res.RootToken, UnsealKey: base64.StdEncoding.EncodeToString(res.SecretShares[0])}
	if o.data != "" {
		b, err := json.Marshal(k)
		if err != nil {
			return nil, k, err
		}
		if err := os.WriteFile(saved, b, 0o600); err != nil {
			return nil, k, err
		}
	}
	if err := unseal(core, k); err != nil {
		return nil, k, err
	}
	if o.noMount {
		return core, k, nil
	}
	return core, k, request(ctx, core, k.RootToken, logical.UpdateOperation, "sys/mounts/secret",
		map[string]any{"type": "kv", "options": map[string]any{"version": "2"}})
}

func unseal(core *vault.Core, k keys) error {
	key, err := base64.StdEncoding.DecodeString(k.UnsealKey)
	if err != nil {
		return err
	}
	open, err := core.Unseal(key)
	if err == nil && !open {
		err = errors.New("still sealed after the one key")
	}
	return err
}

// awaitKV waits until the KV engine has upgraded itself to version 2, which it does in the background after the mount.
func awaitKV(ctx context.Context, core *vault.Core, token string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := request(ctx, core, token, logical.ReadOperation, "secret/config", nil)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the KV engine is not ready: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func request(ctx context.Context, core *vault.Core, token string, op logical.Operation, path string,
	data map[string]any) error {
	resp, err := core.HandleRequest(namespace.RootContext(ctx), &logical.Request{Operation: op, Path: path,
		ClientToken: token, Data: data})
	if err != nil {
		return err
	}
	if resp != nil && resp.IsError() {
		return resp.Error()
	}
	return nil
}
