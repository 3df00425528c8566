package vaultapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// answer is what came back, read as far as it is JSON.
type answer struct {
	status int
	body   string
	Data   struct {
		Data           map[string]any
		Metadata       struct{ Version int }
		Version        int
		Keys           []string
		Capabilities   []string
		CurrentVersion int               `json:"current_version"`
		CustomMetadata map[string]string `json:"custom_metadata"`
		Policies       []string
		TTL            int
		Path           string
		Options        map[string]any
	}
	Auth *struct {
		ClientToken   string `json:"client_token"`
		LeaseDuration int    `json:"lease_duration"`
		Renewable     bool
		Policies      []string
	}
	LeaseDuration int `json:"lease_duration"`
	Errors        []string
	Warnings      []string
}

func (a answer) said() string { return strings.Join(a.Errors, "; ") }

// call makes one request below /v1/.
func (p *parts) call(t testing.TB, token, method, path, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.url+"/v1/"+path, strings.NewReader(body))
	must(t, err)
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if method == "PATCH" {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	res, err := noRedirect.Do(req)
	must(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	a := answer{status: res.StatusCode, body: string(b)}
	if len(b) > 0 && json.Unmarshal(b, &a) != nil && !bytes.HasPrefix(b, []byte("<a ")) {
		t.Errorf("%s %s: no JSON: %s", method, path, b)
	}
	if a.status == http.StatusTooManyRequests || a.status == http.StatusPreconditionFailed {
		t.Errorf("%s %s: %d, which clients misread", method, path, a.status)
	}
	return a
}

// want makes a request that has to be answered so.
func (p *parts) want(t testing.TB, status int, token, method, path, body string) answer {
	t.Helper()
	a := p.call(t, token, method, path, body)
	if a.status != status {
		t.Fatalf("%s %s %s: %d, not %d: %s", method, path, body, a.status, status, a.body)
	}
	return a
}
