package conn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// distrust is why one side does not take the other's certificate, as far as the error tells; "" where it does not.
func distrust(err error) string {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	if errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host) ||
		errors.As(err, &invalid) {
		return "Vault's certificate is not taken here: " + last(err)
	}
	if _, alert, is := strings.Cut(err.Error(), "remote error: tls: "); is && refusesUs(alert) {
		return "Vault does not take our certificate, or lack of one: " + alert
	}
	return ""
}

// refusesUs reports whether an alert is about the certificate that we show.
func refusesUs(alert string) bool {
	for _, a := range []string{"certificate", "unknown certificate authority", "access denied"} {
		if strings.HasPrefix(alert, a) || strings.HasPrefix(alert, "bad "+a) ||
			strings.HasPrefix(alert, "unknown "+a) ||
			strings.HasPrefix(alert, "expired "+a) || strings.HasPrefix(alert, "revoked "+a) ||
			strings.HasPrefix(alert, "unsupported "+a) {
			return true
		}
	}
	return false
}

// refusedBy finds out whether the server ends connections since it does not take our certificate, or lack of one; ""
// where that is not so. It tells by an alert after the handshake, and HTTP/2 keeps that to itself. Where the other side
// resets the connection at once, the alert may not arrive; then that it has asked for a certificate is the reason.
func (c *Conn) refusedBy(ctx context.Context) string {
	u, err := url.Parse(c.Client.Address())
	if err != nil || u.Scheme != "https" || c.wire.ThroughProxy(u) {
		return ""
	}
	conf := c.wire.TLS()
	conf.NextProtos = []string{"http/1.1"}
	show, asked := conf.GetClientCertificate, false
	conf.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		if show == nil {
			return new(tls.Certificate), nil
		}
		return show(r)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp",
		net.JoinHostPort(u.Hostname(), Either(u.Port() != "", u.Port(), "443")))
	if err == nil {
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		_, err = conn.Read(make([]byte, 1))
	}
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded), ctx.Err() != nil, errors.Is(err, syscall.ECONNREFUSED):
		return ""
	case distrust(err) != "":
		return distrust(err)
	case asked && show == nil:
		return "Vault does not take our certificate, or lack of one: it asks for one, there is none, and it ends " +
			"the connection"
	case asked:
		return "Vault does not take our certificate, or lack of one: it ends the connection once that was shown"
	}
	return ""
}
