package influxd

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"strongroom/internal/influxd/command"
	"strongroom/internal/kv/etcd/etcdtest"
)

// TestAway cuts a server off from etcd: whatever is asked of it is answered 503 meanwhile, by every surface, and when
// etcd counts as away at once, with what to do. Health tells it. When etcd is back, all goes on.
func TestAway(t *testing.T) {
	c := etcdtest.Start(t, 1)
	proxy := etcdtest.NewProxy(t, c.Members[0])
	r, err := launchAs(t, command.Process{}, t.TempDir(), "--store=etcd", "--etcd-endpoints="+proxy.Endpoint,
		"--store-stale=0", "--seal-key-file="+t.TempDir()+"/seal.key")
	must(t, err)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	var auths struct{ Authorizations []struct{ ID string } }
	r.call(t, "GET", "/api/v2/authorizations", token, "", 200, &auths)
	org := strings.Split(secrets, "/")[4]
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
		must(t, err)
		req.Header.Set("Authorization", "Token "+token)
		req.Header.Set("X-Vault-Token", token)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		must(t, err)
		return res.StatusCode, string(text)
	}
	requests := [][3]string{
		{"GET", secrets, ""}, {"PATCH", secrets, `{"foo":"baz"}`}, {"DELETE", secrets + "/foo", ""},
		{"DELETE", "/api/v2/authorizations/" + auths.Authorizations[0].ID, ""}, {"GET", "/api/v2/authorizations", ""},
		{"POST", "/api/v2/orgs", `{"name":"another"}`}, {"GET", "/api/v2/orgs/" + org, ""},
		{"GET", "/api/v2/setup", ""},
		{"POST", "/api/v2/seal/rotate", ""}, {"GET", "/v1/secret/data/foo", ""}, {"GET", "/health", ""},
	}
	proxy.Pass(false, false)
	answers := make(map[string]bool)
	for !answers["away"] {
		for _, q := range requests {
			status, text := ask(q[0], q[1], q[2])
			if status != 503 {
				t.Fatalf("%s %s without etcd is answered %d: %s", q[0], q[1], status, text)
			}
			if strings.Contains(text, "for some time; try it again later, or at another server") {
				answers["away"] = true
			}
		}
	}
	for _, q := range requests {
		status, text := ask(q[0], q[1], q[2])
		if status != 503 || q[1] != "/health" && !strings.Contains(text, "for some time") {
			t.Errorf("%s %s while etcd is away is answered %d: %s", q[0], q[1], status, text)
		}
	}
	for told := ""; !strings.Contains(told, "refused at once"); {
		_, text := ask("GET", "/health", "")
		var health struct {
			Checks []struct{ Name, Status, Message string }
		}
		must(t, json.Unmarshal([]byte(text), &health))
		for _, c := range health.Checks {
			if c.Name == "data" && c.Status == "fail" {
				told = c.Message
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	proxy.Pass(true, true)
	r.eventually(t, 200, "GET", "/health", "", "")
	r.eventually(t, 204, "PATCH", secrets, token, `{"foo":"baz"}`)
}
