package vaultapi_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/id"
	"strongroom/internal/identity/authorizations"
)

// replay is a server that is asked what a real Vault was asked.
type replay struct {
	*parts
	saved map[string]string
	orgs  map[string]id.ID
}

// TestRecordings sends what was once sent to a real Vault and compares the answers: status, headers and JSON. What
// differs must be in the table deliberately, and all of the table must be needed.
func TestRecordings(t *testing.T) {
	r := &replay{parts: start(t, nil), orgs: make(map[string]id.ID)}
	r.saved = map[string]string{"root": r.root}
	for _, name := range []string{"app", "cas", "patch", "ver", "meta", "list", "sub", "p"} {
		r.orgs[name] = r.newOrg(t, name)
	}
	used := make([]int, len(deliberately))
	replayed := 0
	for _, file := range recordings(t) {
		for _, x := range readRecording(t, file) {
			if x.setup {
				r.prepare(t, x)
				continue
			}
			replayed++
			for _, d := range r.send(t, x) {
				known := false
				for i, e := range deliberately {
					if matches(t, e.exchange, x.title) && matches(t, e.difference, d) {
						known, used[i] = true, used[i]+1
						break
					}
				}
				if !known {
					t.Errorf("%s: %s", x.title, d)
				}
			}
		}
	}
	if replayed < 340 {
		t.Errorf("only %d exchanges were replayed", replayed)
	}
	for i, n := range used {
		if n == 0 {
			t.Errorf("there is no such difference any more: %+v", deliberately[i])
		}
	}
}

func matches(t *testing.T, pattern, s string) bool {
	t.Helper()
	re, err := regexp.Compile("^(?s:" + pattern + ")$")
	must(t, err)
	return re.MatchString(s)
}

// prepare does what the recorder did by Vault's own administration, in our way.
func (r *replay) prepare(t *testing.T, x exchange) {
	t.Helper()
	r.rest(t, x)
	switch {
	case strings.HasPrefix(x.path, "/v1/secret/"):
		if res, _ := r.do(t, x); res.StatusCode != x.status {
			t.Errorf("%s %s: %d, not %d", x.method, x.path, res.StatusCode, x.status)
		}
	case x.path == "/v1/auth/token/create":
		r.mint(t, x)
	case strings.HasPrefix(x.path, "/v1/auth/approle/role/"):
		of := ":orgs/" + r.orgs["app"].String() + "/secrets"
		x.body = strings.ReplaceAll(x.body, `"reader"`, `"read`+of+`,use`+of+`"`)
		res, body := r.do(t, x)
		if res.StatusCode != x.status {
			t.Errorf("%s %s: %d, not %d: %s", x.method, x.path, res.StatusCode, x.status, body)
		}
		if here, ok := parse(body); ok {
			r.keep(t, x, here)
		}
	case x.path == "/v1/sys/seal":
		r.store.sealed.Store(true)
		wait(t, 1100*time.Millisecond) // an earlier answer serves for a second
	}
	// Policies, mounts and roles are no part of this API.
}

func (r *replay) rest(t *testing.T, x exchange) {
	if x.unseal {
		r.store.sealed.Store(false)
	}
	wait(t, x.wait)
}

// mint makes a token as Vault's root did, with the permissions that stand for the policies.
func (r *replay) mint(t *testing.T, x exchange) {
	t.Helper()
	var body struct {
		Policies    []string
		TTL         string
		ExplicitMax string `json:"explicit_max_ttl"`
		Renewable   *bool
		Display     string `json:"display_name"`
		Meta        map[string]string
	}
	must(t, json.Unmarshal([]byte(x.body), &body))
	app := r.orgs["app"]
	n := authorizations.Child{Renewable: body.Renewable == nil || *body.Renewable, Display: "token",
		Path: "auth/token/create", Meta: body.Meta}
	if body.Display != "" {
		n.Display += "-" + body.Display
	}
	for text, d := range map[string]*time.Duration{body.TTL: &n.TTL, body.ExplicitMax: &n.MaxTTL} {
		if text != "" {
			var err error
			*d, err = time.ParseDuration(text)
			must(t, err)
		}
	}
	switch body.Policies[0] {
	case "reader":
		n.Permissions = may(app, "", access.Use, access.Read)
	case "writer", "patcher", "creator":
		n.Permissions = may(app, "", access.Write)
	default:
		n.Permissions = []access.Permission{access.To(access.Read, access.Resource{Type: access.Buckets, OrgID: app})}
	}
	_, token, err := r.users.CreateChild(t.Context(), r.caller(t, r.root), n)
	must(t, err)
	r.saved[x.save[0][0]] = token
}

