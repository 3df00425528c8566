package vaultapi_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkMap reads the map of an organisation of a thousand secrets.
func BenchmarkMap(b *testing.B) {
	p := start(b, nil)
	var body strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&body, `%c"key-%05d":"a value of the usual size, a token or a password"`, "{,"[min(i, 1)], i)
	}
	p.want(b, 200, p.root, "PUT", "secret/data/acme", `{"data":`+body.String()+`}}`)
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), "GET", "/v1/secret/data/acme", nil)
		r.Header.Set("X-Vault-Token", p.root)
		w := httptest.NewRecorder()
		if p.handler.ServeHTTP(w, r); w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}
