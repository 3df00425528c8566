// Package ui is the web page: HTML made by the server over the same services that the API uses, called in this process.
// It puts together its parts: secrets, across, tokens, accounts and system have the paths and their pages, and visit
// what all of them share.
//
// A request goes through visit.Server (headers, the origin's check, who is asking), a handler that returns an answer or
// an error, and the template. Every form works without JavaScript: it is posted, and answered by a redirect or by the
// same page with the error and what was typed. app.js sends the same forms with the header Strongroom-Live and leaves
// the page as it stands when something goes wrong. A secret's value goes in and never comes out: no answer holds one,
// not even the answer to a form that was refused.
package ui

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/docs"
	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/inflight"
	"strongroom/internal/kv"
	"strongroom/internal/pause"
	"strongroom/internal/secret"
	"strongroom/internal/secret/service"
	"strongroom/internal/ui/accounts"
	"strongroom/internal/ui/across"
	"strongroom/internal/ui/handbook"
	"strongroom/internal/ui/hour"
	"strongroom/internal/ui/secrets"
	"strongroom/internal/ui/system"
	"strongroom/internal/ui/tokens"
	"strongroom/internal/ui/trail"
	"strongroom/internal/ui/visit"
)

//go:embed templates static
var files embed.FS

// Config is what the pages show. Guard, Authn, Directory, Secrets and Store must be set.
type Config struct {
	Guard     *access.Guard
	Authn     *authn.Service
	Directory *directory.Service
	Secrets   *service.Service
	Store     secret.Store // for its health, and whether it keeps a history
	Trail     trail.Log    // nil: the activity page says that there is none

	Seals     system.Seals // nil: the store's page shows none
	StoreName string       // "bolt" or "vault", as the store's metrics have it
	InEtcd    bool         // all that the embedded store and the directory keep
	Facts     [][2]string  // where the store keeps values, for operators: what it is, and its value
	Data      func() error // why the server's own data cannot be written to; nil: they are not asked
	Version   string
	MaxBody   int64            // bytes; 4 MiB where 0
	Budget    *inflight.Budget // as the API's
	Pauses    *pause.Pauses    // as the API's
	Quota     secret.Quota     // what an organisation may have
	// NoHistory says that the store was told to keep no earlier versions, nor what is deleted.
	NoHistory bool
	Secure    bool // the server speaks TLS: cookies are marked so
	Gather    prometheus.Gatherer
	Logger    *slog.Logger
	Now       func() time.Time
}

// UI is the handler. Make it with New, and Run its sampling while it serves.
type UI struct {
	pages *visit.Server
	hour  *hour.Hour
}

// New makes the pages' handler.
func New(c Config) (*UI, error) {
	if c.Guard == nil || c.Authn == nil || c.Directory == nil || c.Secrets == nil || c.Store == nil {
		return nil, errors.New("ui: Guard, Authn, Directory, Secrets and Store must be set")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	u := &UI{hour: hour.New(c.Store, c.Gather, c.StoreName, c.Now)}
	book, err := handbook.Routes(docs.Files)
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	u.pages, err = visit.New(visit.Config{
		Authn: c.Authn, Directory: c.Directory, Files: files, SignInAgain: accounts.SignInAgain,
		Refusal: u.refusal(c), Data: unreadable(c.Data),
		Version: c.Version, MaxBody: c.MaxBody, Budget: c.Budget, Pauses: c.Pauses,
		Secure: c.Secure, Logger: c.Logger, Now: c.Now,
	}, append(c.tables(u.hour), book)...)
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	return u, nil
}

// unreadable says why the data cannot be read.
func unreadable(data func() error) func() error {
	if data == nil {
		return nil
	}
	return func() error {
		if err := data(); kv.Unreadable(err) {
			return kv.Coded(fmt.Errorf("%w: %w", kv.ErrUnavailable, err))
		}
		return nil
	}
}

// tables are all pages.
func (c Config) tables(h *hour.Hour) []visit.Table {
	log := trail.New(c.Guard, c.Trail, c.Directory)
	several := across.Config{
		Secrets: c.Secrets, Store: c.Store, StoreName: c.StoreName, Orgs: orgsOf(c.Directory), Now: c.Now,
	}
	return []visit.Table{
		secrets.Routes(secrets.Config{
			Secrets: c.Secrets, Store: c.Store, StoreName: c.StoreName, NoHistory: c.NoHistory, Trail: log,
			Logger: c.Logger, Now: c.Now, Orgs: several.Orgs,
		}),
		across.Routes(several),
		accounts.Routes(accounts.Config{
			Authn: c.Authn, Directory: c.Directory, Secrets: c.Secrets, ReadOnly: func(org id.ID) bool {
				return c.Store.About(org).ReadOnly
			}, Due: across.DueOf(several), Usage: usageOf(c),
			Logger: c.Logger, Now: c.Now,
		}),
		tokens.Routes(tokens.Config{
			Directory: c.Directory, Secrets: c.Secrets, Trail: log, Logger: c.Logger, Now: c.Now,
		}),
		system.Routes(system.Config{
			Directory: c.Directory, Trail: log, Store: c.Store, StoreName: c.StoreName, InEtcd: c.InEtcd, Hour: h,
			Data: c.Data, Seals: c.Seals, Facts: c.Facts, Now: c.Now,
		}),
	}
}

// ServeHTTP answers one request.
func (u *UI) ServeHTTP(w http.ResponseWriter, r *http.Request) { u.pages.ServeHTTP(w, r) }

// Run looks at the store every few seconds, for the store's page, until ctx ends.
func (u *UI) Run(ctx context.Context) { u.hour.Run(ctx) }

// Look is one such look.
func (u *UI) Look(ctx context.Context) { u.hour.Look(ctx) }
