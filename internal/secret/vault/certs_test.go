package vault

import (
	"crypto/tls"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/secret/vault/vaulttest"
)

// replace puts a file's content in the place of another's.
func replace(t *testing.T, of, by string) {
	t.Helper()
	if err := os.WriteFile(of+".new", []byte(read(t, by)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(of+".new", of); err != nil {
		t.Fatal(err)
	}
}

// TestAuthorityIsReplaced has Vault's certificate come from another authority, and then the file name that.
func TestAuthorityIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := vaulttest.NewAuthority(t, "first"), vaulttest.NewAuthority(t, "second")
	var shown atomic.Pointer[tls.Certificate]
	show := func(a *vaulttest.Authority, name string) {
		cert, err := tls.LoadX509KeyPair(a.Issue(t, dir, name, "127.0.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		shown.Store(&cert)
	}
	show(first, "one")
	p := newPretend(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*shown.Load()}, NextProtos: []string{"h2", "http/1.1"}}, nil
	}})
	ca := first.File(t, dir)
	l := new(logs)
	s, err := New(t.Context(), Config{Address: p.URL, CACert: ca, Logger: l.logger()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	show(second, "two")
	p.CloseClientConnections()
	waitFor(t, func() bool {
		err := s.Check(t.Context())
		return err != nil && strings.Contains(err.Error(), "do not take each other's certificates")
	})
	replace(t, ca, second.File(t, dir))
	waitFor(t, func() bool { return s.Check(t.Context()) == nil })
	l.want(t, "Vault's certificate is not taken here", "signed by unknown authority", "Vault serves again")
}

// TestClientCertificateIsReplaced has a Vault that wants client certificates, and ours replaced: by one that it
// refuses, and by a good one. A refusal is told as such and not as an outage.
func TestClientCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	servers, clients := vaulttest.NewAuthority(t, "servers"), vaulttest.NewAuthority(t, "clients")
	v := vaulttest.Start(t, vaulttest.WithTLS(t, servers, clients))
	dir := t.TempDir()
	cert, key := clients.Issue(t, dir, "us")
	s, log := open(t, v, Config{CACert: servers.File(t, dir), ClientCert: cert, ClientKey: key})
	apply(t, s, set("a", "1"))
	otherCert, otherKey := vaulttest.NewAuthority(t, "strangers").Issue(t, dir, "stranger")
	replace(t, cert, otherCert)
	replace(t, key, otherKey)
	waitFor(t, func() bool {
		_, err := s.Keys(t.Context(), org)
		return err != nil && strings.Contains(err.Error(), "do not take each other's certificates")
	})
	nextCert, nextKey := clients.Issue(t, dir, "next")
	replace(t, cert, nextCert)
	replace(t, key, nextKey)
	waitFor(t, func() bool { return s.Check(t.Context()) == nil })
	wantKeys(t, s, "a")
	log.want(t, "Vault does not take our certificate", "a file of certificates has changed and is used")
	if strings.Contains(log.String(), "PRIVATE KEY") {
		t.Errorf("the log has a key:\n%s", log)
	}

	// A file that cannot be used changes nothing, and is seen.
	if err := os.WriteFile(cert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		return strings.Contains(log.String(), "a file of certificates cannot be used") || certificateTold(s)
	})
	wantKeys(t, s, "a")
}

func certificateTold(s *Store) bool {
	for _, d := range s.About(org).Details {
		if d.Name == "vault-client-certificate" && !d.OK {
			return true
		}
	}
	return false
}

// TestRefusedByReset has a server that wants a client certificate and resets the connection where there is none, so
// that its alert may not arrive: it is told as what it is all the same.
func TestRefusedByReset(t *testing.T) {
	t.Parallel()
	files := newPlace(t)
	conf := files.server.Clone()
	conf.ClientAuth = tls.RequestClientCert
	conf.VerifyConnection = func(c tls.ConnectionState) error {
		if len(c.PeerCertificates) == 0 {
			panic(http.ErrAbortHandler) // the connection ends without a word
		}
		return nil
	}
	p := newPretend(t, conf)
	_, err := New(t.Context(), quiet(Config{Address: p.URL, CACert: files.ca, ClientTimeout: new(10 * time.Second)}))
	wantError(t, err, "does not take our certificate, or lack of one")
	wantError(t, err, "--vault-client-cert")
	s, err := New(t.Context(), quiet(Config{Address: p.URL, CACert: files.ca, ClientCert: files.cert,
		ClientKey: files.key}))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
