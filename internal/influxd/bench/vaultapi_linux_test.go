package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"strongroom/internal/secret/vault/vaulttest"
)

// asVault is a server that Vault's clients ask, and a real Vault with the same entry. There the secrets are in memory.
type asVault struct {
	ours, theirs           *server
	path                   string
	ourHeader, theirHeader string
}

func newAsVault(b *testing.B, secrets int) asVault {
	b.Helper()
	s := influxd(b, b.TempDir(), nil)
	t := fill(b, s, secrets)
	type resource struct {
		Type  string `json:"type"`
		OrgID string `json:"orgID"`
	}
	type permission struct {
		Action   string   `json:"action"`
		Resource resource `json:"resource"`
	}
	var ps []permission
	for _, action := range []string{"use", "read", "write"} {
		ps = append(ps, permission{action, resource{"secrets", t.org}})
	}
	var made struct{ Token string }
	answer := do(b, "POST", s.url+"/api/v2/authorizations", "Authorization", "Token "+t.token,
		map[string]any{"orgID": t.org, "permissions": ps})
	if err := json.Unmarshal(answer, &made); err != nil {
		b.Fatal(err)
	}
	v := vaulttest.Shared(b)
	do(b, "PUT", v.Address+"/v1/secret/data/"+t.org, "X-Vault-Token", v.RootToken,
		map[string]any{"data": values(secrets)})
	return asVault{s, &server{url: v.Address}, "/v1/secret/data/" + t.org, "X-Vault-Token: " + made.Token,
		"X-Vault-Token: " + v.RootToken}
}

// beside asks both the same.
func (v asVault) beside(b *testing.B, f figure, clients int, c func(client int) call) {
	b.Helper()
	with := func(header string) func(int) []call {
		return func(client int) []call {
			asked := c(client)
			asked.header = header + asked.header
			return []call{asked}
		}
	}
	theirs := asks(b, v.theirs, clients, with(v.theirHeader))
	theirs.server = nil
	compare(b, f, roundTime, asks(b, v.ours, clients, with(v.ourHeader)), theirs)
}

// BenchmarkAsVault reads an organisation's map as InfluxDB does, and changes one secret of it, beside a real Vault.
func BenchmarkAsVault(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			v := newAsVault(b, n)
			for _, clients := range []int{1, 8, 32} {
				b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
					f := figure{what: fmt.Sprintf("as Vault: map of %s, %s", plural(n, "secret"),
						plural(clients, "client")), beside: "a real Vault", wanted: 2}
					v.beside(b, f, clients, func(int) call {
						return call{method: "GET", path: v.path, status: http.StatusOK}
					})
				})
			}
		})
	}
	b.Run("patch", func(b *testing.B) {
		v := newAsVault(b, 32)
		f := figure{what: "as Vault: patch of 1 of 32 secrets, 32 clients", beside: "a real Vault", wanted: 2}
		v.beside(b, f, 32, func(client int) call {
			return call{method: "PATCH", path: v.path, header: "\r\nContent-Type: application/merge-patch+json",
				status: http.StatusOK, body: `{"data":{"` + keyName(client) +
					`":"a value of the usual size, another token or password"}}`}
		})
	})
}
