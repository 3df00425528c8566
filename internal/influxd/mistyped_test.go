package influxd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv/etcd"
	"strongroom/internal/kv/etcd/etcdtest"
)

// TestMistypedPlace gives the commands for data that are there a place where none are: each says so, and makes neither
// data there nor a key for them. An empty file counts as no data, too.
func TestMistypedPlace(t *testing.T) {
	c := etcdtest.Shared(t)
	prefix := etcdtest.Prefix(t)
	engine := []string{"--etcd-endpoints=" + strings.Join(c.Endpoints(), ","), "--etcd-prefix=" + prefix}
	backup := filepath.Join(t.TempDir(), "none.bolt")
	for _, command := range []string{"recovery user list", "recovery org list", "recovery auth list",
		"recovery auth create-operator --username=ann --org=first", "recovery user update --username=ann --operator",
		"seal status", "audit verify", "store copy --from=etcd --to=bolt"} {
		dir := t.TempDir()
		args := append(strings.Fields(command), append(engine, "--bolt-path="+filepath.Join(dir, "influxd.bolt"),
			"--seal-key-file="+filepath.Join(dir, "seal.key"), "--audit-sinks=file:"+filepath.Join(dir, "audit.log"))...)
		if !strings.HasPrefix(command, "store copy") {
			args = append(args, "--store=etcd")
		}
		out, err := run(t, args...)
		if err == nil || !strings.Contains(err.Error(), "there are no data") {
			t.Errorf("%s, below a prefix that has nothing: %s%v", command, out, err)
		}
		wantNothing(t, command, dir)
	}
	data, err := etcd.Open(t.Context(), etcd.Config{Endpoints: c.Endpoints(), Prefix: prefix, Patience: time.Minute})
	must(t, err)
	defer data.Close()
	if recs, err := data.List(t.Context(), "", "", 10); err != nil || len(recs) > 0 {
		t.Errorf("below the prefix there is %v, %v", recs, err)
	}

	for _, command := range []string{"recovery user list", "recovery user update --username=ann --operator",
		"seal status", "seal rotate", "seal change", "check", "audit verify", "restore --from=" + backup,
		"secrets export --plain --out=-", "secrets copy --from=bolt --to=vault", "secrets copy --from=vault --to=bolt",
		"secrets relayout --to-layout=secret", "store copy --from=bolt --to=etcd"} {
		for _, empty := range []bool{false, true} {
			dir := t.TempDir()
			path := filepath.Join(dir, "influxd.bolt")
			if empty {
				must(t, os.WriteFile(path, nil, 0o600))
			}
			args := append(strings.Fields(command), "--bolt-path="+path, "--seal-key-file="+filepath.Join(dir, "seal.key"),
				"--audit-sinks=file:"+filepath.Join(dir, "audit.log"))
			if strings.HasPrefix(command, "store copy") {
				args = append(args, engine...)
			}
			if out, err := run(t, args...); err == nil {
				t.Errorf("%s, of a file that is not there or empty (%t): %s", command, empty, out)
			}
			must(t, os.RemoveAll(path)) // of an empty file bbolt makes one of its own
			if empty {
				for _, beside := range []string{".lock", ".holder"} {
					os.Remove(path + beside)
				}
			}
			wantNothing(t, command, dir)
		}
	}
}

func wantNothing(t *testing.T, command, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range files {
		t.Errorf("%s has made %s", command, f.Name())
	}
}
