// Package accounts is the part of the API about who there is: the set-up, signing in and out, users, organisations and
// their members, authorizations, and the buckets that clients expect.
package accounts

import (
	"strongroom/internal/httpapi/exchange"
	"strongroom/internal/identity"
	"strongroom/internal/identity/authn"
	"strongroom/internal/identity/directory"
)

// handlers answer what is asked of accounts.
type handlers struct {
	authn     *authn.Service
	directory *directory.Service
}

// Routes are the paths of the set-up, of signing in, and of users, organisations, authorizations and buckets.
func Routes(logins *authn.Service, d *directory.Service) exchange.Table {
	h := &handlers{logins, d}
	return exchange.Table{
		"/api/v2/setup":       {"GET": exchange.Open(h.getSetup), "POST": exchange.Open(h.postSetup)},
		"/api/v2/signin":      {"POST": exchange.Open(h.postSignin)},
		"/api/v2/signout":     {"POST": exchange.Auth(h.postSignout)},
		"/api/v2/me":          {"GET": exchange.Auth(h.getMe)},
		"/api/v2/me/password": {"PUT": exchange.Open(h.putMyPassword)},
		"/api/v2/users":       {"GET": exchange.Auth(h.getUsers), "POST": exchange.Auth(h.postUser)},
		"/api/v2/users/{userID}": {"GET": exchange.Auth(h.getUser), "PATCH": exchange.Auth(h.patchUser),
			"DELETE": exchange.Auth(h.deleteUser)},
		"/api/v2/users/{userID}/password": {"POST": exchange.Auth(h.postUserPassword),
			"PUT": exchange.Auth(h.postUserPassword)},
		"/api/v2/orgs": {"GET": exchange.Auth(h.getOrgs), "POST": exchange.Auth(h.postOrg)},
		"/api/v2/orgs/{orgID}": {"GET": exchange.Auth(h.getOrg), "PATCH": exchange.Auth(h.patchOrg),
			"DELETE": exchange.Auth(h.deleteOrg)},
		"/api/v2/orgs/{orgID}/members": {"GET": {Do: h.listMembers(identity.RoleMember), Long: true},
			"POST": exchange.Auth(h.addMember(identity.RoleMember))},
		"/api/v2/orgs/{orgID}/members/{userID}": {"DELETE": exchange.Auth(h.removeMember(identity.RoleMember))},
		"/api/v2/orgs/{orgID}/owners": {"GET": {Do: h.listMembers(identity.RoleOwner), Long: true},
			"POST": exchange.Auth(h.addMember(identity.RoleOwner))},
		"/api/v2/orgs/{orgID}/owners/{userID}": {"DELETE": exchange.Auth(h.removeMember(identity.RoleOwner))},
		// a thousand permissions
		"/api/v2/authorizations": {"GET": {Do: h.getAuthorizations, Long: true},
			"POST": {Do: h.postAuthorization, Body: 1 << 20}},
		"/api/v2/authorizations/{authID}": {"GET": exchange.Auth(h.getAuthorization),
			"PATCH": exchange.Auth(h.patchAuthorization), "DELETE": exchange.Auth(h.deleteAuthorization)},
		"/api/v2/buckets": {"GET": exchange.Auth(h.getBuckets), "POST": exchange.Auth(h.postBucket)},
		"/api/v2/buckets/{bucketID}": {"GET": exchange.Auth(h.getBucket), "PATCH": exchange.Auth(h.patchBucket),
			"DELETE": exchange.Auth(h.deleteBucket)},
	}
}
