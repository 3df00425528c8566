package vault

import (
	"fmt"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault/kv2"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestReady has a store that Vault serves, and then something taken away from it: it is ready as long as requests are
// served, and no longer.
func TestReady(t *testing.T) {
	v := vaulttest.Shared(t)
	single := func(mount string) string {
		return fmt.Sprintf(
			`path "%[1]s/data/%[2]s*" { capabilities = ["create", "read", "update"] } path "%[1]s/metadata/%[2]s*" { capabilities = ["delete", "list", "read"] }`, mount, org)
	}
	for name, tt := range map[string]struct {
		policy func(mount string) string // vaulttest.Policy where nil
		token  map[string]any
		take   func(t *testing.T, mount, policy, token string) // nil: nothing
		// spared says that it is ready all the same.
		spared bool
	}{
		"nothing": {spared: true},
		"policy": {take: func(t *testing.T, mount, policy, _ string) {
			v.ConfigurePolicy(t, policy, vaulttest.Policy("elsewhere"))
		}},
		"mount": {take: func(t *testing.T, mount, _, _ string) { v.Unmount(t, mount) }},
		"token": {take: func(t *testing.T, _, _, token string) { v.Revoke(t, token) }},
		"a batch token's time": {token: map[string]any{"type": "batch", "ttl": "2s", "renewable": false},
			take: func(*testing.T, string, string, string) {}},
		"single organisations": {policy: single, spared: true},
		"a single organisation's policy": {policy: single, take: func(t *testing.T, mount, policy, _ string) {
			v.ConfigurePolicy(t, policy, vaulttest.Policy("elsewhere"))
		}},
	} {
		for _, l := range layouts {
			t.Run(name+" "+string(l), func(t *testing.T) {
				t.Parallel()
				mount := v.MountKV(t)
				p := Place{Mount: mount, Layout: l}
				text := vaulttest.Policy(mount)
				if l == kv2.LayoutSecret {
					text = policy(p)
				}
				if tt.policy != nil {
					text = tt.policy(mount)
				}
				policy := v.WritePolicy(t, text)
				body := map[string]any{"policies": []string{policy}, "ttl": "1h"}
				for k, value := range tt.token {
					body[k] = value
				}
				token := v.NewToken(t, body)
				s, _ := open(t, v, Config{Place: p, Token: token})
				wantKeys(t, s)
				if err := s.Check(t.Context()); err != nil && tt.token == nil {
					t.Fatalf("Check at first: %v", err)
				}
				if tt.take != nil {
					tt.take(t, mount, policy, token)
					waitFor(t, func() bool { return s.Check(t.Context()) != nil })
				}
				_, err := s.Keys(t.Context(), org)
				ready := s.Check(t.Context())
				if (err == nil) != tt.spared || (ready == nil) != tt.spared {
					t.Errorf("Keys: %v, Check: %v", err, ready)
				}
			})
		}
	}
}

// TestReadyWithRoutes has the place of those without a route gone: the routed are served, and so it is ready.
func TestReadyWithRoutes(t *testing.T) {
	t.Parallel()
	v := vaulttest.Shared(t)
	everywhere, routed := v.MountKV(t), v.MountKV(t)
	s, _ := open(t, v, Config{Place: Place{Mount: everywhere}, Routes: map[id.ID]Place{org: {Mount: routed}}})
	v.Unmount(t, everywhere)
	wantKeys(t, s)
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	v.Unmount(t, routed)
	wantUnavailable(t, "Check", s.Check(t.Context()), "nothing is mounted", v)
}