// filled puts what was saved into a text.
func (r *replay) filled(s string) string {
	return placeholder.ReplaceAllStringFunc(s, func(p string) string {
		if v, ok := r.saved[p[2:len(p)-1]]; ok {
			return v
		}
		return p
	})
}

var noRedirect = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse
}}

func (r *replay) do(t *testing.T, x exchange) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), x.method, r.url+x.path, strings.NewReader(r.filled(x.body)))
	must(t, err)
	for _, h := range x.headers {
		req.Header[http.CanonicalHeaderKey(h[0])] = []string{r.filled(h[1])}
	}
	res, err := noRedirect.Do(req)
	if err != nil && strings.Contains(err.Error(), "invalid header field value") {
		res, err = r.raw(t, x) // what a well-behaved client does not send
	}
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(b)
}

// raw sends an exchange without a body byte by byte.
func (r *replay) raw(t *testing.T, x exchange) (*http.Response, error) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
	must(t, err)
	defer conn.Close()
	text := x.method + " " + x.path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	for _, h := range x.headers {
		text += h[0] + ": " + h[1] + "\r\n"
	}
	_, err = conn.Write([]byte(text + "\r\n"))
	must(t, err)
	whole, err := io.ReadAll(conn)
	must(t, err)
	return http.ReadResponse(bufio.NewReader(bytes.NewReader(whole)), nil)
}

// send sends the exchange's request and lists how the answer differs.
func (r *replay) send(t *testing.T, x exchange) []string {
	t.Helper()
	r.rest(t, x)
	res, body := r.do(t, x)
	if res.StatusCode != x.status {
		return []string{fmt.Sprintf("%d became %d: %s", x.status, res.StatusCode, strings.TrimSpace(body))}
	}
	var all []string
	for k, v := range x.answered {
		if got := res.Header.Get(k); got != v {
			all = append(all, fmt.Sprintf("%s: %s became %s", k, v, got))
		}
	}
	if x.answer == "" && x.method == http.MethodHead {
		return all
	}
	recorded, ok1 := parse(r.known(x.answer))
	here, ok2 := parse(body)
	if !ok1 || !ok2 {
		if x.answer != strings.TrimSpace(body) {
			all = append(all, fmt.Sprintf("the body: %q became %q", x.answer, body))
		}
		return all
	}
	r.keep(t, x, here)
	return append(all, differences("body", recorded, here)...)
}

// known fills in, in an answer, what is known before it.
func (r *replay) known(answer string) string {
	return placeholder.ReplaceAllStringFunc(answer, func(p string) string {
		if v, ok := r.saved[p[2:len(p)-1]]; ok {
			b, err := json.Marshal(v)
			if err != nil {
				return p
			}
			return string(b[1 : len(b)-1])
		}
		return p
	})
}

// keep saves what later exchanges name.
func (r *replay) keep(t *testing.T, x exchange, body any) {
	t.Helper()
	for _, s := range x.save {
		v := body
		for part := range strings.SplitSeq(s[1], ".") {
			m, ok := v.(map[string]any)
			if !ok {
				return
			}
			v = m[part]
		}
		if text, ok := v.(string); ok {
			r.saved[s[0]] = text
		}
	}
}
