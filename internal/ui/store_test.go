package ui

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/identity"
	"strongroom/internal/secret"
)

// sick is a store that cannot serve.
type sick struct{ secret.Store }

func (sick) Check(context.Context) error { return errs.New(errs.Unavailable, "Vault is sealed") }

func TestStorePage(t *testing.T) {
	s, b := setUp(t)
	b.get("/store").wants(t, 200, "is healthy", "nothing to draw")
	s.ui.Look(t.Context())
	for i := range 3 {
		s.put(fmt.Sprintf("k%d", i))
		s.ahead += 10 * time.Second
		s.ui.Look(t.Context())
	}
	// That a name is taken is no failure of the store.
	b.post(s.at("/secrets/new"), form("key", "k0", "value", value)).wants(t, 422, "already")
	s.ui.Look(t.Context())
	p := b.get("/store")
	p.wants(t, 200, "calls in the last hour</dt><dd>4<", "failed</dt><dd>0<", `<path class="curve c01"`, "Checked")
	s.use(sick{s.store})
	s.ahead += time.Minute
	b.get("/store").wants(t, 200, "cannot serve", "Vault is sealed")
}

// TestAttention: what an operator should see to stands on the first page, for operators.
func TestAttention(t *testing.T) {
	s, b := setUp(t)
	rita := s.member("rita", identity.RoleMember)
	s.use(telling{s.store})
	p := b.get(s.at("/secrets"))
	p.wants(t, 200, "Vault’s token: has ended.", `href="/store"`)
	if strings.Contains(p.body, "fares well") {
		t.Error("what is well needs no attention")
	}
	if p := rita.get(s.at("/secrets")); p.status != 200 || strings.Contains(p.body, "Vault’s token") {
		t.Errorf("a member is shown it too, or nothing: %d", p.status)
	}
}
