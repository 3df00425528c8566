package influxd

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// signIn reports whether name and password open a session.
func (r *running) signIn(t *testing.T, name, password string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/api/v2/signin", nil)
	must(t, err)
	req.SetBasicAuth(name, password)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, res.Body.Close())
	return res.StatusCode == 204
}

func passwordFile(t *testing.T, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(path, []byte(password+"\n"), 0o600))
	return path
}

// TestRecovery loses every token and password, and lets the operator in again.
func TestRecovery(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := influxdOn(t, dir, "recovery", "user", "list"); err == nil || !strings.Contains(err.Error(),
		"there is no file") {
		t.Errorf("without data: %v", err)
	}
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"a":"sesame"}`, 204, nil)
	var me struct{ Name string }
	s.call(t, "GET", "/api/v2/me", token, "", 200, &me)
	var orgs struct{ Orgs []struct{ Name string } }
	s.call(t, "GET", "/api/v2/orgs", token, "", 200, &orgs)
	org := orgs.Orgs[0].Name
	if _, _, err := influxdOn(t, dir, "recovery", "user", "list"); err == nil || !strings.Contains(err.Error(),
		"stop the server first") {
		t.Errorf("beside a running server: %v", err)
	}
	s.end(t)

	for _, c := range []struct {
		says string
		args []string
	}{
		{"flag --username: name the user", []string{"auth", "create-operator", "--org", org}},
		{"flag --org: name the organization", []string{"auth", "create-operator", "--username", me.Name}},
		{`there is no user "nobody"`, []string{"auth", "create-operator", "--username", "nobody", "--org", org}},
		{`there is no organization "none"`, []string{"auth", "create-operator", "--username", me.Name,
			"--org", "none"}},
		{"its first line is empty", []string{"user", "update", "--username", me.Name, "--password-file",
			passwordFile(t, "")}},
		{"between 8 and 72", []string{"user", "update", "--username", me.Name, "--password-file",
			passwordFile(t, "short")}},
		// Nobody is made who cannot sign in: deputy is made below.
		{"between 8 and 72", []string{"user", "create", "--username", "deputy", "--password-file",
			passwordFile(t, "short")}},
		{"no such file", []string{"user", "create", "--username", "deputy", "--password-file",
			filepath.Join(dir, "none")}},
		{"password", []string{"user", "update", "--username", me.Name, "--password", "in the arguments"}},
		{"already exists", []string{"user", "create", "--username", me.Name, "--password-file",
			passwordFile(t, "long enough")}},
	} {
		if out, _, err := influxdOn(t, dir, append([]string{"recovery"}, c.args...)...); err == nil ||
			!strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want %q\n%s", c.args, err, c.says, out)
		} else if strings.Contains(err.Error(), "in the arguments") {
			t.Errorf("a password is shown: %v", err)
		}
	}

	out, _, err := influxdOn(t, dir, "recovery", "auth", "create-operator", "--username", me.Name, "--org", org)
	must(t, err)
	made := out[strings.LastIndexByte(strings.TrimSpace(out), ' ')+1:]
	_, _, err = influxdOn(t, dir, "recovery", "user", "update", "--username", me.Name, "--password-file",
		passwordFile(t, "a new beginning"))
	must(t, err)
	_, _, err = influxdOn(t, dir, "recovery", "user", "create", "--username", "deputy", "--operator", "--password-file",
		passwordFile(t, "another beginning"))
	must(t, err)
	for list, want := range map[string]string{"user": "deputy", "org": org, "auth": me.Name + "'s Recovery Token"} {
		out, _, err := influxdOn(t, dir, "recovery", list, "list")
		if err != nil || !strings.Contains(out, want) || strings.Contains(out, strings.TrimSpace(made)) {
			t.Errorf("%s list: %v\n%s", list, err, out)
		}
	}

	s = start(t, dir)
	s.keys(t, strings.TrimSpace(made), secrets)
	s.call(t, "POST", "/api/v2/seal/rotate", strings.TrimSpace(made), "", 202, nil)
	if !s.signIn(t, me.Name, "a new beginning") || !s.signIn(t, "deputy", "another beginning") {
		t.Error("the new passwords are not taken")
	}
	s.end(t)

	trail := string(readFile(t, filepath.Join(dir, "audit.log")))
	for _, action := range []string{"authorizations.create", "users.password", "users.create", "users.operator"} {
		found := false
		for line := range strings.Lines(trail) {
			var e struct{ Action, User string }
			found = found || json.Unmarshal([]byte(line), &e) == nil && e.Action == action &&
				e.User == "influxd recovery"
		}
		if !found {
			t.Errorf("%s is not on record", action)
		}
	}
	if strings.Contains(trail, strings.TrimSpace(made)) || strings.Contains(trail, "beginning") {
		t.Error("a token or a password is on record")
	}
	if out, _, err := influxdOn(t, dir, "audit", "verify"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
