package kv2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/conn"
)

// Probe is an organisation that nobody has: IDs count milliseconds since 2017 in their upper bits.
const Probe id.ID = 1

// Example is the place of an organisation that nobody has.
func (p Place) Example(c *conn.Conn) Location {
	entry := strings.NewReplacer("{org}", Probe.String(), "{orgName}", "probe").Replace(p.Path)
	return Location{Place: p, Entry: entry, Client: c.In(p.Namespace), Conn: c}
}

// Check asks what is mounted where the place is.
func (p Place) Check(ctx context.Context, c *conn.Conn, tokenGood bool, policy string) error {
	client := c.In(p.Namespace)
	at := "sys/internal/ui/mounts/" + p.Mount
	info, err := client.Logical().ReadWithContext(ctx, at)
	if conn.IsStatus(err, http.StatusForbidden) && !tokenGood {
		if c.Client.Token() == "" {
			return errors.New("there is no token for Vault; give one with --vault-token or VAULT_TOKEN")
		}
		return fmt.Errorf("Vault at %s refuses the token: it is wrong, expired or revoked, or has no policy "+
			"for %s/; %s", c.Address, p.Mount, c.Session.Remedy())
	}
	if conn.IsStatus(err, http.StatusForbidden) {
		// Vault answers so for what does not exist and for what it does not show. A token may see what is there
		// and not ask what it is.
		switch _, err := client.Logical().ReadRawWithContext(ctx, p.Example(c).In("data")); {
		case conn.NoRoute(err):
			return p.noMount()
		case err == nil, conn.IsStatus(err, http.StatusNotFound):
			return nil
		}
		return fmt.Errorf("nothing is mounted at %s/ in Vault, or the token's policies do not show it; enable KV "+
			"version 2 with: vault secrets enable -path=%s -version=2 kv; and give the token a policy: %s", p.Mount,
			p.Mount, policy)
	}
	if err != nil {
		return c.WhileAsking(ctx, at, err)
	}
	if info == nil {
		return p.noMount()
	}
	kind, _ := info.Data["type"].(string)
	options, _ := info.Data["options"].(map[string]any)
	mounted, _ := info.Data["path"].(string)
	switch {
	case mounted != p.Mount+"/":
		return fmt.Errorf("the engine in Vault is mounted at %s, not at %s/; name the mount as it is, and what "+
			"follows it in --vault-path", mounted, p.Mount)
	case kind != "kv" && kind != "generic":
		return fmt.Errorf("what is mounted at %s/ in Vault is of the type %q; secrets need KV version 2: vault "+
			"secrets enable -path=<another path> -version=2 kv", p.Mount, kind)
	case options["version"] != "2":
		return fmt.Errorf("the engine at %s/ in Vault is KV version 1, which cannot guard against lost writes; "+
			"enable version 2 with: vault kv enable-versioning %s/", p.Mount, p.Mount)
	}
	return nil
}

func (p Place) noMount() error {
	return fmt.Errorf("nothing is mounted at %s/ in Vault; enable KV version 2 with: vault secrets enable -path=%s "+
		"-version=2 kv", p.Mount, p.Mount)
}

// Serves reads the entry to find out whether Vault serves such requests: nil, or the reason, which is reported where
// it is an outage alone.
func (l Location) Serves(ctx context.Context) error {
	r := l.Request(http.MethodGet, "ready", "read")
	r.Path, r.Optional = l.In("data"), true
	return l.Raw(ctx, r, nil, func(a Answer) bool {
		_, odd := ParseEntry(a.Body)
		return a.Status == http.StatusOK || a.Status == http.StatusNotFound && !odd
	})
}

// Answers reports whether Vault lets the location's client read the entry, were there one.
func (l Location) Answers(ctx context.Context) bool {
	_, err := l.Client.Logical().ReadRawWithContext(ctx, l.In("data"))
	return err == nil || conn.IsStatus(err, http.StatusNotFound) && !conn.NoRoute(err)
}
