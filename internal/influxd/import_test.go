package influxd

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"golang.org/x/crypto/bcrypt"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/influxd/command"
	"strongroom/internal/influxd/config"
	"strongroom/internal/influxd/server"
	"strongroom/internal/secret"
	"strongroom/internal/transfer/report"
)

// sampleDB unpacks the database of a real InfluxDB 2.0.0-beta.11, and gives its path and what is in it.
func sampleDB(t testing.TB) (string, sampleContents) {
	t.Helper()
	f, err := os.Open("../influxdb/testdata/influxd.bolt.gz")
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	b, err := io.ReadAll(z)
	must(t, err)
	path := filepath.Join(t.TempDir(), "influxd.bolt")
	must(t, os.WriteFile(path, b, 0o400))
	var c sampleContents
	b, err = os.ReadFile("../influxdb/testdata/influxd.json")
	must(t, err)
	must(t, json.Unmarshal(b, &c))
	return path, c
}

type sampleContents struct {
	Users          []struct{ Name, Password string }
	Orgs           []struct{ ID, Name string }
	Authorizations []struct{ ID, Token, OrgID string }
	Secrets        map[string]map[string]string
	OperatorToken  string `json:"operator_token"`
}

// influxdOn runs a command of influxd on the data in dir.
func influxdOn(t testing.TB, dir string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, problems output
	err = Run(t.Context(), command.Process{
		Args: append(args, "--bolt-path", filepath.Join(dir, "influxd.bolt")), Env: []string{"HOME=/nowhere"},
		Stdout: &out, Stderr: &problems,
	})
	return out.String(), problems.String(), err
}

func TestImportRefuses(t *testing.T) {
	sample, _ := sampleDB(t)
	text := filepath.Join(t.TempDir(), "text")
	must(t, os.WriteFile(text, []byte("hello"), 0o600))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"import"}, "--influxdb"},
		{[]string{"import", "--influxdb", "/nowhere/influxd.bolt"}, "no such file"},
		{[]string{"import", "--influxdb", text}, "not a database of InfluxDB 2"},
		{[]string{"run", "--influxdb", sample}, "the command run has no such flag"},
	} {
		dir := t.TempDir()
		if _, _, err := influxdOn(t, dir, tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
		if made := snapshot(t, dir); len(made) > 0 {
			t.Errorf("%q made %v", tt.args, made)
		}
	}
	dir := t.TempDir()
	start(t, dir)
	_, _, err := influxdOn(t, dir, "import", "--influxdb", sample)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("another influxd (process %d)", os.Getpid())) {
		t.Errorf("while a server runs: %v", err)
	}
}

