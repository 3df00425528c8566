package influxd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"strongroom/internal/influxd/command"
)

func TestExportRefuses(t *testing.T) {
	dir := t.TempDir()
	start(t, dir)
	text := filepath.Join(t.TempDir(), "text")
	must(t, os.WriteFile(text, []byte("\nsesame"), 0o600))
	fresh := func() string { return filepath.Join(t.TempDir(), "out") }
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"export", "--out", fresh()}, "say how the file is protected"},
		{[]string{"export", "--out", fresh(), "--plain", "--recipient", "x"}, "say how the file is protected"},
		{[]string{"export", "--plain"}, "flag --out"},
		{[]string{"export", "--plain", "--out", text}, "is there already"},
		{[]string{"export", "--plain", "--out", "/nowhere/at/all"}, "no such file"},
		{[]string{"export", "--out", fresh(), "--recipient", "sesame"}, "not an age public key"},
		{[]string{"export", "--out", fresh(), "--passphrase-file", text}, "first line is empty"},
		{[]string{"export", "--out", fresh(), "--plain", "--from", "etcd"}, "must be bolt or vault"},
		{[]string{"import"}, "flag --file"},
		{[]string{"import", "--file", text}, "not an export"},
		{[]string{"import", "--file", "/nowhere"}, "no such file"},
	} {
		if _, _, err := influxdOn(t, dir, append([]string{"secrets"}, tt.args...)...); err == nil ||
			!strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
}

// TestExportStreams sends an export from one server's data to another's without a file between.
func TestExportStreams(t *testing.T) {
	sample, _ := sampleDB(t)
	here, there := t.TempDir(), t.TempDir()
	for _, dir := range []string{here, there} {
		_, _, err := influxdOn(t, dir, "import", "--influxdb", sample)
		must(t, err)
	}
	t.Chdir(t.TempDir())
	exported, told, err := influxdOn(t, here, "secrets", "export", "--out", "-", "--plain")
	must(t, err)
	if !strings.HasPrefix(exported, "{") || !strings.Contains(told, "Exported 27 secrets of ") {
		t.Errorf("standard output %.80q, standard error %q", exported, told)
	}
	if files, err := os.ReadDir("."); err != nil || len(files) > 0 {
		t.Errorf("made %v, %v", files, err)
	}
	var out, problems output
	p := command.Process{
		Args: []string{"secrets", "import", "--file", "-", "--bolt-path", filepath.Join(there, "influxd.bolt")},
		Env:  []string{"HOME=/nowhere"}, Stdin: strings.NewReader(exported), Stdout: &out, Stderr: &problems,
	}
	if err := Run(t.Context(), p); err != nil || !strings.Contains(out.String(), "27") {
		t.Errorf("%v\n%s%s", err, out.String(), problems.String())
	}
	p.Stdin = nil
	if err := Run(t.Context(), p); err == nil || !strings.Contains(err.Error(),
		"flag --file: there is no standard input") {
		t.Errorf("without input: %v", err)
	}
}

// TestExportOfSome exports the secrets of organisations that are named, in each of the ways.
func TestExportOfSome(t *testing.T) {
	sample, want := sampleDB(t)
	dir := t.TempDir()
	_, _, err := influxdOn(t, dir, "import", "--influxdb", sample)
	must(t, err)
	a, b := want.Orgs[0], want.Orgs[1]
	export := func(flags ...string) string {
		t.Helper()
		out, _, err := influxdOn(t, dir, append([]string{"secrets", "export", "--out", "-", "--plain"}, flags...)...)
		must(t, err)
		return out
	}
	has := func(text, org string) bool { return strings.Contains(text, `"`+org+`"`) }
	for _, flags := range [][]string{{"--org", a.Name}, {"--org", a.ID}, {"--org-id", a.ID},
		{"--org=" + a.ID + ", " + a.Name}} {
		if got := export(flags...); !has(got, a.ID) || has(got, b.ID) {
			t.Errorf("%q: %.300s", flags, got)
		}
	}
	if got := export("--org", a.Name+","+b.ID); !has(got, a.ID) || !has(got, b.ID) {
		t.Errorf("two: %.300s", got)
	}
}

