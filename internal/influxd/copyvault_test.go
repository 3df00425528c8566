package influxd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/secret/vault/vaulttest"
)

// TestCopyToVaultAndBack copies to a real Vault while the server runs, deletes from the embedded
// store, and copies back.
func TestCopyToVaultAndBack(t *testing.T) {
	v := vaulttest.Shared(t)
	sample, want := sampleDB(t)
	dir := t.TempDir()
	_, _, err := influxdOn(t, dir, "import", "--influxdb", sample)
	must(t, err)
	flags := []string{"--vault-addr", v.Address, "--vault-token", v.RootToken, "--vault-mount", v.MountKV(t)}
	run := func(args ...string) string {
		t.Helper()
		out, problems, err := influxdOn(t, dir, append(append([]string{"secrets", "copy"}, args...), flags...)...)
		must(t, err)
		if strings.Contains(out+problems, v.RootToken) {
			t.Error("Vault's token is shown")
		}
		return out
	}
	s := start(t, dir)
	if out := run("--from", "bolt", "--to", "vault"); !strings.Contains(out, "secret  27") {
		t.Errorf("to Vault:\n%s", out)
	}
	s.end(t)
	if out := run("--from", "bolt", "--to", "vault", "--delete-source"); !strings.Contains(out,
		"secret  0        0         0        27") {
		t.Errorf("again, with deletion:\n%s", out)
	}
	if got := storedSecrets(t, dir, want); len(got) > 0 {
		t.Errorf("%d organisations are left in the source", len(got))
	}
	run("--from", "vault", "--to", "bolt")
	if diff := cmp.Diff(want.Secrets, storedSecrets(t, dir, want)); diff != "" {
		t.Errorf("back again (-want +got):\n%s", diff)
	}
}
