package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

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
	if answer.Links["next"] != "" {
		t.Errorf("all of them have a next page, %s", answer.Links["next"])
	}
	walkPages(t, server.URL, token, "/api/v2/orgs/"+org.String()+"/deleted-secrets", names)
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

// TestPagesOfInfos asks for all that is known of secrets in pages, by keys that a link must escape, and for those alone
// that are due, of which there are few.
func TestPagesOfInfos(t *testing.T) {
	a, token, org := newAPI(t)
	set := make(map[string]secret.Value)
	var names []string
	for n := range 1210 {
		name := fmt.Sprintf("a&b=%04d/é +%%", n)
		names = append(names, name)
		set[name] = secret.NewValue([]byte("value"))
	}
	_, err := a.store.Apply(t.Context(), org, secret.Change{Set: set})
	must(t, err)
	var due []string
	for n := 0; n < len(names); n += 301 {
		due = append(due, names[n])
		must(t, a.store.Describe(t.Context(), org, names[n], secret.Description{
			Expires: time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC)}))
	}
	server := httptest.NewServer(a)
	defer server.Close()
	path := "/api/v2/orgs/" + org.String() + "/secret-infos"
	walkPages(t, server.URL, token, path, names)
	walkPages(t, server.URL, token, path+"?expiringBefore=2030-02-01T00:00:00Z", due)
	walkPages(t, server.URL, token, path+"?expiringBefore=2029-02-01T00:00:00Z", nil)
}

// walkPages follows the links of a list, in pages of several sizes, to its end.
func walkPages(t *testing.T, server, token, path string, want []string) {
	t.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	for _, limit := range []int{99, max(len(want), 1), 1_000_000_000} {
		var got []string
		for next := fmt.Sprintf("%s%slimit=%d", path, sep, limit); next != ""; {
			var answer struct {
				Links   map[string]string
				Secrets []struct{ Key string }
			}
			req, err := http.NewRequestWithContext(t.Context(), "GET", server+next, http.NoBody)
			must(t, err)
			req.Header.Set("Authorization", "Token "+token)
			res, err := http.DefaultClient.Do(req)
			must(t, err)
			must(t, json.NewDecoder(res.Body).Decode(&answer))
			must(t, res.Body.Close())
			if res.StatusCode != 200 || len(answer.Secrets) > limit {
				t.Fatalf("%s: %s with %d secrets", next, res.Status, len(answer.Secrets))
			}
			for _, s := range answer.Secrets {
				got = append(got, s.Key)
			}
			next = answer.Links["next"]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s, %d at a time: %d secrets, want %d", path, limit, len(got), len(want))
		}
	}
}
