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
	Socket   = "http-socket"
)

// Listen opens the listener of a setting, with TLS where secure is not nil, and returns the URL for
// people on this machine. A socket has no TLS.
func Listen(ctx context.Context, cfg *config.Config, setting string, secure *tls.Config,
	log *slog.Logger) (net.Listener, string, error) {
	bounds := limits{cfg.HTTPMaxConnections, cfg.HTTPMaxClientConnections, cfg.Proxies}
	if setting == Socket {
		l, err := listenSocket(ctx, cfg)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", cfg.Place(Socket), err)
		}
		return limited(l, bounds, dialects[API], log), "unix://" + cfg.HTTPSocket, nil
	}
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
	l = limited(l, bounds, dialects[setting], log)
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

// TLS is nil where TLS is not configured. The certificate, its key and the authorities of the clients' certificates are
// followed in their files: a handshake goes by what they hold then. files are what is known of them.
func TLS(cfg *config.Config, log *slog.Logger) (c *tls.Config, files []*pemfile.Follower, err error) {
	if !cfg.TLS() {
		return nil, nil, nil
	}
	where := cfg.Place("tls-cert") + ", " + cfg.Place("tls-key")
	certificate, err := pemfile.Pair("tls-certificate", where, cfg.TLSCert, cfg.TLSKey, log)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", where, err)
	}
	files = append(files, certificate)
	c = &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, _, _ := certificate.Get()
			return pair, nil
		},
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2", "http/1.1"},
	}
	if cfg.TLSMinVersion == "1.2" {
		c.MinVersion = tls.VersionTLS12
	}
	if cfg.TLSStrictCiphers {
		c.CipherSuites = strictCiphers
	}
	if cfg.TLSClientCACert == "" {
		return c, files, nil
	}
	where = cfg.Place("tls-client-cacert")
	authorities, err := pemfile.Pool("tls-client-authorities", where, cfg.TLSClientCACert, log)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", where, err)
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	_, c.ClientCAs, _ = authorities.Get()
	asked := c.Clone()
	// The tickets of a session are sealed by keys of the configuration that is cloned, so that a session which began
	// under an authority that is gone would go on: each connection shows its certificate.
	asked.SessionTicketsDisabled = true
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := asked.Clone()
		_, now.ClientCAs, _ = authorities.Get()
		return now, nil
	}
	return c, append(files, authorities), nil
}
