//go:build !race

package matrix

// action is one thing that is tried: a row. In path and body, {acme} and the like stand for what world.names has, and
// {user}, {key} and the like for something that is made for the row, and anew where somebody has used it up.
type action struct {
	name       string // as the table has it, beginning with the method
	path, body string
	headers    map[string]string
	sees       string // what an answer must hold that shows something; what does not is an o in the table
	twin       *twin
	after      func(w *world, who string) // sets right what they did
	quiet      bool                       // there is nothing to say of it, or nothing is done
	ends       bool                       // the caller's token or session has ended with it
	world      bool                       // the whole world has
}

// twin is what a row's object looks like where it is not there. Whoever does not get at it, in this row or one of those in
// known, must not tell the one from the other; where done is set, neither must who gets at it in this row alone.
type twin struct {
	stands map[string]string // in the place of which name
	known  []string
	done   bool
}

const noID = "0aaaaaaaaaaaaaaa"

var (
	noOrg = &twin{stands: map[string]string{"acme": noID},
		known: []string{"GET orgs/acme", "PATCH orgs/acme: description"}}
	noOrgNamed = &twin{stands: map[string]string{"named": "none"},
		known: []string{"GET orgs/acme"}}
	noKey = &twin{stands: map[string]string{"key": "db%2Fnone", "path": "db/none", "deleted": "db%2Fnone"},
		known: []string{"GET secrets/db/a", "GET secret-values/db/b"}, done: true}
	noUser = &twin{stands: map[string]string{"olga": noID, "user": noID, "ada": noID, "member": noID, "owner": noID},
		known: []string{"GET users/olga", "PATCH users/a user: name", "POST members: a user", "DELETE members/a member"}}
	noUserNamed = &twin{stands: map[string]string{"her": "nobody"},
		known: []string{"GET users/olga"}}
	noAuth = &twin{stands: map[string]string{"auth": noID, "olgas": noID, "off": noID},
		known: []string{"GET authorizations/olga's", "PATCH authorizations/one"}}
	notTheirs = &twin{stands: map[string]string{"neds": noID},
		known: []string{"GET authorizations/the other's"}}
	noBucket = &twin{stands: map[string]string{"bucket": noID, "drop": noID},
		known: []string{"GET buckets/one", "PATCH buckets/one"}}
	noBucketThere = &twin{stands: map[string]string{"herBucket": noID},
		known: []string{"GET buckets/the other's"}}
)

const orgs = "/api/v2/orgs/{acme}"

// setRight puts back the secrets of acme.
func setRight(w *world, _ string) { w.secrets() }

