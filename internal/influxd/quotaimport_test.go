package influxd

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"strongroom/internal/transfer/report"
)

// TestImportOverQuota imports more secrets than an organisation may have, and more bytes: those for which there is no
// room are skipped and told with the reason, by the dry run as by the run, and a later run with more room brings them.
func TestImportOverQuota(t *testing.T) {
	sample, want := sampleDB(t)
	all := 0
	for _, secrets := range want.Secrets {
		all += len(secrets)
	}
	for flag, most := range map[string]int{"--max-org-secrets=2": 2 * len(want.Secrets), "--max-org-bytes=2KiB": all - 1} {
		t.Run(flag, func(t *testing.T) {
			dir := t.TempDir()
			secrets := func(args ...string) (report.Total, string) {
				t.Helper()
				out, _, err := influxdOn(t, dir, append([]string{"import", "--influxdb", sample, "--json"}, args...)...)
				must(t, err)
				var r report.Report
				must(t, json.Unmarshal([]byte(out), &r))
				i := slices.IndexFunc(r.Totals, func(t report.Total) bool { return t.Kind == "secret" })
				return r.Totals[i], out
			}
			dry, told := secrets(flag, "--dry-run")
			if dry.Brought == 0 || dry.Brought > most || dry.Brought+dry.Skipped != all || strings.Count(told,
				"("+strings.TrimSuffix(flag, flag[strings.IndexByte(flag, '='):])+")") != dry.Skipped {
				t.Errorf("of %d secrets a dry run tells %+v\n%s", all, dry, told)
			}
			if run, told := secrets(flag); run != dry {
				t.Errorf("the run %+v, the dry run %+v\n%s", run, dry, told)
			}
			s := start(t, dir, flag)
			for org, theirs := range want.Secrets {
				var u struct{ Secrets, MaxSecrets, Bytes, MaxBytes int }
				s.call(t, "GET", "/api/v2/orgs/"+org+"/secret-usage", want.OperatorToken, "", 200, &u)
				if u.Secrets > len(theirs) || u.MaxSecrets > 0 && u.Secrets > u.MaxSecrets ||
					u.MaxBytes > 0 && u.Bytes > u.MaxBytes {
					t.Errorf("organization %s has %+v", org, u)
				}
			}
			s.end(t)
			if more, told := secrets(); more.Brought != dry.Skipped || more.Present != dry.Brought {
				t.Errorf("with more room %+v\n%s", more, told)
			}
		})
	}
}
