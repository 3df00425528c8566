package parts

import (
	"strings"
	"testing"

	"strongroom/internal/influxd/config"
)

// TestVaultVariables shows those that count, under the names that they are set under, and nothing secret.
func TestVaultVariables(t *testing.T) {
	for name, tt := range map[string]struct {
		flags, env []string
		want       string
	}{
		"secrets elsewhere": {nil, []string{"VAULT_ADDR=http://vault:8200"}, ""},
		"the seal in Vault": {[]string{"--seal", "transit", "--seal-transit-key", "k"},
			[]string{"VAULT_ADDR=http://vault:8200"}, "VAULT_ADDR http://vault:8200 vault-addr"},
		"Vault's": {[]string{"--secret-store", "vault"}, []string{"VAULT_ADDR=http://vault:8200", "VAULT_TOKEN=sesame",
			"VAULT_HEADERS={}", "VAULT_SRV_LOOKUP=true", "VAULT_NAMESPACE="},
			"VAULT_ADDR http://vault:8200 vault-addr, VAULT_TOKEN [hidden] vault-token, VAULT_HEADERS [hidden] , " +
				"VAULT_SRV_LOOKUP true "},
		"OpenBao's": {[]string{"--secret-store", "vault"}, []string{"VAULT_ADDR=http://vault:8200",
			"BAO_ADDR=http://bao:8200", "BAO_TOKEN=", "VAULT_TOKEN=sesame"},
			"BAO_ADDR http://bao:8200 vault-addr"},
		"settings before them": {[]string{"--secret-store", "vault", "--vault-addr", "http://x:1", "--vault-token-file",
			"f", "--vault-capath", "d"},
			[]string{"VAULT_ADDR=http://vault:8200", "VAULT_AGENT_ADDR=http://agent", "VAULT_TOKEN=sesame",
				"VAULT_CACERT=f"}, ""},
		"another method": {[]string{"--secret-store", "vault", "--vault-auth-method", "cert"},
			[]string{"VAULT_TOKEN=sesame"}, ""},
		"among themselves": {[]string{"--secret-store", "vault"}, []string{"VAULT_ADDR=http://vault:8200",
			"VAULT_AGENT_ADDR=http://agent", "VAULT_CACERT=f", "VAULT_CAPATH=d"},
			"VAULT_AGENT_ADDR http://agent vault-addr, VAULT_CACERT f vault-cacert"},
		"a password": {[]string{"--secret-store", "vault"}, []string{"VAULT_PROXY_ADDR=http://u:sesame@proxy"},
			"VAULT_PROXY_ADDR [hidden] "},
	} {
		t.Run(name, func(t *testing.T) {
			args, err := config.ParseArgs(tt.flags)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(args, []string{"HOME=/h"})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range VaultVariables(cfg, tt.env) {
				got = append(got, v.Name+" "+v.Value+" "+v.For)
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("got  %q\nwant %q", strings.Join(got, ", "), tt.want)
			}
		})
	}
}
