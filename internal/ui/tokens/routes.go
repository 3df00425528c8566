// Package tokens are the pages of an organisation's API tokens: the list, one token and what it reaches, a new one, and
// who can use a secret.
package tokens

import (
	"context"
	"log/slog"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity/directory"
	"strongroom/internal/ui/trail"
	"strongroom/internal/ui/visit"
)

// Names lists the names of an organisation's secrets: a token's page says which of them it reaches.
type Names interface {
	Keys(ctx context.Context, c *access.Caller, org id.ID) ([]string, error)
}

// Config is what the pages show. All of it must be set.
type Config struct {
	Directory *directory.Service
	Secrets   Names
	Trail     *trail.Reader // what was done with a token lately
	Logger    *slog.Logger
	Now       func() time.Time
}

// handlers make the pages.
type handlers struct {
	Config
	sent *sent
}

// Routes are the paths of tokens.
func Routes(c Config) visit.Table {
	h := &handlers{c, newSent()}
	return visit.Table{
		"GET /orgs/{org}/tokens":                 visit.SignedIn(h.tokensPage),
		"GET /orgs/{org}/tokens/new":             visit.SignedIn(h.newTokenPage),
		"POST /orgs/{org}/tokens/new":            visit.SignedIn(h.createToken),
		"GET /orgs/{org}/tokens/{auth}":          visit.SignedIn(h.tokenPage),
		"POST /orgs/{org}/tokens/{auth}":         visit.SignedIn(h.updateToken),
		"GET /orgs/{org}/tokens/{auth}/delete":   visit.SignedIn(h.deleteTokenPage),
		"POST /orgs/{org}/tokens/{auth}/delete":  visit.SignedIn(h.deleteToken),
		"POST /orgs/{org}/tokens/{auth}/restore": visit.SignedIn(h.restoreToken),
		"GET /orgs/{org}/secret/who":             visit.SignedIn(h.whoPage),
	}
}
