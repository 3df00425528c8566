package httpapi

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/identity/authorizations"
)

// TestManyAuthorizations lists more tokens than are held at a time, forwards and backwards.
func TestManyAuthorizations(t *testing.T) {
	a, token, org := newAPI(t)
	p, err := a.logins.ByToken(t.Context(), token)
	must(t, err)
	c := &access.Caller{Principal: p}
	for range 300 {
		_, _, err := a.users.Authorize(t.Context(), c, authorizations.Wanted{OrgID: org,
			Description: strings.Repeat("d", 300), Permissions: []access.Permission{access.To(access.Read,
				access.Resource{Type: access.Secrets, OrgID: org})}})
		must(t, err)
	}
	lists := make(map[string][]string)
	for _, query := range []string{"", "?descending=true", "?limit=1000"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/v2/authorizations"+query, nil)
		r.Header.Set("Authorization", "Token "+token)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		var answer struct {
			Authorizations []struct{ ID, Org, Token string }
		}
		must(t, json.Unmarshal(w.Body.Bytes(), &answer))
		if w.Code != 200 || len(answer.Authorizations) != 301 {
			t.Fatalf("%s: %d, %d authorizations", query, w.Code, len(answer.Authorizations))
		}
		for _, auth := range answer.Authorizations {
			if auth.Org != "acme" || auth.Token != "REDACTED" {
				t.Fatalf("%+v", auth)
			}
			lists[query] = append(lists[query], auth.ID)
		}
	}
	for i, one := range lists[""] {
		if one != lists["?limit=1000"][i] || one != lists["?descending=true"][300-i] {
			t.Fatalf("the lists differ at %d", i)
		}
	}
}
