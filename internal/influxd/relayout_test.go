package influxd

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/secret/vault/vaulttest"
)

func TestRelayoutRefuses(t *testing.T) {
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"flag --to: name a layout":                   {"--all"},
		"flag --org: name an organization, or give":  {"--to", "secret"},
		"flag --org: name an organization, or give ": {"--to", "secret", "--all", "--org", "031c8cbefe101000"},
		"there is no file ":                          {"--to", "secret", "--org-id", "x"},
		"there is no file":                           {"--to", "org", "--all"},
	} {
		if _, _, err := influxdOn(t, dir, append([]string{"secrets", "relayout"}, args...)...); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

// TestRelayout converts a real InfluxDB's secrets in Vault to an entry each, and back.
func TestRelayout(t *testing.T) {
	v := vaulttest.Shared(t)
	sample, want := sampleDB(t)
	dir, mount := t.TempDir(), v.MountKV(t)
	_, _, err := influxdOn(t, dir, "import", "--influxdb", sample)
	must(t, err)
	flags := []string{"--vault-addr", v.Address, "--vault-token", v.RootToken, "--vault-mount", mount, "--vault-path",
		"influxdb/{orgName}"}
	try := func(args ...string) (string, error) {
		t.Helper()
		out, problems, err := influxdOn(t, dir, append(append([]string{"secrets"}, args...), flags...)...)
		for _, hidden := range []string{v.RootToken, "t0p s3cret"} {
			if strings.Contains(out+problems, hidden) {
				t.Errorf("%q is shown", hidden)
			}
		}
		return out, err
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := try(args...)
		must(t, err)
		return out
	}
	list := func(path string) (names []string) {
		_, body := v.Do(t, "LIST", mount+"/metadata/"+path, nil)
		var answer struct{ Data struct{ Keys []string } }
		must(t, json.Unmarshal(body, &answer))
		return answer.Data.Keys
	}
	run("copy", "--from", "bolt", "--to", "vault")
	orgs := list("influxdb")
	if out := run("relayout", "--to", "secret", "--all", "--dry-run"); !strings.Contains(out, "Nothing was changed") ||
		!strings.Contains(out, "secret  27") {
		t.Errorf("dry run:\n%s", out)
	}
	if diff := cmp.Diff(orgs, list("influxdb")); diff != "" {
		t.Errorf("a dry run wrote:\n%s", diff)
	}
	if out := run("relayout", "--to", "secret", "--all"); !strings.Contains(out,
		"secret  27       0         0        0") {
		t.Errorf("to the layout secret:\n%s", out)
	}
	// What was converted is not written again, and what somebody else keeps in an entry stays, with the entry.
	first := v.Read(t, mount, "influxdb/"+orgs[0])
	first.Data["theirs"] = json.RawMessage(`{"a":1}`)
	b, err := json.Marshal(first.Data)
	must(t, err)
	v.Write(t, mount, "influxdb/"+orgs[0], string(b))
	out, err := try("relayout", "--to", "secret", "--all", "--delete-source")
	if err == nil || !strings.Contains(err.Error(), "0 in conflict and 1 skipped") || !strings.Contains(out,
		"Deleted from the layout org: 27;") || !strings.Contains(out, `"theirs": skipped: its value is not a text`) {
		t.Errorf("again, with deletion:\n%s", out)
	}
	if e := v.Read(t, mount, "influxdb/"+orgs[0]); len(e.Data) != 1 || string(e.Data["theirs"]) != `{"a":1}` {
		t.Errorf("the entry with a foreign value holds %d values", len(e.Data))
	}
	for _, org := range orgs[1:] {
		if status, _ := v.Do(t, "GET", mount+"/metadata/influxdb/"+org, nil); status != http.StatusNotFound {
			t.Errorf("the entry of %s is still there: %d", org, status)
		}
	}
	// The layout secret is a store to copy from, too, and the way back leaves nothing behind.
	if out := run("copy", "--from", "vault", "--to", "bolt", "--vault-layout", "secret"); !strings.Contains(out,
		"secret  0        0         0        27") {
		t.Errorf("copied from the layout secret:\n%s", out)
	}
	if out := run("relayout", "--to", "org", "--all", "--delete-source"); !strings.Contains(out,
		"secret  27       0         0        0") {
		t.Errorf("back:\n%s", out)
	}
	if diff := cmp.Diff(orgs, list("influxdb")); diff != "" {
		t.Errorf("below the path (-want +got):\n%s", diff)
	}
	if out, err := try("copy", "--from", "vault", "--to", "bolt", "--vault-layout", "org"); err == nil ||
		!strings.Contains(out, `"theirs": skipped`) {
		t.Errorf("a copy beside somebody else's value: %v\n%s", err, out)
	}
	if diff := cmp.Diff(want.Secrets, storedSecrets(t, dir, want)); diff != "" {
		t.Errorf("the secrets (-want +got):\n%s", diff)
	}
}

// TestRelayoutTooLarge has more secrets than go into one entry: none is converted.
func TestRelayoutTooLarge(t *testing.T) {
	v := vaulttest.Start(t, vaulttest.WithValueLimit(64<<10))
	dir := t.TempDir()
	r := start(t, dir)
	_, secrets := r.onboard(t)
	r.end(t)
	org := strings.Split(secrets, "/")[4]
	for _, name := range []string{"a", "b/c", "d"} {
		v.Write(t, "secret", org+"/"+name, `{"value":"`+strings.Repeat("x", 30<<10)+`"}`)
	}
	out, _, err := influxdOn(t, dir, "secrets", "relayout", "--to", "org", "--org-id", org, "--delete-source",
		"--vault-addr", v.Address, "--vault-token", v.RootToken)
	if err == nil || !strings.Contains(err.Error(), "3 skipped") {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"secret  0        0         0        0              0         3", "max_entry_size"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if status, _ := v.Do(t, "GET", "secret/data/"+org, nil); status != http.StatusNotFound {
		t.Errorf("an entry was written: %d", status)
	}
	v.Read(t, "secret", org+"/b/c")
}
