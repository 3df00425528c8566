package influxd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/influxd/command"
)

// sealCommand runs one of the `influxd seal` commands on the data in dir.
func sealCommand(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	args = append([]string{"seal"}, args...)
	err := Run(t.Context(), command.Process{Args: append(args, "--bolt-path", filepath.Join(dir, "influxd.bolt")),
		Env: []string{"HOME=/nowhere"}, Stdout: &out, Stderr: &out})
	return out.String(), err
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type sealAnswer struct {
	Seal struct{ Type, KeyID, Restart string }
	Term int
	// more than one term while a rotation is not done
	Terms    []struct{ Term int }
	Rotation struct {
		State   string
		Records int
	}
}

// TestSealOverAPI rotates the keys and goes from a key file to a passphrase while the server runs, and starts it anew.
func TestSealOverAPI(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar","hello":"world"}`, 204, nil)

	for name, body := range map[string]string{
		"another type":              `{"type":"tpm"}`,
		"a path of nowhere":         `{"type":"key-file","keyFile":"seal.key"}`,
		"a short passphrase":        `{"type":"passphrase","passphrase":"short"}`,
		"no passphrase":             `{"type":"passphrase"}`,
		"a passphrase in a file":    `{"type":"key-file","passphrase":"correct horse battery"}`,
		"a key in Vault for a file": `{"type":"key-file","transitKey":"x"}`,
		"no key in Vault":           `{"type":"transit"}`,
		"no type":                   `{"passphrase":"correct horse battery"}`,
	} {
		if t.Run(name, func(t *testing.T) {
			r.call(t, "POST", "/api/v2/seal/change", token, body, 400, nil)
		}); t.Failed() {
			return
		}
	}
	r.call(t, "POST", "/api/v2/seal/change", token, `{"type":"key-file","keyFile":"/proc/nothing/here"}`, 422, nil)
	r.call(t, "POST", "/api/v2/seal/change", "no token", `{}`, 401, nil)

	var status, before sealAnswer
	r.call(t, "GET", "/api/v2/seal", token, "", 200, &before)
	if before.Seal.Type != "key-file" || before.Term != 1 || before.Rotation.State != "idle" {
		t.Errorf("at first: %+v", before)
	}
	r.call(t, "POST", "/api/v2/seal/rotate", token, "", 202, &status)
	if status.Term != 2 {
		t.Errorf("rotated: %+v", status)
	}
	for status.Rotation.State != "idle" {
		time.Sleep(time.Millisecond)
		r.call(t, "GET", "/api/v2/seal", token, "", 200, &status)
	}
	if len(status.Terms) != 1 || status.Rotation.Records != 4 { // two values with their metadata
		t.Errorf("in the end: %+v", status)
	}
	r.call(t, "POST", "/api/v2/seal/change", token, `{}`, 200, &status)
	if status.Seal.KeyID != before.Seal.KeyID || status.Seal.Restart != "" {
		t.Errorf("a new root key under the same seal: %+v", status)
	}
	if out, err := sealCommand(t, dir, "rotate"); err == nil || !strings.Contains(err.Error(), "influx seal") {
		t.Errorf("the command while the server runs: %v\n%s", err, out)
	}
	r.call(t, "POST", "/api/v2/seal/change", token, `{"type":"key-file","keyFile":"`+filepath.Join(dir, "other.key")+
		`"}`, 200, &status)
	if status.Seal.KeyID == before.Seal.KeyID || !strings.Contains(status.Seal.Restart, "--seal-key-file") {
		t.Errorf("under another key file: %+v", status)
	}
	r.call(t, "POST", "/api/v2/seal/change", token, `{"type":"passphrase","passphrase":"correct horse battery"}`,
		200, &status)
	if status.Seal.Type != "passphrase" || !strings.Contains(status.Seal.Restart, "--seal passphrase") {
		t.Errorf("under a passphrase: %+v", status)
	}
	var acts struct {
		Records []struct{ User, Detail string }
	}
	r.call(t, "GET", "/api/v2/audit?action=seal.change&outcome=allowed", token, "", 200, &acts)
	other := filepath.Join(dir, "other.key")
	for i, want := range []string{" to passphrase", "from key-file " + before.Seal.KeyID + " to key-file " + other,
		"a new root key under the same seal, key-file " + before.Seal.KeyID} {
		if len(acts.Records) != 3 || !strings.HasSuffix(acts.Records[i].Detail, want) ||
			strings.Contains(acts.Records[i].Detail, "horse") {
			t.Errorf("on record is %+v, want %q", acts.Records, want)
		}
	}
	status = sealAnswer{}
	r.call(t, "PATCH", secrets, token, `{"later":"x"}`, 204, nil)
	r.end(t)
	if strings.Contains(r.stderr.String(), "correct horse") {
		t.Error("the log holds the passphrase")
	}

	if _, err := launch(t, dir); err == nil || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("started with the key file: %v", err)
	}
	wrong := writeFile(t, filepath.Join(dir, "wrong"), "correct horse batterz\n")
	if _, err := launch(t, dir, "--seal", "passphrase", "--seal-passphrase-file", wrong); err == nil ||
		!strings.Contains(err.Error(), "wrong") || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(),
		"batterz") {
		t.Errorf("started with a wrong passphrase: %v", err)
	}
	right := writeFile(t, filepath.Join(dir, "right"), "correct horse battery\n")
	r = start(t, dir, "--seal", "passphrase", "--seal-passphrase-file", right)
	var list struct{ Secrets []string }
	r.call(t, "GET", secrets, token, "", 200, &list)
	if strings.Join(list.Secrets, ",") != "foo,hello,later" {
		t.Errorf("after all that: %v", list.Secrets)
	}
	status = sealAnswer{}
	r.call(t, "GET", "/api/v2/seal", token, "", 200, &status)
	if status.Seal.Restart != "" || status.Seal.Type != "passphrase" {
		t.Errorf("started with the passphrase: %+v", status)
	}
	r.call(t, "POST", "/api/v2/seal/change", token, `{"type":"passphrase","passphrase":"another horse battery"}`,
		200, &status)
	if !strings.Contains(status.Seal.Restart, "put the new passphrase") ||
		!strings.Contains(status.Seal.Restart, right) {
		t.Errorf("under another passphrase: %+v", status)
	}
}

