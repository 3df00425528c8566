package influxd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCopyRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := influxdOn(t, dir, "secrets", "copy", "--from", "bolt", "--to", "vault"); err == nil ||
		!strings.Contains(err.Error(), "there is no file") {
		t.Errorf("without data: %v", err)
	}
	start(t, dir)
	empty, there := t.TempDir(), t.TempDir()
	start(t, there).end(t)
	config := func(data string) string {
		path := filepath.Join(t.TempDir(), "other.toml")
		must(t, os.WriteFile(path, []byte(`bolt-path = "`+data+`/influxd.bolt"`), 0o600))
		return path
	}
	other, same := config(there), config(dir)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "flag --from: name a store"},
		{[]string{"--from", "bolt"}, "flag --to: name a store"},
		{[]string{"--from", "etcd", "--to", "vault"}, "flag --from: must be bolt or vault"},
		{[]string{"--from", "bolt", "--to", "bolt"}, "they are the same store"},
		{[]string{"--from", "bolt", "--to", "bolt", "--to-config", config(empty)}, "there is no file"},
		{[]string{"--from", "bolt", "--to", "bolt", "--to-config", same}, "they are the same store"},
		{[]string{"--from", "bolt", "--to", "bolt", "--to-config", "/nowhere.toml"}, "/nowhere.toml"},
		{[]string{"--from", "bolt", "--to", "vault", "--create-orgs"}, "flag --create-orgs"},
		{[]string{"--from", "bolt", "--to", "bolt", "--to-config", other, "--org", "acme="}, "is not FROM=TO"},
		{[]string{"--from", "bolt", "--to", "bolt", "--to-config", other, "--org", "acme=globex"},
			"the source has no organization \"acme\""},
		{[]string{"--from", "bolt", "--to", "bolt", "--to-config", other, "--org-id", "031c8cbefe101000"},
			`has no organization "031c8cbefe101000"`},
		{[]string{"--from", "bolt", "--to", "vault", "--org-id", "x"}, "flag --org: "},
		{[]string{"--from", "bolt", "--to", "vault", "--org", "acme,x"}, "flag --org: "},
		{[]string{"--from", "bolt", "--to", "vault", "--org", "acme,"}, "an organization is missing"},
		{[]string{"--from", "bolt", "--to", "bolt", "--to-config", other, "--delete-source"},
			"another influxd (process "},
	} {
		if _, _, err := influxdOn(t, dir, append([]string{"secrets", "copy"}, tt.args...)...); err == nil ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
}

// TestCopyBetweenFiles copies from the file of a server that runs to another file, again, and then with deletion.
func TestCopyBetweenFiles(t *testing.T) {
	sample, want := sampleDB(t)
	dir, there := t.TempDir(), t.TempDir()
	_, _, err := influxdOn(t, dir, "import", "--influxdb", sample)
	must(t, err)
	start(t, there).end(t)
	other := filepath.Join(t.TempDir(), "other.toml")
	must(t, os.WriteFile(other, []byte(`bolt-path = "`+there+`/influxd.bolt"`), 0o600))
	s := start(t, dir)
	copyTo := func(args ...string) string {
		t.Helper()
		out, progress, err := influxdOn(t, dir, append([]string{"secrets", "copy", "--from", "bolt", "--to", "bolt",
			"--to-config", other, "--create-orgs"}, args...)...)
		must(t, err)
		if !strings.Contains(progress, "3 of 3 organizations, 27 secrets") {
			t.Errorf("progress: %s", progress)
		}
		if strings.Contains(out+progress, "t0p s3cret") {
			t.Error("a value is shown")
		}
		return out
	}
	// Without them, what has no place to go is told, and is no success.
	out, _, err := influxdOn(t, dir, "secrets", "copy", "--from", "bolt", "--to", "bolt", "--to-config", other)
	if err == nil || !strings.Contains(err.Error(), "27 skipped") || !strings.Contains(out, "--create-orgs") {
		t.Errorf("into a file without the organizations: %v\n%s", err, out)
	}
	if out := copyTo("--dry-run"); !strings.Contains(out, "Nothing was changed") ||
		!strings.Contains(out, "secret  27") {
		t.Errorf("dry run:\n%s", out)
	}
	if got := storedSecrets(t, there, want); len(got) > 0 {
		t.Errorf("a dry run copied %d organisations", len(got))
	}
	copyTo() // while the server runs
	if diff := cmp.Diff(want.Secrets, storedSecrets(t, there, want)); diff != "" {
		t.Errorf("copied (-want +got):\n%s", diff)
	}
	if out := copyTo(); !strings.Contains(out, "secret  0        0         0        27") {
		t.Errorf("again:\n%s", out)
	}
	s.end(t)
	if out := copyTo("--delete-source"); !strings.Contains(out,
		"influxd.bolt): 27; changed there meanwhile, and kept: 0") {
		t.Errorf("with deletion:\n%s", out)
	}
	if got := storedSecrets(t, dir, want); len(got) > 0 {
		t.Errorf("%d organisations are left in the source", len(got))
	}
	if diff := cmp.Diff(want.Secrets, storedSecrets(t, there, want)); diff != "" {
		t.Errorf("after the deletion (-want +got):\n%s", diff)
	}
}
