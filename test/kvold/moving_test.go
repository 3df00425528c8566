package kvold

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"strongroom/test/daemon"
)

// file is what a real InfluxDB has in its influxd.bolt.
type file struct {
	OperatorToken string `json:"operator_token"`
	Orgs          []struct{ Name, ID string }
	Secrets       map[string]map[string]string
}

// home is a home folder with an InfluxDB's file, in which the page's commands are typed.
type home struct {
	dir string
	file
	commands []string // of the page, below "InfluxDB"
}

func newHome(t *testing.T) home {
	t.Helper()
	const data = "../../internal/influxdb/testdata/influxd"
	h := home{dir: t.TempDir()}
	packed, err := os.Open(data + ".bolt.gz")
	must(t, err)
	defer packed.Close()
	in, err := gzip.NewReader(packed)
	must(t, err)
	must(t, os.Mkdir(filepath.Join(h.dir, ".influxdbv2"), 0o700))
	out, err := os.Create(filepath.Join(h.dir, ".influxdbv2", "influxd.bolt"))
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, err)
	must(t, out.Close())
	b, err := os.ReadFile(data + ".json")
	must(t, err)
	must(t, json.Unmarshal(b, &h.file))

	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "vault-api.md"))
	must(t, err)
	_, below, _ := strings.Cut(string(page), "\n## InfluxDB\n")
	below, _, _ = strings.Cut(below, "\n## ")
	for _, block := range strings.Split(below, "```sh\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		h.commands = append(h.commands, strings.Split(strings.TrimSpace(block), "\n")...)
	}
	return h
}

