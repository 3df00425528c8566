//go:build !race

package matrix

import (
	"maps"
	"strings"
	"time"
)

// column is somebody who comes: what the table calls them, and how they come to be.
type column struct {
	name string
	make func(w *world) login
}

// with is a token of nora, who is nobody in acme, with permissions (see world.authorization).
func with(permissions ...string) func(w *world) login {
	return func(w *world) login {
		l, _ := w.token("nora", "acme", permissions...)
		return l
	}
}

// everything in an organisation is what its owner may do, as a client's "all access" token has it; "" is all of them.
func everything(action, org string) []string {
	var list []string
	for _, kind := range strings.Fields("authorizations buckets dashboards orgs sources tasks telegrafs users variables " +
		"scrapers secrets labels views documents notificationRules notificationEndpoints checks dbrp notebooks " +
		"annotations remotes replications") {
		if org != "" {
			kind += "@" + org
		}
		list = append(list, action+":"+kind)
	}
	return list
}

// everybody is all of them, those who may least first and the operator last: what the weaker did not get at is there for
// the stronger.
func everybody() []column {
	return []column{
		{"nobody", func(*world) login { return login{} }},
		{"unknown token", func(w *world) login { return bearer(strings.Repeat("A", 86)+"==", "", "") }},
		{"guessed token", func(w *world) login { return bearer("guess", "", "") }},
		{"password as Basic", func(w *world) login {
			return login{map[string]string{"Authorization": basic("ada")}, w.names["ada"], "ada"}
		}},
		{"inactive token", func(w *world) login {
			l, id := w.token("ada", "acme", append(everything("read+write", "acme"), "use:secrets@acme")...)
			w.id("PATCH", "/api/v2/authorizations/"+id, `{"status":"inactive"}`)
			return l
		}},
		{"deleted token", func(w *world) login {
			l, id := w.token("ada", "acme", append(everything("read+write", "acme"), "use:secrets@acme")...)
			w.id("DELETE", "/api/v2/authorizations/"+id, "")
			return l
		}},
		{"expired token", func(w *world) login {
			body := strings.TrimSuffix(w.authorization("ada", "acme", "read+write+use:secrets@acme"), "}") +
				`,"expiresAt":"` + time.Now().Add(100*time.Millisecond).Format(time.RFC3339Nano) + `"}`
			token := w.id("POST", "/api/v2/authorizations", body, "token")
			time.Sleep(120 * time.Millisecond)
			return bearer(token, w.names["ada"], "ada")
		}},
		{"token, user inactive", func(w *world) login {
			user := w.id("POST", "/api/v2/users", `{"name":"`+w.unique()+`"}`, "id")
			w.names["ended"] = user
			l, _ := w.token("ended", "acme", "read+write+use:secrets@acme")
			w.id("PATCH", "/api/v2/users/"+user, `{"status":"inactive"}`)
			return l
		}},
		{"token, user deleted", func(w *world) login {
			user := w.id("POST", "/api/v2/users", `{"name":"`+w.unique()+`"}`, "id")
			w.names["ended"] = user
			l, _ := w.token("ended", "acme", "read+write+use:secrets@acme")
			w.id("DELETE", "/api/v2/users/"+user, "")
			return l
		}},
		{"token, org deleted", func(w *world) login {
			w.names["gone"] = w.id("POST", "/api/v2/orgs", `{"name":"`+w.unique()+`"}`, "id")
			l, _ := w.token("nora", "gone", "read+write+use:secrets", "read+write:orgs")
			w.id("DELETE", "/api/v2/orgs/"+w.names["gone"], "")
			return l
		}},
		{"child, parent deleted", func(w *world) login {
			l, id := w.token("nora", "acme", "read+write+use:secrets@acme")
			child := w.child(l)
			w.id("DELETE", "/api/v2/authorizations/"+id, "")
			return child
		}},
		{"session, ended", func(w *world) login {
			w.who["ending"] = w.session("ada")
			if a := w.send("ending", "POST", "/api/v2/signout", "", nil); a.status != 204 {
				w.t.Fatal(a)
			}
			return w.who["ending"]
		}},
		{"session, user inactive", func(w *world) login {
			w.id("PATCH", "/api/v2/users/"+w.names["ina"], `{"status":"active"}`)
			l := w.session("ina")
			w.id("PATCH", "/api/v2/users/"+w.names["ina"], `{"status":"inactive"}`)
			return l
		}},
		{"operator, other origin", func(w *world) login {
			l := w.session("ada")
			l.headers = maps.Clone(l.headers)
			l.headers["Origin"], l.headers["Sec-Fetch-Site"] = "https://elsewhere.example", "cross-site"
			return l
		}},

		{"session of nora", func(w *world) login { return w.session("nora") }},
		{"session, other's owner", func(w *world) login { return w.session("ned") }},
		{"other: all", func(w *world) login {
			l, _ := w.token("ned", "other", everything("read+write", "other")...)
			return l
		}},
		{"other: use secrets", with("read+write+use:secrets@other")},
		{"other: instance", with("read+write:instance@other")},
		{"dashboards alone", with("read+write:dashboards@acme")},
		{"given token: use", func(w *world) login {
			body := strings.TrimSuffix(w.authorization("nora", "acme", "use:secrets@acme=db/*"), "}") +
				`,"token":"given-` + w.unique() + `-to-this-test-alone"}`
			return bearer(w.id("POST", "/api/v2/authorizations", body, "token"), w.names["nora"], "nora")
		}},

		{"read db/*", with("read:secrets@acme=db/*")},
		{"write db/*", with("write:secrets@acme=db/*")},
		{"use db/*", with("use:secrets@acme=db/*")},
		{"use db/a", with("use:secrets@acme=db/a")},
		{"role: use db/*", func(w *world) login {
			secret := w.role("secretID")
			a := w.send("", "POST", "/v1/auth/approle/login", `{"role_id":"`+w.fresh["roleID"]+`","secret_id":"`+secret+
				`"}`, nil)
			clear(w.fresh)
			return bearer(w.clientToken(a), w.names["nora"], "nora")
		}},
		{"read", with("read:secrets@acme")},
		{"write", with("write:secrets@acme")},
		{"use", with("use:secrets@acme")},
		{"read+write", with("read+write:secrets@acme")},
		{"write+use", with("write+use:secrets@acme")},
		{"read+write+use db/*", with("read+write+use:secrets@acme=db/*")},
		{"read+write+use", with("read+write+use:secrets@acme")},
		{"child of that", func(w *world) login {
			w.come("read+write+use")
			return w.child(w.who["read+write+use"])
		}},

		{"read this org", with("read:orgs@acme")},
		{"write this org", with("write:orgs@acme")},
		{"read authorizations", with("read:authorizations@acme")},
		{"write authorizations", with("write:authorizations@acme")},
		{"read buckets", with("read:buckets@acme")},
		{"write buckets", with("write:buckets@acme")},
		{"session of a member", func(w *world) login { return w.session("mia") }},
		{"acme: read all", with(everything("read", "acme")...)},
		{"session of an owner", func(w *world) login { return w.session("olga") }},
		{"acme: all", with(everything("read+write", "acme")...)},
		{"acme: instance", with("read+write:instance@acme")},
		{"acme: all, use", with(append(everything("read+write", "acme"), "use:secrets@acme")...)},

		{"read users", with("read:users")},
		{"write users", with("write:users")},
		{"read orgs", with("read:orgs")},
		{"write orgs", with("write:orgs")},
		{"read instance", with("read:instance")},
		{"write instance", with("write:instance")},
		{"use all orgs", with("use:secrets")},
		{"read+write+use all", with("read+write+use:secrets")},
		{"session of operator", func(w *world) login { return w.session("ada") }},
		{"operator token", func(w *world) login {
			l, _ := w.token("ada", "acme", append(everything("read+write", ""), "read+write:instance")...)
			return l
		}},
	}
}

// arrive has somebody come, or come again.
func (w *world) arrive(c column) {
	w.t.Helper()
	w.who[c.name] = c.make(w)
}

func (w *world) unique() string { return w.fill("", "{new}", nil) + w.forget("new") }

// forget has a name be made anew when it is next needed.
func (w *world) forget(name string) string {
	delete(w.fresh, name)
	return ""
}

// child has a token make another for a time.
func (w *world) child(of login) login {
	w.t.Helper()
	w.who["parent"] = of
	return bearer(w.clientToken(w.send("parent", "POST", "/v1/auth/token/create", `{"ttl":"1h"}`, nil)), of.self, of.user)
}
