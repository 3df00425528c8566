// Package system are the pages about the server itself: what was done on it, and how its store fares.
package system

import (
	"context"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/identity/directory"
	"strongroom/internal/rotation"
	"strongroom/internal/secret"
	"strongroom/internal/ui/hour"
	"strongroom/internal/ui/trail"
	"strongroom/internal/ui/visit"
)

// Seals shows and rotates what the embedded data are sealed with.
type Seals interface {
	Status(ctx context.Context, c *access.Caller) (rotation.Status, error)
	Rotate(ctx context.Context, c *access.Caller) (rotation.Status, error)
}

// Config is what the pages show. All but Seals, Facts and StoreName must be set.
type Config struct {
	Directory *directory.Service // for the names of users and organisations on record
	Trail     *trail.Reader
	Store     secret.Store // for what it tells of itself
	StoreName string       // "bolt" or "vault", as the configuration has it
	InEtcd    bool         // the embedded store's records, and not in the server's own file
	Hour      *hour.Hour
	Data      func() error // why the server's own data cannot be written to; nil: they are not asked
	Facts     [][2]string  // where the store keeps values, for operators
	Seals     Seals        // nil: the store's page shows none
	Now       func() time.Time
}

// handlers make the pages.
type handlers struct{ Config }

// Routes are the paths of the activity and of the store.
func Routes(c Config) visit.Table {
	h := &handlers{c}
	return visit.Table{
		"GET /activity":            visit.SignedIn(h.activityPage),
		"GET /orgs/{org}/activity": visit.SignedIn(h.orgActivityPage),
		"GET /store":               visit.SignedIn(h.storePage),
		"POST /store/rotate":       visit.SignedIn(h.rotate),
	}
}
