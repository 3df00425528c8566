// Package telegraf runs Telegraf's own code that reads secrets over HTTP, configured as docs/agents.md says, against
// the real API. It is a module of its own: Telegraf brings hundreds of others.
package telegraf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/influxdata/telegraf/config"
	_ "github.com/influxdata/telegraf/plugins/secretstores/http"

	"strongroom/test/stack"
)

// example is the configuration in docs/agents.md.
func example(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "agents.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "```toml\n")
	text, _, closed := strings.Cut(after, "```")
	if !ok || !closed || !strings.Contains(text, "[[secretstores.http]]") {
		t.Fatal("docs/agents.md has no such example")
	}
	return text
}

func TestTelegraf(t *testing.T) {
	s := stack.Start(t, stack.Options{})
	admin := s.Setup(t)
	s.Hide("the password of the database")
	s.Must(t, stack.Request{Method: "PATCH", Path: "/api/v2/orgs/" + admin.OrgID + "/secrets", Token: admin.Token,
		Body: `{"telegraf_db":"the password of the database","others":"not for agents"}`}, 204, nil)
	var agent struct{ Token string }
	s.Must(t, stack.Request{Method: "POST", Path: "/api/v2/authorizations", Token: admin.Token,
		Body: `{"orgID":"` + admin.OrgID + `",
		"permissions":[{"action":"use","resource":{"type":"secrets","orgID":"` + admin.OrgID + `","name":"telegraf_*"}}]}`}, 201, &agent)

	resolve := func(t *testing.T, token, key string) (string, error) {
		t.Helper()
		t.Setenv("STRONGROOM_TOKEN", token)
		text := example(t)
		text = strings.ReplaceAll(text, "http://localhost:9999", s.URL)
		text = strings.ReplaceAll(text, "<org-id>", admin.OrgID)
		if secrets, _, ok := strings.Cut(text, "[[inputs."); ok {
			text = secrets // the plugin that uses the secret is Telegraf's alone
		}
		c := config.NewConfig()
		if err := c.LoadConfigData([]byte(text), ""); err != nil {
			t.Fatal(err)
		}
		store := c.SecretStores["strongroom"]
		if store == nil {
			t.Fatalf("Telegraf knows no store of that name: %v", c.SecretStores)
		}
		f, err := store.GetResolver(key)
		if err != nil {
			return "", err
		}
		v, _, err := f()
		return string(v), err
	}
	for name, token := range map[string]string{"no token": "nonsense",
		"a token that may not use secrets": admin.Token} {
		if v, err := resolve(t, token, "telegraf_db"); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
	if v, err := resolve(t, agent.Token, "others"); err == nil {
		t.Errorf("a secret that is for others: %q", v)
	}
	if v, err := resolve(t, agent.Token, "telegraf_db"); err != nil || v != "the password of the database" {
		t.Errorf("Telegraf has %q, %v", v, err)
	}
}