// TestExport exports while the server runs, in each of the three ways, and imports into data that
// have the organisations.
func TestExport(t *testing.T) {
	sample, want := sampleDB(t)
	dir := t.TempDir()
	_, _, err := influxdOn(t, dir, "import", "--influxdb", sample)
	must(t, err)
	start(t, dir)
	files := t.TempDir()
	key, err := age.GenerateX25519Identity()
	must(t, err)
	write := func(name, text string) string {
		path := filepath.Join(files, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	keyFile := write("key", "# a key\n"+key.String()+"\n")
	other, err := age.GenerateX25519Identity()
	must(t, err)
	otherKey := write("other", other.String())
	phrase := write("phrase", "a long enough phrase\n")
	for _, way := range []struct {
		name      string
		protect   []string
		opens     []string
		refused   []string
		encrypted bool
	}{
		{"recipient", []string{"--recipient", key.Recipient().String()}, []string{"--identity-file", keyFile},
			[]string{"--identity-file", otherKey}, true},
		{"passphrase", []string{"--passphrase-file", phrase}, []string{"--passphrase-file", phrase}, nil, true},
		{"plain", []string{"--plain"}, nil, nil, false},
	} {
		t.Run(way.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secrets")
			out, warned, err := influxdOn(t, dir, append([]string{"secrets", "export", "--out", path},
				way.protect...)...)
			must(t, err)
			b := readFile(t, path)
			if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 || !strings.Contains(out, "27 secrets") {
				t.Errorf("mode %v, %v: %s", info.Mode(), err, out)
			}
			if clear := bytes.Contains(b, []byte("t0p s3cret")); clear == way.encrypted ||
				strings.Contains(warned, "in clear") == way.encrypted {
				t.Errorf("the values are in clear: %v; it says %q", clear, warned)
			}
			there := t.TempDir()
			_, _, err = influxdOn(t, there, "import", "--influxdb", sample) // for the organisations
			must(t, err)
			s := start(t, there)
			for org, secrets := range want.Secrets {
				for k := range secrets {
					s.call(t, "POST", "/api/v2/orgs/"+org+"/secrets/delete", want.OperatorToken,
						`{"secrets":["`+k+`"]}`, 204, nil)
				}
			}
			s.end(t)
			if way.encrypted {
				_, _, err := influxdOn(t, there, append([]string{"secrets", "import", "--file", path},
					way.refused...)...)
				if err == nil || !strings.Contains(err.Error(), "open") {
					t.Errorf("without what opens it: %v", err)
				}
			}
			out, _, err = influxdOn(t, there, append([]string{"secrets", "import", "--file", path}, way.opens...)...)
			must(t, err)
			if !strings.Contains(out, "secret  27") {
				t.Errorf("imported:\n%s", out)
			}
			if diff := cmp.Diff(want.Secrets, storedSecrets(t, there, want)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestToAnotherStrongroom brings secrets, with what is noted of them, to data whose organisations have other IDs: by an
// export, and by a copy.
func TestToAnotherStrongroom(t *testing.T) {
	here := t.TempDir()
	r := start(t, here)
	token, secrets := r.onboard(t) // the organisation acme
	r.call(t, "PATCH", secrets, token, `{"a":"1","b":"2"}`, 204, nil)
	r.call(t, "PUT", secrets+"/a/description", token, `{"description":"of a","expiresAt":"2030-01-02T03:04:05Z"}`, 204,
		nil)
	var other struct{ ID string }
	r.call(t, "POST", "/api/v2/orgs", token, `{"name":"globex"}`, 201, &other)
	r.call(t, "PATCH", "/api/v2/orgs/"+other.ID+"/secrets", token, `{"c":"3"}`, 204, nil)
	r.end(t)
	file := filepath.Join(t.TempDir(), "secrets.json")
	_, _, err := influxdOn(t, here, "secrets", "export", "--plain", "--out", file)
	must(t, err)

	for _, way := range []struct {
		name string
		run  func(there string, args ...string) (string, error)
	}{
		{"export", func(there string, args ...string) (string, error) {
			out, _, err := influxdOn(t, there, append([]string{"secrets", "import", "--file", file}, args...)...)
			return out, err
		}},
		{"copy", func(there string, args ...string) (string, error) {
			other := filepath.Join(t.TempDir(), "other.toml")
			must(t, os.WriteFile(other, []byte(`bolt-path = "`+there+`/influxd.bolt"`), 0o600))
			out, _, err := influxdOn(t, here, append([]string{"secrets", "copy", "--from", "bolt", "--to", "bolt",
				"--to-config", other}, args...)...)
			return out, err
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			there := t.TempDir()
			r := start(t, there)
			token, secrets := r.onboard(t)
			var into struct{ ID string }
			r.call(t, "POST", "/api/v2/orgs", token, `{"name":"initech"}`, 201, &into)
			r.end(t)
			out, err := way.run(there)
			if err == nil || !strings.Contains(err.Error(), "0 in conflict and 1 skipped") ||
				!strings.Contains(out, `the organization "globex" is not in the target`) {
				t.Errorf("without globex: %v\n%s", err, out)
			}
			if _, err := way.run(there, "--org", "globex=nowhere"); err == nil ||
				!strings.Contains(err.Error(), `the target has no organization "nowhere"`) {
				t.Errorf("into an organisation that is not there: %v", err)
			}
			if out, err := way.run(there, "--dry-run", "--create-orgs"); err != nil ||
				!strings.Contains(out, "secret  1 ") {
				t.Errorf("tried: %v\n%s", err, out)
			}
			if out, err := way.run(there, "--org", "globex=initech"); err != nil {
				t.Errorf("into another: %v\n%s", err, out)
			}
			if out, err := way.run(there, "--create-orgs"); err != nil || !strings.Contains(out, "secret  1 ") {
				t.Errorf("with globex made: %v\n%s", err, out)
			}
			r = start(t, there)
			var orgs struct{ Orgs []struct{ ID, Name string } }
			r.call(t, "GET", "/api/v2/orgs?org=globex", token, "", 200, &orgs)
			for at, want := range map[string]string{
				secrets: "[a b]", "/api/v2/orgs/" + into.ID + "/secrets": "[c]", "/api/v2/orgs/" + orgs.Orgs[0].ID +
					"/secrets": "[c]",
			} {
				if got := r.keys(t, token, at); got != want {
					t.Errorf("%s has %s, want %s", at, got, want)
				}
			}
			var info struct{ Description, ExpiresAt string }
			r.call(t, "GET", secrets+"/a", token, "", 200, &info)
			if info.Description != "of a" || info.ExpiresAt != "2030-01-02T03:04:05Z" {
				t.Errorf("what is noted of a: %+v", info)
			}
		})
	}
}

// TestExportIsOnRecord exports and copies beside a server that runs: its audit log has both after its next start.
func TestExportIsOnRecord(t *testing.T) {
	dir, there := t.TempDir(), t.TempDir()
	r := start(t, there)
	r.onboard(t)
	r.end(t)
	r = start(t, dir)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"a":"t0p s3cret"}`, 204, nil)
	_, _, err := influxdOn(t, dir, "secrets", "export", "--plain", "--out", filepath.Join(t.TempDir(), "out"))
	must(t, err)
	other := filepath.Join(t.TempDir(), "other.toml")
	must(t, os.WriteFile(other, []byte(`bolt-path = "`+there+`/influxd.bolt"`), 0o600))
	copies := []string{"secrets", "copy", "--from", "bolt", "--to", "bolt", "--to-config", other}
	_, _, err = influxdOn(t, dir, append(copies, "--dry-run")...)
	must(t, err)
	r.end(t)
	_, _, err = influxdOn(t, dir, append(copies, "--delete-source")...)
	must(t, err)
	r = start(t, dir)
	var page struct {
		Records []struct{ User, Action, Detail string }
	}
	for until := time.Now().Add(time.Minute); len(page.Records) < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("the record has %+v", page.Records)
		}
		page.Records = nil
		for _, action := range []string{"secrets.export", "secrets.copy"} {
			var some struct {
				Records []struct{ User, Action, Detail string }
			}
			r.call(t, "GET", "/api/v2/audit?action="+action, token, "", 200, &some)
			page.Records = append(page.Records, some.Records...)
		}
	}
	export, moved := page.Records[0], page.Records[1]
	if export.User != "influxd secrets export" || !strings.HasPrefix(export.Detail, "in clear, from bolt; at ") {
		t.Errorf("the export: %+v", export)
	}
	if moved.User != "influxd secrets copy" ||
		!strings.Contains(moved.Detail, "deleting them where they came from") || len(page.Records) != 2 {
		t.Errorf("the copy: %+v of %d", moved, len(page.Records))
	}
}
