package influxd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/secret/vault/vaulttest"
)

// newTransit makes an engine and a key in Vault, and gives the mount and the flags by which it is reached.
func newTransit(t *testing.T, v *vaulttest.Server, dir string) (mount string, flags []string) {
	t.Helper()
	mount = v.Mount(t, map[string]any{"type": "transit"})
	transitDo(t, v, "POST", mount+"/keys/strongroom", nil)
	policy := ""
	for _, path := range []string{"encrypt", "decrypt"} {
		policy += `path "` + mount + "/" + path + `/strongroom" { capabilities = ["update"] }` + "\n"
	}
	policy += `path "` + mount + `/keys/strongroom" { capabilities = ["read"] }`
	file := writeFile(t, filepath.Join(dir, "token"), v.Token(t, policy, time.Hour))
	return mount, []string{"--vault-addr", v.Address, "--vault-token-file", file, "--vault-wait", "0",
		"--seal-transit-mount", mount}
}

func transitDo(t *testing.T, v *vaulttest.Server, method, path string, body any) {
	t.Helper()
	if status, answer := v.Do(t, method, path, body); status >= 300 {
		t.Fatalf("%s: %d %s", path, status, answer)
	}
}

// TestTransitOverAPI goes from a key file to a key in Vault and back while the server runs, and starts it in between.
func TestTransitOverAPI(t *testing.T) {
	v := vaulttest.Start(t)
	dir := t.TempDir()
	mount, flags := newTransit(t, v, dir)
	r := start(t, dir, flags...)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	change := func(body string, status int, out any) {
		t.Helper()
		r.call(t, "POST", "/api/v2/seal/change", token, body, status, out)
	}
	change(`{"type":"transit","transitKey":"none"}`, 422, nil)
	change(`{"type":"transit","transitKey":"strongroom","transitMount":"nothing"}`, 422, nil)
	change(`{"type":"transit","transitKey":"strongroom","keyFile":"/x"}`, 400, nil)
	if log := r.stderr.String(); !strings.Contains(log, mount+"/encrypt/none\\\" { capabilities") {
		t.Errorf("the log does not say what is missing: %s", log)
	}
	var status sealAnswer
	change(`{"type":"transit","transitKey":"strongroom"}`, 200, &status)
	if status.Seal.Type != "transit" || status.Seal.KeyID != mount+"/strongroom" ||
		!strings.Contains(status.Seal.Restart, "--seal transit") {
		t.Errorf("under a key in Vault: %+v", status)
	}
	r.end(t)

	if _, err := launch(t, dir, flags...); err == nil || !strings.Contains(err.Error(),
		"sealed by a transit (key "+mount+"/strongroom)") {
		t.Errorf("started with the key file: %v", err)
	}
	flags = append(flags, "--seal", "transit")
	if _, err := launch(t, dir, append(flags, "--seal-transit-key", "none")...); err == nil ||
		!strings.Contains(err.Error(), "--seal-transit-key") {
		t.Errorf("started with a missing key: %v", err)
	}
	transitDo(t, v, "POST", mount+"/keys/other", nil)
	if _, err := launch(t, dir, append(flags, "--seal-transit-key", "other")...); err == nil ||
		!strings.Contains(err.Error(), mount+"/strongroom") {
		t.Errorf("started with another key: %v", err)
	}
	flags = append(flags, "--seal-transit-key", "strongroom")
	r = start(t, dir, flags...)
	status = sealAnswer{}
	r.call(t, "GET", "/api/v2/seal", token, "", 200, &status)
	if status.Seal.Restart != "" {
		t.Errorf("started with the key in Vault: %+v", status)
	}

	// Vault's own rotation seals nothing anew; a new root key does, and the version before may then be forbidden.
	transitDo(t, v, "POST", mount+"/keys/strongroom/rotate", nil)
	change(`{}`, 200, nil)
	transitDo(t, v, "POST", mount+"/keys/strongroom/config", map[string]any{"min_decryption_version": 2})
	r.end(t)
	r = start(t, dir, flags...)
	transitDo(t, v, "POST", mount+"/keys/strongroom/rotate", nil)
	transitDo(t, v, "POST", mount+"/keys/strongroom/config", map[string]any{"min_decryption_version": 3})
	r.end(t)
	if _, err := launch(t, dir, flags...); err == nil || !strings.Contains(err.Error(), "min_decryption_version=2") {
		t.Errorf("started with a version that Vault does not decrypt with: %v", err)
	}
	transitDo(t, v, "POST", mount+"/keys/strongroom/config", map[string]any{"min_decryption_version": 2})
	r = start(t, dir, flags...)

	// With the root key in memory, nothing is asked of Vault: neither a value, nor new data keys.
	v.Seal(t)
	r.call(t, "PATCH", secrets, token, `{"hello":"world"}`, 204, nil)
	r.call(t, "POST", "/api/v2/seal/rotate", token, "", 202, nil)
	change(`{"type":"transit","transitKey":"strongroom"}`, 422, nil)
	if out, err := sealCommand(t, dir, append([]string{"status"}, flags...)...); err == nil ||
		!strings.Contains(err.Error(), "is sealed") {
		t.Errorf("the state while Vault is sealed: %v\n%s", err, out)
	}
	v.Unseal(t)
	if out, err := sealCommand(t, dir, append([]string{"status"}, flags...)...); err != nil ||
		!strings.Contains(out, "transit, key "+mount+"/strongroom") {
		t.Errorf("the state: %v\n%s", err, out)
	}
	change(`{"type":"key-file"}`, 200, nil)
	r.end(t)
	for _, o := range []*output{&r.stdout, &r.stderr} {
		if strings.Contains(o.String(), v.RootToken) {
			t.Error("the log holds the token")
		}
	}
	r = start(t, dir)
	var list struct{ Secrets []string }
	if r.call(t, "GET", secrets, token, "", 200, &list); strings.Join(list.Secrets, ",") != "foo,hello" {
		t.Errorf("after all that: %v", list.Secrets)
	}
}

