package influxd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/porttest"
)

// etcdClient asks the cluster itself.
func etcdClient(t *testing.T, c *etcdtest.Cluster) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), DialTimeout: time.Minute})
	must(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

// below are all records below a prefix, with their revisions.
func below(t *testing.T, client *clientv3.Client, prefix string) map[string]string {
	t.Helper()
	got, err := client.Get(t.Context(), prefix, clientv3.WithPrefix())
	must(t, err)
	all := make(map[string]string)
	for _, r := range got.Kvs {
		all[string(r.Key)] = fmt.Sprintf("%d %q", r.ModRevision, r.Value)
	}
	return all
}

// TestCheckOverEtcd checks data in etcd beside the server that has them, and finds what is wrong with them as it does
// with a file's. It writes nothing, and leaves nothing behind.
func TestCheckOverEtcd(t *testing.T) {
	c := etcdtest.Shared(t)
	client := etcdClient(t, c)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	keys, prefix := t.TempDir(), etcdtest.Prefix(t)
	check := func(flags ...string) (string, error) { return run(t, append([]string{"check"}, flags...)...) }

	nowhere := porttest.Address(t)
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--store=etcd"}, "--etcd-endpoints"},
		{[]string{"--store=etcd", "--etcd-endpoints=http://" + nowhere, "--etcd-wait=0s"}, "etcd takes no connections"},
		{onEtcd(c, keys, etcdtest.Prefix(t)), "there are no data below it"},
		{onEtcd(c, keys, etcdtest.Prefix(t), "--etcd-cacert=/nowhere.pem"), "etcd-cacert"},
	} {
		if out, err := check(tt.flags...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q\n%s", tt.flags, err, tt.want, out)
		}
	}

	s := start(t, t.TempDir(), onEtcd(c, keys, prefix)...)
	token, secrets := s.onboard(t)
	s.call(t, "PATCH", secrets, token, `{"foo":"the value","hello":"the other"}`, 204, nil)
	ctx, stop := context.WithCancel(t.Context())
	writing := make(chan struct{})
	go func() { // as the server does all the time
		defer close(writing)
		for n := 0; ctx.Err() == nil; n++ {
			s.status(t, "PATCH", secrets, token, fmt.Sprintf(`{"n%d":"%[1]d","foo":"the value"}`, n))
		}
	}()
	for range 5 {
		if out, err := check(onEtcd(c, keys, prefix)...); err != nil || !strings.Contains(out, "is sound") ||
			!strings.Contains(out, "1 organizations with secrets") || !strings.Contains(out, "owner and mode") {
			t.Errorf("beside a server: %v\n%s", err, out)
		}
	}
	stop()
	<-writing
	wrongKey := filepath.Join(t.TempDir(), "other.key")
	must(t, os.WriteFile(wrongKey, bytes.Repeat([]byte("x"), 32), 0o600))
	if out, err := check(onEtcd(c, keys, prefix, "--seal-key-file="+wrongKey)...); err == nil ||
		strings.Contains(out, "is sound") {
		t.Errorf("with a wrong key: %s", out)
	}
	backup := filepath.Join(t.TempDir(), "backup.bolt")
	s.end(t)

	before := below(t, client, prefix)
	if out, err := check(onEtcd(c, keys, prefix)...); err != nil {
		t.Errorf("after the server: %v\n%s", err, out)
	}
	if after := below(t, client, prefix); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the check has written: before %v, after %v", before, after)
	}

	// What is damaged is named, by its key, and the same as over a file.
	data := prefix + "d/"
	sealed, stranger, huge := "", "strange/record", "strange/"+strings.Repeat("x", 40_000)
	for key := range before {
		if strings.HasPrefix(key, data+"auth/") {
			sealed = strings.TrimPrefix(key, data)
		}
	}
	if sealed == "" {
		t.Fatalf("there is no token among %v", before)
	}
	for _, key := range []string{sealed, stranger, huge, ""} {
		_, err := client.Put(t.Context(), data+key, "nonsense")
		must(t, err)
	}
	out, err := check(onEtcd(c, keys, prefix)...)
	if err == nil || !strings.Contains(err.Error(), "problems") || strings.Contains(out, "is sound") {
		t.Errorf("damaged: %v\n%s", err, out)
	}
	for _, key := range []string{sealed, stranger, huge, ""} {
		if !strings.Contains(out, fmt.Sprintf("%q: ", key)) {
			t.Errorf("%.50q is not named:\n%s", key, out)
		}
	}
	for _, key := range []string{huge, ""} {
		_, err := client.Delete(t.Context(), data+key)
		must(t, err)
	}
	out, _ = check(onEtcd(c, keys, prefix)...)
	if _, err := run(t, append([]string{"store", "copy", "--from=etcd", "--to=bolt", "--bolt-path=" + backup},
		onEtcd(c, keys, prefix)...)...); err != nil {
		t.Fatal(err)
	}
	file, _ := check("--bolt-path="+backup, "--seal-key-file="+filepath.Join(keys, "seal.key"))
	problems := func(out string) (all []string) {
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, `"`) {
				all = append(all, line)
			}
		}
		return all
	}
	if got, want := problems(out), problems(file); fmt.Sprint(got) != fmt.Sprint(want) || len(got) < 2 {
		t.Errorf("over etcd\n%s\nover a file\n%s", got, want)
	}

	// A copy that has not ended is no data yet.
	_, err = client.Put(t.Context(), data+"core/copying", "x")
	must(t, err)
	if _, err := check(onEtcd(c, keys, prefix)...); err == nil || !strings.Contains(err.Error(), "has not ended") {
		t.Errorf("a copy that has not ended: %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		for _, l := range left {
			if strings.HasPrefix(l.Name(), "strongroom-") {
				t.Errorf("left behind: %s", l.Name())
			}
		}
	}
}
