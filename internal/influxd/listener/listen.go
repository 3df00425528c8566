// Package listener is where connections come in: the address, TLS, how many may be open, and the end of serving.
package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"

	"strongroom/internal/influxd/config"
	"strongroom/internal/pemfile"
)

// The settings that name an address to listen on.
const (
	API      = "http-bind-address"
	VaultAPI = "vault-api-bind-address"
)

// Listen opens the listener of a setting, with TLS where secure is not nil, and returns the URL for
// people on this machine.
func Listen(ctx context.Context, cfg *config.Config, setting string, secure *tls.Config,
	log *slog.Logger) (net.Listener, string, error) {
	place, at := cfg.Place(setting), cfg.HTTPBindAddress
	if setting == VaultAPI {
		at = cfg.VaultAPI.BindAddress
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", at)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, "", fmt.Errorf("%s: %s is in use by another program, maybe an influxd; stop it or choose "+
			"another port", place, at)
	case errors.Is(err, syscall.EACCES):
		return nil, "", fmt.Errorf("%s: this user may not listen on %s; ports below 1024 need a privilege", place, at)
	case err != nil:
		return nil, "", fmt.Errorf("%s: %w", place, err)
	}
	addr := l.Addr().(*net.TCPAddr)
	if !addr.IP.IsLoopback() && secure == nil {
		log.Warn("the API is open to the network without TLS: tokens, passwords and secrets can be read on the way; "+
			"set --tls-cert and --tls-key, or put a proxy with TLS in front",
			"addr", addr.String())
	}
	l = limited(l, limits{cfg.HTTPMaxConnections, cfg.HTTPMaxClientConnections, cfg.Proxies}, log)
	scheme := "http"
	if secure != nil {
		scheme = "https"
		l = tls.NewListener(l, secure)
	}
	return l, scheme + "://" + localName(addr), nil
}

// localName is the address as somebody on this machine reaches it.
func localName(addr *net.TCPAddr) string {
	host := addr.IP.String()
	if addr.IP.IsUnspecified() || addr.IP.Equal(net.IPv4(127, 0, 0, 1)) {
		host = "localhost"
	}
	return net.JoinHostPort(host, fmt.Sprint(addr.Port))
}

// strictCiphers are the TLS 1.2 suites that --tls-strict-ciphers leaves, InfluxDB's list. (TLS 1.3's are all strict.)
var strictCiphers = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// TLS is nil where TLS is not configured. The certificate and its key are followed in their files: a handshake shows
// what they hold then. certificate is what is known of them.
func TLS(cfg *config.Config, log *slog.Logger) (c *tls.Config, certificate *pemfile.Follower, err error) {
	if !cfg.TLS() {
		return nil, nil, nil
	}
	where := cfg.Place("tls-cert") + ", " + cfg.Place("tls-key")
	certificate, err = pemfile.Pair("tls-certificate", where, cfg.TLSCert, cfg.TLSKey, log)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", where, err)
	}
	c = &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, _, _ := certificate.Get()
			return pair, nil
		},
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
	}
	if cfg.TLSMinVersion == "1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	if cfg.TLSStrictCiphers {
		c.CipherSuites = strictCiphers
	}
	return c, certificate, nil
}
