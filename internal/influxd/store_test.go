package influxd

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"strongroom/internal/id"
	"strongroom/internal/secret/vault"
	"strongroom/internal/secret/vault/login"
	"strongroom/internal/secret/vault/vaulttest"
)

func TestVaultCannotBeReached(t *testing.T) {
	dir := t.TempDir()
	// Nothing listens on port 1.
	_, err := launch(t, dir, "--secret-store=vault", "--vault-addr=http://127.0.0.1:1", "--vault-token=sesame", "--vault-max-retries=0", "--vault-wait=0")
	if err == nil {
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), "http://127.0.0.1:1") || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "sesame") {
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

// TestVaultSettingsReachTheStore sets every --vault-* flag; that each acts is the store's own test.
func TestVaultSettingsReachTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	log := slog.New(slog.DiscardHandler)
	got, err := vaultConfig(settings(t, "--secret-store=vault", "--vault-addr=https://vault.example.com", "--vault-token=t",
		"--vault-client-timeout=7s", "--vault-max-retries=0", "--vault-cacert="+path+"1", "--vault-capath="+path+"2",
		"--vault-wait=3s", "--vault-client-cert="+path+"3", "--vault-client-key="+path+"4", "--vault-skip-verify=false", "--vault-tls-server-name=n",
		"--vault-token-file="+path+"5", "--vault-auth-method=approle", "--vault-auth-mount=m", "--vault-auth-role=r", "--vault-auth-role-id=ri", "--vault-auth-role-id-file="+path+"6",
		"--vault-auth-secret-id=si", "--vault-auth-secret-id-file="+path+"7", "--vault-auth-jwt-file="+path+"8", "--vault-auth-username=u", "--vault-auth-password-file="+path+"9",
		"--vault-mount=m", "--vault-path=p/{org}", "--vault-namespace=n", "--vault-layout=secret", "--vault-read-only=true", "--vault-cache-ttl=6s", "--vault-cache-stale=1h", "--vault-routes=031c8cbefe101000 mount=r,031c8cbefe101001 read-only"), log)
	if err != nil {
		t.Fatal(err)
	}
	timeout, retries, skip := 7*time.Second, 0, false
	want := vault.Config{
		Address: "https://vault.example.com", Token: "t", ClientTimeout: &timeout, MaxRetries: &retries, CACert: path + "1", CAPath: path + "2",
		ClientCert: path + "3", ClientKey: path + "4", SkipVerify: &skip, TLSServerName: "n", Wait: 3 * time.Second, Logger: log,
		Login: login.Config{
			TokenFile: path + "5", Method: "approle", Mount: "m", Role: "r", RoleID: "ri", RoleIDFile: path + "6",
			SecretID: "si", SecretIDFile: path + "7", JWTFile: path + "8", Username: "u", PasswordFile: path + "9",
		},
		CacheTTL: 6 * time.Second, CacheStale: time.Hour,
		Place:  vault.Place{Mount: "m", Path: "p/{org}", Namespace: "n", ReadOnly: true, Layout: vault.LayoutSecret},
		Routes: map[id.ID]vault.Place{0x031c8cbefe101000: {Mount: "r"}, 0x031c8cbefe101001: {ReadOnly: true}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(log)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
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
	if diff := cmp.Diff(map[string]json.RawMessage{"foo": json.RawMessage(`"bar"`), "hello": json.RawMessage(`"world"`)}, entry.Data); diff != "" {
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

// TestServerOverVaultWithHistory has the layout in which each secret is an entry: versions, who set them, what is deleted and
// what brings it back, through the API.
func TestServerOverVaultWithHistory(t *testing.T) {
	v := vaulttest.Shared(t)
	r := start(t, t.TempDir(), "--secret-store=vault", "--vault-addr="+v.Address, "--vault-token="+v.RootToken, "--vault-mount="+v.MountKV(t), "--vault-layout=secret")
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
