package telegraf

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/influxdata/telegraf/config"
	_ "github.com/influxdata/telegraf/plugins/secretstores/vault"

	"strongroom/test/daemon"
)

// TestTelegrafVault has Telegraf's store for Vault log in and read, configured as docs/vault-api.md says.
func TestTelegrafVault(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "vault-api.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "```toml\n")
	text, _, closed := strings.Cut(after, "```")
	if !ok || !closed || !strings.Contains(text, "[[secretstores.vault]]") {
		t.Fatal("docs/vault-api.md has no such example")
	}
	d := daemon.Start(t)
	d.Set(t, map[string]string{"telegraf/db": "the password", "others": "not for agents"})
	call := func(method, path, body string) map[string]any {
		var out struct{ Data map[string]any }
		d.Vault(t, d.Token, method, path, body, &out)
		return out.Data
	}
	policies, err := json.Marshal([]string{"use:orgs/" + d.OrgID + "/secrets/telegraf/*"})
	if err != nil {
		t.Fatal(err)
	}
	call("POST", "auth/approle/role/telegraf", `{"token_policies":`+string(policies)+`}`)
	roleID := call("GET", "auth/approle/role/telegraf/role-id", "")["role_id"].(string)
	secretID := call("POST", "auth/approle/role/telegraf/secret-id", "{}")["secret_id"].(string)

	store, _, _ := strings.Cut(text, "[[inputs.")
	store = strings.NewReplacer("http://localhost:9999", d.URL, "<org-id>", d.OrgID, "<role-id>", roleID, "<secret-id>",
		secretID).Replace(store)
	c := config.NewConfig()
	if err := c.LoadConfigData([]byte(store), ""); err != nil {
		t.Fatal(err)
	}
	resolve, err := c.SecretStores["strongroom"].GetResolver("telegraf/db")
	if err != nil {
		t.Fatal(err)
	}
	if v, _, err := resolve(); err != nil || string(v) != "the password" {
		t.Errorf("Telegraf has %q, %v", v, err)
	}
	if v, err := c.SecretStores["strongroom"].Get("others"); err == nil && len(v) > 0 {
		t.Errorf("a secret that is for others: %q", v)
	}
	names, err := c.SecretStores["strongroom"].List()
	if err != nil || len(names) != 1 || names[0] != "telegraf/db" {
		t.Errorf("Telegraf lists %v, %v", names, err)
	}
	if err := c.SecretStores["strongroom"].Set("telegraf/db", "x"); err == nil {
		t.Error("an agent that may only use secrets has set one")
	}
}
