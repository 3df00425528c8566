package httpapi

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"strongroom/internal/secret"
)

// A page whose name leads to 127.0.0.1 is of the server's own origin to a browser. It must not be the one that sets the
// server up. (The server of this test has been set up: who passes gets 422.)
func TestSetupUnderAnotherName(t *testing.T) {
	a, _, _ := newAPI(t)
	s := httptest.NewServer(a)
	defer s.Close()
	for _, tc := range []struct {
		host, path string
		header     map[string]string
		want       int
	}{
		{"evil.example:9999", "/api/v2/setup", map[string]string{"Origin": "http://evil.example:9999"}, 403},
		{"evil.example:9999", "/api/v2/setup", map[string]string{"Sec-Fetch-Site": "same-origin"}, 403},
		{"evil.example", "/api/v2/setup/", map[string]string{"Sec-Fetch-Site": "same-origin"}, 403},
		{"evil.example", "/api/v2/%73etup", map[string]string{"Sec-Fetch-Site": "same-origin"}, 403},
		{"evil.example", "/setup", map[string]string{"Sec-Fetch-Site": "same-origin"}, 403},
		{"127.0.0.1.evil.example", "/api/v2/setup", map[string]string{"Sec-Fetch-Site": "same-origin"}, 403},
		{"localhost.evil.example", "/api/v2/setup", map[string]string{"Sec-Fetch-Site": "same-origin"}, 403},
		{"localhost:9999", "/api/v2/setup", map[string]string{"Origin": "http://localhost:9999"}, 422},
		{"LOCALHOST.", "/api/v2/setup", map[string]string{"Sec-Fetch-Site": "same-origin"}, 422},
		{"127.0.0.1:9999", "/api/v2/setup", map[string]string{"Sec-Fetch-Site": "same-origin"}, 422},
		{"[::1]:9999", "/api/v2/setup", map[string]string{"Sec-Fetch-Site": "same-origin"}, 422},
		{"[::1]", "/api/v2/setup", map[string]string{"Sec-Fetch-Site": "same-origin"}, 422},
		{"secrets.example", "/api/v2/setup", nil, 422}, // no browser
	} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+tc.path,
			strings.NewReader(`{"username":"u","password":"password","org":"o","bucket":"b"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = tc.host
		for k, v := range tc.header {
			r.Header.Set(k, v)
		}
		res, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != tc.want {
			t.Errorf("%s as %s with %v: %d, want %d", tc.path, tc.host, tc.header, res.StatusCode, tc.want)
		}
	}
}

// A client that says how much it will send, and waits, is told at once that it is too much.
func TestTooMuchIsRefusedBeforeItComes(t *testing.T) {
	a, token, org := newAPI(t)
	s := httptest.NewServer(a)
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil { // or it would wait for ever
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PATCH /api/v2/orgs/%s/secrets HTTP/1.1\r\nHost: x\r\nAuthorization: Token "+
		"%s\r\nContent-Length: 99999999\r\n\r\n", org, token)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 413 || !res.Close {
		t.Errorf("%s, the connection ends: %v", res.Status, res.Close)
	}
}

// TestTooManySecrets: a change of short names is small as text, and large in memory. Names that are repeated, or cannot
// be, count.
func TestTooManySecrets(t *testing.T) {
	a, token, org := newAPI(t)
	at := "/api/v2/orgs/" + org.String() + "/secrets"
	for _, tt := range []struct{ method, path, body string }{
		{"POST", at + "/delete", `{"secrets":[""` + strings.Repeat(`,""`, secret.MaxChange) + `]}`},
		{"PATCH", at, `{"a":"x"` + strings.Repeat(`,"a":"y"`, secret.MaxChange) + `}`},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Authorization", "Token "+token)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != 413 || !strings.Contains(w.Body.String(), "50000 secrets at most; divide it") {
			t.Errorf("%s: %d %s", tt.method, w.Code, w.Body)
		}
	}
}

// A value is no part of an error, also where the decoder's own errors would hold it.
func TestErrorsHoldNoValue(t *testing.T) {
	a, token, org := newAPI(t)
	for _, value := range []string{`1e987654`, `-1e987654`, strings.Repeat("987654", 60), `["1e987654"]`,
		`{"987654":1}`} {
		r := httptest.NewRequestWithContext(t.Context(), "PATCH", "/api/v2/orgs/"+org.String()+"/secrets",
			strings.NewReader(`{"a":`+value+`}`))
		r.Header.Set("Authorization", "Token "+token)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "must be a string") ||
			strings.Contains(w.Body.String(), "987654") {
			t.Errorf("%.20s: %d %.200s", value, w.Code, w.Body)
		}
	}
}

// Nobody in particular can make the server read and keep much.
func TestOpenBodiesAreSmall(t *testing.T) {
	a, token, org := newAPI(t)
	big := `{"x":"` + strings.Repeat("x", 64<<10) + `"}`
	for _, tc := range []struct {
		method, path string
		known        bool
		want         int
	}{
		{"POST", "/api/v2/setup", false, 413},
		{"PUT", "/api/v2/me/password", false, 413},
		{"PATCH", "/api/v2/orgs/" + org.String() + "/secrets", true, 204},
	} {
		for _, length := range []int64{int64(len(big)), -1} {
			r := httptest.NewRequestWithContext(t.Context(), tc.method, tc.path, strings.NewReader(big))
			r.ContentLength = length
			if r.SetBasicAuth("admin", "the password"); tc.known {
				r.Header.Set("Authorization", "Token "+token)
			}
			w := httptest.NewRecorder()
			if a.ServeHTTP(w, r); w.Code != tc.want {
				t.Errorf("%s %s with %d bytes, length sent as %d: %d %s, want %d", tc.method, tc.path, len(big), length,
					w.Code, w.Body, tc.want)
			}
		}
	}
}
