package httpapi

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// The secret named / has the paths that any other has.
func TestHistoryOfSlash(t *testing.T) {
	a, token, org := newAPI(t)
	base := "/api/v2/orgs/" + org.String() + "/secrets"
	for _, step := range []struct {
		method, path, body string
		want               int
		has                string
	}{
		{"PATCH", "", `{"/":"v"}`, 204, ""},
		{"GET", "/%2F", "", 200, `"key":"/"`},
		{"PUT", "/%2F/description", `{"description":"root"}`, 204, ""},
		{"GET", "/%2F", "", 200, `"description":"root"`},
		{"DELETE", "/%2F", "", 204, ""},
		{"POST", "/%2F/restore", `{}`, 204, ""},
		{"GET", "", "", 200, `"secrets":["/"]`},
	} {
		r := httptest.NewRequestWithContext(t.Context(), step.method, base+step.path, strings.NewReader(step.body))
		r.Header.Set("Authorization", "Token "+token)
		w := httptest.NewRecorder()
		if a.ServeHTTP(w, r); w.Code != step.want || !strings.Contains(w.Body.String(), step.has) {
			t.Errorf("%s %s: %d %s, want %d with %s", step.method, step.path, w.Code, w.Body, step.want, step.has)
		}
	}
}
