// Package across are the pages that look at secrets of several organisations at once: what is due in any of them, and
// which names two have in common.
package across

import (
	"context"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/ui/visit"
)

// Org is an organisation that the reader may enter.
type Org struct {
	ID   id.ID
	Name string
}

// Orgs lists those that the reader may enter, by name.
type Orgs func(ctx context.Context, c *access.Caller) ([]Org, error)

// Config is what the pages show. All but StoreName must be set.
type Config struct {
	Secrets   *service.Service
	Store     secret.Store // for how much there is to look at
	StoreName string       // "bolt" or "vault", as the configuration has it
	Orgs      Orgs
	Now       func() time.Time
}

// handlers make the pages.
type handlers struct{ Config }

// Routes are the paths of these pages.
func Routes(c Config) visit.Table {
	h := &handlers{c}
	return visit.Table{
		"GET /due":                visit.SignedIn(h.duePage),
		"GET /orgs/{org}/compare": visit.SignedIn(h.comparePage),
	}
}
