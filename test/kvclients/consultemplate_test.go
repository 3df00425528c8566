package kvclients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/test/daemon"
)

// TestConsulTemplate renders a template once, and again when a secret has changed.
func TestConsulTemplate(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "consul-template")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin,
		"github.com/hashicorp/consul-template").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := daemon.Start(t, "--vault-api-refresh", "1s")
	token := d.VaultToken(t, false)
	d.Set(t, map[string]string{"db/password": "first", "db/user": "u"})
	in, out := filepath.Join(dir, "in.tpl"), filepath.Join(dir, "out")
	must(t, os.WriteFile(in, []byte(`{{ with secret "secret/acme/db/password" }}{{ .Data.data.value }}{{ end }}`+
		`{{ range secrets "secret/acme/db" }} {{ . }}{{ end }}{{ with secret "secret/data/`+d.OrgID+
		`" }} {{ index .Data.data "db/user" }}{{ end }}`), 0o600))
	if said, err := d.Run(t, token, dir, bin, "-once", "-template", in+":"+out); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if b, err := os.ReadFile(out); err != nil || string(b) != "first password user u" {
		t.Fatalf("it wrote %q, %v", b, err)
	}
	// What the page shows, word for word.
	page := shell{d, t.TempDir(), dir, strings.NewReplacer("my-org", "acme")}
	must(t, os.WriteFile(filepath.Join(page.home, "in.tpl"), []byte(page.filled.Replace(blocks(t, "consul-template",
		"")[0])), 0o600))
	page.types(t, blocks(t, "consul-template", "sh")[0], "VAULT_TOKEN="+token)
	if b, err := os.ReadFile(filepath.Join(page.home, "out")); err != nil || strings.TrimSpace(string(b)) != "first" {
		t.Fatalf("the page's template gives %q, %v", b, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, bin, "-template", in+":"+out)
	cmd.Env = []string{"HOME=" + dir, "VAULT_ADDR=" + d.URL, "VAULT_TOKEN=" + token}
	must(t, cmd.Start())
	defer func() {
		stop()
		_ = cmd.Wait() // it was killed
	}()
	d.Set(t, map[string]string{"db/password": "second"})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		b, err := os.ReadFile(out)
		must(t, err)
		if strings.HasPrefix(string(b), "second ") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it still says %q", b)
		}
	}
}
