package influxd

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestNoAnswerIsSniffed looks at answers of every sort: none may be taken by a browser for another type than it says.
func TestNoAnswerIsSniffed(t *testing.T) {
	r, _, token := asVaultAt(t, t.TempDir())
	var all struct{ Orgs []struct{ ID string } }
	r.call(t, "GET", "/api/v2/orgs", token, "", 200, &all)
	secrets := "/api/v2/orgs/" + all.Orgs[0].ID + "/secrets"
	r.call(t, "PATCH", secrets, token, `{"db":"sesame"}`, 204, nil)
	agent, values := r.agent(t, token, secrets)
	_, tag, _ := r.poll(t, agent, values, "")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	const api = "Authorization"
	for _, tt := range []struct {
		method, path, token, body string
		header                    [2]string
		want                      int
	}{
		{"GET", secrets, token, "", [2]string{}, 200},
		{"GET", secrets, "", "", [2]string{}, 401},
		{"GET", secrets + "/none", token, "", [2]string{}, 404},
		{"PATCH", secrets, token, "{", [2]string{}, 400},
		{"PUT", secrets, token, "", [2]string{}, 405},
		{"OPTIONS", secrets, "", "", [2]string{"Origin", "https://a.example"}, 405},
		{"DELETE", secrets + "/none", token, "", [2]string{}, 204},
		{"GET", values, agent, "", [2]string{"If-None-Match", tag}, 304},
		{"GET", values + "?watch=1ms", agent, "", [2]string{"If-None-Match", tag}, 304},
		{"GET", values + "?watch=1ms", agent, "", [2]string{"Accept", "text/event-stream"}, 200},
		{"GET", "/api/v2/none", token, "", [2]string{}, 404},
		{"GET", "/api/v2//orgs", token, "", [2]string{}, 400},
		{"GET", "/api/v2/swagger.json", "", "", [2]string{}, 200},
		{"GET", "/health", "", "", [2]string{}, 200},
		{"GET", "/ping", "", "", [2]string{}, 204},
		{"GET", "/metrics", "", "", [2]string{}, 200},
		{"GET", "/api/v2/backup/kv", token, "", [2]string{}, 200},
		{"GET", "/none", "", "", [2]string{}, 404},
		{"GET", "/v1/secret/data/acme/db", "", "", [2]string{"X-Vault-Token", agent}, 200},
		{"GET", "/v1/secret/data/acme/none", "", "", [2]string{"X-Vault-Token", agent}, 404},
		{"GET", "/v1/secret/data/acme/db", "", "", [2]string{}, 403},
		{"HEAD", "/v1/sys/health", "", "", [2]string{}, 200},
		{"GET", "/v1//sys/health", "", "", [2]string{}, 307},
		{"GET", "/v1/none", "", "", [2]string{"X-Vault-Token", agent}, 403},
		{"PUT", "/v1/sys/health", "", "", [2]string{}, 405},
		{"GET", "/v1/secret/data/acme/%01", "", "", [2]string{"X-Vault-Token", agent}, 400},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, r.url+tt.path, strings.NewReader(tt.body))
		must(t, err)
		if tt.token != "" {
			req.Header.Set(api, "Token "+tt.token)
		}
		if tt.header[0] != "" {
			req.Header.Set(tt.header[0], tt.header[1])
		}
		res, err := client.Do(req)
		must(t, err)
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		got := res.Header["X-Content-Type-Options"]
		if len(got) != 1 || got[0] != "nosniff" || res.StatusCode != tt.want {
			t.Errorf("%s %s: %s, %q, want %d and nosniff", tt.method, tt.path, res.Status, got, tt.want)
		}
	}
	// What is refused before a body comes, and what net/http refuses before any handler is asked.
	for text, want := range map[string]int{
		"PATCH " + secrets + " HTTP/1.1\r\nHost: a\r\nAuthorization: Token " + token +
			"\r\nContent-Length: 9000000\r\n\r\n": 413,
		"GET / HTTP/1.1\r\nHost: a\r\nBroken\r\n\r\n": 400,
		"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n":       400,
		"GET /v1/x HTTP/1.1\r\n\r\n":                  400} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		must(t, err)
		_, err = fmt.Fprint(conn, text)
		must(t, err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err)
		if res.StatusCode != want || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: %s %v", strings.ReplaceAll(text, token, "…"), res.Status, res.Header)
		}
		res.Body.Close()
		conn.Close()
	}
}

// TestGivenTokensAreLong hands tokens over instead of having them made: none that has fewer than 128 bits by its
// length.
func TestGivenTokensAreLong(t *testing.T) {
	r := start(t, t.TempDir())
	token, secrets := r.onboard(t)
	org := strings.Split(secrets, "/")[4]
	random := make([]byte, 16)
	_, _ = rand.Read(random)                               // never fails since Go 1.24
	enough := base64.RawURLEncoding.EncodeToString(random) // 128 bits
	for given, want := range map[string]int{enough: 201, enough[1:]: 400, "short": 400, " ": 400,
		strings.Repeat(" ", 22): 400, strings.Repeat("é", 11): 400, enough + strings.Repeat("x", 1100): 400} {
		body := fmt.Sprintf(`{"orgID":%q,"token":%q,"permissions":[{"action":"read","resource":{"type":"secrets",`+
			`"orgID":%[1]q}}]}`, org, given)
		if got := r.status(t, "POST", "/api/v2/authorizations", token, body); got != want {
			t.Errorf("a given token of %d characters: %d, want %d", len(given), got, want)
		}
		if want != 201 {
			if got := r.status(t, "GET", "/api/v2/me", given, ""); got != 401 {
				t.Errorf("one that was refused, of %d characters: %d", len(given), got)
			}
		}
	}
	r.call(t, "GET", secrets, enough, "", 200, nil)
}
