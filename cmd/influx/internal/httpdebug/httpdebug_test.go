package httpdebug_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"strongroom/cmd/influx/internal/httpdebug"
)

const hidden = "sesame"

// TestHidesSecrets sends what must not show in every place it can be in, and checks that the rest does show.
func TestHidesSecrets(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "influxdb-oss-session", Value: hidden})
		_, _ = io.Copy(w, r.Body)
	}))
	defer srv.Close()
	for _, tc := range []struct {
		method, path, body, shows string
	}{
		{"PATCH", "/api/v2/orgs/1/secrets", `{"db":"sesame","nested":{"x":["sesame"]}}`,
			`{"db":"[redacted]","nested":{"x":["[redacted]"]}}`},
		{"POST", "/api/v2/setup", `{"username":"admin","password":"sesame","token":"sesame"}`, `"username":"admin"`},
		{"POST", "/api/v2/seal/change", `{"type":"passphrase","passphrase":"sesame"}`,
			`{"passphrase":"[redacted]","type":"passphrase"}`},
		{"POST", "/api/v2/authorizations", `[{"id":"1","token":"sesame"}]`, `[{"id":"1","token":"[redacted]"}]`},
		{"GET", "/api/v2/config", `{"config":{"vault-token":"sesame","http-bind-address":":9999"}}`,
			`"http-bind-address":":9999"`},
		{"POST", "/api/v2/orgs/1/secrets/delete", `{"secrets":["a-name"]}`, `{"secrets":["a-name"]}`},
		{"GET", "/api/v2/orgs/1/secret-values", `{"db":"sesame"}`, `{"db":"[redacted]"}`},
		{"GET", "/api/v2/orgs/1/secret-values/db%2Fx", `{"value":"sesame"}`, `{"value":"[redacted]"}`},
		{"POST", "/api/v2/write", `sesame`, "6 bytes that are not JSON"},
	} {
		var out strings.Builder
		hc := http.Client{Transport: &httpdebug.Transport{Next: http.DefaultTransport, Out: &out}}
		req, err := http.NewRequestWithContext(t.Context(), tc.method, srv.URL+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Token "+hidden)
		req.Header.Set("Cookie", "influxdb-oss-session="+hidden)
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		passed, err := io.ReadAll(resp.Body)
		if err != nil || string(passed) != tc.body {
			t.Errorf("%s: the caller got %q, %v", tc.path, passed, err)
		}
		_ = resp.Body.Close()
		text := out.String()
		if strings.Contains(text, hidden) {
			t.Errorf("%s shows a secret:\n%s", tc.path, text)
		}
		for _, want := range []string{"> " + tc.method + " " + srv.URL + tc.path,
			"> Authorization: [redacted]", tc.shows} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in:\n%s", tc.path, want, text)
			}
		}
		if !strings.Contains(text, "< Set-Cookie: [redacted]") {
			t.Errorf("%s: the answer's cookie is not shown as redacted", tc.path)
		}
	}
}

func TestPassesErrorsOn(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	var out strings.Builder
	hc := http.Client{Transport: &httpdebug.Transport{Next: http.DefaultTransport, Out: &out}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := hc.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Error("no error")
	}
	if !strings.Contains(out.String(), "! ") {
		t.Errorf("the error is not shown: %s", out.String())
	}
}
