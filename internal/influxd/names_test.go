package influxd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// namesIn counts the names of secrets, those long enough to tell, that are in a file's bytes.
func namesIn(t *testing.T, path string, want sampleContents) (found, looked int) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	for _, secrets := range want.Secrets {
		for name := range secrets {
			if len(name) < 6 {
				continue
			}
			looked++
			if bytes.Contains(b, []byte(name)) {
				found++
			}
		}
	}
	return found, looked
}

// awaitNames waits until the names of the server's secrets are in the form, and nothing is being sealed anew.
func (r *running) awaitNames(t *testing.T, token, form string) {
	t.Helper()
	for {
		var status struct {
			Names    string
			Rotation struct{ State, Message string }
		}
		r.call(t, "GET", "/api/v2/seal", token, "", 200, &status)
		if status.Rotation.Message != "" {
			t.Fatalf("it stopped: %s", status.Rotation.Message)
		}
		if status.Rotation.State == "idle" {
			if status.Names != form {
				t.Errorf("the names are %s, want them %s", status.Names, form)
			}
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestSealKeys brings secrets into a file with sealed names, takes them out by every way there is, and unseals and
// seals the names of what is there.
func TestSealKeys(t *testing.T) {
	sample, want := sampleDB(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "influxd.bolt")
	token := want.OperatorToken
	if _, err := launch(t, dir, "--seal-keys=maybe"); err == nil || !strings.Contains(err.Error(), "--seal-keys") {
		t.Errorf("a switch that is neither on nor off: %v", err)
	}
	_, _, err := influxdOn(t, dir, "import", "--influxdb", sample, "--seal-keys")
	must(t, err)
	wants := func(what, form string) {
		t.Helper()
		if diff := cmp.Diff(want.Secrets, storedSecrets(t, dir, want)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		if out, _, err := influxdOn(t, dir, "check"); err != nil {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
		if out, err := sealCommand(t, dir, "status"); err != nil ||
			strings.Contains(out, "Names:     "+form) == (form == "clear") {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	wantsNames := func(what string, names bool) {
		t.Helper()
		if found, looked := namesIn(t, file, want); looked < 5 || (found > 0) != names {
			t.Errorf("%s: %d names of %d are in the file", what, found, looked)
		}
	}

	// Without the flag what is sealed stays sealed.
	r := start(t, dir)
	r.awaitNames(t, token, "sealed")
	r.call(t, "POST", "/api/v2/seal/rotate", token, "", 202, nil)
	r.awaitNames(t, token, "sealed")
	backup := backupOf(t, r, token)
	there := t.TempDir()
	start(t, there).end(t)
	other := filepath.Join(t.TempDir(), "other.toml")
	must(t, os.WriteFile(other, []byte(`bolt-path = "`+there+`/influxd.bolt"`), 0o600))
	_, _, err = influxdOn(t, dir, "secrets", "copy", "--from", "bolt", "--to", "bolt", "--to-config", other,
		"--create-orgs")
	must(t, err)
	if diff := cmp.Diff(want.Secrets, storedSecrets(t, there, want)); diff != "" {
		t.Errorf("copied (-want +got):\n%s", diff)
	}
	_, _, err = influxdOn(t, dir, "secrets", "export", "--plain", "--out", filepath.Join(there, "secrets.json"))
	must(t, err)
	if found, looked := namesIn(t, filepath.Join(there, "secrets.json"), want); found != looked {
		t.Errorf("%d of %d names are exported", found, looked)
	}
	r.end(t)
	wants("imported and rotated", "sealed")
	wantsNames("imported and rotated", false)

	r = start(t, dir, "--seal-keys=false")
	r.awaitNames(t, token, "clear")
	r.end(t)
	wants("unsealed", "clear")
	wantsNames("unsealed", true)
	if out, _, err := influxdOn(t, dir, "restore", "--from", backup); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wants("restored", "sealed")
	wantsNames("restored", false)
	if out, err := sealCommand(t, dir, "rotate"); err != nil || !strings.Contains(out, "term 3") {
		t.Errorf("%v\n%s", err, out)
	}
	wants("rotated without a server", "sealed")

	// Over what an earlier process left half-done the command goes on first.
	r = start(t, dir, "--seal-keys=false")
	r.awaitNames(t, token, "clear")
	r.end(t)
	r = start(t, dir, "--seal-keys")
	r.end(t)
	if out, err := sealCommand(t, dir, "rotate"); err != nil || !strings.Contains(out, "term 4") {
		t.Errorf("%v\n%s", err, out)
	}
	wants("rotated when sealing had begun", "sealed")
}