func TestImportDryRun(t *testing.T) {
	sample, _ := sampleDB(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	for range 2 { // first where nothing is there yet, then on data
		before := snapshot(t, dir)
		stdout, told, err := influxdOn(t, dir, "import", "--influxdb", sample, "--dry-run", "--json")
		must(t, err)
		if strings.Contains(told, "ERROR") { // the copy has an audit log of its own, and misses nothing of the server's
			t.Errorf("a dry run tells of a loss: %s", told)
		}
		var r report.Report
		must(t, json.Unmarshal([]byte(stdout), &r))
		if diff := cmp.Diff(sampleTotals(func(n int) report.Total {
			return report.Total{Brought: n}
		}), r.Totals); diff != "" || !r.DryRun {
			t.Errorf("totals of a dry run (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, snapshot(t, dir)); diff != "" {
			t.Errorf("a dry run changed the files (-before +after):\n%s", diff)
		}
		if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
			t.Errorf("a dry run left %v (%v)", left, err)
		}
		r2 := start(t, dir)
		var setup struct{ Allowed bool }
		if r2.call(t, "GET", "/api/v2/setup", "", "", 200, &setup); !setup.Allowed {
			t.Error("a dry run brought something")
		}
		r2.end(t)
	}
}

// TestImportDryRunKeepsNoKey looks, while the report is written, for what a dry run that is killed by then would leave:
// its copy has the secrets, and must not have their key beside it.
func TestImportDryRunKeepsNoKey(t *testing.T) {
	sample, _ := sampleDB(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var left []string
	report := writerFunc(func(b []byte) (int, error) {
		if left == nil {
			err := filepath.WalkDir(temp, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					left = append(left, d.Name())
				}
				return err
			})
			must(t, err)
		}
		return len(b), nil
	})
	must(t, Run(t.Context(), command.Process{Args: []string{"import", "--influxdb", sample, "--dry-run", "--json",
		"--bolt-path", filepath.Join(t.TempDir(), "influxd.bolt")}, Env: []string{"HOME=/nowhere"}, Stdout: report,
		Stderr: new(output)}))
	if !slices.Contains(left, "influxd.bolt") || slices.Contains(left, "seal.key") {
		t.Errorf("while it reports, there are %q", left)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func sampleTotals(of func(n int) report.Total) []report.Total {
	var all []report.Total
	for _, k := range []struct {
		kind string
		n    int
	}{{"user", 3}, {"organization", 3}, {"member", 5}, {"bucket", 7}, {"authorization", 4}, {"secret", 27}} {
		t := of(k.n)
		t.Kind = k.kind
		all = append(all, t)
	}
	return all
}

// TestImport brings the sample, and uses every token and password of it with the server; then again, which changes
// nothing.
func TestImport(t *testing.T) {
	sample, want := sampleDB(t)
	dir := t.TempDir()
	stdout, stderr, err := influxdOn(t, dir, "import", "--influxdb", sample, "--json")
	must(t, err)
	var r report.Report
	must(t, json.Unmarshal([]byte(stdout), &r))
	if diff := cmp.Diff(sampleTotals(func(n int) report.Total {
		return report.Total{Brought: n}
	}), r.Totals); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}

	s := start(t, dir)
	uses(t, s, want)
	s.end(t)
	if diff := cmp.Diff(want.Secrets, storedSecrets(t, dir, want)); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}

	again, _, err := influxdOn(t, dir, "import", "--influxdb", filepath.Dir(sample))
	must(t, err)
	if !strings.Contains(again, "Imported from") || strings.Contains(again, "To look at") {
		t.Errorf("the second report:\n%s", again)
	}
	for line := range strings.Lines(again) {
		if f := strings.Fields(line); len(f) == 5 && (f[1] != "0" || f[3] != "0" || f[4] != "0") {
			t.Errorf("a second import did something: %s", line)
		}
	}
	for _, told := range []string{stdout, stderr, again, string(readFile(t, filepath.Join(dir, "audit.log")))} {
		for what, secret := range map[string]string{"token": want.OperatorToken, "value": "t0p s3cret",
			"password": want.Users[0].Password, "hash": "$2a$"} {
			if strings.Contains(told, secret) {
				t.Errorf("a %s is shown", what)
			}
		}
	}
}

// TestImportConflicts imports into a server that has an organisation and a user of the same names, and a secret of
// another value.
func TestImportConflicts(t *testing.T) {
	sample, want := sampleDB(t)
	dir := t.TempDir()
	s := start(t, dir)
	var made struct{ Auth struct{ Token string } }
	s.call(t, "POST", "/api/v2/setup", "",
		`{"username":"ann","password":"correct horse","org":"acme","bucket":"b"}`, 201, &made)
	s.end(t)
	stdout, _, err := influxdOn(t, dir, "import", "--influxdb", sample)
	must(t, err)
	for _, line := range []string{
		`user 11ae1dced2275000 "ann": conflict: the name belongs to user `,
		`organization 11ae1dcecfe75000 "acme": conflict: the name belongs to organization `,
		`member 11ae1dcec1675000 "owner of 11ae1dcecfe75000": skipped: its organization 11ae1dcecfe75000 is not here`,
		`11 × secret 11ae1dcecfe75000: skipped: their organization is not here`,
	} {
		if !strings.Contains(stdout, line) {
			t.Errorf("no %q in\n%s", line, stdout)
		}
	}
	s = start(t, dir)
	globex := "/api/v2/orgs/" + want.Orgs[1].ID + "/secrets"
	s.call(t, "GET", globex, want.Authorizations[1].Token, "", 200, nil)
	s.call(t, "PATCH", globex, made.Auth.Token, `{"json":"changed here"}`, 204, nil)
	s.end(t)
	stdout, _, err = influxdOn(t, dir, "import", "--influxdb", sample)
	must(t, err)
	if !strings.Contains(stdout, `secret 11ae1dced0e75000 "json": conflict: it has another value here`) {
		t.Errorf("the changed secret is no conflict:\n%s", stdout)
	}
	if got := storedSecrets(t, dir, want)[want.Orgs[1].ID]["json"]; got != "changed here" {
		t.Error("an import changed a secret")
	}
}

