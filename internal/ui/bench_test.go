package ui

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkPages gives the server's time for each page, with 10,000 secrets in the organisation: the median as p50-ms.
func BenchmarkPages(b *testing.B) {
	s, reader := setUp(b)
	names := many(10_000)
	for chunk := range slices.Chunk(names, 1000) {
		s.put(chunk...)
	}
	s.ui.Look(b.Context())
	at, err := url.Parse(s.url)
	s.must(err)
	cookies := reader.client.Jar.Cookies(at)
	for _, path := range []string{s.at("/secrets"), s.at("/secrets?q=0099"),
		s.at("/secret?key=service-00007%2Fpassword"), s.at("/secrets/new"), s.at("/secrets/import"), s.at("/tokens"),
		s.at("/tokens/new"), s.at("/secrets/names"), s.at("/secrets/dates"), s.at("/members"), s.at(""), "/orgs",
		"/users", "/activity", "/store", "/preferences"} {
		b.Run("page="+strings.TrimPrefix(path, s.at("")), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				r := httptest.NewRequest("GET", path, nil)
				for _, c := range cookies {
					r.AddCookie(c)
				}
				w := httptest.NewRecorder()
				start := time.Now()
				s.ui.ServeHTTP(w, r)
				took = append(took, time.Since(start))
				if w.Code != http.StatusOK {
					b.Fatalf("status %d", w.Code)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
		})
	}
}
