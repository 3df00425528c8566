// Package roots has a client of etcd trust the authorities of now.
package roots

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"

	"google.golang.org/grpc/credentials"
)

// following are gRPC's own TLS credentials, made at each handshake with the authorities that are to be trusted then.
// Those that the client is made with would be trusted until it ends.
type following struct {
	credentials.TransportCredentials
	config *tls.Config
	roots  func() *x509.CertPool
}

// Follow gives gRPC's TLS credentials with the authorities that roots gives at each handshake.
func Follow(config *tls.Config, roots func() *x509.CertPool) credentials.TransportCredentials {
	return &following{credentials.NewTLS(config), config, roots}
}

// ClientHandshake is gRPC's with the authorities of now.
func (f *following) ClientHandshake(ctx context.Context, authority string,
	conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	now := f.config.Clone()
	now.RootCAs = f.roots()
	return credentials.NewTLS(now).ClientHandshake(ctx, authority, conn)
}

// Clone makes another of the same.
func (f *following) Clone() credentials.TransportCredentials { return Follow(f.config, f.roots) }
