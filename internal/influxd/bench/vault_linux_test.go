package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"strongroom/internal/secret/vault/vaulttest"
)

// policy is what docs/vault.md gives the server.
func policy(mount string) string {
	return vaulttest.PolicyOf(mount, "create", "read", "update", "patch") + fmt.Sprintf(`
path "%s/metadata/*" { capabilities = ["delete", "read"] }
path "%s/subkeys/*" { capabilities = ["read"] }`, mount, mount)
}

// overVault is a server whose secrets are in Vault, and beside it an entry of the same content for direct requests with
// the same token.
type overVault struct {
	tenant
	server      *server
	direct      *server
	read, write call
}

func newOverVault(b *testing.B, secrets int, token func(v *vaulttest.Server, mount string) string) overVault {
	b.Helper()
	v := vaulttest.Shared(b)
	mount := v.MountKV(b)
	b.Cleanup(func() { v.Unmount(b, mount) })
	log := token(v, mount)
	s := influxd(b, b.TempDir(), []string{"VAULT_TOKEN=" + log}, "--secret-store=vault", "--vault-addr="+v.Address,
		"--vault-mount="+mount)
	o := overVault{tenant: fill(b, s, secrets), server: s, direct: &server{url: v.Address}}
	body, err := json.Marshal(map[string]any{"data": values(secrets)})
	if err != nil {
		b.Fatal(err)
	}
	path, header := "/v1/"+mount+"/data/0000000000000001", "X-Vault-Token: "+log
	o.read = call{method: "GET", path: path, header: header, status: http.StatusOK}
	o.write = call{method: "PUT", path: path, header: header, status: http.StatusOK, body: string(body)}
	if err := dial(b, o.direct, o.write).send(); err != nil {
		b.Fatal(err)
	}
	return o
}

func limited(b *testing.B) func(*vaulttest.Server, string) string {
	return func(v *vaulttest.Server, mount string) string { return v.Token(b, policy(mount), time.Hour) }
}

func root(v *vaulttest.Server, _ string) string { return v.RootToken }

// directly is a side that asks Vault itself. The CPU time of Vault is not looked at: it works for both sides.
func (o overVault) directly(b *testing.B, clients int, c call) side {
	b.Helper()
	asked := asks(b, o.direct, clients, all(c))
	asked.server = nil
	return asked
}

// BenchmarkVaultList lists an organisation's secrets that are in Vault, beside direct reads of the same entry.
func BenchmarkVaultList(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			o := newOverVault(b, n, limited(b))
			for _, clients := range []int{1, 8, 32} {
				b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { o.list(b, n, clients, "") })
			}
		})
	}
	// What of the distance is that there are two requests: the same read behind a handler.
	b.Run("secrets=1/clients=1/handler", func(b *testing.B) {
		o := newOverVault(b, 1, limited(b))
		between := asks(b, bareBetween(b, o.direct), 1, all(o.read))
		compare(b, figure{what: "Vault: list of 1 secret, 1 client", beside: "bare handler that reads it"}, roundTime,
			asks(b, o.server, 1, all(o.tenant.list())), between)
	})
	b.Run("secrets=100/clients=8/root-token", func(b *testing.B) {
		newOverVault(b, 100, root).list(b, 100, 8, ", root token")
	})
}

func (o overVault) list(b *testing.B, n, clients int, more string) {
	compare(b, figure{what: fmt.Sprintf("Vault: list of %s, %s%s", plural(n, "secret"), plural(clients, "client"),
		more), beside: "direct reads", wanted: 0.65}, roundTime,
		asks(b, o.server, clients, all(o.tenant.list())), o.directly(b, clients, o.read))
}

// BenchmarkVaultChange changes one secret of an organisation in Vault, beside direct writes of the same entry. One
// change that is refused ends it.
func BenchmarkVaultChange(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			o := newOverVault(b, n, limited(b))
			for _, clients := range []int{1, 32} {
				wanted := 0.55
				if clients > 1 {
					wanted = 2
				}
				b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { o.changes(b, n, clients, wanted, "") })
			}
		})
	}
	b.Run("secrets=100/clients=1/root-token", func(b *testing.B) {
		newOverVault(b, 100, root).changes(b, 100, 1, 0.55, ", root token")
	})
}

func (o overVault) changes(b *testing.B, n, clients int, wanted float64, more string) {
	compare(b, figure{what: fmt.Sprintf("Vault: change in %s by %s%s", plural(n, "secret"), plural(clients, "client"),
		more), beside: "direct writes", wanted: wanted}, roundTime,
		asks(b, o.server, clients, func(client int) []call {
			return []call{o.change(keyName(client % n))}
		}), o.directly(b, clients, o.write))
}
