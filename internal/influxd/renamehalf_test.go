package influxd

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"strongroom/internal/secret/vault/vaulttest"
)

// TestRenameHalfWay renames secrets in a Vault where each is an entry of its own, and has Vault refuse all writes from
// the first on, from the second on, and so on, until a rename is not cut short any more. No value is lost; and where
// something is under both names then, whoever renamed is told so, and what to do.
func TestRenameHalfWay(t *testing.T) {
	v := vaulttest.Shared(t)
	at, err := url.Parse(v.Address)
	must(t, err)
	const healed = 1 << 30
	var left atomic.Int64 // writes that Vault takes yet
	left.Store(healed)
	vault := httputil.NewSingleHostReverseProxy(at)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == "LIST" || strings.HasPrefix(r.URL.Path, "/v1/sys/")
		if !reads && left.Add(-1) < 0 {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"errors":["1 error occurred:\n\t* permission denied\n\n"]}`))
			return
		}
		vault.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	r := start(t, t.TempDir(), "--secret-store=vault", "--vault-addr", front.URL, "--vault-token", v.RootToken,
		"--vault-mount", v.MountKV(t), "--vault-path", "team/{orgName}", "--vault-layout", "secret")
	token, secrets := r.onboard(t)
	org := strings.Split(secrets, "/")[4]
	var agent struct{ Token string }
	r.call(t, "POST", "/api/v2/authorizations", token, fmt.Sprintf(`{"orgID":%q,"permissions":[{"action":"use",`+
		`"resource":{"type":"secrets","orgID":%[1]q}}]}`, org), 201, &agent)
	session := (&victim{running: r, client: http.DefaultClient}).session(t)
	rename := func(from, to string) (int, string) {
		form := url.Values{"key": {from}, "to": {to}, "org": {org}, "do": {"move"}}
		req, err := http.NewRequestWithContext(t.Context(), "POST", r.url+"/orgs/"+org+"/secret/copy",
			strings.NewReader(form.Encode()))
		must(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Cookie", session)
		res, err := http.DefaultTransport.RoundTrip(req)
		must(t, err)
		defer res.Body.Close()
		page, err := io.ReadAll(res.Body)
		must(t, err)
		return res.StatusCode, html.UnescapeString(string(page))
	}
	both := 0
	for n := 0; ; n++ {
		from, to := fmt.Sprintf("from-%d", n), fmt.Sprintf("to-%d", n)
		for _, value := range []string{"1", "2", "3"} {
			r.call(t, "PATCH", secrets, token, fmt.Sprintf(`{%q:%q}`, from, value), 204, nil)
		}
		left.Store(int64(n))
		status, page := rename(from, to)
		left.Store(healed)
		var all map[string]string
		r.call(t, "GET", strings.TrimSuffix(secrets, "secrets")+"secret-values", agent.Token, "", 200, &all)
		old, stays := all[from]
		moved, comes := all[to]
		if !stays && moved != "3" || stays && old != "3" {
			t.Errorf("after %d writes there are %q and %q", n, old, moved)
		}
		told := strings.Contains(page, fmt.Sprintf("%q has ", to))
		switch {
		case status == http.StatusSeeOther && stays:
			t.Errorf("after %d writes it is said to be moved, and is there", n)
		case status != http.StatusSeeOther && stays && comes && !told:
			t.Errorf("after %d writes nobody is told that something is under both names: %d, %s", n, status, page)
		case status != http.StatusSeeOther && stays && !comes && told:
			t.Errorf("after %d writes something is said to be under a name that there is not: %d, %s", n, status, page)
		}
		if stays && comes {
			both++
		}
		if status == http.StatusSeeOther {
			break
		}
		if n == 50 {
			t.Fatal("it never ends well")
		}
	}
	if both == 0 {
		t.Error("no rename was cut short half-way")
	}
}