// TestTransitCommands does it while no server runs, and with a Vault of the seal's own.
func TestTransitCommands(t *testing.T) {
	v := vaulttest.Start(t)
	dir := t.TempDir()
	mount, flags := newTransit(t, v, dir)
	token := filepath.Join(dir, "token")

	// A first start makes no key in Vault.
	own := []string{"--seal-transit-addr", v.Address, "--seal-transit-token-file", token, "--vault-wait", "0",
		"--seal-transit-mount", mount}
	if _, err := launch(t, dir, append(own, "--seal", "transit", "--seal-transit-key", "none")...); err == nil {
		t.Error("started with a key that is not there")
	}
	r := start(t, dir, append(own, "--seal", "transit", "--seal-transit-key", "strongroom")...)
	r.end(t)
	if _, err := os.Stat(filepath.Join(dir, "seal.key")); err == nil {
		t.Error("a key file was made beside the key in Vault")
	}
	own = append(own, "--seal", "transit", "--seal-transit-key", "strongroom")
	key := filepath.Join(dir, "new.key")
	for _, step := range []struct {
		args []string
		want string
	}{
		{append([]string{"status"}, own...), "transit, key " + mount + "/strongroom"},
		{append([]string{"change"}, own...), "transit"},
		{append([]string{"rotate"}, own...), "term 2"},
		{append([]string{"change", "--to", "key-file", "--key-file", key}, own...), key},
		{append([]string{"change", "--to", "transit", "--transit-key", "strongroom", "--seal-key-file", key}, flags...),
			"--seal transit --seal-transit-key strongroom --seal-transit-mount " + mount},
		{append([]string{"status", "--seal", "transit", "--seal-transit-key", "strongroom"}, flags...), "transit"},
	} {
		if out, err := sealCommand(t, dir, step.args...); err != nil || !strings.Contains(out, step.want) {
			t.Fatalf("%v: %v\n%s", step.args, err, out)
		}
	}
	transitDo(t, v, "POST", mount+"/keys/strongroom/config", map[string]any{"deletion_allowed": true})
	transitDo(t, v, "DELETE", mount+"/keys/strongroom", nil)
	if _, err := sealCommand(t, dir, append([]string{"status"}, own...)...); err == nil ||
		!strings.Contains(err.Error(), "is missing, and the data are sealed with it") ||
		!strings.Contains(err.Error(), "--seal-transit-key") {
		t.Errorf("a key that was deleted: %v", err)
	}
	transitDo(t, v, "POST", mount+"/keys/strongroom", nil)
	if _, err := sealCommand(t, dir, append([]string{"status"}, own...)...); err == nil ||
		!strings.Contains(err.Error(), "does not open: the transit key") ||
		!strings.Contains(err.Error(), "made again") {
		t.Errorf("another key of the name: %v", err)
	}
	must(t, os.WriteFile(token, []byte("nonsense"), 0o600))
	_, err := sealCommand(t, dir, append([]string{"status"}, own...)...)
	if err == nil || !strings.Contains(err.Error(), "--seal-transit-token-file") || strings.Contains(err.Error(),
		"nonsense") || strings.Contains(err.Error(), "--vault-token") {
		t.Errorf("a token that Vault refuses: %v", err)
	}
}

// TestTransitInVaultWithTLS has the key in a Vault whose authority only the seal's own setting knows.
func TestTransitInVaultWithTLS(t *testing.T) {
	authority, other := vaulttest.NewAuthority(t, "the seal's"), vaulttest.NewAuthority(t, "another")
	v := vaulttest.Start(t, vaulttest.WithTLS(t, authority, nil))
	dir := t.TempDir()
	mount, _ := newTransit(t, v, dir)
	flags := []string{"--seal", "transit", "--seal-transit-key", "strongroom", "--seal-transit-mount", mount,
		"--seal-transit-addr", v.Address, "--seal-transit-token-file", filepath.Join(dir, "token"), "--vault-wait", "0"}
	for name, wrong := range map[string][]string{
		"none":    nil,
		"another": {"--seal-transit-cacert", other.File(t, t.TempDir())},
	} {
		if _, err := launch(t, dir, append(flags, wrong...)...); err == nil ||
			!strings.Contains(err.Error(), "--seal-transit-cacert") || strings.Contains(err.Error(), "--vault-cacert") {
			t.Errorf("authority %s: %v", name, err)
		}
	}
	flags = append(flags, "--seal-transit-cacert", authority.File(t, dir))
	r := start(t, dir, flags...)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	r.end(t)
	r = start(t, dir, flags...)
	if got := r.keys(t, token, secrets); got != "[foo]" {
		t.Errorf("after a start anew: %s", got)
	}
	r.end(t)
}
