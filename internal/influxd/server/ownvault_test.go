package server

import (
	"strings"
	"testing"

	"strongroom/internal/influxd/config"
)

// A server that would be its own Vault does not start, and any other does.
func TestRefuseOwnVault(t *testing.T) {
	t.Setenv("VAULT_ADDR", "")
	for _, tt := range []struct {
		bind, second, vault string
		refused             bool
	}{
		{"127.0.0.1:9999", "", "http://127.0.0.1:9999", true},
		{"127.0.0.1:9999", "", "http://localhost:9999/", true},
		{":9999", "", "http://127.0.0.1:9999", true},
		{"0.0.0.0:443", "", "https://localhost", true},
		{"127.0.0.1:9999", ":8200", "http://localhost:8200", true},
		{"127.0.0.1:9999", "", "http://127.0.0.1:8200", false},
		{"127.0.0.1:9999", "", "http://127.0.0.2:9999", false},
		{"127.0.0.1:0", "", "http://127.0.0.1:0", false},
		{":9999", "", "http://192.0.2.1:9999", false},
		{"127.0.0.1:9999", "", "", false},
		{"127.0.0.1:9999", "", "://", false},
	} {
		cfg := &config.Config{HTTPBindAddress: tt.bind, SecretStore: config.StoreVault}
		cfg.Vault.Address, cfg.VaultAPI.BindAddress = tt.vault, tt.second
		err := refuseOwnVault(t.Context(), cfg)
		if (err != nil) != tt.refused || err != nil && !strings.Contains(err.Error(), "its own Vault") {
			t.Errorf("%+v: %v", tt, err)
		}
		cfg.VaultAPI.Disabled = true
		if err := refuseOwnVault(t.Context(), cfg); err != nil {
			t.Errorf("%+v, which answers no clients of Vault: %v", tt, err)
		}
	}
}
