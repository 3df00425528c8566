// Package ui is the web page: HTML made by the server over the same services that the API uses, called in this process.
//
// A request goes through ServeHTTP (headers, the origin's check), route (who is asking), a handler that returns an answer
// or an error, and render. Every form works without JavaScript: it is posted, and answered by a redirect or by the same
// page with the error and what was typed. app.js sends the same forms with the header Strongroom-Live and leaves the page
// as it stands when something goes wrong. A secret's value goes in and never comes out: no answer holds one, not even the
// answer to a form that was refused.
package ui

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"strongroom/internal/access"
	"strongroom/internal/audit"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/sealing"
	"strongroom/internal/secret"
	"strongroom/internal/ui/hour"
)

// Trail answers questions about what has been recorded.
type Trail interface {
	Query(ctx context.Context, f audit.Filter) (audit.Page, error)
}

// Seals shows and rotates what the embedded data are sealed with.
type Seals interface {
	Status(ctx context.Context, c *access.Caller) (sealing.Status, error)
	Rotate(ctx context.Context, c *access.Caller) (sealing.Status, error)
}

// Config is what the pages show. Guard, Authn, Identity, Secrets and Store must be set.
type Config struct {
	Guard    *access.Guard
	Authn    *authn.Service
	Identity *directory.Service
	Secrets  *secret.Service
	Store    secret.Store // for its health, and whether it keeps a history
	Trail    Trail        // nil: the activity page says that there is none

	Seals     Seals  // nil: the store's page shows none
	StoreName string // "bolt" or "vault", as the store's metrics have it
	Version   string
	MaxBody   int64 // bytes; 4 MiB where 0
	// NoHistory says that the store was told to keep no earlier versions, nor what is deleted.
	NoHistory bool
	Secure    bool // the server speaks TLS: cookies are marked so
	Gather    prometheus.Gatherer
	Logger    *slog.Logger
	Now       func() time.Time
}

const (
	defaultMaxBody = 4 << 20
	// requestTime bounds the work on one request.
	requestTime = 30 * time.Second
)

// UI is the handler. Make it with New, and Run its sampling while it serves.
type UI struct {
	Config
	mux       *http.ServeMux
	origin    *http.CrossOriginProtection
	templates map[string]*template.Template
	files     *files
	hour      *hour.Hour
	setUp     atomic.Bool // there is a user or an organisation; it never becomes false again in one process

	idPrefix string
	idNext   atomic.Uint64
}

// New makes the pages' handler.
func New(c Config) (*UI, error) {
	if c.Guard == nil || c.Authn == nil || c.Identity == nil || c.Secrets == nil || c.Store == nil {
		return nil, errors.New("ui: Guard, Authn, Identity, Secrets and Store must be set")
	}
	if c.MaxBody == 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	f, err := openFiles()
	if err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	var prefix [6]byte
	rand.Read(prefix[:]) // never fails since Go 1.24
	u := &UI{Config: c, mux: http.NewServeMux(), origin: http.NewCrossOriginProtection(), files: f,
		hour: hour.New(c.Store, c.Gather, c.StoreName, c.Now), idPrefix: "ui" + hex.EncodeToString(prefix[:])}
	if u.templates, err = u.parseTemplates(); err != nil {
		return nil, fmt.Errorf("ui: %w", err)
	}
	for pattern, rt := range u.routes() {
		rt.ui = u
		u.mux.Handle(pattern, rt)
	}
	u.mux.Handle("GET /static/{file}", f)
	return u, nil
}

// Run looks at the store every few seconds, for the store's page, until ctx ends.
func (u *UI) Run(ctx context.Context) { u.hour.Run(ctx) }

// Look is one such look.
func (u *UI) Look(ctx context.Context) { u.hour.Look(ctx) }

// handler does what one request asks for.
type handler func(*UI, *visit) (answer, error)

