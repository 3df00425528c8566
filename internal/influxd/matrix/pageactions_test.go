//go:build !race

package matrix

import "slices"

const page = "/orgs/{acme}"

// onPages are those who come to the web page. A token opens none.
func onPages(all []column) []column {
	return slices.DeleteFunc(slices.Clone(all), func(c column) bool {
		return !slices.Contains([]string{"nobody", "session, ended", "session, user inactive", "operator, other origin",
			"session of nora", "session, other's owner", "acme: all, use", "operator token", "session of a member",
			"session of an owner", "session of operator"}, c.name)
	})
}

var (
	noPage     = &twin{stands: map[string]string{"acme": noID}, known: []string{"GET org"}}
	noPageUser = &twin{stands: map[string]string{"user": noID, "olga": noID}, known: []string{"GET user olga"}}
)

var pageActions = []action{
	{name: "GET /", path: "/"},
	{name: "GET static/app.js", path: "/static/{app.js}"},
	{name: "GET setup", path: "/setup"},
	{name: "POST setup", path: "/setup", body: "username={new}&password=password&again=password&org={new}"},
	{name: "GET arrive", path: "/arrive"},
	{name: "GET signin", path: "/signin"},
	{name: "POST signin", path: "/signin", body: "username=nora&password=password+of+nora", ends: true},
	{name: "POST signout", path: "/signout", ends: true},
	{name: "GET none, which is not there", path: "/none"},

	{name: "GET orgs", path: "/orgs", sees: "acme"},
	{name: "POST orgs", path: "/orgs", body: "name={new}"},
	{name: "GET org", path: page, twin: noPage},
	{name: "POST org", path: page, body: "name=acme&description=d", twin: noPage},
	{name: "GET org/delete", path: page + "/delete", twin: noPage},
	{name: "GET tokens", path: page + "/tokens", sees: "of olga", twin: noPage},
	{name: "GET tokens/new", path: page + "/tokens/new", twin: noPage},
	{name: "POST tokens/new: read", path: page + "/tokens/new", body: "kind=secrets&read=yes&days=1", twin: noPage},
	{name: "POST tokens/new: use", path: page + "/tokens/new", body: "kind=secrets&use=yes&days=1", twin: noPage},
	{name: "POST tokens/new: operator", path: page + "/tokens/new", body: "kind=operator&days=1", twin: noPage},
	{name: "POST token: inactive", path: page + "/tokens/{auth}", body: "status=inactive",
		twin: &twin{stands: map[string]string{"auth": noID}, known: []string{"GET tokens"}}},
	{name: "GET token/delete", path: page + "/tokens/{auth}/delete",
		twin: &twin{stands: map[string]string{"auth": noID}, known: []string{"GET tokens"}}},
	{name: "POST token/delete", path: page + "/tokens/{auth}/delete",
		twin: &twin{stands: map[string]string{"auth": noID}, known: []string{"GET tokens"}}},
	{name: "POST token/restore", path: page + "/tokens/{revoked}/restore",
		twin: &twin{stands: map[string]string{"revoked": noID}, known: []string{"GET tokens"}}},
	{name: "GET members", path: page + "/members", twin: noPage},
	{name: "POST members: nora", path: page + "/members", body: "user={newcomer}&role=member"},
	{name: "POST member: owner", path: page + "/members/{member}", body: "role=owner"},
	{name: "GET member/remove", path: page + "/members/{member}/remove"},
	{name: "POST member/remove", path: page + "/members/{member}/remove"},

	{name: "GET secrets", path: page + "/secrets", sees: "web", twin: noPage},
	{name: "GET secrets/names", path: page + "/secrets/names", sees: "web", twin: noPage},
	{name: "GET secrets/new", path: page + "/secrets/new", twin: noPage},
	{name: "POST secrets/new", path: page + "/secrets/new", body: "key={new}&value=v", twin: noPage},
	{name: "GET secrets/import", path: page + "/secrets/import", twin: noPage},
	{name: "POST secrets/import", path: page + "/secrets/import", body: "value={new}%3Dv&do=import", twin: noPage},
	{name: "GET secrets/delete", path: page + "/secrets/delete?key={key}", twin: noPage},
	{name: "POST secrets/delete", path: page + "/secrets/delete", body: "key={key}&sure=yes", twin: noPage},
	{name: "GET secret", path: page + "/secret?key={key}", twin: noPage},
	{name: "POST secret", path: page + "/secret", body: "key={key}&value=v&replace=yes", twin: noPage},
	{name: "POST secret/describe", path: page + "/secret/describe", body: "key={key}&description=d&replace=yes",
		twin: noPage},
	{name: "GET secret/restore", path: page + "/secret/restore?key={again}&version=1", twin: noPage},
	{name: "POST secret/restore", path: page + "/secret/restore", body: "key={again}&version=1&sure=yes", twin: noPage},
	{name: "GET secret/destroy", path: page + "/secret/destroy?key={again}&version=1", twin: noPage},
	{name: "POST secret/destroy", path: page + "/secret/destroy?key={again}&version=1", body: "sure=yes", twin: noPage},
	{name: "GET secrets/remove", path: page + "/secrets/remove?key={deleted}", twin: noPage},
	{name: "POST secrets/remove", path: page + "/secrets/remove", body: "key={deleted}&sure=yes", twin: noPage},
	{name: "GET secrets/deleted", path: page + "/secrets/deleted", twin: noPage},
	{name: "POST secrets/deleted", path: page + "/secrets/deleted", body: "one={deleted}", twin: noPage},
	{name: "GET secret/copy", path: page + "/secret/copy?key={key}", twin: noPage},
	{name: "POST secret/copy: move", path: page + "/secret/copy", body: "key={key}&to={new}&org={acme}&do=move", twin: noPage},
	{name: "POST secret/copy: to the other", path: page + "/secret/copy", body: "key={key}&to={new}&org={other}&do=move",
		twin: noPage},
	{name: "GET secrets/dates", path: page + "/secrets/dates", twin: noPage},
	{name: "GET org/activity", path: page + "/activity", twin: noPage},
	{name: "GET org/compare", path: page + "/compare?with={other}", twin: noPage},
	{name: "GET secrets/export", path: page + "/secrets/export", twin: noPage},
	{name: "GET due", path: "/due"},
	{name: "GET secret/who", path: page + "/secret/who?key={key}", twin: noPage},

	{name: "GET users", path: "/users", sees: "olga"},
	{name: "POST users", path: "/users", body: "name={new}&password=password"},
	{name: "GET user olga", path: "/users/{olga}", twin: noPageUser},
	{name: "POST user", path: "/users/{user}", body: "status=inactive", twin: noPageUser},
	{name: "POST user/password", path: "/users/{user}/password", body: "password=password", twin: noPageUser},
	{name: "POST user/sessions", path: "/users/{user}/sessions", body: "session=0000000000000000", twin: noPageUser},
	{name: "GET user/delete", path: "/users/{user}/delete", twin: noPageUser},
	{name: "POST user/delete", path: "/users/{user}/delete", twin: noPageUser},
	{name: "GET preferences", path: "/preferences"},
	{name: "POST preferences", path: "/preferences", body: "theme=dark"},
	{name: "POST preferences/password, wrong old", path: "/preferences/password",
		body: "old=wrong+password&password=password&again=password"},
	{name: "GET activity", path: "/activity"},
	{name: "GET store", path: "/store"},
	{name: "POST store/rotate", path: "/store/rotate", after: func(w *world, _ string) { w.rotated() }},
	{name: "POST org/delete", path: page + "/delete", body: "typed=acme", twin: noPage, world: true},
}
