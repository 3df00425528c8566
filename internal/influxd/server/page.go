package server

import (
	"cmp"
	"strings"

	"strongroom/internal/influxd/config"
)

// storeFacts are where secrets are kept, for the page of the store. They hold nothing that opens anything: an address
// with a user's name in it is refused at the start.
func storeFacts(cfg *config.Config) [][2]string {
	var facts [][2]string
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, [2]string{name, value})
		}
	}
	if cfg.SecretStore == config.StoreVault {
		at := cfg.Vault.Place
		add("Address", cfg.Vault.Address)
		add("Namespace", at.Namespace)
		add("Mount", cmp.Or(at.Mount, "secret"))
		add("Path", at.Path)
		add("Layout", string(at.Layout))
		add("Routes", strings.Join(cfg.Vault.RouteTexts, ", "))
	}
	if cfg.Store == config.EngineEtcd {
		add("Data in etcd", strings.Join(cfg.Etcd.Endpoints, ", "))
		add("Below", cfg.Etcd.Prefix)
	} else {
		add("Data file", cfg.BoltPath)
	}
	return facts
}
