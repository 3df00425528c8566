package ui

import (
	"context"
	"fmt"
	"testing"
	"time"

	"strongroom/internal/errs"
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
