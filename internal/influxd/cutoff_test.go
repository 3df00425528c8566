package influxd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv/etcd/etcdtest"
)

// TestCutOff cuts a server off from etcd, and has another revoke a token that it remembers: the token is good there no
// longer than the settings say, and never again. Where secrets are not read from memory, it is good for nothing at once.
func TestCutOff(t *testing.T) {
	c := etcdtest.Start(t, 1)
	for name, tt := range map[string]struct {
		flags []string
		stale time.Duration
	}{
		"as it comes":             {nil, 0},
		"always asked":            {[]string{"--store-stale=0"}, 0},
		"secrets from memory":     {[]string{"--store-stale=2s", "--store-stale-secrets=2s"}, 2 * time.Second},
		"tokens are always asked": {[]string{"--store-stale=0", "--store-stale-secrets=2s"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix, keys := strings.ReplaceAll(name, " ", "-")+"/", t.TempDir()
			proxy := etcdtest.NewProxy(t, c.Members[0])
			a := start(t, t.TempDir(), onEtcd(c, keys, prefix, "--server-name=a")...)
			b := start(t, t.TempDir(), append([]string{"--store=etcd", "--etcd-endpoints=" + proxy.Endpoint,
				"--etcd-prefix=" + prefix, "--seal-key-file=" + keys + "/seal.key", "--server-name=b"}, tt.flags...)...)
			token, secrets := a.onboard(t)
			a.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
			var made struct{ ID, Token string }
			a.call(t, "POST", "/api/v2/authorizations", token, fmt.Sprintf(`{"orgID":%q,"permissions":[{"action":"read",`+
				`"resource":{"type":"secrets","orgID":%[1]q}}]}`, strings.Split(secrets, "/")[4]), 201, &made)
			for range 3 {
				b.call(t, "GET", secrets, made.Token, "", 200, nil)
			}
			proxy.Pass(false, false)
			cut := time.Now()
			a.call(t, "DELETE", "/api/v2/authorizations/"+made.ID, token, "", 204, nil)
			for said := 200; said != 503; {
				asked := time.Now()
				if said = b.status(t, "GET", secrets, made.Token, ""); said != 503 && asked.Sub(cut) > tt.stale {
					t.Fatalf("%v after it was cut off it answers %d", asked.Sub(cut), said)
				}
			}
			proxy.Pass(true, true)
			for said := 503; said != 401; {
				if said = b.status(t, "GET", secrets, made.Token, ""); said != 503 && said != 401 {
					t.Fatalf("with etcd again a token that was revoked is answered %d", said)
				}
			}
		})
	}
}
