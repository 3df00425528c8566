// Package accounts are the pages about who there is: the set-up, signing in and out, users and their preferences,
// organisations and their members.
package accounts

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
	"strongroom/internal/ui/visit"
)

// Names lists the names of an organisation's secrets: whoever deletes it is told how many go with it.
type Names interface {
	Keys(ctx context.Context, c *access.Caller, org id.ID) ([]string, error)
}

// Config is what the pages show. All of it must be set.
type Config struct {
	Authn     *authn.Service
	Directory *directory.Service
	Secrets   Names
	// ReadOnly says that the values of an organisation's secrets are managed elsewhere, and stay when it is deleted.
	ReadOnly func(org id.ID) bool
	// Usage tells how much an organisation has of what it may have: no lines where nothing bounds it, or the reader may
	// not know.
	Usage func(v *visit.Visit) (Room, error)
	// Due counts the secrets of organisations that are to be replaced soon; known is false where that would take long.
	Due    func(v *visit.Visit, orgs []id.ID) (due map[id.ID]int, known bool, err error)
	Logger *slog.Logger
	Now    func() time.Time
}

// Room is how much an organisation has of what it may have, and what takes it.
type Room struct {
	Lines []string // how much, in words
	// What counts beside the secrets that are there, where that is so: how many secrets are deleted and kept, and the
	// names of those with the most earlier versions.
	Counts   bool
	Deleted  int
	Earlier  []string
	MayWrite bool // the reader can make room
}

// handlers make the pages.
type handlers struct {
	Config
	setUp atomic.Bool // there is a user or an organisation; it never becomes false again in one process
}

// Routes are the paths of all of it. "/" is here too: where it leads hangs on who comes.
func Routes(c Config) visit.Table {
	h := &handlers{Config: c}
	return visit.Table{
		"GET /{$}":      visit.Open(h.home),
		"GET /setup":    visit.Open(h.setupPage),
		"POST /setup":   visit.Open(h.setup),
		"GET /arrive":   visit.Open(h.arrive),
		"GET /signin":   visit.Open(h.signInPage),
		"POST /signin":  visit.Open(h.signIn),
		"POST /signout": visit.SignedIn(h.signOut),

		"GET /orgs":              visit.SignedIn(h.orgsPage),
		"POST /orgs":             visit.SignedIn(h.createOrg),
		"GET /orgs/{org}":        visit.SignedIn(h.orgPage),
		"POST /orgs/{org}":       visit.SignedIn(h.updateOrg),
		"GET /orgs/{org}/delete": visit.SignedIn(h.deleteOrgPage),
		// A deletion is always a page of its own that names what will go; app.js shows it as a dialog.
		"POST /orgs/{org}/delete": visit.SignedIn(h.deleteOrg),

		"GET /orgs/{org}/members":                visit.SignedIn(h.membersPage),
		"POST /orgs/{org}/members":               visit.SignedIn(h.addMember),
		"POST /orgs/{org}/members/{user}":        visit.SignedIn(h.changeRole),
		"GET /orgs/{org}/members/{user}/remove":  visit.SignedIn(h.removeMemberPage),
		"POST /orgs/{org}/members/{user}/remove": visit.SignedIn(h.removeMember),

		"GET /users":                  visit.SignedIn(h.usersPage),
		"POST /users":                 visit.SignedIn(h.createUser),
		"GET /users/{user}":           visit.SignedIn(h.userPage),
		"POST /users/{user}":          visit.SignedIn(h.updateUser),
		"POST /users/{user}/password": visit.SignedIn(h.setPassword),
		"GET /users/{user}/delete":    visit.SignedIn(h.deleteUserPage),
		"POST /users/{user}/delete":   visit.SignedIn(h.deleteUser),

		"POST /users/{user}/sessions": visit.SignedIn(h.endSession),
		"GET /preferences":            visit.SignedIn(h.preferencesPage),
		"POST /preferences":           visit.SignedIn(h.savePreferences),
		"POST /preferences/password":  visit.SignedIn(h.changePassword),
	}
}
