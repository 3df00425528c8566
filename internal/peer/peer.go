// Package peer tells who is at the other end of a connection: the client's address, also behind proxies that are trusted,
// and what counts as one client.
package peer

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Network is what counts as one client: an IPv4 address, or the /64 that an IPv6 client usually has whole.
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap(); a.Is4() {
		return a.String()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

// Host is the address without its port.
func Host(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// Proxies are those whose word about a client counts. The zero value trusts nobody.
type Proxies []netip.Prefix

// ParseProxies reads addresses and networks (CIDR).
func ParseProxies(list []string) (Proxies, error) {
	var p Proxies
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			a = a.Unmap().WithZone("")
			p = append(p, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		n, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8 or fd00::/8", s)
		}
		if n.Addr().Is4In6() {
			return nil, fmt.Errorf("%q: write a network of IPv4 as such", s)
		}
		if n.Bits() == 0 {
			return nil, fmt.Errorf("%q trusts everybody, so that each client could choose its address; name the proxies", s)
		}
		p = append(p, n.Masked())
	}
	return p, nil
}

// Trusts reports whether the address is a proxy's.
func (p Proxies) Trusts(address string) bool {
	if len(p) == 0 {
		return false
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, n := range p {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// Client is the address of the client, without its port. Where the connection comes from a trusted proxy, that is the
// rightmost address in X-Forwarded-For that is not a trusted proxy's: what stands left of it the client may have written
// itself. From anybody else the header counts for nothing.
func (p Proxies) Client(r *http.Request) string {
	address := Host(r.RemoteAddr)
	if !p.Trusts(address) {
		return address
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if ap, err := netip.ParseAddrPort(hop); err == nil {
			hop = ap.Addr().String()
		}
		a, err := netip.ParseAddr(strings.Trim(hop, "[]"))
		if err != nil {
			return address // the last one that is known for what it is
		}
		if address = a.Unmap().WithZone("").String(); !p.Trusts(address) {
			return address
		}
	}
	return address
}

// Secure reports whether the client speaks TLS to a trusted proxy (X-Forwarded-Proto).
func (p Proxies) Secure(r *http.Request) bool {
	return p.Trusts(Host(r.RemoteAddr)) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}
