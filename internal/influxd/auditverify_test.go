package influxd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"strongroom/internal/influxd/command"
	"testing"
)

func verify(t *testing.T, dir string, flags ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(t.Context(), command.Process{Args: append([]string{"audit", "verify", "--bolt-path",
		filepath.Join(dir, "influxd.bolt")}, flags...),
		Env: []string{"HOME=/nowhere"}, Stdout: &out, Stderr: &out})
	return out.String(), err
}

func TestAuditVerify(t *testing.T) {
	dir := t.TempDir()
	if _, err := verify(t, dir); err == nil || !strings.Contains(err.Error(), "influxd.bolt") {
		t.Errorf("without data: %v", err)
	}
	r := start(t, dir)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"key of mine":"v"}`, 204, nil)
	for _, when := range []string{"running", "stopped"} {
		if out, err := verify(t, dir); err != nil || !strings.Contains(out, "is whole") {
			t.Errorf("while the server is %s: %v\n%s", when, err, out)
		}
		if when == "running" {
			r.end(t)
		}
	}
	if _, err := verify(t, dir, "--audit-sinks=stdout"); err == nil || !strings.Contains(err.Error(), "--audit-sinks") {
		t.Errorf("without a file: %v", err)
	}
	if _, err := verify(t, dir, "--seal-key-file", filepath.Join(dir, "none")); err == nil ||
		!strings.Contains(err.Error(), "none") {
		t.Errorf("without the key: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("looking for a key made one")
	}

	log := filepath.Join(dir, "audit.log")
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"altered": func(b []byte) []byte { return bytes.Replace(b, []byte("key of mine"), []byte("key of your"), 1) },
		"missing": func(b []byte) []byte { return append(b[:0:0], b[bytes.IndexByte(b, '\n')+1:]...) },
	} {
		changed := change(whole)
		if bytes.Equal(changed, whole) {
			t.Fatalf("%s: nothing was changed", name)
		}
		if err := os.WriteFile(log, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := verify(t, dir)
		if name == "altered" && (err == nil || !strings.Contains(out, "PROBLEM")) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if name == "missing" && strings.Contains(out, "lines 1 to") {
			t.Errorf("%s: the first line is gone and not missed:\n%s", name, out)
		}
	}
}

// TestAuditVerifyMissesWhatIsGone: the file removed, its end cut off, one of two sinks altered.
func TestAuditVerifyMissesWhatIsGone(t *testing.T) {
	dir := t.TempDir()
	r := start(t, dir)
	r.onboard(t)
	r.end(t)
	log := filepath.Join(dir, "audit.log")
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	other := filepath.Join(dir, "other.log")
	must(t, os.WriteFile(other, whole, 0o600))
	sinks := "--audit-sinks=" + log + "," + other
	if out, err := verify(t, dir, sinks); err != nil || strings.Count(out, "is whole") != 2 {
		t.Errorf("two sinks: %v\n%s", err, out)
	}
	must(t, os.WriteFile(other, bytes.Replace(whole, []byte(`"setup"`), []byte(`"sotup"`), 1), 0o600))
	if out, err := verify(t, dir, sinks); err == nil || strings.Count(out, "is whole") != 1 ||
		!strings.Contains(out, "other.log:2: line 2 was altered") {
		t.Errorf("one of two altered: %v\n%s", err, out)
	}
	if out, err := verify(t, dir, "--files", other); err == nil || !strings.Contains(out, "altered") {
		t.Errorf("named alone: %v\n%s", err, out)
	}
	must(t, os.WriteFile(log, bytes.Join(lines[:len(lines)-2], nil), 0o600))
	if out, err := verify(t, dir); err == nil || !strings.Contains(out, "missing at the end") {
		t.Errorf("cut off: %v\n%s", err, out)
	}
	must(t, os.Remove(log))
	if out, err := verify(t, dir); err == nil || !strings.Contains(err.Error(), "is not there") {
		t.Errorf("removed: %v\n%s", err, out)
	}
	next := start(t, dir)
	next.end(t)
	if out, err := verify(t, dir); err == nil || !strings.Contains(out, "are not there") {
		t.Errorf("removed, and started: %v\n%s", err, out)
	}
	if out, err := verify(t, dir, "--older-removed"); err != nil {
		t.Errorf("put away on purpose: %v\n%s", err, out)
	}
}
