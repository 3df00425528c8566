package audit

import (
	"slices"
	"strings"
)

// Actions are all that stand in the log, sorted.
var Actions = []string{
	"approle.delete", "approle.destroy-secret-id", "approle.list", "approle.read", "approle.secret-id", "approle.set",
	ActionCheck, ActionClose, ActionOpen, "audit.read", ActionReopen,
	"authenticate",
	"authorizations.create", "authorizations.delete", "authorizations.list", "authorizations.read",
	"authorizations.restore", "authorizations.update", "backup",
	"buckets.create", "buckets.delete", "buckets.list", "buckets.read", "buckets.update",
	"config.read",
	"identities.seal",
	"import",
	"orgs.create", "orgs.delete", "orgs.list", "orgs.members", "orgs.members.add", "orgs.members.remove",
	"orgs.owners.add", "orgs.owners.remove", "orgs.read", "orgs.update",
	"profile.read", "restore",
	"seal.change", "seal.read", "seal.rotate",
	"secrets.apply", "secrets.copy", "secrets.delete", "secrets.deleted", "secrets.describe", "secrets.destroy",
	"secrets.export", "secrets.info", "secrets.list", "secrets.remove", "secrets.restore", "secrets.use",
	"sessions.end", "sessions.list",
	"setup", "signin", "signout",
	"token.capabilities", "token.create", "token.lookup", "token.renew", "token.revoke",
	"users.create", "users.delete", "users.list", "users.operator", "users.password", "users.read", "users.update",
}

// Chooses reports whether a filter's Action is one of Actions or a group of them; any other matches nothing, ever.
func Chooses(action string) bool {
	return slices.ContainsFunc(Actions, func(a string) bool { return a == action || strings.HasPrefix(a, action+".") })
}
