package exchange

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// FuzzPathKey sends keys through the routing: what a client escapes must arrive as it was.
func FuzzPathKey(f *testing.F) {
	for _, k := range []string{"a", "a/b c", ".", "..", "a/../b", "../../..", "%2F", "?#;", "/", "//", "a/", "/a",
		"ключ", "\x00\xff", "\x00", "\x00\x00", "delete", "{delete}", "...", ". ", "\\"} {
		f.Add(k)
	}
	var got string
	a := &Server{mux: http.NewServeMux()}
	a.mux.HandleFunc("/api/v2/orgs/{orgID}/secrets/{key}", func(_ http.ResponseWriter, r *http.Request) {
		got = r.PathValue("orgID") + " " + PathKey(r)
	})
	f.Fuzz(func(t *testing.T, key string) {
		if key == "" {
			return // there is no such secret, and its path is the list's
		}
		hex := fmt.Sprintf("%x", key)
		all := regexp.MustCompile("..").ReplaceAllString(hex, "%$0")
		for _, escaped := range []string{url.PathEscape(key), all, strings.ToUpper(all)} {
			u, err := url.ParseRequestURI("/api/v2/orgs/031c8cbefe101000/secrets/" + escaped)
			if err != nil {
				t.Fatal(err)
			}
			got = ""
			w := httptest.NewRecorder()
			a.ServeHTTP(w, &http.Request{Method: "DELETE", URL: u, Header: http.Header{}})
			if got != "031c8cbefe101000 "+key {
				t.Errorf("%q, sent as %q, arrived as %q: %d %s", key, escaped, got, w.Code, w.Header().Get("Location"))
			}
		}
	})
}
