package words

// past says of each action what was done. Where there are names of secrets, they come after it.
var past = map[string]string{
	"secrets.list": "listed the names of secrets", "secrets.apply": "set", "secrets.delete": "deleted",
	"secrets.info": "looked at", "secrets.use": "used", "secrets.describe": "described",
	"secrets.restore": "restored", "secrets.deleted": "listed deleted secrets",
	"secrets.destroy": "destroyed versions of", "secrets.remove": "deleted for good",
	"secrets.copy": "copied", "secrets.export": "exported secrets",
	"approle.list": "listed roles to log in with", "approle.read": "looked at a role to log in with",
	"approle.set": "set a role to log in with", "approle.delete": "deleted a role to log in with",
	"approle.secret-id": "made a secret ID of a role", "approle.destroy-secret-id": "destroyed a secret ID of a role",
	"token.capabilities": "asked what its token may do", "token.create": "made a token by its own",
	"token.lookup": "looked at its own token", "token.renew": "renewed its own token",
	"token.revoke": "revoked its own token", "authenticate": "used an invalid token or session",
	"sessions.list": "listed sessions", "sessions.end": "ended a session",
	"signin": "signed in", "signout": "signed out", "setup": "set the server up",
	"authorizations.create": "created a token", "authorizations.delete": "revoked a token",
	"authorizations.restore": "restored a token",
	"authorizations.update":  "changed a token", "authorizations.list": "listed tokens",
	"authorizations.read": "looked at a token", "orgs.create": "created an organisation",
	"orgs.update": "changed an organisation", "orgs.delete": "deleted an organisation",
	"orgs.list": "listed organisations", "orgs.read": "looked at an organisation", "orgs.members": "listed members",
	"orgs.members.add": "added a member", "orgs.members.remove": "removed a member",
	"orgs.owners.add": "added an owner", "orgs.owners.remove": "removed an owner", "users.create": "added a user",
	"users.update": "changed a user", "users.delete": "deleted a user", "users.list": "listed users",
	"users.read": "looked at a user", "users.password": "set a password", "audit.read": "read the audit log",
	"audit.open": "started", "audit.close": "stopped", "audit.reopen": "began a new log file",
	"seal.read": "looked at the seal", "seal.rotate": "rotated the data keys", "seal.change": "changed the seal",
	"config.read":    "read the configuration",
	"users.operator": "made a user an operator", "identities.seal": "encrypted the records of users and tokens",
	"restore": "restored a backup", "audit.check": "tried the audit log again", "backup": "took a backup",
	"profile.read": "took a profile of the server", "import": "imported data",
	"buckets.create": "created a bucket", "buckets.update": "changed a bucket", "buckets.delete": "deleted a bucket",
	"buckets.list": "listed buckets", "buckets.read": "looked at a bucket",
}

// pastIt says the same of the one secret that a page is about.
var pastIt = map[string]string{
	"secrets.apply": "set it", "secrets.delete": "deleted it", "secrets.info": "looked at it", "secrets.use": "used it",
	"secrets.describe": "described it", "secrets.restore": "restored it",
	"secrets.destroy": "destroyed versions of it", "secrets.remove": "deleted it for good", "secrets.copy": "copied it",
}

// Did says an action of the audit log in words; one that is not known here by its own name.
func Did(action string) string {
	if s, ok := past[action]; ok {
		return s
	}
	return action
}

// DidIt is Did on the page of one secret.
func DidIt(action string) string {
	if s, ok := pastIt[action]; ok {
		return s
	}
	return Did(action)
}
