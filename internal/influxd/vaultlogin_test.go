package influxd

import (
	"bytes"
	"strings"
	"testing"

	"strongroom/internal/influxd/command"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestServerLogsInToVault runs the real program as docs/vault.md says: the policy that vault check prints, and AppRole.
func TestServerLogsInToVault(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.MountKV(t)
	settings := []string{"--secret-store=vault", "--vault-addr=" + v.Address, "--vault-mount=" + mount,
		"--vault-path=db/{orgName}"}

	var out bytes.Buffer
	check := func(more ...string) error {
		out.Reset()
		return Run(t.Context(), command.Process{Args: append(append([]string{"vault", "check"}, settings...), more...),
			Env: []string{"HOME=" + t.TempDir()}, Stdout: &out, Stderr: &out})
	}
	if err := check("--vault-token=" + v.RootToken); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	_, policy, ok := strings.Cut(out.String(), "serves all of it:\n")
	if !ok {
		t.Fatalf("no policy in:\n%s", &out)
	}
	at := v.EnableAuth(t, "approle")
	roleID, secretID := v.AppRole(t, at, map[string]any{"token_policies": v.WritePolicy(t, policy), "token_ttl": "1h"})
	settings = append(settings, "--vault-auth-method=approle", "--vault-auth-mount="+at, "--vault-auth-role-id="+roleID,
		"--vault-auth-secret-id-file="+vaulttest.File(t, "secret-id", secretID))
	if err := check(); err != nil || strings.Contains(out.String(), "MISSING") ||
		strings.Contains(out.String(), secretID) {
		t.Fatalf("%v\n%s", err, &out)
	}

	r := start(t, t.TempDir(), settings...)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	r.call(t, "PATCH", secrets, token, `{"hello":"world"}`, 204, nil)
	if got := r.keys(t, token, secrets); got != "[foo hello]" {
		t.Errorf("keys %s", got)
	}
	var health struct {
		Checks []struct{ Name, Status, Message string }
	}
	r.call(t, "GET", "/health", "", "", 200, &health)
	if len(health.Checks) < 2 || health.Checks[1].Name != "vault-token" || !strings.Contains(health.Checks[1].Message,
		"renewed in time") {
		t.Errorf("health %+v", health)
	}
	if strings.Contains(r.stderr.String(), secretID) || strings.Contains(r.stdout.String(), secretID) {
		t.Error("the server wrote the secret ID")
	}
}
