//go:build !race

package matrix

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/influxd"
	"strongroom/internal/influxd/command"
)

// world is the real server with all who may come to it.
type world struct {
	all, t *testing.T // the whole test, and the part that is at work
	url    string
	client *http.Client
	stop   func()

	columns  []column
	names    map[string]string // what stands for a name in a path or body, such as {acme}
	who      map[string]login
	fresh    map[string]string // what was made for one row and has not been used up
	known    map[string]bool   // the users who have a password
	number   int
	recorded string // the action whose record was looked at
}

// login is how somebody comes to the server.
type login struct {
	headers map[string]string
	self    string // the ID of the user
	user    string // their name
}

func bearer(token, id, user string) login {
	return login{map[string]string{"Authorization": "Token " + token}, id, user}
}

// answer is what came back.
type answer struct {
	method string
	status int
	header http.Header
	body   string
}

// newWorld sets a server up: the organisation acme, which the table is about, and its neighbour.
func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	listening, ended := make(chan string, 1), make(chan error, 1)
	var stderr bytes.Buffer
	go func() {
		ended <- influxd.Run(ctx, command.Process{
			Args: []string{"--http-bind-address", "127.0.0.1:0", "--bolt-path", filepath.Join(t.TempDir(), "influxd.bolt"),
				"--log-level", "error"},
			Env: []string{"HOME=/nowhere"}, Stdout: io.Discard, Stderr: &stderr,
			Listening: func(url string) { listening <- url },
		})
	}()
	w := &world{all: t, t: t, names: make(map[string]string), who: make(map[string]login), fresh: make(map[string]string),
		known: make(map[string]bool), columns: everybody(),
		client: &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	w.stop = func() {
		cancel()
		w.client.CloseIdleConnections()
		if err := <-ended; err != nil || stderr.Len() > 0 {
			t.Errorf("the server ended with %v, and said:\n%s", err, stderr.String())
		}
	}
	select {
	case w.url = <-listening:
	case err := <-ended:
		cancel()
		t.Fatal(err, stderr.String())
	}
	w.settle()
	return w
}

// id makes something as the operator and gives what the answer has at the path of members.
func (w *world) id(method, path, body string, at ...string) string {
	w.t.Helper()
	a := w.send(root, method, path, body, nil)
	if a.status >= 300 {
		w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if len(at) == 0 {
		return ""
	}
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		w.t.Fatal(err)
	}
	for _, m := range at {
		v = v.(map[string]any)[m]
	}
	return v.(string)
}

// settle makes organisations, users and secrets.
func (w *world) settle() {
	var made struct {
		User, Org struct{ ID string }
		Auth      struct{ ID, Token string }
		Bucket    struct{ ID string }
	}
	a := w.send("", "POST", "/api/v2/setup",
		`{"username":"ada","password":"password of ada","org":"acme","bucket":"b"}`, nil)
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != 201 {
		w.t.Fatal(a, err)
	}
	w.who[root] = bearer(made.Auth.Token, made.User.ID, "ada")
	w.names = map[string]string{"acme": made.Org.ID, "ada": made.User.ID, "bucket": made.Bucket.ID,
		"operators": made.Auth.ID, "none": "0aaaaaaaaaaaaaaa", "named": "acme", "her": "olga"}
	for _, org := range []string{"other", "gone"} {
		w.names[org] = w.id("POST", "/api/v2/orgs", `{"name":"`+org+`"}`, "id")
	}
	for _, u := range []string{"olga owners acme", "mia members acme", "ned owners other", "nora", "ina owners acme"} {
		name, role, _ := strings.Cut(u, " ")
		user := w.id("POST", "/api/v2/users", `{"name":"`+name+`"}`, "id")
		w.names[name] = user
		if role, org, ok := strings.Cut(role, " "); ok {
			w.id("POST", "/api/v2/orgs/"+w.names[org]+"/"+role, `{"id":"`+user+`"}`)
		}
	}
	w.secrets()
	w.id("PATCH", "/api/v2/orgs/"+w.names["other"]+"/secrets", `{"hers":"v"}`)
	w.names["olgas"] = w.id("POST", "/api/v2/authorizations", w.authorization("olga", "acme", "read:secrets@acme"), "id")
	w.names["neds"] = w.id("POST", "/api/v2/authorizations", w.authorization("ned", "other", "read:secrets@other"), "id")
	w.names["herBucket"] = w.id("POST", "/api/v2/buckets", `{"orgID":"`+w.names["other"]+`","name":"hers"}`, "id")
}

// secrets sets those of acme as they are.
func (w *world) secrets() {
	w.id("PATCH", "/api/v2/orgs/"+w.names["acme"]+"/secrets", `{"db/a":"v","db/b":"v","web":"v"}`)
}

