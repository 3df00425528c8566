// Package vaulttest gives tests a real Vault: it runs the server of test/vaultserver in a process of its own and drives
// it over Vault's HTTP API. It knows nothing of the store under test and uses nothing but the standard library.
//
//	v := vaulttest.Shared(t)    // one server a test binary
//	mount := v.MountKV(t)       // a fresh KV version 2, so that tests do not meet
//	token := v.Token(t, vaulttest.Policy(mount), time.Hour)
//
// A test that seals, kills or restarts takes a server of its own with Start.
package vaulttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"strongroom/internal/porttest"
)

// Server is a running Vault.
type Server struct {
	// Address is the server's URL; it stays the same over a restart.
	Address   string
	RootToken string
	UnsealKey string

	binary string
	args   []string
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *syncBuffer
	ca     []byte // what the server's certificate is checked against, PEM; nil without TLS
	client *clientPair
}

// Option is one way in which a server differs from the default: in memory, without TLS, KV version 2 at secret/.
type Option func(*options)

type options struct {
	args   []string
	ca     []byte
	client *clientPair
}

type clientPair struct{ cert, key string }

// Persistent keeps the server's data on disk, so that Restart finds it.
func Persistent(t testing.TB) Option {
	dir := t.TempDir()
	return func(o *options) { o.args = append(o.args, "--data", dir) }
}

// WithValueLimit bounds what the server's storage takes in one entry, as integrated storage does; in bytes.
func WithValueLimit(n int) Option {
	return func(o *options) { o.args = append(o.args, "--max-value-size", fmt.Sprint(n)) }
}

// WithTLS serves TLS with the authority's certificate. Where clients is not nil, the server wants a client certificate
// signed by it, and the methods of Server show one.
func WithTLS(t testing.TB, authority, clients *Authority) Option {
	dir := t.TempDir()
	cert, key := authority.Issue(t, dir, "server", "127.0.0.1", "localhost")
	return func(o *options) {
		o.args = append(o.args, "--tls-cert", cert, "--tls-key", key)
		o.ca = authority.PEM
		if clients != nil {
			clientCert, clientKey := clients.Issue(t, dir, "client")
			o.args = append(o.args, "--tls-client-ca", clients.File(t, dir))
			o.client = &clientPair{clientCert, clientKey}
		}
	}
}

var shared struct {
	sync.Mutex
	server *Server
}

// Shared returns the one server of this test binary, which ends with it. Tests share it: none may seal or stop it.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s := &Server{binary: binary(t)}
		if err := s.run("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	return shared.server
}

// StopShared ends the shared server, for a TestMain that looks for what is left over.
func StopShared() {
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		shared.server.Kill()
		shared.server = nil
	}
}

// Start runs a server for this test alone.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	s := &Server{binary: binary(t), args: o.args, ca: o.ca, client: o.client}
	if err := s.run(porttest.Address(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// Kill ends the server at once, as a crash does. Its port refuses connections afterwards.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	_ = s.stdin.Close()
	s.cmd = nil
}

// Restart starts a killed server again at the same address, unsealed. Only a Persistent one has its data.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	u, err := url.Parse(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.run(u.Host); err != nil {
		t.Fatal(err)
	}
}

// binary finds the server. A test that cannot run for lack of it fails: a skipped one would not be missed.
func binary(t testing.TB) string {
	t.Helper()
	if testing.Short() && os.Getenv("CI") == "" {
		t.Skip("needs a real Vault; left out by -short")
	}
	path := os.Getenv("STRONGROOM_TEST_VAULT")
	if path == "" {
		path = filepath.Join(root(t), ".cache", "bin", "vaultserver")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no Vault to test against: %v; run make test-tools (2 minutes the first time)", err)
	}
	return path
}

// root is the folder of the product's go.mod.
func root(t testing.TB) string {
	t.Helper()
	start, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(b, []byte("module strongroom\n")) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("no go.mod of the module strongroom above %s; set STRONGROOM_TEST_VAULT to the server's binary",
				start)
		}
	}
}

func (s *Server) run(listen string) error {
	cmd := exec.Command(s.binary, append([]string{"--listen", listen}, s.args...)...)
	s.stderr = new(syncBuffer)
	cmd.Stderr = s.stderr
	stdin, err := cmd.StdinPipe() // closed by the kernel when this process ends, however it ends
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var ready struct {
		Address   string `json:"address"`
		RootToken string `json:"root_token"`
		UnsealKey string `json:"unseal_key"`
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		return errors.Join(fmt.Errorf("the Vault server %s did not start: %w\n%s", s.binary, err, s.stderr), cmd.Wait())
	}
	s.Address, s.RootToken, s.UnsealKey = ready.Address, ready.RootToken, ready.UnsealKey
	s.cmd, s.stdin = cmd, stdin
	return nil
}

// Log is what the server wrote to its standard error, for a test that fails.
func (s *Server) Log() string { return s.stderr.String() }

type syncBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b = append(b.b, p...)
	return len(p), nil
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(slices.Clone(b.b))
}
