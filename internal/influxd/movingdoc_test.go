package influxd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"strongroom/internal/influxd/command"
	"strongroom/internal/secret/vault/vaulttest"
)

// TestMovingAsDocumented types every line for influxd of docs/moving.md, in their order, as somebody does who takes
// over an InfluxDB, moves its secrets to a real Vault, converts them, and takes them to a file and back.
func TestMovingAsDocumented(t *testing.T) {
	doc := string(readFile(t, "../../docs/moving.md"))
	var lines []string
	for line := range strings.Lines(doc) {
		if typed, ok := strings.CutPrefix(strings.TrimSpace(line), "influxd "); ok && strings.HasPrefix(line, "    ") {
			lines = append(lines, typed)
		}
	}
	v := vaulttest.Shared(t)
	sample, _ := sampleDB(t)
	key, err := age.GenerateX25519Identity()
	must(t, err)
	fix := strings.NewReplacer("~/.influxdbv2/influxd.bolt", sample, "age1…", key.Recipient().String())
	dir := t.TempDir()
	t.Chdir(dir)
	must(t, os.WriteFile("passphrase", []byte("a long enough phrase\n"), 0o600))
	must(t, os.WriteFile("key.txt", []byte(key.String()+"\n"), 0o600))
	t.Setenv("VAULT_ADDR", v.Address)
	t.Setenv("VAULT_TOKEN", v.RootToken)
	env := append(os.Environ(), "HOME=/nowhere", "INFLUXD_BOLT_PATH="+filepath.Join(dir, "data", "influxd.bolt"),
		"INFLUXD_VAULT_MOUNT="+v.MountKV(t))
	// What each line is to say; the settings that somebody has changed by then, as the page tells to.
	const inVault, anEach = "INFLUXD_SECRET_STORE=vault", "INFLUXD_VAULT_LAYOUT=secret"
	script := []struct {
		line, says string
		settings   []string
	}{
		{"import --influxdb ~/.influxdbv2/influxd.bolt --dry-run", "Nothing was changed", nil},
		{"import --influxdb ~/.influxdbv2/influxd.bolt", "secret         27", nil},
		{"--http-bind-address :8086", "", nil}, // the server, which other tests start
		{"secrets copy --from bolt --to vault --dry-run", "secret  27", nil},
		{"secrets copy --from bolt --to vault", "secret  27", nil},
		{"secrets copy --from bolt --to vault --delete-source", ": 27; changed there meanwhile, and kept: 0", nil},
		{"secrets relayout --to secret --all --dry-run", "secret  27", []string{inVault}},
		{"secrets relayout --to secret --all", "secret  27", []string{inVault}},
		{"secrets relayout --to secret --all --delete-source", ": 27; changed there meanwhile, and kept: 0",
			[]string{inVault, anEach}},
		{"secrets export --out secrets.age --recipient age1…", "Exported 27 secrets of vault to secrets.age",
			[]string{inVault, anEach}},
		{"secrets export --out secrets.age --passphrase-file passphrase", "Exported 27 secrets",
			[]string{inVault, anEach}},
		{"secrets import --file secrets.age --identity-file key.txt", "secret  0        27", []string{inVault, anEach}},
	}
	if len(lines) != len(script) {
		t.Fatalf("the page has %d lines for influxd, and %d are known here:\n%s", len(lines), len(script),
			strings.Join(lines, "\n"))
	}
	for i, step := range script {
		if lines[i] != step.line {
			t.Fatalf("line %d of the page is %q, where %q is expected", i+1, lines[i], step.line)
		}
		if step.says == "" {
			continue
		}
		if strings.Contains(step.line, "--passphrase-file") { // the other of two ways
			must(t, os.Rename("secrets.age", "by-recipient.age"))
		}
		if strings.HasPrefix(step.line, "secrets import") {
			must(t, os.Rename("by-recipient.age", "secrets.age"))
		}
		var out, problems output
		err := Run(t.Context(), command.Process{
			Args: strings.Fields(fix.Replace(step.line)), Env: append(env, step.settings...), Stdout: &out,
			Stderr: &problems,
		})
		if err != nil || !strings.Contains(out.String(), step.says) {
			t.Fatalf("influxd %s: %v\n%s%s", step.line, err, out.String(), problems.String())
		}
	}
}
