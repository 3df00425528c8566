package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"strongroom/client"
)

// TestRotateWhileTheServerIsAway: what became of the new value is told as it is, whether the server comes back, or has
// stored it and could not say so, or stays away.
func TestRotateWhileTheServerIsAway(t *testing.T) {
	newRotator := func(t *testing.T) *user {
		t.Helper()
		u := newUser(t, map[string]string{"db/password": "first"})
		var may []client.Permission
		for _, action := range []string{"use", "read", "write"} {
			may = append(may, client.Permission{Action: action, Resource: client.Resource{Type: "secrets", OrgID: u.org}})
		}
		made, err := u.admin.CreateAuthorization(t.Context(), client.NewAuthorization{OrgID: u.org, Permissions: may})
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range u.env {
			if strings.HasPrefix(e, "INFLUX_TOKEN=") {
				u.env[i] = "INFLUX_TOKEN=" + made.Token
			}
		}
		return u
	}
	holds := func(t *testing.T, u *user, want string) {
		t.Helper()
		out, err := u.influx("secret", "get", "db/password").Output()
		if err != nil || string(out) != want {
			t.Errorf("the secret is %q, %v; want %q", out, err, want)
		}
	}

	t.Run("comes back", func(t *testing.T) {
		t.Parallel()
		u, dir := newRotator(t), t.TempDir()
		front := u.front()
		cmd := u.influx("secret", "rotate", "db/password", "--host", front.URL, "--rescue", "rescued", "--exec",
			`cat > old; while [ ! -e go ]; do sleep 0.05; done; echo second; touch made`)
		var out, said bytes.Buffer
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		there := func(name string) func() bool {
			return func() bool { _, err := os.Stat(filepath.Join(dir, name)); return err == nil }
		}
		eventually(t, "the program has the old value", there("old"))
		front.goAway()
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the program has made a new value", there("made"))
		front.awaits(t)
		front.away.Store(false)
		if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "db/password") {
			t.Errorf("it ended with %v: %s%s", err, &out, &said)
		}
		if there("rescued")() {
			t.Error("a value that was stored is in the file for what is not")
		}
		holds(t, u, "second")
	})

	t.Run("cannot say so", func(t *testing.T) {
		t.Parallel()
		u := newRotator(t)
		host, err := url.Parse(u.admin.Host())
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(host) }}
		var lost atomic.Bool
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch && lost.CompareAndSwap(false, true) {
				proxy.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(front.Close)
		out, err := u.influx("secret", "rotate", "db/password", "--host", front.URL, "--exec", "echo second",
			"--json").CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"version": 2`) || !lost.Load() {
			t.Errorf("it ended with %v: %s", err, out)
		}
		holds(t, u, "second")
	})

	t.Run("stays away", func(t *testing.T) {
		if testing.Short() {
			t.Skip("it waits for a minute")
		}
		t.Parallel()
		u, dir := newRotator(t), t.TempDir()
		front := u.front()
		rescue := filepath.Join(dir, "rescued")
		cmd := u.influx("secret", "rotate", "db/password", "--host", front.URL, "--rescue", rescue, "--exec",
			"while [ ! -e go ]; do sleep 0.05; touch begun; done; echo second")
		var said bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the program has begun", func() bool {
			_, err := os.Stat(filepath.Join(dir, "begun"))
			return err == nil
		})
		front.goAway()
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		text, err := os.ReadFile(rescue)
		if err != nil || string(text) != "second" {
			t.Errorf("the file has %q, %v", text, err)
		}
		if info, err := os.Stat(rescue); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("the file has the mode %v", info.Mode())
		}
		if code := cmd.ProcessState.ExitCode(); code != 5 || strings.Contains(said.String(), "second") ||
			!strings.Contains(said.String(), "failed to store") || !strings.Contains(said.String(), "new value is in "+rescue) {
			t.Errorf("it ended with %d, and said %s", code, &said)
		}
		holds(t, u, "first")
	})
}