var apiActions = []action{
	{name: "GET /health", path: "/health"},
	{name: "HEAD /health", path: "/health"},
	{name: "GET /ready", path: "/ready"},
	{name: "HEAD /ready", path: "/ready"},
	{name: "GET /ping", path: "/ping"},
	{name: "HEAD /ping", path: "/ping"},
	{name: "GET /metrics", path: "/metrics"},
	{name: "HEAD /metrics", path: "/metrics"},
	{name: "GET /api/v2", path: "/api/v2"},
	{name: "GET swagger.json", path: "/api/v2/swagger.json"},
	{name: "GET setup", path: "/api/v2/setup"},
	{name: "POST setup, once more", path: "/api/v2/setup",
		body: `{"username":"{new}","password":"password","org":"{new}","bucket":"b"}`},
	{quiet: true, name: "POST signin", path: "/api/v2/signin", headers: map[string]string{"Authorization": basic("nora")}},
	{name: "PUT me/password, with the old", path: "/api/v2/me/password", body: `{"password":"password of nora"}`,
		headers: map[string]string{"Authorization": basic("nora")}, after: func(w *world, _ string) { w.comeAgain("nora") }},
	{name: "PUT me/password, without", path: "/api/v2/me/password", body: `{"password":"password of {selfName}"}`,
		after: func(w *world, who string) { w.comeAgain(w.who[who].user) }},
	{name: "GET me", path: "/api/v2/me"},
	{quiet: true, name: "POST signout", path: "/api/v2/signout", ends: true},
	{name: "GET resources", path: "/api/v2/resources"},
	{name: "GET config", path: "/api/v2/config"},
	{name: "GET audit", path: "/api/v2/audit?limit=1"},
	{name: "GET seal", path: "/api/v2/seal"},
	{quiet: true, name: "POST seal/rotate", path: "/api/v2/seal/rotate", after: func(w *world, _ string) { w.rotated() }},
	{quiet: true, name: "POST seal/change", path: "/api/v2/seal/change", body: `{}`},
	{name: "GET debug/pprof/heap", path: "/debug/pprof/heap"},
	{name: "GET backup/kv", path: "/api/v2/backup/kv"},

	{name: "GET secrets", path: orgs + "/secrets", sees: "db/a", twin: noOrg},
	{name: "GET secrets, web among them", path: orgs + "/secrets", sees: "web", twin: noOrg},
	{name: "GET secrets?versions=true", path: orgs + "/secrets?versions=true", sees: "db/a", twin: noOrg},
	{name: "GET secrets of the other", path: "/api/v2/orgs/{other}/secrets", sees: "hers"},
	{name: "PATCH secrets: db/x", path: orgs + "/secrets", body: `{"db/x":"v"}`, twin: noOrg},
	{name: "PATCH secrets: x", path: orgs + "/secrets", body: `{"x":"v"}`, twin: noOrg},
	{name: "PATCH secrets: db/x and x", path: orgs + "/secrets", body: `{"db/x":"v","x":"v"}`},
	{quiet: true, name: "PATCH secrets: nothing", path: orgs + "/secrets", body: `{}`},
	{name: "PATCH secrets, if new", path: orgs + "/secrets", body: `{"db/{new}":"v"}`,
		headers: map[string]string{"If-None-Match": "*"}},
	{name: "PATCH secrets, if there", path: orgs + "/secrets", body: `{"{path}":"v"}`,
		headers: map[string]string{"If-Match": "*"}, twin: noKey},
	{name: "PATCH secrets, at a version", path: orgs + "/secrets", body: `{"{path}":"v"}`,
		headers: map[string]string{"If-Match": `"1"`}, twin: noKey},
	{name: "PATCH secrets of the other", path: "/api/v2/orgs/{other}/secrets", body: `{"db/x":"v"}`},
	{name: "GET secrets/db/a", path: orgs + "/secrets/{key}", twin: noKey},
	{name: "GET secrets/web", path: orgs + "/secrets/web"},
	{name: "DELETE secrets/db/a", path: orgs + "/secrets/{key}", twin: noKey},
	{name: "DELETE secrets/web", path: orgs + "/secrets/web", after: setRight},
	{name: "POST secrets/delete: db/a", path: orgs + "/secrets/delete", body: `{"secrets":["{path}"]}`, twin: noKey},
	{name: "POST secrets/delete: web", path: orgs + "/secrets/delete", body: `{"secrets":["web"]}`, after: setRight},
	{name: "PUT description of db/a", path: orgs + "/secrets/{key}/description", body: `{"description":"d"}`,
		twin: noKey},
	{name: "PUT description of web", path: orgs + "/secrets/web/description", body: `{"description":"d"}`},
	{name: "POST restore of a deleted one", path: orgs + "/secrets/{deleted}/restore", body: `{}`, twin: noKey},
	{name: "POST restore of web", path: orgs + "/secrets/web/restore", body: `{}`},
	{name: "GET secret-infos", path: orgs + "/secret-infos", sees: `"db/a"`, twin: noOrg},
	{name: "GET secret-infos, web too", path: orgs + "/secret-infos", sees: `"web"`},
	{name: "GET secret-usage", path: orgs + "/secret-usage", sees: `"secrets":`, twin: noOrg},
	{name: "GET deleted-secrets", path: orgs + "/deleted-secrets", twin: noOrg},
	{name: "GET secret-values", path: orgs + "/secret-values", sees: `"db/a":"v"`, twin: noOrg},
	{name: "GET secret-values, web too", path: orgs + "/secret-values", sees: `"web":"v"`},
	{name: "GET secret-values?key=db/a", path: orgs + "/secret-values?key=db/a", sees: `"db/a":"v"`},
	{name: "GET secret-values?key=db/b", path: orgs + "/secret-values?key={key}", twin: noKey},
	{name: "GET secret-values?key=web", path: orgs + "/secret-values?key=web", sees: `"web":"v"`},
	{name: "GET secret-values, watch", path: orgs + "/secret-values?watch=1ms", sees: `"db/a":"v"`, twin: noOrg},
	{name: "GET secret-values/db/b", path: orgs + "/secret-values/{key}", sees: `"v"`, twin: noKey},
	{name: "GET secret-values/web", path: orgs + "/secret-values/web", sees: `"v"`},
	{name: "GET secret-values of the other", path: "/api/v2/orgs/{other}/secret-values", sees: `"hers":"v"`},

	{name: "GET orgs", path: "/api/v2/orgs", sees: `"acme"`},
	{name: "GET orgs, the other among them", path: "/api/v2/orgs", sees: `"other"`},
	{name: "GET orgs?org=acme", path: "/api/v2/orgs?org={named}", twin: noOrgNamed},
	{name: "GET orgs?orgID=acme", path: "/api/v2/orgs?orgID={acme}", twin: noOrg},
	{name: "GET orgs?userID=olga", path: "/api/v2/orgs?userID={olga}", sees: `"acme"`, twin: noUser},
	{name: "POST orgs", path: "/api/v2/orgs", body: `{"name":"{new}"}`},
	{name: "GET orgs/acme", path: orgs, twin: noOrg},
	{name: "PATCH orgs/acme: description", path: orgs, body: `{"description":"d"}`, twin: noOrg},
	{name: "PATCH orgs/acme: name", path: orgs, body: `{"name":"acme"}`, twin: noOrg},
	{name: "GET orgs/acme/members", path: orgs + "/members", twin: noOrg},
	{name: "GET orgs/acme/owners", path: orgs + "/owners", twin: noOrg},
	{name: "POST members: a user", path: orgs + "/members", body: `{"id":"{user}"}`, twin: noUser},
	{name: "POST owners: a user", path: orgs + "/owners", body: `{"id":"{user}"}`, twin: noUser},
	{name: "POST owners: oneself", path: orgs + "/owners", body: `{"id":"{self}"}`,
		after: func(w *world, who string) { w.leave(w.who[who]) }},
	{name: "DELETE members/a member", path: orgs + "/members/{member}", twin: noUser},
	{name: "DELETE owners/an owner", path: orgs + "/owners/{owner}", twin: noUser},

	{name: "GET users", path: "/api/v2/users", sees: `"olga"`},
	{name: "GET users?name=olga", path: "/api/v2/users?name={her}", twin: noUserNamed},
	{name: "GET users?id=olga", path: "/api/v2/users?id={olga}", twin: noUser},
	{name: "POST users", path: "/api/v2/users", body: `{"name":"{new}"}`},
	{name: "GET users/olga", path: "/api/v2/users/{olga}", twin: noUser},
	{name: "GET users/oneself", path: "/api/v2/users/{self}"},
	{name: "PATCH users/a user: name", path: "/api/v2/users/{user}", body: `{"name":"{new}"}`, twin: noUser},
	{name: "PATCH users/a user: status", path: "/api/v2/users/{user}", body: `{"status":"inactive"}`, twin: noUser},
	{name: "PATCH users/oneself: status", path: "/api/v2/users/{self}", body: `{"status":"active"}`},
	{name: "PATCH users/the operator: name", path: "/api/v2/users/{ada}", body: `{"name":"ada"}`, twin: noUser},
	{name: "PATCH users/the operator: status", path: "/api/v2/users/{ada}", body: `{"status":"inactive"}`,
		twin: noUser},
	{name: "DELETE users/a user", path: "/api/v2/users/{user}", twin: noUser},
	{name: "DELETE users/the operator", path: "/api/v2/users/{ada}", twin: noUser},
	{name: "POST users/a user/password", path: "/api/v2/users/{user}/password", body: `{"password":"{new} password"}`,
		twin: noUser},
	{name: "PUT users/a user/password", path: "/api/v2/users/{user}/password", body: `{"password":"{new} password"}`,
		twin: noUser},
	{name: "POST users/oneself/password", path: "/api/v2/users/{self}/password",
		body:  `{"password":"password of {selfName}"}`,
		after: func(w *world, who string) { w.comeAgain(w.who[who].user) }},
	{name: "POST users/the operator/password", path: "/api/v2/users/{ada}/password",
		body: `{"password":"password of ada"}`, after: func(w *world, _ string) { w.comeAgain("ada") }, twin: noUser},

	{name: "GET authorizations", path: "/api/v2/authorizations", sees: "{olgas}"},
	{name: "GET authorizations, the other's", path: "/api/v2/authorizations", sees: "{neds}"},
	{name: "GET authorizations?org=acme", path: "/api/v2/authorizations?org={named}", sees: "{olgas}",
		twin: noOrgNamed},
	{name: "GET authorizations?orgID=acme", path: "/api/v2/authorizations?orgID={acme}", sees: "{olgas}", twin: noOrg},
	{name: "GET authorizations?user=olga", path: "/api/v2/authorizations?user={her}", sees: "{olgas}",
		twin: noUserNamed},
	{name: "GET authorizations?userID=olga", path: "/api/v2/authorizations?userID={olga}", sees: "{olgas}",
		twin: noUser},
	{name: "POST authorizations: read secrets", path: "/api/v2/authorizations", body: grant("read", "secrets", "acme")},
	{name: "POST authorizations: write secrets", path: "/api/v2/authorizations",
		body: grant("write", "secrets", "acme")},
	{name: "POST authorizations: use secrets", path: "/api/v2/authorizations", body: grant("use", "secrets", "acme")},
	{name: "POST authorizations: buckets", path: "/api/v2/authorizations", body: grant("write", "buckets", "acme")},
	{name: "POST authorizations: all orgs", path: "/api/v2/authorizations", body: grant("read", "secrets", "")},
	{name: "POST authorizations: use, all orgs", path: "/api/v2/authorizations", body: grant("use", "secrets", "")},
	{name: "POST authorizations: instance", path: "/api/v2/authorizations", body: grant("read", "instance", "")},
	{name: "POST authorizations: of the other", path: "/api/v2/authorizations",
		body: `{"orgID":"{other}","permissions":[{"action":"read","resource":{"type":"buckets","orgID":"{other}"}}]}`},
	{name: "POST authorizations, for olga", path: "/api/v2/authorizations", body: `{"userID":"{olga}",` +
		grant("read", "buckets", "acme")[1:], twin: noUser},
	{name: "POST authorizations, given token", path: "/api/v2/authorizations",
		body: `{"token":"0123456789-0123456789-{new}",` + grant("read", "buckets", "acme")[1:]},
	{name: "GET authorizations/olga's", path: "/api/v2/authorizations/{olgas}", twin: noAuth},
	{name: "GET authorizations/the other's", path: "/api/v2/authorizations/{neds}", twin: notTheirs},
	{name: "PATCH authorizations/one", path: "/api/v2/authorizations/{auth}", body: `{"description":"d"}`,
		twin: noAuth},
	{name: "PATCH authorizations/one, active again", path: "/api/v2/authorizations/{off}", body: `{"status":"active"}`,
		twin: noAuth},
	{name: "DELETE authorizations/one", path: "/api/v2/authorizations/{auth}", twin: noAuth},

	{name: "GET buckets", path: "/api/v2/buckets", sees: `"{bucket}"`},
	{name: "GET buckets?org=acme", path: "/api/v2/buckets?org={named}", sees: `"{bucket}"`,
		twin: noOrgNamed},
	{name: "GET buckets?orgID=acme", path: "/api/v2/buckets?orgID={acme}", sees: `"{bucket}"`, twin: noOrg},
	{name: "GET buckets?name=b", path: "/api/v2/buckets?name=b", sees: `"{bucket}"`},
	{name: "POST buckets", path: "/api/v2/buckets", body: `{"orgID":"{acme}","name":"{new}"}`, twin: noOrg},
	{name: "GET buckets/one", path: "/api/v2/buckets/{bucket}", twin: noBucket},
	{name: "GET buckets/the other's", path: "/api/v2/buckets/{herBucket}", twin: noBucketThere},
	{name: "PATCH buckets/one", path: "/api/v2/buckets/{bucket}", body: `{"description":"d"}`, twin: noBucket},
	{name: "DELETE buckets/one", path: "/api/v2/buckets/{drop}", twin: noBucket},

	{quiet: true, name: "DELETE orgs/acme", path: orgs, twin: noOrg, world: true},
}

// grant is the body that makes a token in acme with one permission.
func grant(action, kind, org string) string {
	of := ""
	if org != "" {
		of = `,"orgID":"{` + org + `}"`
	}
	return `{"orgID":"{acme}","permissions":[{"action":"` + action + `","resource":{"type":"` + kind + `"` + of + `}}]}`
}