// authorization is the body that makes a token for a user with permissions: read:secrets@acme, use:secrets@acme=db/*.
func (w *world) authorization(user, org string, permissions ...string) string {
	type object = map[string]any
	body := object{"orgID": w.names[org], "description": "of " + user}
	if user != "" {
		body["userID"] = w.names[user]
	}
	var list []object
	for _, text := range permissions {
		p, name, narrowed := strings.Cut(text, "=")
		p, in, within := strings.Cut(p, "@")
		actions, kind, _ := strings.Cut(p, ":")
		for _, action := range strings.Split(actions, "+") {
			resource := object{"type": kind}
			if narrowed {
				resource["name"] = name
			}
			switch {
			case within && kind == "orgs":
				resource["id"] = w.names[in]
			case within:
				resource["orgID"] = w.names[in]
			}
			list = append(list, object{"action": action, "resource": resource})
		}
	}
	body["permissions"] = list
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// token makes a token and gives its ID, too.
func (w *world) token(user, org string, permissions ...string) (l login, id string) {
	w.t.Helper()
	var made struct{ ID, Token, UserID string }
	a := w.send(root, "POST", "/api/v2/authorizations", w.authorization(user, org, permissions...), nil)
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != 201 {
		w.t.Fatal(a, err)
	}
	return bearer(made.Token, made.UserID, user), made.ID
}

// session signs a user in.
func (w *world) session(user string) login {
	w.t.Helper()
	if user != "ada" && !w.known[user] {
		w.known[user] = true
		w.id("POST", "/api/v2/users/"+w.names[user]+"/password", `{"password":"password of `+user+`"}`)
	}
	a := w.send("", "POST", "/api/v2/signin", "", map[string]string{"Authorization": basic(user)})
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	if a.status != 204 || cookie == "" {
		w.t.Fatalf("%s signs in: %d %s", user, a.status, a.body)
	}
	_, value, _ := strings.Cut(cookie, "=")
	// The API's cookie and the page's hold the same; a browser would send each where it belongs.
	return login{map[string]string{"Cookie": cookie + "; strongroom-session=" + value}, w.names[user], user}
}

func basic(user string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":password of "+user))
}

// send makes a request as somebody, "" for nobody; what headers says goes before what their login does.
func (w *world) send(who, method, path, body string, headers map[string]string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	w.come(who)
	for k, v := range w.who[who].headers {
		req.Header.Set(k, v)
	}
	if strings.Contains(body, "=") && !strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if method == "PATCH" && strings.HasPrefix(path, "/v1/") {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	res, err := w.client.Do(req)
	if err != nil {
		w.t.Fatalf("%s: %s %s: %v", who, method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("%s: %s %s: %v", who, method, path, err)
	}
	return answer{method, res.StatusCode, res.Header, string(b)}
}

// fill puts what they stand for in the place of {names}.
func (w *world) fill(who, text string, names map[string]string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "{")
		b.WriteString(before)
		name, rest, closed := strings.Cut(after, "}")
		if !found {
			return b.String()
		}
		value := ""
		switch {
		case !closed || name == "" || strings.ContainsAny(name, `":, `): // an object of JSON
			b.WriteByte('{')
			text = after
			continue
		case name == "self":
			w.come(who)
			value = w.who[who].self
			if value == "" {
				value = w.names["ada"]
			}
		case name == "selfName":
			value = w.who[who].user
		default:
			value = names[name]
			if value == "" {
				value = w.named(name)
			}
		}
		b.WriteString(value)
		text = rest
	}
}

