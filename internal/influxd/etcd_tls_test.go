package influxd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestEtcdTLS has etcd ask for certificates of its clients, and then replaces all certificates and the authority
// below a server that runs.
func TestEtcdTLS(t *testing.T) {
	dir, keys := t.TempDir(), t.TempDir()
	before, after := vaulttest.NewAuthority(t, "before"), vaulttest.NewAuthority(t, "after")
	trusted := filepath.Join(dir, "ca.pem")
	must(t, os.WriteFile(trusted, before.PEM, 0o600))
	cert, key := before.Issue(t, dir, "member", "127.0.0.1")
	own, ownKey := before.Issue(t, dir, "server")
	c := etcdtest.Start(t, 1, "-cert", cert, "-key", key, "-client-ca", trusted)

	secure := []string{"--etcd-cacert=" + trusted, "--etcd-cert=" + own, "--etcd-key=" + ownKey}
	for name, flags := range map[string][]string{"no certificate": secure[:1], "another authority": secure[1:]} {
		flags = slices.Concat(flags, []string{"--etcd-wait=0"})
		if _, err := launch(t, t.TempDir(), onEtcd(c, keys, "x/", flags...)...); err == nil ||
			!strings.Contains(err.Error(), "etcd fails the TLS handshake; check --etcd-cacert") ||
			strings.Contains(err.Error(), "kv:") {
			t.Errorf("with %s: %v", name, err)
		}
	}
	r := start(t, t.TempDir(), onEtcd(c, keys, "x/", secure...)...)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)

	must(t, os.WriteFile(trusted, after.PEM, 0o600))
	after.Issue(t, dir, "member", "127.0.0.1")
	after.Issue(t, dir, "server")
	c.Members[0].Restart(t)
	r.eventually(t, 204, "PATCH", secrets, token, `{"hello":"world"}`)
	if got := r.keys(t, token, secrets); got != "[foo hello]" {
		t.Errorf("the keys: %s", got)
	}
}
