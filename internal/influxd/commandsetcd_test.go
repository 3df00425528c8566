package influxd

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/influxd/command"
	"strongroom/internal/kv/etcd/etcdtest"
)

// TestCommandsOverEtcd gives each command that works on the data where these are in etcd: an import into nothing,
// beside a server, and into what is there; an export and the import of it; and those that a running server does, which
// say how.
func TestCommandsOverEtcd(t *testing.T) {
	c := etcdtest.Shared(t)
	sample, contents := sampleDB(t)
	dir, prefix := t.TempDir(), etcdtest.Prefix(t)
	bolt := "--bolt-path=" + filepath.Join(dir, "influxd.bolt")
	flags := onEtcd(c, dir, prefix, "--server-name=a")
	given := func(args ...string) (string, error) {
		t.Helper()
		var out, problems output
		err := Run(t.Context(), command.Process{Args: slices.Concat(args, flags, []string{bolt}), Env: []string{"HOME=/nowhere"},
			Stdout: &out, Stderr: &problems})
		return out.String() + problems.String(), err
	}
	export := filepath.Join(t.TempDir(), "export")

	// Nothing is there yet.
	if out, err := given("import", "--influxdb", sample, "--dry-run"); err != nil || !strings.Contains(out, "27") {
		t.Errorf("a dry run into nothing: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "seal.key")); err == nil {
		t.Error("a dry run made a key")
	}
	if _, err := given("secrets", "export", "--plain", "--out", export); err == nil ||
		!strings.Contains(err.Error(), "there are no data below it") {
		t.Errorf("an export of nothing: %v", err)
	}
	if out, err := given("import", "--influxdb", sample); err != nil || !strings.Contains(out, "27") {
		t.Fatalf("an import into nothing: %v\n%s", err, out)
	}

	// Beside a server all that reads is done, and nothing that writes.
	r := start(t, dir, flags...)
	org := contents.Orgs[0]
	var secrets struct{ Secrets []string }
	r.call(t, "GET", "/api/v2/orgs/"+org.ID+"/secrets", contents.OperatorToken, "", 200, &secrets)
	if len(secrets.Secrets) != len(contents.Secrets[org.ID]) {
		t.Errorf("the import brought %q", secrets.Secrets)
	}
	for _, args := range [][]string{{"import", "--influxdb", sample}, {"secrets", "import", "--file", export}} {
		if args[1] == "import" {
			if out, err := given("secrets", "export", "--plain", "--out", export); err != nil ||
				!strings.Contains(out, `Exported 27 secrets of bolt (etcd, below "`+prefix) {
				t.Fatalf("an export beside a server: %v\n%s", err, out)
			}
		}
		if out, err := given(args...); err == nil || !strings.Contains(err.Error(), "servers are at work there") ||
			!strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s beside a server: %v\n%s", args, err, out)
		}
		if out, err := given(append(args, "--dry-run")...); err != nil {
			t.Errorf("%s beside a server, dry: %v\n%s", args, err, out)
		}
	}
	if _, err := given("secrets", "export", "--plain", "--out", export+"2", "--org", "none"); err == nil ||
		!strings.Contains(err.Error(), `etcd, below "`+prefix) {
		t.Errorf("an export of an organisation that is not there: %v", err)
	}
	for want, args := range map[string][]string{
		"a server that runs rotates the keys: influx seal rotate": {"seal", "rotate"},
		"for all of them: influx seal change --to transit --transit-key k": {"seal", "change", "--to", "transit",
			"--transit-key", "k"},
	} {
		if _, err := given(args...); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
	r.call(t, "DELETE", "/api/v2/orgs/"+org.ID+"/secrets/"+secrets.Secrets[0], contents.OperatorToken, "", 204, nil)
	r.end(t)
	out, err := given("secrets", "import", "--file", export)
	for err != nil && strings.Contains(err.Error(), "servers are at work there") { // its names are held yet
		out, err = given("secrets", "import", "--file", export)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r = start(t, dir, flags...)
	r.call(t, "GET", "/api/v2/orgs/"+org.ID+"/secrets", contents.OperatorToken, "", 200, &secrets)
	if len(secrets.Secrets) != len(contents.Secrets[org.ID]) {
		t.Errorf("the import of the export brought %q", secrets.Secrets)
	}
}

// TestCopyIntoEtcd copies secrets into the embedded store where it is in etcd: that is refused, with the steps that do
// it, and the steps are followed.
func TestCopyIntoEtcd(t *testing.T) {
	c := etcdtest.Shared(t)
	sample, contents := sampleDB(t)
	other, dir, prefix := t.TempDir(), t.TempDir(), etcdtest.Prefix(t)
	if _, said, err := influxdOn(t, other, "import", "--influxdb", sample); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	from := filepath.Join(t.TempDir(), "from.toml")
	must(t, os.WriteFile(from, []byte("bolt-path = \""+filepath.Join(other, "influxd.bolt")+"\"\n"), 0o600))
	flags := onEtcd(c, dir, prefix)
	r := start(t, dir, flags...)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	r.end(t)

	copied := []string{"secrets", "copy", "--from", "bolt", "--from-config", from, "--to", "bolt", "--create-orgs"}
	_, err := run(t, append(slices.Concat(copied, flags), "--bolt-path="+filepath.Join(dir, "influxd.bolt"))...)
	if err == nil {
		t.Fatal("it copies into etcd")
	}
	file, next := filepath.Join(t.TempDir(), "new.bolt"), etcdtest.Prefix(t)
	steps := strings.NewReplacer("NEW.bolt", file, "NEW/", next).Replace(err.Error())
	_, steps, _ = strings.Cut(steps, "and then: ")
	_, key, _ := strings.Cut(strings.Join(flags, " "), "--seal-key-file=")
	engine := []string{"--etcd-endpoints=" + strings.Join(c.Endpoints(), ",")}
	for _, step := range strings.Split(steps, "; ") {
		words := strings.Fields(step)
		switch {
		case words[0] == "influxd":
			words = append(words[1:], engine...)
			if !slices.Contains(words, "--etcd-prefix") {
				words = append(words, "--etcd-prefix", prefix)
			}
		case strings.HasPrefix(step, "this command with "):
			words = append(slices.Concat(copied, words[3:]), "--seal-key-file="+key)
		default:
			if want := "start the servers with --etcd-prefix " + next; step != want {
				t.Errorf("it says %q, want %q", step, want)
			}
			continue
		}
		if out, err := run(t, words...); err != nil {
			t.Fatalf("%s: %v\n%s", words, err, out)
		}
	}
	r = start(t, dir, append(onEtcd(c, dir, next), "--server-name=b")...)
	var got struct{ Secrets []string }
	r.call(t, "GET", secrets, token, "", 200, &got)
	want := append(slices.Collect(maps.Keys(contents.Secrets[contents.Orgs[0].ID])), "foo") // it has the same name
	slices.Sort(want)
	slices.Sort(got.Secrets)
	if want = slices.Compact(want); !slices.Equal(got.Secrets, want) {
		t.Errorf("there are %q, want %q", got.Secrets, want)
	}
}
