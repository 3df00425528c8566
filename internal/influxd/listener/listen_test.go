package listener

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestListenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cert, key, _ := certificate(t)
	for _, tt := range []struct {
		name  string
		flags []string
		want  []string
	}{
		{"in use", []string{"--http-bind-address", taken.Addr().String()}, []string{"flag --http-bind-address",
			taken.Addr().String(), "in use"}},
		{"not ours", []string{"--http-bind-address", "192.0.2.1:0"}, []string{"flag --http-bind-address", "192.0.2.1"}},
		{"no certificate", []string{"--tls-cert", "/nowhere/c.pem", "--tls-key", key},
			[]string{"flag --tls-cert", "/nowhere/c.pem"}},
		{"no certificate in the file", []string{"--tls-cert", key, "--tls-key", key}, []string{"flag --tls-cert"}},
		{"no authorities", []string{"--tls-cert", cert, "--tls-key", key, "--tls-client-cacert", "/nowhere/ca.pem"},
			[]string{"flag --tls-client-cacert", "/nowhere/ca.pem"}},
		{"no authority in the file", []string{"--tls-cert", cert, "--tls-key", key, "--tls-client-cacert", key},
			[]string{"flag --tls-client-cacert"}},
		{"no key in the file", []string{"--tls-cert", cert, "--tls-key", cert}, []string{"flag --tls-key"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := settings(t, tt.flags...)
			secure, _, err := TLS(cfg, slog.New(slog.DiscardHandler))
			if err == nil {
				var l net.Listener
				if l, _, err = Listen(t.Context(), cfg, API, secure, slog.New(slog.DiscardHandler)); err == nil {
					l.Close()
					t.Fatal("listens")
				}
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not name %q", err, want)
				}
			}
		})
	}
}

func TestWarnsOfAnOpenAPI(t *testing.T) {
	cert, key, _ := certificate(t)
	for _, tt := range []struct {
		flags []string
		warns bool
	}{
		{[]string{"--http-bind-address", ":0"}, true},
		{[]string{"--http-bind-address", ":0", "--tls-cert", cert, "--tls-key", key}, false},
		{[]string{"--http-bind-address", "127.0.0.1:0"}, false},
		{[]string{"--http-bind-address", "localhost:0"}, false},
	} {
		var out bytes.Buffer
		cfg := settings(t, tt.flags...)
		secure, _, err := TLS(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		l, url, err := Listen(t.Context(), cfg, API, secure, slog.New(slog.NewTextHandler(&out, nil)))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if warns := strings.Contains(out.String(), "without TLS"); warns != tt.warns {
			t.Errorf("%q: warns %t, want %t", tt.flags, warns, tt.warns)
		}
		if !strings.Contains(url, "://localhost:") && !strings.Contains(url, "://[::1]:") {
			t.Errorf("%q: URL %s", tt.flags, url)
		}
	}
}

func TestTLS(t *testing.T) {
	cert, key, roots := certificate(t)
	for _, tt := range []struct {
		name   string
		flags  []string
		client *tls.Config
		fails  bool
	}{
		{"too old for the server", nil, &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"a suite that is not strict", []string{"--tls-min-version=1.2", "--tls-strict-ciphers"}, &tls.Config{MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, true},
		{"the newest", nil, &tls.Config{}, false},
		{"1.2", []string{"--tls-min-version=1.2"}, &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"1.2, strict", []string{"--tls-min-version=1.2", "--tls-strict-ciphers"}, &tls.Config{MaxVersion: tls.VersionTLS12}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			flags := append(tt.flags, "--http-bind-address=127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
			url, stop, wait := serving(t, settings(t, flags...),
				http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					io.WriteString(w, "done")
				}))
			tt.client.RootCAs, tt.client.ServerName = roots, "localhost"
			transport := &http.Transport{TLSClientConfig: tt.client}
			defer transport.CloseIdleConnections()
			res, err := (&http.Client{Transport: transport}).Get(url)
			if err == nil {
				res.Body.Close()
			}
			if (err != nil) != tt.fails {
				t.Errorf("error %v, want one: %t", err, tt.fails)
			}
			transport.CloseIdleConnections()
			stop()
			if err := wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// certificate makes a key and a certificate of itself for localhost, and the pool that trusts it.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key = write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return cert, key, roots
}

// TestCertificateIsReplaced has the certificate's files replaced while the server listens: the next handshake shows the
// new one, and what cannot be used changes nothing.
func TestCertificateIsReplaced(t *testing.T) {
	dir := t.TempDir()
	put := func(from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, key, first := certificate(t)
	put(cert, "cert")
	put(key, "key")
	cfg := settings(t, "--http-bind-address=127.0.0.1:0", "--tls-cert", filepath.Join(dir, "cert"), "--tls-key",
		filepath.Join(dir, "key"))
	secure, files, err := TLS(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := Listen(t.Context(), cfg, API, secure, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake()
			_ = c.Close()
		}
	}()
	shown := func(roots *x509.CertPool) bool {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "localhost"})
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	}
	if !shown(first) {
		t.Fatal("the first certificate is not shown")
	}
	cert, key, second := certificate(t)
	put(cert, "cert")
	put(key, "key")
	for end := time.Now().Add(time.Minute); !shown(second); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the second certificate is not shown")
		}
	}
	put(key, "cert")
	for end := time.Now().Add(time.Minute); files[0].State(time.Now()).OK; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a file that cannot be used is not told")
		}
	}
	if !shown(second) {
		t.Error("a file that cannot be used is")
	}
}

// TestClientCertificates has the server ask for certificates: who shows none, or one of others, is not heard; and when the
// authorities change in their file, the next connection goes by the new ones, a session that began under the old
// ones included.
func TestClientCertificates(t *testing.T) {
	cert, key, roots := certificate(t)
	theirs, theirKey, _ := certificate(t)
	other, otherKey, _ := certificate(t)
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	put := func(from string) {
		t.Helper()
		b, err := os.ReadFile(from)
		succeed(t, err)
		succeed(t, os.WriteFile(authorities, b, 0o600))
	}
	put(theirs)
	url, _, _ := serving(t, settings(t, "--http-bind-address=127.0.0.1:0", "--tls-cert", cert, "--tls-key", key,
		"--tls-client-cacert", authorities), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "done")
	}))
	sessions := tls.NewLRUClientSessionCache(8)
	heard := func(cert, key string) bool {
		secure := &tls.Config{RootCAs: roots, ServerName: "localhost", ClientSessionCache: sessions}
		if cert != "" {
			pair, err := tls.LoadX509KeyPair(cert, key)
			succeed(t, err)
			secure.Certificates = []tls.Certificate{pair}
		}
		transport := &http.Transport{TLSClientConfig: secure}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(url)
		if err != nil {
			return false
		}
		return res.Body.Close() == nil
	}
	if heard("", "") || heard(other, otherKey) {
		t.Error("somebody without a certificate of the authority is heard")
	}
	if !heard(theirs, theirKey) {
		t.Fatal("a certificate of the authority is refused")
	}
	put(other)
	for end := time.Now().Add(time.Minute); !heard(other, otherKey); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the new authority is not looked at")
		}
	}
	if heard(theirs, theirKey) {
		t.Error("a certificate of the authority that is gone is taken")
	}
}