// uses signs in by every password and calls with every token.
func uses(t *testing.T, s *running, want sampleContents) {
	t.Helper()
	for _, u := range want.Users {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v2/signin", nil)
		must(t, err)
		req.SetBasicAuth(u.Name, u.Password)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		res.Body.Close()
		if res.StatusCode != 204 {
			t.Errorf("%s signs in: %s", u.Name, res.Status)
		}
	}
	for _, a := range want.Authorizations {
		var list struct{ Secrets []string }
		s.call(t, "GET", "/api/v2/orgs/"+a.OrgID+"/secrets", a.Token, "", 200, &list)
		if len(list.Secrets) != len(want.Secrets[a.OrgID]) {
			t.Errorf("%s has %d secrets, want %d", a.OrgID, len(list.Secrets), len(want.Secrets[a.OrgID]))
		}
	}
	var orgs struct{ Orgs []struct{ ID, Name string } }
	s.call(t, "GET", "/api/v2/orgs", want.OperatorToken, "", 200, &orgs)
	if len(orgs.Orgs) != 3 {
		t.Errorf("the operator sees %+v", orgs)
	}
	s.call(t, "GET", "/api/v2/orgs/"+want.Orgs[0].ID+"/secrets", want.Authorizations[1].Token, "", 401, nil)
	s.call(t, "PATCH", "/api/v2/orgs/"+want.Orgs[0].ID+"/secrets", want.Authorizations[0].Token, `{"a":"b"}`, 401, nil)
}

