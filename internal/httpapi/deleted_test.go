package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"strongroom/internal/secret"
)

// TestManyDeletedSecrets lists more deleted secrets than an answer holds at a time: it is sent while it is made, without
// a length, and has all of them.
func TestManyDeletedSecrets(t *testing.T) {
	a, token, org := newAPI(t)
	set := make(map[string]secret.Value)
	var names []string
	for n := range 500 {
		name := fmt.Sprintf("name %04d", n)
		names = append(names, name)
		set[name] = secret.NewValue([]byte("value"))
	}
	_, err := a.store.Apply(t.Context(), org, secret.Change{Set: set})
	must(t, err)
	_, err = a.store.Apply(t.Context(), org, secret.Change{Delete: names})
	must(t, err)
	server := httptest.NewServer(a)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/api/v2/orgs/"+org.String()+
		"/deleted-secrets", http.NoBody)
	must(t, err)
	req.Header.Set("Authorization", "Token "+token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	var answer struct {
		Links   map[string]string
		Secrets []struct{ Key, DeletedAt string }
	}
	must(t, json.NewDecoder(res.Body).Decode(&answer))
	if res.StatusCode != 200 || res.ContentLength >= 0 || !strings.HasSuffix(answer.Links["self"], "/deleted-secrets") {
		t.Errorf("%s of %d bytes, with the links %v", res.Status, res.ContentLength, answer.Links)
	}
	if len(answer.Secrets) != len(names) {
		t.Fatalf("%d of %d are in the list", len(answer.Secrets), len(names))
	}
	found := make(map[string]bool)
	for _, s := range answer.Secrets {
		found[s.Key] = s.DeletedAt != ""
	}
	for _, name := range names {
		if !found[name] {
			t.Fatalf("%s is not in the list", name)
		}
	}
}
