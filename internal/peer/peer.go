// Package peer tells who is at the other end of a connection: the client's address, also behind proxies that are
// trusted, and what counts as one client.
package peer

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
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

// Proxies lists the networks of the proxies whose word about a client counts. The zero value trusts nobody.
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
			return nil, fmt.Errorf("%q trusts everybody, so that each client could choose its address; name "+
				"the proxies", s)
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
// rightmost address in X-Forwarded-For that is not a trusted proxy's: what stands left of it the client may have
// written itself. From anybody else the header counts for nothing.
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

// Via is what a trusted proxy said of a request, and where the server's pages are.
type Via struct {
	Proxied bool   // the request came through a trusted proxy
	Secure  bool   // the client speaks TLS to it (X-Forwarded-Proto)
	Base    string // the path below which the server is, without a slash at its end; "" for the root
}

type viaKey struct{}

// ViaOf is what is known of a request that went through a Front.
func ViaOf(r *http.Request) Via {
	v, _ := r.Context().Value(viaKey{}).(Via)
	return v
}

// Front stands before a handler: behind it a request comes from the client, and its path begins at the root.
type Front struct {
	Proxies Proxies
	Base    string // as ParseBase gives it
	Handler http.Handler
}

// ParseBase reads the path below which the server is.
func ParseBase(s string) (string, error) {
	base := strings.TrimSuffix(s, "/")
	if base == "" {
		return "", nil
	}
	if len(base) > 200 || base[0] != '/' {
		return "", fmt.Errorf("must be a path such as /strongroom")
	}
	for part := range strings.SplitSeq(base[1:], "/") {
		plain := strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~") == ""
		if !plain || part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("must be a path such as /strongroom, of letters, digits and - _ . ~ between " +
				"the slashes")
		}
	}
	return base, nil
}

// ServeHTTP answers one request.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	via := Via{Base: f.Base}
	client := r.RemoteAddr
	if host := Host(r.RemoteAddr); f.Proxies.Trusts(host) {
		via.Proxied = true
		via.Secure = strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
		if c := f.Proxies.Client(r); c != host {
			client = net.JoinHostPort(c, "0")
		}
		if base, err := ParseBase(r.Header.Get("X-Forwarded-Prefix")); err == nil && base != "" {
			via.Base = base
		}
	}
	if via != (Via{}) {
		r = r.WithContext(context.WithValue(r.Context(), viaKey{}, via)) // a copy
		r.RemoteAddr = client
		r.URL = below(r.URL, via.Base)
	}
	f.Handler.ServeHTTP(w, r)
}

// below is the URL without the base, for proxies that pass on whole paths.
func below(u *url.URL, base string) *url.URL {
	path, ok := strings.CutPrefix(u.Path, base)
	if base == "" || !ok || path != "" && path[0] != '/' {
		return u
	}
	v := *u
	v.Path, v.RawPath = cmp.Or(path, "/"), ""
	if raw, ok := strings.CutPrefix(u.RawPath, base); ok && raw != "" {
		v.RawPath = raw
	}
	return &v
}
