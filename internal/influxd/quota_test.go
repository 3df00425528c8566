package influxd

import (
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
	r.end(t)
	if _, err := launch(t, dir, "--max-org-bytes=-1"); err == nil || !strings.Contains(err.Error(), "max-org-bytes") {
		t.Errorf("a negative quota: %v", err)
	}
}
