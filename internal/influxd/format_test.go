package influxd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/kv/etcd"
	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/servers"
)

// TestNewerFormat has data that newer servers have raised to a format that this one does not know, in etcd and in a
// file: neither a server nor a command opens them, and each says in one line what to do.
func TestNewerFormat(t *testing.T) {
	c := etcdtest.Shared(t)
	dir, prefix := t.TempDir(), etcdtest.Prefix(t)
	path := filepath.Join(dir, "influxd.bolt")
	one := start(t, dir)
	token, secrets := one.onboard(t)
	one.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	one.end(t)
	engine := []string{"--etcd-endpoints=" + strings.Join(c.Endpoints(), ","), "--etcd-prefix=" + prefix}
	if out, err := run(t, append([]string{"store", "copy", "--from=bolt", "--to=etcd", "--bolt-path=" + path},
		engine...)...); err != nil {
		t.Fatalf("%s%v", out, err)
	}

	raise := func(data kv.Store) {
		t.Helper()
		_, err := data.Txn(t.Context(), nil, []kv.Op{kv.Put(servers.FormatRecord, []byte(`{"Format":2}`))})
		must(t, err)
		must(t, data.Close())
	}
	file, err := bolt.Open(path, bolt.Options{})
	must(t, err)
	raise(file)
	cluster, err := etcd.Open(t.Context(), etcd.Config{Endpoints: c.Endpoints(), Prefix: prefix, Patience: time.Minute})
	must(t, err)
	raise(cluster)
	before, err := os.ReadFile(path)
	must(t, err)

	refused := func(what string, err error) {
		t.Helper()
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(),
			"the data are of a newer format (2; this influxd knows 1): use the influxd that wrote them, or a newer one") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = launch(t, dir)
	refused("a server over a file", err)
	_, err = launch(t, t.TempDir(), onEtcd(c, dir, prefix)...)
	refused("a server over etcd", err)
	place := "--bolt-path=" + path
	for _, args := range [][]string{
		{"check", place},
		{"restore", "--from=" + path, "--bolt-path=" + filepath.Join(dir, "other.bolt"), "--seal-key-file=" +
			filepath.Join(dir, "seal.key")},
		{"seal", "change", "--to=key-file", "--key-file=" + filepath.Join(dir, "new.key"), place},
		{"recovery", "user", "list", place},
		append([]string{"recovery", "user", "list", place, "--store=etcd"}, engine...),
		{"audit", "verify", place},
		append([]string{"audit", "verify", place, "--store=etcd"}, engine...),
		{"secrets", "export", "--plain", "--out=" + filepath.Join(dir, "out"), place},
	} {
		_, err := run(t, args...)
		refused(strings.Join(args, " "), err)
	}
	after, err := os.ReadFile(path)
	must(t, err)
	if string(after) != string(before) {
		t.Error("the file has been changed")
	}
}
