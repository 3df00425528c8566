package vaultapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestGuessing: whoever tries tokens is slowed down by 503 in the end. Older clients take 429 for success, and a write
// that was answered so would be lost in silence.
func TestGuessing(t *testing.T) {
	p := start(t, nil)
	for n := range 5000 {
		a := p.call(t, fmt.Sprint("a guess ", n), "PUT", "secret/data/acme", `{"data":{"a":"1"}}`)
		switch a.status {
		case http.StatusForbidden:
		case http.StatusServiceUnavailable:
			if !strings.Contains(a.said(), "try again") {
				t.Errorf("it is said %q", a.said())
			}
			p.want(t, 200, p.root, "GET", "secret/data/acme", "") // nobody who is known waits for that
			return
		default:
			t.Fatalf("guess %d: %d: %s", n, a.status, a.body)
		}
	}
	t.Error("5000 guesses were taken")
}

// TestHeadersOfClients: headers that some clients send and others do not, some of them empty, change nothing.
func TestHeadersOfClients(t *testing.T) {
	p := start(t, nil)
	p.want(t, 200, p.root, "PUT", "secret/data/acme/a", `{"data":{"value":"1"}}`)
	for _, headers := range []map[string]string{{}, {"X-Vault-Request": "true"}, {"X-Vault-Namespace": ""},
		{"X-Vault-Request": "true", "X-Vault-Namespace": "", "Content-Type": "text/plain"}} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", p.url+"/v1/secret/data/acme/a", http.NoBody)
		must(t, err)
		req.Header.Set("X-Vault-Token", p.root)
		for k, v := range headers {
			req.Header[k] = []string{v}
		}
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		b, err := io.ReadAll(res.Body)
		must(t, err)
		must(t, res.Body.Close())
		// The whole envelope, with the types that clients hold it against.
		for _, member := range []string{`"request_id":"`, `"lease_id":""`, `"renewable":false`, `"lease_duration":0`,
			`"data":{"data":{"value":"1"}`, `"wrap_info":null`, `"warnings":null`, `"auth":null`, `"deletion_time":""`,
			`"version":1}`} {
			if res.StatusCode != http.StatusOK || !strings.Contains(string(b), member) {
				t.Errorf("%v: %d, without %s: %s", headers, res.StatusCode, member, b)
			}
		}
	}
}
