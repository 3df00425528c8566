package kvclients

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/test/daemon"
)

// command is a folder with the real vault command, for PATH.
func command(t *testing.T) string {
	t.Helper()
	built := os.Getenv("STRONGROOM_TEST_VAULT_COMMAND")
	if built == "" {
		t.Fatal("set STRONGROOM_TEST_VAULT_COMMAND to the vault command (make test-modules builds it: .cache/bin/vault)")
	}
	dir := t.TempDir()
	must(t, os.Symlink(built, filepath.Join(dir, "vault")))
	return dir
}

// blocks are the examples of docs/vault-api.md below a heading, in a language.
func blocks(t *testing.T, heading, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "vault-api.md"))
	must(t, err)
	_, below, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/vault-api.md has no heading %q", heading)
	}
	below, _, _ = strings.Cut(below, "\n## ")
	var found []string
	for _, block := range strings.Split(below, "```"+language+"\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		found = append(found, block)
	}
	if len(found) == 0 {
		t.Fatalf("there is no example in %q below %q", language, heading)
	}
	return found
}

// shell types commands of the page as a user would.
type shell struct {
	*daemon.Daemon
	home, path string
	filled     *strings.Replacer // the page's placeholders
}

func (s shell) command(t *testing.T, ctx context.Context, text string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-eu")
	cmd.Dir = s.home
	cmd.Env = append([]string{"HOME=" + s.home, "PATH=" + s.path + ":" + os.Getenv("PATH"), "VAULT_ADDR=" + s.URL}, env...)
	cmd.Stdin = strings.NewReader(text)
	return cmd
}

// types runs a block line by line. What stands below a line as a comment must be a part of what it prints, whatever
// the number of spaces.
func (s shell) types(t *testing.T, block string, env ...string) {
	t.Helper()
	var exports, line string
	var printed string
	for l := range strings.SplitSeq(s.filled.Replace(strings.TrimSpace(block)), "\n") {
		if want, ok := strings.CutPrefix(l, "# "); ok {
			if !strings.Contains(" "+strings.Join(strings.Fields(printed), " "), strings.Join(strings.Fields(want), " ")) {
				t.Errorf("%s\nprints %s\nnot %s", line, printed, want)
			}
			continue
		}
		line = l
		if strings.HasPrefix(l, "export ") {
			exports += l + "\n"
			continue
		}
		out, err := s.command(t, t.Context(), exports+l+"\n", env...).CombinedOutput()
		if printed = string(out); err != nil {
			t.Fatalf("%s\n%v\n%s", l, err, out)
		}
	}
}

// TestVaultCommand types what the page shows of the vault command.
func TestVaultCommand(t *testing.T) {
	d := daemon.Start(t)
	token := d.VaultToken(t, false)
	s := shell{d, t.TempDir(), command(t), strings.NewReplacer("http://localhost:9999", d.URL, "my-org", "acme", "…",
		token)}
	all := blocks(t, "The vault command", "sh")
	if len(all) != 3 {
		t.Fatalf("the page has %d blocks about the command, and 3 are tried", len(all))
	}
	s.types(t, all[0])
	if keys := d.Keys(t); !slices.Equal(keys, []string{"other"}) {
		t.Errorf("after it there are %v", keys)
	}

	login, rest, _ := strings.Cut(all[1], "\n")
	// Without a terminal to ask for the token on, it is read where "-" stands.
	if out, err := s.command(t, t.Context(), login+" - >/dev/null <<'END'\n"+token+
		"\nEND\n").CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", login, err, out)
	}
	if b, err := os.ReadFile(filepath.Join(s.home, ".vault-token")); err != nil || string(b) != token {
		t.Errorf("~/.vault-token has %q, %v", b, err)
	}
	s.types(t, rest)

	out, err := s.command(t, t.Context(), "vault token create -ttl=1h -field=token").Output()
	must(t, err)
	child := "VAULT_TOKEN=" + string(out)
	s.types(t, all[2], child)
	if out, err := s.command(t, t.Context(), "vault token lookup", child).CombinedOutput(); err == nil {
		t.Errorf("a token that was revoked is looked up:\n%s", out)
	}
}

