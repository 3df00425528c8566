package influxd

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestQuota is told over both APIs, in the form of each, and what was there before counts.
func TestQuota(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"a":"1"}`, 204, nil)
	r.end(t)
	r = start(t, dir, "--max-org-secrets=2", "--max-org-bytes=64KiB")
	r.call(t, "PATCH", secrets, token, `{"b":"1"}`, 204, nil)
	var refused struct{ Code, Message string }
	r.call(t, "PATCH", secrets, token, `{"c":"1"}`, 422, &refused)
	if refused.Code != "unprocessable entity" || !strings.Contains(refused.Message, "at most 2 are allowed") {
		t.Errorf("%+v", refused)
	}
	var told struct{ Errors []string }
	path := strings.NewReplacer("/api/v2/orgs", "/v1/secret/data", "/secrets", "/c").Replace(secrets)
	r.call(t, "POST", path, token, `{"data":{"value":"1"}}`, 400, &told)
	if len(told.Errors) != 1 || !strings.Contains(told.Errors[0], "--max-org-secrets") {
		t.Errorf("%+v", told)
	}
	r.call(t, "PATCH", secrets, token, `{"a":"`+strings.Repeat("v", 65<<10)+`"}`, 422, nil)
	r.call(t, "PATCH", secrets, token, `{"a":"2"}`, 204, nil)
	// What Vault's clients note counts for the bytes, and leaves no room for values.
	notes := strings.NewReplacer("/api/v2/orgs", "/v1/secret/metadata", "/secrets", "/n").Replace(secrets)
	custom := make([]string, 60)
	for i := range custom {
		custom[i] = fmt.Sprintf("%q:%q", fmt.Sprint(i), strings.Repeat("n", 500))
	}
	noted := `{"custom_metadata":{` + strings.Join(custom, ",") + `}}`
	r.call(t, "POST", notes+"0", token, noted, 204, nil)
	r.call(t, "POST", notes+"1", token, noted, 204, nil)
	told.Errors = nil
	r.call(t, "POST", notes+"2", token, noted, 400, &told)
	if len(told.Errors) != 1 || !strings.Contains(told.Errors[0], "--max-org-bytes") {
		t.Errorf("%+v", told)
	}
	r.call(t, "PATCH", secrets, token, `{"a":"`+strings.Repeat("v", 10<<10)+`"}`, 422, nil)
	var usage struct{ Secrets, MaxSecrets, Bytes, MaxBytes int }
	r.call(t, "GET", strings.TrimSuffix(secrets, "secrets")+"secret-usage", token, "", 200, &usage)
	if usage.Secrets != 2 || usage.MaxSecrets != 2 || usage.Bytes < 30_000 || usage.Bytes > 64<<10 ||
		usage.MaxBytes != 64<<10 {
		t.Errorf("%+v", usage)
	}
	quotaOnPage(t, r, secrets)
	r.end(t)
	if _, err := launch(t, dir, "--max-org-bytes=-1"); err == nil || !strings.Contains(err.Error(), "max-org-bytes") {
		t.Errorf("a negative quota: %v", err)
	}
}

// quotaOnPage looks at the page of the organization, and imports and copies what there is no room for.
func quotaOnPage(t *testing.T, r *running, secrets string) {
	t.Helper()
	v := &victim{running: r, client: http.DefaultClient}
	session := v.session(t)
	org := "/orgs/" + strings.Split(secrets, "/")[4]
	ask := func(path string, form url.Values) (status int, page string) {
		method := "GET"
		if form != nil {
			method = "POST"
		}
		req, err := http.NewRequest(method, r.url+path, strings.NewReader(form.Encode()))
		must(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Cookie", session)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		must(t, err)
		return res.StatusCode, string(b)
	}
	if status, page := ask(org, nil); status != 200 || !strings.Contains(page, "2 of 2 secrets") ||
		!strings.Contains(page, "of 64.0 KiB") {
		t.Errorf("the page of the organization: %d %s", status, page)
	}
	for path, form := range map[string]url.Values{
		"/secrets/import": {"value": {"x=1"}, "do": {"import"}},
		"/secret/copy":    {"key": {"a"}, "to": {"copied"}, "do": {"copy"}, "org": {strings.TrimPrefix(org, "/orgs/")}},
	} {
		if status, page := ask(org+path, form); status != 422 || !strings.Contains(page, "Delete some that nobody needs first") {
			t.Errorf("%s: %d %s", path, status, page)
		}
	}
}
