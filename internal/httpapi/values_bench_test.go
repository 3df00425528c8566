package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/identity/authorizations"
	"strongroom/internal/secret"
)

// BenchmarkValues has all 1,000 values of an organisation given out, over a connection that takes them at once.
func BenchmarkValues(b *testing.B) {
	a, root, org := newAPI(b)
	set := make(map[string]secret.Value)
	for n := range 1000 {
		set[fmt.Sprintf("key-%04d", n)] = secret.NewValue([]byte("a value of the usual size, a token or a password"))
	}
	_, err := a.store.Apply(b.Context(), org, secret.Change{Set: set})
	must(b, err)
	p, err := a.logins.ByToken(b.Context(), root)
	must(b, err)
	_, token, err := a.users.Authorize(b.Context(), &access.Caller{Principal: p}, authorizations.Wanted{OrgID: org,
		UserID: p.UserID, Permissions: []access.Permission{access.To(access.Use,
			access.Resource{Type: access.Secrets, OrgID: org})}})
	must(b, err)
	req := httptest.NewRequest("GET", "/api/v2/orgs/"+org.String()+"/secret-values", http.NoBody)
	req.Header.Set("Authorization", "Token "+token)
	b.ReportAllocs()
	for b.Loop() {
		w := taken{header: http.Header{}}
		a.ServeHTTP(&w, req)
		if w.status != http.StatusOK || w.bytes < 50_000 {
			b.Fatal(w.status, w.bytes)
		}
	}
}

// taken is a client that takes its answer at once.
type taken struct {
	header        http.Header
	status, bytes int
}

func (t *taken) Header() http.Header    { return t.header }
func (t *taken) WriteHeader(status int) { t.status = status }
func (t *taken) Write(b []byte) (int, error) {
	if t.status == 0 {
		t.status = http.StatusOK
	}
	t.bytes += len(b)
	return len(b), nil
}