// named is what a name stands for, made where it is of those that a request may use up.
func (w *world) named(name string) string {
	if v, ok := w.names[name]; ok {
		return v
	}
	if v, ok := w.fresh[name]; ok {
		return v
	}
	w.number++
	unique := fmt.Sprintf("x%d", w.number)
	acme := "/api/v2/orgs/" + w.names["acme"]
	v := ""
	switch name {
	case "new": // a name that nothing has
		v = unique
	case "user":
		v = w.id("POST", "/api/v2/users", `{"name":"`+unique+`"}`, "id")
	case "app.js": // under its name with a hash
		_, v, _ = strings.Cut(w.send("", "GET", "/signin", "", nil).body, "/static/app")
		v, _, _ = strings.Cut(v, `"`)
		v = "app" + v
	case "newcomer": // a user's name
		v = unique
		w.id("POST", "/api/v2/users", `{"name":"`+unique+`"}`)
	case "member", "owner":
		v = w.id("POST", "/api/v2/users", `{"name":"`+unique+`"}`, "id")
		w.id("POST", acme+"/"+name+"s", `{"id":"`+v+`"}`)
	case "auth":
		v = w.id("POST", "/api/v2/authorizations", w.authorization("ada", "acme", "read:secrets@acme"), "id")
	case "revoked": // on the page, which can be undone
		v = w.id("POST", "/api/v2/authorizations", w.authorization("ada", "acme", "read:secrets@acme"), "id")
		if a := w.send("session of operator", "POST", "/orgs/"+w.names["acme"]+"/tokens/"+v+"/delete", "sure=yes", nil); a.status != http.StatusSeeOther {
			w.t.Fatalf("a token could not be revoked: %d %s", a.status, a.body)
		}
	case "off":
		v = w.id("POST", "/api/v2/authorizations", w.authorization("ada", "acme", "read:secrets@acme"), "id")
		w.id("PATCH", "/api/v2/authorizations/"+v, `{"status":"inactive"}`)
	case "drop":
		v = w.id("POST", "/api/v2/buckets", `{"orgID":"`+w.names["acme"]+`","name":"`+unique+`"}`, "id")
	case "key": // a path's part; bodies have {new}
		v = url.PathEscape("db/" + unique)
		w.id("PATCH", acme+"/secrets", `{"db/`+unique+`":"v"}`)
	case "again": // which has an earlier version
		v = url.PathEscape("db/" + unique)
		w.id("PATCH", acme+"/secrets", `{"db/`+unique+`":"v"}`)
		w.id("PATCH", acme+"/secrets", `{"db/`+unique+`":"w"}`)
	case "path":
		v = "db/" + unique
		w.id("PATCH", acme+"/secrets", `{"`+v+`":"v"}`)
	case "deleted":
		v = url.PathEscape("db/" + unique)
		w.id("PATCH", acme+"/secrets", `{"db/`+unique+`":"v"}`)
		w.id("DELETE", acme+"/secrets/"+v, "")
	case "trash": // the path of a secret whose version 1 is deleted
		v = "db/" + unique
		w.id("PATCH", acme+"/secrets", `{"`+v+`":"v"}`)
		w.id("DELETE", acme+"/secrets/"+url.PathEscape(v), "")
	case "role", "secretID", "accessor", "wrapped":
		v = w.role(name)
	case "roleOfAcme":
		w.role(name)
		v = w.fresh["role"]
	default:
		w.t.Fatalf("nobody knows what {%s} is", name)
	}
	w.fresh[name] = v
	return v
}

// root makes what there is, with the token that the set-up gives, and maker makes roles.
const (
	root  = "root"
	maker = "acme: all, use"
)

// role makes a role of Vault's API for acme, or something of it.
func (w *world) role(what string) string {
	name := fmt.Sprintf("role%d", w.number)
	at := "/v1/auth/approle/role/" + name
	get := func(method, path, body string, headers map[string]string, member ...string) string {
		w.t.Helper()
		a := w.send(maker, method, path, body, headers)
		var v any
		if a.status >= 300 || json.Unmarshal([]byte(a.body), &v) != nil && len(member) > 0 {
			w.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
		for _, m := range member {
			v = v.(map[string]any)[m]
		}
		s, _ := v.(string)
		return s
	}
	get("POST", at, `{"token_policies":["use:orgs/`+w.names["acme"]+`/secrets/db/*"]}`, nil)
	w.fresh["role"] = name
	w.fresh["roleID"] = get("GET", at+"/role-id", "", nil, "data", "role_id")
	switch what {
	case "secretID", "roleOfAcme":
		return get("POST", at+"/secret-id", `{}`, nil, "data", "secret_id")
	case "accessor":
		return get("POST", at+"/secret-id", `{}`, nil, "data", "secret_id_accessor")
	case "wrapped":
		return get("POST", at+"/secret-id", `{}`, map[string]string{"X-Vault-Wrap-TTL": "60"}, "wrap_info", "token")
	}
	return name
}

// clientToken is the token that an answer of Vault's API gives.
func (w *world) clientToken(a answer) string {
	w.t.Helper()
	var made struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || made.Auth.Token == "" {
		w.t.Fatal(a, err)
	}
	return made.Auth.Token
}

// come has somebody come who has not yet.
func (w *world) come(who string) {
	w.t.Helper()
	if _, ok := w.who[who]; ok || who == "" {
		return
	}
	for _, c := range w.columns {
		if c.name == who {
			w.arrive(c)
			return
		}
	}
	w.t.Fatalf("nobody is called %q", who)
}

// comeAgain signs a user in again whose password was set to what it was.
func (w *world) comeAgain(user string) {
	w.t.Helper()
	for _, c := range w.columns {
		if l := w.who[c.name]; l.user == user && l.headers["Cookie"] != "" {
			w.arrive(c)
		}
	}
}

// leave takes the role away that somebody has given themself in acme, where they had none, or another.
func (w *world) leave(l login) {
	switch l.user {
	case "ada", "olga": // who own it
		return
	case "mia":
		defer w.id("POST", "/api/v2/orgs/"+w.names["acme"]+"/members", `{"id":"`+l.self+`"}`)
	}
	w.id("DELETE", "/api/v2/orgs/"+w.names["acme"]+"/owners/"+l.self, "")
}

// rotated waits until the rotation that somebody has begun is over.
func (w *world) rotated() {
	w.t.Helper()
	for range 600 {
		a := w.send(root, "GET", "/api/v2/seal", "", nil)
		if strings.Contains(a.body, `"state":"idle"`) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	w.t.Fatal("a rotation does not end")
}