// TestSealCommands does the same while no server runs.
func TestSealCommands(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"status"}, {"rotate"}, {"change"}} {
		if out, err := sealCommand(t, dir, args...); err == nil || !strings.Contains(err.Error(), "influxd.bolt") {
			t.Errorf("%v without data: %v\n%s", args, err, out)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Fatalf("a command that found nothing made %v", entries)
	}
	r := start(t, dir)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	if out, err := sealCommand(t, dir, "status"); err != nil || !strings.Contains(out, "key-file") {
		t.Errorf("beside a server: %v\n%s", err, out)
	}
	r.end(t)

	passphrase := writeFile(t, filepath.Join(dir, "passphrase"), "correct horse battery")
	newKey := filepath.Join(dir, "new.key")
	for _, args := range [][]string{
		{"change", "--to", "tpm"}, {"change", "--to", "transit"}, {"change", "--transit-key", "x"},
		{"change", "--to", "key-file"}, {"change", "--key-file", newKey}, {"change", "--to", "key-file", "--key-file",
			newKey, "--passphrase-file", passphrase},
		{"change", "--to", "passphrase", "--passphrase-file", filepath.Join(dir, "none")},
		{"rotate", "--to", "key-file"}, {"status", "--seal-key-file", newKey},
	} {
		if out, err := sealCommand(t, dir, args...); err == nil {
			t.Errorf("%v was taken:\n%s", args, out)
		}
	}
	seal := []string{}
	for _, step := range []struct {
		args []string
		seal []string // afterwards
		want string
	}{
		{[]string{"rotate"}, nil, "term 2"},
		{[]string{"change"}, nil, "key-file"},
		{[]string{"change", "--to", "passphrase", "--new-passphrase-file", passphrase},
			[]string{"--seal=passphrase", "--seal-passphrase-file=" + passphrase}, "--seal passphrase"},
		{[]string{"rotate"}, nil, "term 3"},
		{[]string{"change", "--to", "key-file", "--new-key-file", newKey},
			[]string{"--seal-key-file=" + newKey}, newKey},
		{[]string{"status"}, nil, "term 3"},
	} {
		out, err := sealCommand(t, dir, append(step.args, seal...)...)
		if err != nil || !strings.Contains(out, step.want) {
			t.Fatalf("%v: %v\n%s", step.args, err, out)
		}
		if step.seal != nil {
			if _, err := sealCommand(t, dir, append([]string{"status"}, seal...)...); err == nil {
				t.Errorf("%v: the former seal still opens the data", step.args)
			}
			seal = step.seal
		}
	}
	r = start(t, dir, seal...)
	var list struct{ Secrets []string }
	if r.call(t, "GET", secrets, token, "", 200, &list); len(list.Secrets) != 1 {
		t.Errorf("after all that: %v", list.Secrets)
	}
	var told []string
	for len(told) == 0 { // the server takes the commands' acts into its record as it starts
		var acts struct {
			Records []struct{ User, Action, Target, Outcome string }
		}
		r.call(t, "GET", "/api/v2/audit?actor=influxd+seal", token, "", 200, &acts)
		for _, a := range acts.Records {
			told = append(told, a.User+" "+a.Action+" "+a.Target+" "+a.Outcome)
		}
	}
	if want := "influxd seal seal.change key-file allowed,influxd seal seal.rotate  allowed," +
		"influxd seal seal.change passphrase allowed,influxd seal seal.change  allowed," +
		"influxd seal seal.rotate  allowed,influxd seal seal.change passphrase failed," +
		"influxd seal seal.change passphrase allowed"; strings.Join(told, ",") != want {
		t.Errorf("on record is %q", told)
	}
}
