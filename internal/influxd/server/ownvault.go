package server

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"time"

	"strongroom/internal/influxd/config"
)

// lookUpTime bounds the look-up of Vault's name.
const lookUpTime = 3 * time.Second

// refuseOwnVault refuses to keep secrets in a Vault whose address is the server's own: it would ask
// itself for each secret.
func refuseOwnVault(ctx context.Context, cfg *config.Config) error {
	if cfg.SecretStore != config.StoreVault || cfg.VaultAPI.Disabled {
		return nil
	}
	u, err := url.Parse(cmp.Or(cfg.Vault.Address, os.Getenv("VAULT_ADDR")))
	if err != nil || u.Hostname() == "" {
		return nil // which the store tells
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	for setting, bind := range map[string]string{"http-bind-address": cfg.HTTPBindAddress,
		"vault-api-bind-address": cfg.VaultAPI.BindAddress} {
		host, own, err := net.SplitHostPort(bind)
		if err != nil || own != port || own == "0" {
			continue
		}
		if leadsTo(ctx, u.Hostname(), host) {
			return fmt.Errorf("%s: %s is this server's own address (--%s): it would be its own Vault; give the "+
				"Vault's, or keep the secrets here (--secret-store bolt)",
				cfg.Place("vault-addr"), u.Redacted(), setting)
		}
	}
	return nil
}

// leadsTo reports whether a name leads to this machine, at an address that something bound to host listens on.
func leadsTo(ctx context.Context, name, host string) bool {
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupIPAddr(ctx, name)
	if err != nil {
		return false
	}
	ours, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	bound := net.ParseIP(host)
	if host == "localhost" {
		bound = net.IPv4(127, 0, 0, 1)
	}
	return slices.ContainsFunc(found, func(ip net.IPAddr) bool {
		here := ip.IP.IsLoopback() || slices.ContainsFunc(ours, func(a net.Addr) bool {
			n, ok := a.(*net.IPNet)
			return ok && n.IP.Equal(ip.IP)
		})
		everywhere := host == "" || bound != nil && bound.IsUnspecified()
		return here && (everywhere || bound.Equal(ip.IP))
	})
}
