package influxd

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpackFrozen gives a folder with frozen data and their key.
func unpackFrozen(t *testing.T, frozen string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "seal.key"), readFile(t, filepath.Join(frozen, "seal.key")), 0o600))
	packed, err := os.Open(filepath.Join(frozen, "influxd.bolt.gz"))
	must(t, err)
	defer packed.Close()
	in, err := gzip.NewReader(packed)
	must(t, err)
	out, err := os.OpenFile(filepath.Join(dir, "influxd.bolt"), os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	_, err = io.Copy(out, in)
	must(t, errors.Join(err, out.Close()))
	return dir
}

// TestUpgrade starts the whole server on the data of each format that there has been: they are sound before and after, it
// serves them, now and at the next start, and a backup of whole data is restored. (What is in them is looked at where each
// format is at home: TestFrozen of the embedded store, TestUpgradeSealsIdentities.)
func TestUpgrade(t *testing.T) {
	formats, err := filepath.Glob("../secret/embedded/testdata/v*")
	must(t, err)
	if len(formats) < 3 {
		t.Fatalf("there are only the formats %q", formats)
	}
	for _, frozen := range append(formats, "testdata/identities-v1") {
		t.Run(filepath.Base(frozen), func(t *testing.T) {
			dir := unpackFrozen(t, frozen)
			// The embedded store's own data have secrets, and neither users nor organisations.
			secretsAlone := strings.Contains(frozen, "embedded")
			sound := func(when string) {
				t.Helper()
				out, _, err := influxdOn(t, dir, "check")
				if secretsAlone && strings.Count(out, "the organisation is not there") == 2 &&
					strings.Contains(fmt.Sprint(err), "has 2 problems") {
					return
				}
				if err != nil {
					t.Errorf("%s: %v\n%s", when, err, out)
				}
			}
			sound("as it was")
			s := start(t, dir)
			token, secrets := frozenOperator, frozenSecrets
			if secretsAlone {
				token, secrets = s.onboard(t)
			}
			s.call(t, "GET", "/ready", "", "", 200, nil)
			s.call(t, "PATCH", secrets, token, `{"of the new server":"sesame"}`, 204, nil)
			s.saveBackup(t, token, filepath.Join(dir, "backup"))
			s.end(t)
			sound("after a start")
			if secretsAlone {
				s = start(t, dir)
				s.keys(t, token, secrets)
				return
			}
			if out, problems, err := influxdOn(t, dir, "restore", "--from", filepath.Join(dir, "backup")); err != nil {
				t.Fatalf("%v\n%s%s", err, out, problems)
			}
			s = start(t, dir)
			if got := s.keys(t, token, secrets); !strings.Contains(got, "of the new server") {
				t.Errorf("after a restore there are %s", got)
			}
			s.end(t)
			sound("after a restore")
		})
	}
}
