package influxd

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/secret/vault/vaulttest"
)

func TestVaultCannotBeReached(t *testing.T) {
	dir := t.TempDir()
	// Nothing listens on port 1.
	_, err := launch(t, dir, "--secret-store=vault", "--vault-addr=http://127.0.0.1:1", "--vault-token=sesame",
		"--vault-max-retries=0", "--vault-wait=0")
	if err == nil {
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), "http://127.0.0.1:1") || strings.ContainsAny(err.Error(), "\n") ||
		strings.Contains(err.Error(), "sesame") {
		t.Errorf("the message does not name the address, shows the token or is more than a line: %v", err)
	}
	// What had been opened is closed again.
	start(t, dir)
}

func TestVaultWithoutAToken(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "")
	t.Setenv("HOME", t.TempDir())
	_, err := launch(t, t.TempDir(), "--secret-store=vault", "--vault-addr="+vaulttest.Shared(t).Address)
	if err == nil || !strings.Contains(err.Error(), "--vault-token") {
		t.Errorf("error %v, want one that names --vault-token", err)
	}
}

// TestServerOverVault starts the real program over a real Vault.
func TestServerOverVault(t *testing.T) {
	v := vaulttest.Shared(t)
	dir := t.TempDir()
	flags := []string{"--secret-store=vault", "--vault-addr=" + v.Address, "--vault-token=" + v.RootToken}
	r := start(t, dir, flags...)
	if greeting := r.stdout.String(); !strings.Contains(greeting, "secrets are in Vault") {
		t.Errorf("it greets with:\n%s", greeting)
	}
	r.call(t, "GET", "/health", "", "", 200, nil)
	token, secrets := r.onboard(t)
	if got := r.keys(t, token, secrets); got != "[]" {
		t.Errorf("keys before any: %s", got)
	}
	r.call(t, "PATCH", secrets, token, `{"foo":"bar","hello":"world"}`, 204, nil)
	if got := r.keys(t, token, secrets); got != "[foo hello]" {
		t.Errorf("keys %s", got)
	}
	org := strings.Split(secrets, "/")[4]
	entry := v.Read(t, "secret", org)
	if diff := cmp.Diff(map[string]json.RawMessage{"foo": json.RawMessage(`"bar"`),
		"hello": json.RawMessage(`"world"`)}, entry.Data); diff != "" {
		t.Errorf("the entry in Vault (-want +got):\n%s", diff)
	}
	r.end(t)

	again := start(t, dir, flags...)
	again.call(t, "DELETE", secrets+"/foo", token, "", 204, nil)
	if got := again.keys(t, token, secrets); got != "[hello]" {
		t.Errorf("keys after a second start and a deletion %s", got)
	}
	for _, o := range []*output{&r.stdout, &r.stderr, &again.stdout, &again.stderr} {
		if strings.Contains(o.String(), v.RootToken) {
			t.Errorf("the server wrote Vault's token:\n%s", o.String())
		}
	}
}

// TestServerOverVaultWithHistory has the layout in which each secret is an entry: versions, who set them, what is
// deleted and what brings it back, through the API.
func TestServerOverVaultWithHistory(t *testing.T) {
	v := vaulttest.Shared(t)
	r := start(t, t.TempDir(), "--secret-store=vault", "--vault-addr="+v.Address, "--vault-token="+v.RootToken,
		"--vault-mount="+v.MountKV(t), "--vault-layout=secret")
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"db/password":"one","other":"x"}`, 204, nil)
	r.call(t, "PATCH", secrets, token, `{"db/password":"two"}`, 204, nil)
	r.call(t, "PUT", secrets+"/db%2Fpassword/description", token, `{"description":"of the database"}`, 204, nil)
	var info struct {
		Version     int
		Description string
		UpdatedBy   string
		Versions    []struct{ Version int }
	}
	r.call(t, "GET", secrets+"/db%2Fpassword", token, "", 200, &info)
	if info.Version != 2 || info.Description != "of the database" || info.UpdatedBy == "" || len(info.Versions) != 2 {
		t.Errorf("known of it: %+v", info)
	}
	r.call(t, "DELETE", secrets+"/db%2Fpassword", token, "", 204, nil)
	if got := r.keys(t, token, secrets); got != "[other]" {
		t.Errorf("keys %s", got)
	}
	var deleted struct{ Secrets []struct{ Key string } }
	r.call(t, "GET", strings.TrimSuffix(secrets, "secrets")+"deleted-secrets", token, "", 200, &deleted)
	if len(deleted.Secrets) != 1 || deleted.Secrets[0].Key != "db/password" {
		t.Errorf("deleted: %+v", deleted)
	}
	r.call(t, "POST", secrets+"/db%2Fpassword/restore", token, `{}`, 204, nil)
	if got := r.keys(t, token, secrets); got != "[db/password other]" {
		t.Errorf("keys %s", got)
	}
}
