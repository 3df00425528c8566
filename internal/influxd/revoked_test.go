package influxd

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv/etcd/etcdtest"
)

// credential is what somebody is known by, and how that ends.
type credential struct {
	name    string
	header  http.Header
	refused int // what it is answered after that
	end     func(r *running)
}

// is what a server says of who has the credential.
func (c credential) is(t *testing.T, r *running) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/api/v2/resources", http.NoBody)
	must(t, err)
	req.Header = c.header
	res, err := r.do(req)
	must(t, err)
	res.Body.Close()
	return res.StatusCode
}

// becomes waits until the server says so, and gives how long that took. Until then it says one of the others alone.
func (c credential) becomes(t *testing.T, r *running, want int, until ...int) time.Duration {
	t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		got := c.is(t, r)
		if got == want {
			return time.Since(began)
		}
		ok := false
		for _, other := range until {
			ok = ok || got == other
		}
		if !ok || time.Since(began) > 2*time.Minute {
			t.Fatalf("%s: after %v it is answered %d, want %d", c.name, time.Since(began), got, want)
		}
	}
}

// credentials makes one of each kind: a token that is deleted, one that is set inactive, one whose user is disabled,
// and a session whose user is given another password.
func credentials(t *testing.T, r *running, operator, org, tag string) []credential {
	t.Helper()
	user := func(name string) string {
		var made struct{ ID string }
		r.call(t, "POST", "/api/v2/users", operator, fmt.Sprintf(`{"name":%q}`, name+tag), 201, &made)
		return made.ID
	}
	token := func(user string) (string, http.Header) {
		var made struct{ ID, Token string }
		body := fmt.Sprintf(`"orgID":%q,"permissions":[{"action":"read","resource":{"type":"secrets","orgID":%[1]q}}]`,
			org)
		if user != "" {
			body += fmt.Sprintf(`,"userID":%q`, user)
		}
		r.call(t, "POST", "/api/v2/authorizations", operator, "{"+body+"}", 201, &made)
		return made.ID, http.Header{"Authorization": {"Token " + made.Token}}
	}
	change := func(method, path, body string) func(*running) {
		return func(r *running) { r.call(t, method, path, operator, body, 204, nil) }
	}
	set := func(path, body string) func(*running) {
		return func(r *running) { r.call(t, "PATCH", path, operator, body, 200, nil) }
	}
	deleted, deletedIs := token("")
	inactive, inactiveIs := token("")
	disabled := user("disabled")
	_, disabledIs := token(disabled)

	signed := user("signed")
	change("POST", "/api/v2/users/"+signed+"/password", `{"password":"correct horse"}`)(r)
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/api/v2/signin", http.NoBody)
	must(t, err)
	req.SetBasicAuth("signed"+tag, "correct horse")
	res, err := r.do(req)
	must(t, err)
	res.Body.Close()
	cookies := res.Cookies()
	if len(cookies) == 0 {
		t.Fatalf("signing in gives no cookie: %s", res.Status)
	}
	session := http.Header{"Cookie": {cookies[0].Name + "=" + cookies[0].Value}}
	return []credential{
		{"a deleted token", deletedIs, 401, change("DELETE", "/api/v2/authorizations/"+deleted, "")},
		{"an inactive token", inactiveIs, 401, set("/api/v2/authorizations/"+inactive, `{"status":"inactive"}`)},
		{"a disabled user's token", disabledIs, 403, set("/api/v2/users/"+disabled, `{"status":"inactive"}`)},
		{"a session before another password", session, 401,
			change("POST", "/api/v2/users/"+signed+"/password", `{"password":"battery staple"}`)},
	}
}

// TestRevokedElsewhere has three servers, with what is believed from memory as it comes, that remember tokens and a
// session. What ends at one of them the others refuse as soon as their watches have told; the log says how long that
// took. One that is cut off from etcd believes its memory no longer than the setting, then it answers 503, and it
// refuses what has ended when it hears etcd again.
func TestRevokedElsewhere(t *testing.T) {
	c := etcdtest.Start(t, 1)
	proxy, keys := etcdtest.NewProxy(t, c.Members[0]), t.TempDir()
	a := start(t, t.TempDir(), onEtcd(c, keys, "revoked/", "--server-name=a")...)
	b := start(t, t.TempDir(), onEtcd(c, keys, "revoked/", "--server-name=b")...)
	cut := start(t, t.TempDir(), "--store=etcd", "--etcd-endpoints="+proxy.Endpoint, "--etcd-prefix=revoked/",
		"--seal-key-file="+keys+"/seal.key", "--server-name=c")
	operator, secrets := a.onboard(t)
	org := strings.Split(secrets, "/")[4]
	known := func(of []credential) {
		t.Helper()
		for _, one := range of {
			for _, r := range []*running{a, b, cut} {
				one.becomes(t, r, 200, 401)
				for range 3 {
					one.becomes(t, r, 200)
				}
			}
		}
	}
	all := credentials(t, a, operator, org, "-1")
	known(all)
	for _, one := range all {
		one.end(a)
		one.becomes(t, a, one.refused) // at once
		t.Logf("%s was refused by the second server %v after that, by the third %v later", one.name,
			one.becomes(t, b, one.refused, 200), one.becomes(t, cut, one.refused, 200))
	}

	all = credentials(t, a, operator, org, "-2")
	known(all)
	proxy.Pass(false, false)
	began := time.Now()
	for _, one := range all {
		one.end(a)
		one.becomes(t, a, one.refused)
		t.Logf("%s was refused by the second server %v after that", one.name, one.becomes(t, b, one.refused, 200))
	}
	t.Run("cut off", func(t *testing.T) {
		for _, one := range all {
			t.Run(one.name, func(t *testing.T) {
				t.Parallel()
				before := one.is(t, cut)
				one.becomes(t, cut, 503, 200)
				t.Logf("the server that is cut off answers %d first, and 503 %v after it was", before,
					time.Since(began))
				one.becomes(t, cut, 503) // and does not believe it again
			})
		}
	})
	proxy.Pass(true, true)
	for _, one := range all {
		one.becomes(t, cut, one.refused, 503)
	}
}