// open needs nobody to be signed in; user needs somebody.
func open(h handler) *route { return &route{do: h, open: true} }
func user(h handler) *route { return &route{do: h} }

func (u *UI) routes() map[string]*route {
	return map[string]*route{
		"/":             open((*UI).notFound),
		"GET /{$}":      open((*UI).home),
		"GET /setup":    open((*UI).setupPage),
		"POST /setup":   open((*UI).setup),
		"GET /signin":   open((*UI).signInPage),
		"POST /signin":  open((*UI).signIn),
		"POST /signout": user((*UI).signOut),

		"GET /orgs":              user((*UI).orgsPage),
		"POST /orgs":             user((*UI).createOrg),
		"GET /orgs/{org}":        user((*UI).orgPage),
		"POST /orgs/{org}":       user((*UI).updateOrg),
		"GET /orgs/{org}/delete": user((*UI).deleteOrgPage),
		// A deletion is always a page of its own that names what will go; app.js shows it as a dialog.
		"POST /orgs/{org}/delete": user((*UI).deleteOrg),

		"GET /orgs/{org}/secrets":         user((*UI).secretsPage),
		"GET /orgs/{org}/secrets/new":     user((*UI).newSecretPage),
		"POST /orgs/{org}/secrets/new":    user((*UI).createSecret),
		"GET /orgs/{org}/secrets/import":  user((*UI).importPage),
		"POST /orgs/{org}/secrets/import": user((*UI).importSecrets),
		"POST /orgs/{org}/secrets/delete": user((*UI).deleteSecrets),
		"GET /orgs/{org}/secrets/delete":  user((*UI).deleteSecretsPage),
		"GET /orgs/{org}/secret":          user((*UI).secretPage),
		"POST /orgs/{org}/secret":         user((*UI).replaceSecret),

		"POST /orgs/{org}/secret/describe": user((*UI).describeSecret),
		"GET /orgs/{org}/secret/restore":   user((*UI).restorePage),
		"POST /orgs/{org}/secret/restore":  user((*UI).restoreSecret),
		"GET /orgs/{org}/secrets/deleted":  user((*UI).deletedPage),
		"POST /orgs/{org}/secrets/deleted": user((*UI).bringBack),

		"GET /orgs/{org}/tokens":                user((*UI).tokensPage),
		"GET /orgs/{org}/tokens/new":            user((*UI).newTokenPage),
		"POST /orgs/{org}/tokens/new":           user((*UI).createToken),
		"POST /orgs/{org}/tokens/{auth}":        user((*UI).updateToken),
		"GET /orgs/{org}/tokens/{auth}/delete":  user((*UI).deleteTokenPage),
		"POST /orgs/{org}/tokens/{auth}/delete": user((*UI).deleteToken),

		"GET /orgs/{org}/members":                user((*UI).membersPage),
		"POST /orgs/{org}/members":               user((*UI).addMember),
		"POST /orgs/{org}/members/{user}":        user((*UI).changeRole),
		"GET /orgs/{org}/members/{user}/remove":  user((*UI).removeMemberPage),
		"POST /orgs/{org}/members/{user}/remove": user((*UI).removeMember),

		"GET /users":                  user((*UI).usersPage),
		"POST /users":                 user((*UI).createUser),
		"GET /users/{user}":           user((*UI).userPage),
		"POST /users/{user}":          user((*UI).updateUser),
		"POST /users/{user}/password": user((*UI).setPassword),
		"GET /users/{user}/delete":    user((*UI).deleteUserPage),
		"POST /users/{user}/delete":   user((*UI).deleteUser),

		"GET /activity":              user((*UI).activityPage),
		"POST /store/rotate":         user((*UI).rotate),
		"GET /store":                 user((*UI).storePage),
		"GET /preferences":           user((*UI).preferencesPage),
		"POST /preferences":          user((*UI).savePreferences),
		"POST /preferences/password": user((*UI).changePassword),
	}
}
