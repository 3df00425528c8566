package identity

import (
	"slices"

	"strongroom/internal/id"
	"strongroom/internal/identity/record"
	"strongroom/internal/kv"
)

// The layout of the keys. Each record has one home; the others index it.
//
//	user/<user>  username/<name>  password/<user>  signedin/<user>
//	org/<org>  orgname/<name>  orgplace/<name>
//	member/<org>/<user>  memberof/<user>/<org>
//	auth/<auth>  authhash/<hash>  authuser/<user>/<auth>  authorg/<org>/<auth>  authused/<auth>  authgone/<auth>
//	authlease/<parent>/<auth>  authlease/role:<role>/<auth>
//	approle/<name>  approleid/<role>  secretid/<role>/<hash>  wrapped/<hash>
//	session/<hash>  sessionuser/<user>/<hash>
//	bucket/<bucket>  bucketname/<org>/<name>
//	deleting/org/<org>  deleting/user/<user>
//	setup

// Prefixes are what the keys of these records begin with.
var Prefixes = []string{
	"user/", "username/", "password/", "org/", "orgname/", "orgplace/", "member/", "memberof/", "auth/", "authhash/",
	"authuser/", "authorg/", "authused/", "authgone/", "authlease/", "approle/", "approleid/", "secretid/", "wrapped/",
	"session/", "sessionuser/", "signedin/", "bucket/", "bucketname/", "deleting/", "setup",
}

// Sealed lists the prefixes whose values are sealed by the keyring (package barrier): all but the times of last use and
// of the last sign-in, which are written often, and tell an operator something and permit nothing.
var Sealed = slices.DeleteFunc(slices.Clone(Prefixes), func(p string) bool {
	return p == "authused/" || p == "signedin/"
})

// Creation is what writes a new user, and the conditions under which it is new. Nothing of one who had the ID before
// may be left to be removed: it would take what is the new one's with it.
func (u User) Creation() ([]kv.Cond, []kv.Op) {
	conds, ops := created(record.Key("user", u.ID), u, u.indexes())
	return append(conds, kv.Missing(record.Key("deleting/user", u.ID))), ops
}

func (u User) indexes() []kv.Op { return []kv.Op{record.Put(record.Key("username", u.Name), u.ID)} }

// created is what writes a new record and its indexes, the first of which must be nobody else's.
func created(home string, v any, indexes []kv.Op) ([]kv.Cond, []kv.Op) {
	return []kv.Cond{kv.Missing(home), kv.Missing(indexes[0].Key)}, append([]kv.Op{record.Put(home, v)}, indexes...)
}

// Creation is what writes a new organisation, and the conditions under which it is new. Its name must not be one by
// which the secrets of another are still kept, and nothing of one that had the ID before may be left to be removed.
func (o Org) Creation() ([]kv.Cond, []kv.Op) {
	conds, ops := created(record.Key("org", o.ID), o, o.indexes())
	return append(conds, kv.Missing(record.Key("orgplace", o.Name)), kv.Missing(record.Key("deleting/org", o.ID))), ops
}

func (o Org) indexes() []kv.Op { return []kv.Op{record.Put(record.Key("orgname", o.Name), o.ID)} }

// Adopted is an organisation that another server knows by the ID, under a name that says so. An import from that server
// puts the real one in its place.
func Adopted(org id.ID) Org {
	return Org{ID: org, Name: "organization " + org.String() + " of an InfluxDB",
		Description: "made by its first secret; import brings its real name"}
}

// GiveRole is what gives a user a role in an organisation: one record to list it by either side.
func GiveRole(org, user id.ID, role Role) []kv.Op {
	return []kv.Op{record.Put(record.Key("member", org, user), role),
		record.Put(record.Key("memberof", user, org), role)}
}

// Creation is what writes a new bucket, and the conditions under which it is new.
func (b Bucket) Creation() ([]kv.Cond, []kv.Op) {
	return created(record.Key("bucket", b.ID), b, b.indexes())
}

func (b Bucket) indexes() []kv.Op {
	return []kv.Op{record.Put(record.Key("bucketname", b.OrgID, b.Name), b.ID)}
}

// Creation is what writes a new authorization, and the conditions under which it is new.
func (a Authorization) Creation() ([]kv.Cond, []kv.Op) {
	return created(record.Key("auth", a.ID), a, a.indexes())
}

func (a Authorization) indexes() []kv.Op {
	ops := []kv.Op{record.Put(record.Key("authhash", a.TokenHash()), a.ID),
		record.Put(record.Key("authuser", a.UserID, a.ID), true),
		record.Put(record.Key("authorg", a.OrgID, a.ID), true)}
	if a.Lease != nil {
		ops = append(ops, record.Put(a.leaseKey(), true))
	}
	return ops
}

// Deletion is what removes an authorization, wherever it is listed.
func (a Authorization) Deletion() []kv.Op {
	ops := []kv.Op{kv.Delete(record.Key("auth", a.ID)), kv.Delete(record.Key("authhash", a.TokenHash())),
		kv.Delete(record.Key("authuser", a.UserID, a.ID)), kv.Delete(record.Key("authorg", a.OrgID, a.ID)),
		kv.Delete(record.Key("authused", a.ID))}
	if a.Lease != nil {
		ops = append(ops, kv.Delete(a.leaseKey()))
	}
	return ops
}

// leaseKey lists the authorization among those that hang on the same.
func (a Authorization) leaseKey() string {
	if a.Lease.Role != "" {
		return Logins(a.Lease.Role) + a.ID.String()
	}
	return Children(a.Lease.Parent) + a.ID.String()
}

// Children is the folder of what hangs on an authorization.
func Children(parent id.ID) string { return record.Folder("authlease", parent) }

// Logins is the folder of what hangs on a role.
func Logins(role string) string { return record.Folder("authlease", "role:"+role) }
