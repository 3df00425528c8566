// Package diagnose says why an etcd cannot be reached.
package diagnose

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"strongroom/internal/kv/etcd/faults"
)

// alertTime is how long a member may take to refuse a client's certificate: by TLS 1.3 it does so after the handshake.
const alertTime = 300 * time.Millisecond

// What may keep a member from being reached, in words for whoever runs it. The client's own errors say no more than
// that time was up.
const (
	refuses = "takes no connections"
	unknown = "has a host whose name is not known"
	silent  = "does not answer"
	badTLS  = "fails the TLS handshake"
	talks   = "takes connections and serves nothing"
)

// Cluster is what cannot be reached, as its client has it.
type Cluster struct {
	Endpoints []string
	TLS       *tls.Config           // nil without
	Roots     func() *x509.CertPool // nil: those of TLS
	Patience  time.Duration         // with each member
}

// Why says why the cluster cannot be reached, where more can be found out than err says. It names no address.
func Why(ctx context.Context, c Cluster, err error) error {
	found := make([]string, len(c.Endpoints))
	var looking sync.WaitGroup
	for i, endpoint := range c.Endpoints {
		looking.Go(func() { found[i] = look(ctx, c, endpoint) })
	}
	looking.Wait()
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	count := make(map[string]int)
	for _, what := range found {
		count[what]++
	}
	var words []string
	for _, what := range []string{refuses, unknown, silent, badTLS, talks} {
		switch n := count[what]; {
		case n == len(found) && n == 1:
			words = append(words, "etcd "+what)
		case n == len(found):
			words = append(words, "each member of etcd "+what)
		case n > 0:
			words = append(words, fmt.Sprintf("of %d members of etcd %d %s", len(found), n, what))
		}
	}
	all := strings.Join(words, ", ")
	switch {
	case count[badTLS] > 0:
		return faults.Unavailable(all + faults.CheckTLS)
	case count[talks] == len(found): // what the call said is more
		return err
	}
	return faults.Unavailable(all)
}

// look connects to a member as the client does.
func look(ctx context.Context, c Cluster, endpoint string) string {
	ctx, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	u, err := url.Parse(endpoint)
	if err != nil {
		return unknown
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return unknown
	case errors.Is(err, syscall.ECONNREFUSED):
		return refuses
	case err != nil:
		return silent
	}
	defer conn.Close()
	if c.TLS == nil {
		return talks
	}
	config := c.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	config.NextProtos = []string{"h2"}
	if c.Roots != nil {
		config.RootCAs = c.Roots()
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		if ctx.Err() != nil {
			return silent
		}
		return badTLS
	}
	if err := secure.SetReadDeadline(time.Now().Add(alertTime)); err != nil {
		return silent
	}
	var timeout net.Error
	if _, err := secure.Read(make([]byte, 1)); err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
		return badTLS
	}
	return talks
}