// TestRoles makes a role as the page shows, and logs in by it.
func TestRoles(t *testing.T) {
	d := daemon.Start(t)
	d.Set(t, map[string]string{"db/password": "p", "others": "o"})
	s := shell{d, t.TempDir(), command(t), strings.NewReplacer("<org-id>", d.OrgID)}
	var printed []string
	for line := range strings.SplitSeq(strings.TrimSpace(blocks(t, "Logging in by a role", "sh")[0]), "\n") {
		out, err := s.command(t, t.Context(), s.filled.Replace(line), "VAULT_TOKEN="+d.Token).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		printed = append(printed, strings.TrimSpace(string(out)))
	}
	token, err := s.command(t, t.Context(), "vault write -field=token auth/approle/login role_id="+printed[1]+
		" secret_id="+printed[2]).Output()
	must(t, err)
	for path, want := range map[string]bool{"secret/acme/db/password": true, "secret/acme/others": false} {
		out, err := s.command(t, t.Context(), "vault kv get -field=value "+path, "VAULT_TOKEN="+string(token)).CombinedOutput()
		if (err == nil) != want {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
}

// TestVaultCommandErrors: what is wrong is told as by Vault, and ends the command with the same code.
func TestVaultCommandErrors(t *testing.T) {
	d := daemon.Start(t)
	d.Set(t, map[string]string{"a": "1"})
	s := shell{d, t.TempDir(), command(t), nil}
	narrow := d.VaultToken(t, false)
	for _, c := range []struct {
		line, token string
		code        int
		says        string
	}{
		{"vault kv get secret/acme/none", narrow, 2, "No value found at secret/data/acme/none"},
		{"vault kv list secret/acme/none", narrow, 2, "No value found at secret/metadata/acme/none"},
		{"vault kv get secret/elsewhere/a", narrow, 2, "permission denied"},
		{"vault kv get other/acme/a", narrow, 2, "preflight capability check returned 403"},
		{"vault kv get secret/acme/a", "wrong", 2, "permission denied"},
		{"vault kv put -cas=7 secret/acme/a value=2", narrow, 2, "check-and-set parameter did not match the current version"},
		{"vault kv put -cas=0 secret/acme a=2", narrow, 2, "check-and-set parameter did not match the current version"},
		{"vault kv patch secret/acme/none value=2", narrow, 2, "Code: 404"},
		{"vault kv put secret/acme/a @missing.json", narrow, 1, "no such file"},
		{"vault kv destroy -versions=9 secret/acme/a", narrow, 0, "Success"},
		{"vault token renew", narrow, 2, "lease is not renewable"},
		{"vault kv metadata put -max-versions=5 secret/acme/a", narrow, 2, "--secret-history"},
	} {
		cmd := s.command(t, t.Context(), c.line, "VAULT_TOKEN="+c.token)
		out, err := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %v, code %d, not %d with %q:\n%s", c.line, err, code, c.code, c.says, out)
		}
	}
	if keys := d.Keys(t); !slices.Equal(keys, []string{"a"}) {
		t.Errorf("after it there are %v", keys)
	}
	out, err := s.command(t, t.Context(), "vault status").CombinedOutput()
	if err != nil || !strings.Contains(strings.Join(strings.Fields(string(out)), " "), "Sealed false") {
		t.Errorf("vault status: %v\n%s", err, out)
	}
}

// TestVaultAgent runs the agent as the page shows: it logs in with a secret ID that is wrapped, renders a template, and
// renders it again, with a token that it has renewed, when the secret has changed.
func TestVaultAgent(t *testing.T) {
	d := daemon.Start(t, "--vault-api-refresh", "1s")
	d.Set(t, map[string]string{"db/password": "first", "others": "not for the agent"})
	role, err := json.Marshal(map[string]any{"token_policies": []string{"use:orgs/" + d.OrgID + "/secrets/db/*"},
		"token_ttl": "4s", "token_max_ttl": "10m"})
	must(t, err)
	const at = "auth/approle/role/agent"
	d.Vault(t, d.Token, "POST", at, string(role), nil)
	var roleID struct {
		Data struct {
			ID string `json:"role_id"`
		}
	}
	d.Vault(t, d.Token, "GET", at+"/role-id", "", &roleID)

	s := shell{d, t.TempDir(), command(t), strings.NewReplacer("http://localhost:9999", d.URL, "my-org", "acme")}
	wrapped, err := s.command(t, t.Context(), "vault write -wrap-ttl=10m -field=wrapping_token -f "+at+"/secret-id",
		"VAULT_TOKEN="+d.Token).Output()
	must(t, err)
	conf := s.filled.Replace(blocks(t, "Vault Agent", "hcl")[0])
	conf = strings.Replace(conf, "config = {", "config = {\nsecret_id_response_wrapping_path = \""+at+"/secret-id\"", 1)
	for name, text := range map[string]string{"agent.hcl": conf, "role-id": roleID.Data.ID, "secret-id": string(wrapped),
		"in.tpl": s.filled.Replace(blocks(t, "consul-template", "")[0])} {
		must(t, os.WriteFile(filepath.Join(s.home, name), []byte(text), 0o600))
	}
	ctx, stop := context.WithCancel(t.Context())
	var said strings.Builder
	agent := s.command(t, ctx, "exec "+blocks(t, "Vault Agent", "sh")[0])
	agent.Stdout, agent.Stderr = &said, &said
	must(t, agent.Start())
	ended := make(chan error, 1)
	go func() { ended <- agent.Wait() }()
	finish := func() string {
		stop()
		<-ended
		return said.String()
	}
	defer finish()
	rendered := func(want string) {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			b, err := os.ReadFile(filepath.Join(s.home, "out"))
			if err == nil && strings.TrimSpace(string(b)) == want {
				return
			}
			if err != nil && !os.IsNotExist(err) || time.Now().After(end) {
				t.Fatalf("it has rendered %q, %v, not %q\n%s", b, err, want, finish())
			}
		}
	}
	rendered("first")
	token, err := os.ReadFile(filepath.Join(s.home, "token"))
	must(t, err)
	// What its token was made for has passed: without a renewal it is good for nothing.
	time.Sleep(5 * time.Second)
	d.Set(t, map[string]string{"db/password": "second"})
	rendered("second")
	if now, err := os.ReadFile(filepath.Join(s.home, "token")); err != nil || string(now) != string(token) {
		t.Errorf("the agent has logged in anew, and not renewed its token (%v)", err)
	}
	// Nobody unwraps it again.
	if out, err := s.command(t, t.Context(), "vault unwrap "+string(wrapped)).CombinedOutput(); err == nil {
		t.Errorf("it is unwrapped twice:\n%s", out)
	}
}
