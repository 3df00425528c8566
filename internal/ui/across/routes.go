// Package across are the pages that look at secrets of several organisations at once: what is due in any of them, and
// which names two have in common.
package across

import (
	"context"
	"slices"
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

// Orgs finds the organisations that the reader may enter. There may be very many: no call gives all of them.
type Orgs struct {
	// Offered gives some by their names, and whether there are others.
	Offered func(ctx context.Context, c *access.Caller) (orgs []Org, more bool, err error)
	// Named gives the one of an ID, or else of a name.
	Named func(ctx context.Context, c *access.Caller, text string) (Org, error)
	// After gives some of those behind an ID, 0 for the beginning, in the order of their IDs: none where it was the
	// last.
	After func(ctx context.Context, c *access.Caller, after id.ID) ([]Org, error)
}

// Choice are the organisations that a form offers.
type Choice struct {
	Orgs []Org
	More bool // there are others, whose names one types
}

// Offer gives the choice of those that take accepts.
func (o Orgs) Offer(v *visit.Visit, take func(id.ID) bool) (Choice, error) {
	some, more, err := o.Offered(v.Context(), v.Caller)
	return Choice{slices.DeleteFunc(some, func(o Org) bool { return !take(o.ID) }), more}, err
}

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
