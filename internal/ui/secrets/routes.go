// Package secrets are the pages of an organisation's secrets: the list, a secret and its history, and what was
// deleted. A value goes in and never comes out.
package secrets

import (
	"log/slog"
	"time"

	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/ui/across"
	"strongroom/internal/ui/listing"
	"strongroom/internal/ui/secrets/importing"
	"strongroom/internal/ui/trail"
	"strongroom/internal/ui/visit"
)

// Config is what the pages show. All but NoHistory and StoreName must be set.
type Config struct {
	Secrets   *service.Service
	Store     secret.Store // for whether it keeps a history, and who may write
	StoreName string       // "bolt" or "vault", as the configuration has it
	// NoHistory says that the store was told to keep no earlier versions, nor what is deleted.
	NoHistory bool
	Orgs      across.Orgs   // to which a secret may be copied
	Trail     *trail.Reader // what was done with a secret lately
	Logger    *slog.Logger
	Now       func() time.Time
}

// handlers make the pages.
type handlers struct {
	Config
	sorted listing.Sorted
}

// Routes are the paths of an organisation's secrets.
func Routes(c Config) visit.Table {
	h, bring := &handlers{Config: c}, importing.Page{Secrets: c.Secrets}
	return visit.Table{
		"GET /orgs/{org}/secrets":         visit.SignedIn(h.secretsPage),
		"GET /orgs/{org}/secrets/names":   visit.SignedIn(h.namesList),
		"GET /orgs/{org}/secrets/dates":   visit.SignedIn(h.datesList),
		"GET /orgs/{org}/secrets/export":  visit.SignedIn(h.exportNames),
		"GET /orgs/{org}/secrets/new":     visit.SignedIn(h.newSecretPage),
		"POST /orgs/{org}/secrets/new":    visit.SignedIn(h.createSecret),
		"GET /orgs/{org}/secrets/import":  visit.SignedIn(bring.Show),
		"POST /orgs/{org}/secrets/import": visit.SignedIn(bring.Import),
		// A deletion is always a page of its own that names what will go; app.js shows it as a dialog.
		"POST /orgs/{org}/secrets/delete": visit.SignedIn(h.deleteSecrets),
		"GET /orgs/{org}/secrets/delete":  visit.SignedIn(h.deleteSecretsPage),
		"GET /orgs/{org}/secret":          visit.SignedIn(h.secretPage),
		"POST /orgs/{org}/secret":         visit.SignedIn(h.replaceSecret),

		"GET /orgs/{org}/secret/copy":      visit.SignedIn(h.copyPage),
		"POST /orgs/{org}/secret/copy":     visit.SignedIn(h.copySecret),
		"POST /orgs/{org}/secret/describe": visit.SignedIn(h.describeSecret),
		"GET /orgs/{org}/secret/restore":   visit.SignedIn(h.restorePage),
		"POST /orgs/{org}/secret/restore":  visit.SignedIn(h.restoreSecret),
		"GET /orgs/{org}/secret/destroy":   visit.SignedIn(h.destroyPage),
		"POST /orgs/{org}/secret/destroy":  visit.SignedIn(h.destroy),
		"GET /orgs/{org}/secrets/remove":   visit.SignedIn(h.removePage),
		"POST /orgs/{org}/secrets/remove":  visit.SignedIn(h.remove),
		"GET /orgs/{org}/secrets/deleted":  visit.SignedIn(h.deletedPage),
		"POST /orgs/{org}/secrets/deleted": visit.SignedIn(h.bringBack),
	}
}