// storedSecrets reads every secret of the sample's organisations through the store.
func storedSecrets(t *testing.T, dir string, want sampleContents) map[string]map[string]string {
	t.Helper()
	args, err := config.ParseArgs([]string{"--bolt-path", filepath.Join(dir, "influxd.bolt")})
	must(t, err)
	var out bytes.Buffer
	p := command.Process{Env: []string{"HOME=/nowhere"}, Stdout: &out, Stderr: &out}
	cfg, err := config.Load(args, p.Env)
	must(t, err)
	s, err := server.Open(t.Context(), cfg, p, slog.New(slog.DiscardHandler))
	must(t, err)
	defer func() { must(t, s.Close()) }()
	got := make(map[string]map[string]string)
	for text := range want.Secrets {
		org, err := id.Parse(text)
		must(t, err)
		keys, err := s.Store.Keys(t.Context(), org)
		if errs.Is(err, errs.NotFound) {
			continue // there is no such organisation
		}
		must(t, err)
		for _, k := range keys {
			v, err := secret.Get(t.Context(), s.Store, org, k)
			must(t, err)
			if got[text] == nil {
				got[text] = make(map[string]string)
			}
			got[text][k] = string(v.Bytes())
		}
	}
	return got
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

// TestImportOverLimits imports records that are over a limit among others: each is skipped alone and told, by the dry
// run as by the run. A password longer than bcrypt reads works as it did in InfluxDB.
func TestImportOverLimits(t *testing.T) {
	theirs := filepath.Join(t.TempDir(), "influxd.bolt")
	db, err := bbolt.Open(theirs, 0o600, &bbolt.Options{NoSync: true})
	must(t, err)
	const org, user = "00000000000000aa", "00000000000000bb"
	hash, err := bcrypt.GenerateFromPassword(bytes.Repeat([]byte("q"), 72), bcrypt.MinCost)
	must(t, err)
	permissions := make([]string, 20_000)
	for i := range permissions {
		permissions[i] = fmt.Sprintf(`{"action":"read","resource":{"type":"buckets","id":"%016x","orgID":"%s"}}`, i+1,
			org)
	}
	const large = "large-"
	must(t, db.Update(func(tx *bbolt.Tx) error {
		put := func(bucket, key, value string) error {
			b, err := tx.CreateBucketIfNotExists([]byte(bucket))
			return errors.Join(err, b.Put([]byte(key), []byte(value)))
		}
		err := errors.Join(put("usersv1", user, `{"id":"`+user+`","name":"pw-long"}`),
			put("userspasswordv1", user, string(hash)), put("organizationsv1", org, `{"id":"`+org+`","name":"acme"}`),
			put("organizationsv1", "00000000000000ab",
				`{"id":"00000000000000ab","name":"`+strings.Repeat("y", 600)+`"}`),
			put("secretsv1", "00000000000000abx", "eA=="), put("secretsv1", "00000000000000acx", "eA=="),
			put("secretsv1", org+large+strings.Repeat("m", 32_000-len(large)), "eA=="))
		for i, p := range []string{permissions[0], strings.Join(permissions, ","), permissions[1]} {
			a := fmt.Sprintf("00000000000000c%d", i)
			err = errors.Join(err, put("authorizationsv1", a, `{"id":"`+a+`","token":"token-`+a+`","orgID":"`+org+
				`","userID":"`+user+`","permissions":[`+p+`]}`))
		}
		for i := range 600 {
			err = errors.Join(err, put("secretsv1", fmt.Sprintf("%s%06d", org, i), "eA=="))
		}
		return err
	}))
	must(t, db.Close())
	dir := t.TempDir()
	reports := map[bool]string{}
	for _, dry := range []bool{true, false} {
		args := []string{"import", "--influxdb", theirs, "--json", "--max-secret-key-size=40000"}
		if dry {
			args = append(args, "--dry-run")
		}
		stdout, _, err := influxdOn(t, dir, args...)
		must(t, err)
		var r report.Report
		must(t, json.Unmarshal([]byte(stdout), &r))
		reports[dry] = strings.Replace(stdout, `"dryRun": true`, `"dryRun": false`, 1)
		want := []report.Total{{Kind: "user", Brought: 1}, {Kind: "organization", Brought: 1, Skipped: 1},
			{Kind: "authorization", Brought: 2, Skipped: 1}, {Kind: "secret", Brought: 600, Skipped: 3},
			{Kind: "operator", Skipped: 1}}
		if diff := cmp.Diff(want, r.Totals); diff != "" {
			t.Errorf("dry run %v: totals (-want +got):\n%s", dry, diff)
		}
		why := map[string]string{"00000000000000c1": "20000 permissions are too large",
			"00000000000000ab": "told of it", "00000000000000ac": "deleted organizations", org: "too"}
		for _, i := range r.Items {
			if part, ok := why[i.ID]; ok && i.Result == report.Skipped && i.Kind != "organization" {
				if !strings.Contains(i.Why, part) || len(i.Name) > 100 {
					t.Errorf("dry run %v: %+v, want %q", dry, i, part)
				}
				delete(why, i.ID)
			}
		}
		if len(why) > 0 {
			t.Errorf("dry run %v: nothing is told of %v", dry, why)
		}
	}
	if diff := cmp.Diff(reports[true], reports[false]); diff != "" {
		t.Errorf("the dry run and the run (-dry +run):\n%s", diff)
	}
	s := start(t, dir)
	for password, status := range map[string]int{strings.Repeat("q", 100): 204, strings.Repeat("q", 71): 401} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/api/v2/signin", nil)
		must(t, err)
		req.SetBasicAuth("pw-long", password)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("a password of %d bytes: %s, want %d", len(password), res.Status, status)
		}
	}
}
