package parts

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"strongroom/internal/id"
	"strongroom/internal/influxd/config"
	"strongroom/internal/secret/vault"
	"strongroom/internal/secret/vault/login"
)

// settings is a configuration of the flags alone.
func settings(t *testing.T, flags ...string) *config.Config {
	t.Helper()
	args, err := config.ParseArgs(flags)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(args, []string{"HOME=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestVaultSettingsReachTheStore sets every --vault-* flag; that each acts is the store's own test.
func TestVaultSettingsReachTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	log := slog.New(slog.DiscardHandler)
	got, err := VaultConfig(settings(t, "--secret-store=vault", "--vault-addr=https://vault.example.com",
		"--vault-token=t", "--vault-client-timeout=7s", "--vault-max-retries=0", "--vault-cacert="+path+"1",
		"--vault-capath="+path+"2", "--vault-wait=3s", "--vault-client-cert="+path+"3", "--vault-client-key="+path+"4",
		"--vault-skip-verify=false", "--vault-tls-server-name=n", "--vault-token-file="+path+"5",
		"--vault-auth-method=approle", "--vault-auth-mount=m", "--vault-auth-role=r", "--vault-auth-role-id=ri",
		"--vault-auth-role-id-file="+path+"6", "--vault-auth-secret-id=si", "--vault-auth-secret-id-file="+path+"7",
		"--vault-auth-jwt-file="+path+"8", "--vault-auth-username=u", "--vault-auth-password-file="+path+"9",
		"--vault-mount=m", "--vault-path=p/{org}", "--vault-namespace=n", "--vault-layout=secret",
		"--vault-read-only=true", "--vault-cache-ttl=6s", "--vault-cache-stale=1h",
		"--vault-routes=031c8cbefe101000 mount=r,031c8cbefe101001 read-only"), log)
	if err != nil {
		t.Fatal(err)
	}
	timeout, retries, skip := 7*time.Second, 0, false
	want := vault.Config{
		Address: "https://vault.example.com", Token: "t", ClientTimeout: &timeout, MaxRetries: &retries,
		CACert: path + "1", CAPath: path + "2", ClientCert: path + "3", ClientKey: path + "4", SkipVerify: &skip,
		TLSServerName: "n", Wait: 3 * time.Second, Logger: log, Login: login.Config{
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