// line is the one command of the page that begins so.
func (h home) line(t *testing.T, begins string) string {
	t.Helper()
	var found []string
	for _, c := range h.commands {
		if strings.HasPrefix(c, begins) {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		t.Fatalf("docs/vault-api.md has no command %q for InfluxDB", begins)
	}
	return found[0]
}

// types runs a command of the page, with its placeholders filled.
func (h home) types(t *testing.T, line string, env []string, filled ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-eu", "-c", strings.NewReplacer(filled...).Replace(line))
	cmd.Dir = h.dir
	cmd.Env = append([]string{"HOME=" + h.dir, "PATH=" + daemon.Bin(t) + ":" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", line, err, out)
	}
	return string(out)
}

// serve starts the server over what was imported into the home folder.
func (h home) serve(t *testing.T, flags ...string) (d *daemon.Daemon, stop func()) {
	t.Helper()
	d, stop = daemon.StartAt(t, h.dir, flags...)
	d.Token = h.OperatorToken
	return d, stop
}

// client makes InfluxDB's token by a command of the page, and starts InfluxDB's service with what it prints.
func (h home) client(t *testing.T, d *daemon.Daemon, line string) influxdb {
	t.Helper()
	out := h.types(t, line, []string{"INFLUX_HOST=" + d.URL, "INFLUX_TOKEN=" + h.OperatorToken})
	m := regexp.MustCompile(`(?m)^VAULT_ADDR=(\S+)\nVAULT_TOKEN=(\S+)$`).FindStringSubmatch(out)
	if m == nil || m[1] != d.URL {
		t.Fatalf("it prints %s", out)
	}
	return connect(t, m[1], m[2])
}

// TestMovingIn moves a real InfluxDB's secrets here by the three commands of the page, the third of which is InfluxDB's
// own service started with two variables, and back again in both ways.
func TestMovingIn(t *testing.T) {
	h := newHome(t)
	h.types(t, h.line(t, "influxd import"), nil)
	d, stop := h.serve(t)
	i := h.client(t, d, h.line(t, "influx auth create"))
	for _, o := range h.Orgs {
		if got := i.all(t, idOf(t, o.ID)); len(got) == 0 || !maps.Equal(got, h.Secrets[o.ID]) {
			t.Errorf("of %s it reads %d secrets, not the %d that it had", o.Name, len(got), len(h.Secrets[o.ID]))
		}
	}
	org := idOf(t, h.Orgs[0].ID)
	must(t, i.PatchSecrets(t.Context(), org, map[string]string{"POSTGRES_PASSWORD": "changed here", "new": "one"}))
	must(t, i.DeleteSecret(t.Context(), org, "json"))
	want := maps.Clone(h.Secrets[h.Orgs[0].ID])
	want["POSTGRES_PASSWORD"], want["new"] = "changed here", "one"
	delete(want, "json")

	// Back to InfluxDB's own store, over its API. Another server that has imported the same file has InfluxDB's place:
	// organisations, tokens, secrets and API are the same.
	before := newHome(t)
	before.types(t, before.line(t, "influxd import"), nil)
	back, _ := before.serve(t)
	back.OrgID = h.Orgs[0].ID
	filled := []string{"my-org", h.Orgs[0].Name, "<org-id>", h.Orgs[0].ID, "http://localhost:8086", back.URL, "…",
		h.OperatorToken}
	var made struct{ Token string }
	body, err := json.Marshal(map[string]any{"orgID": back.OrgID, "permissions": []any{
		map[string]any{"action": "use", "resource": map[string]any{"type": "secrets", "orgID": back.OrgID}},
		map[string]any{"action": "read", "resource": map[string]any{"type": "orgs", "id": back.OrgID}},
	}})
	must(t, err)
	d.Call(t, d.Token, "POST", "/api/v2/authorizations", string(body), &made)
	user := []string{"INFLUX_HOST=" + d.URL, "INFLUX_TOKEN=" + made.Token}
	for _, begins := range []string{"influx secret export", "curl", "rm"} {
		h.types(t, h.line(t, begins), user, filled...)
	}
	want["json"] = h.Secrets[h.Orgs[0].ID]["json"] // as the page says
	if got := connect(t, back.URL, back.VaultToken(t, true)).all(t, org); !maps.Equal(got, want) {
		t.Errorf("back in InfluxDB there are %v, not %v", got, want)
	}
	delete(want, "json")

	// To a real Vault, with which InfluxDB goes on.
	stop()
	address, token := realVault(t)
	h.types(t, h.line(t, "export")+"\n"+h.line(t, "influxd secrets copy"), nil, "https://vault.example.com:8200",
		address, "…", token)
	v := connect(t, address, token)
	if got := v.all(t, org); !maps.Equal(got, want) {
		t.Errorf("in Vault there are %v, not %v", got, want)
	}
	must(t, v.PutSecret(t.Context(), org, "there", "x"))
}

// TestNewOrgs: an organisation that InfluxDB has and this server has not is made by its first secret. An import brings
// its name and all that hangs on it, and no secret that was deleted here.
func TestNewOrgs(t *testing.T) {
	h := newHome(t)
	h.types(t, h.line(t, "influxd import"), nil)
	d, stop := h.serve(t, "--vault-api-new-orgs")
	late := h.Orgs[2]
	org := idOf(t, late.ID)
	d.Call(t, d.Token, "DELETE", "/api/v2/orgs/"+late.ID, "", nil)

	if err := h.client(t, d, h.line(t, "influx auth create")).PutSecret(t.Context(), org, "a", "b"); err == nil ||
		!strings.Contains(err.Error(), "--write-orgs") {
		t.Fatalf("a token that may not make organisations: %v", err)
	}
	i := h.client(t, d, h.line(t, "influx auth create --vault-client --write-orgs"))
	if got := i.all(t, org); len(got) != 0 {
		t.Errorf("an organisation that is not there has %v", got)
	}
	must(t, i.PatchSecrets(t.Context(), org, map[string]string{"a": "1", "b": "2"}))
	must(t, i.DeleteSecret(t.Context(), org, "b"))
	name := func() string {
		t.Helper()
		var o struct{ Name string }
		d.Call(t, d.Token, "GET", "/api/v2/orgs/"+late.ID, "", &o)
		return o.Name
	}
	if n := name(); !strings.Contains(n, late.ID) {
		t.Errorf("until its name is known it is called %q", n)
	}
	stop()

	var again string
	for _, c := range h.commands {
		if strings.HasPrefix(c, "influxd import") && strings.Contains(c, "--no-secrets") {
			again = c
		}
	}
	h.types(t, again, nil)
	d, _ = h.serve(t)
	if n := name(); n != late.Name {
		t.Errorf("after the import it is called %q, not %q", n, late.Name)
	}
	i = h.client(t, d, h.line(t, "influx auth create"))
	if got := i.all(t, org); !maps.Equal(got, map[string]string{"a": "1"}) {
		t.Errorf("after the import it has %v", got)
	}
	var buckets struct{ Buckets []struct{ Name string } }
	d.Call(t, d.Token, "GET", "/api/v2/buckets?orgID="+late.ID, "", &buckets)
	if len(buckets.Buckets) < 2 {
		t.Errorf("its buckets have not come: %v", buckets)
	}
}

// realVault starts the Vault that make test-tools builds.
func realVault(t *testing.T) (address, token string) {
	t.Helper()
	bin := os.Getenv("STRONGROOM_TEST_VAULT")
	if bin == "" {
		t.Fatal("set STRONGROOM_TEST_VAULT to the real Vault (make test-tools builds it: .cache/bin/vaultserver)")
	}
	cmd := exec.CommandContext(t.Context(), bin)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	cmd.WaitDelay = 10 * time.Second
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close() // it ends with its input
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	must(t, err)
	var k struct {
		Address string `json:"address"`
		Token   string `json:"root_token"`
	}
	must(t, json.Unmarshal(line, &k))
	return k.Address, k.Token
}
