package influxd

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/influxd/command"
	"strongroom/internal/kv/etcd/etcdtest"
)

// onEtcd are the flags of a server over the cluster, with the seal's key in dir.
func onEtcd(c *etcdtest.Cluster, dir, prefix string, more ...string) []string {
	return append([]string{"--store=etcd", "--etcd-endpoints=" + strings.Join(c.Endpoints(), ","),
		"--etcd-prefix=" + prefix, "--seal-key-file=" + filepath.Join(dir, "seal.key")}, more...)
}

// status is what a request is answered with, its body left unread.
func (r *running) status(t *testing.T, method, path, token, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Authorization", "Token "+token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	res.Body.Close()
	return res.StatusCode
}

// eventually tries until the request is answered so.
func (r *running) eventually(t *testing.T, want int, method, path, token, body string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		got := r.status(t, method, path, token, body)
		if got == want {
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%s %s is answered %d for a minute, want %d", method, path, got, want)
		}
	}
}

// TestSeveralServers has two servers over three members of etcd: what is done at one holds at the other, also while a
// member is lost, the keys are rotated and one of the servers ends.
func TestSeveralServers(t *testing.T) {
	c := etcdtest.Start(t, 3)
	keys := t.TempDir()
	a := start(t, t.TempDir(), onEtcd(c, keys, "x/", "--server-name=a")...)
	b := start(t, t.TempDir(), onEtcd(c, keys, "x/", "--server-name=b")...)
	if said := a.stdout.String(); !strings.Contains(said, "Data:     etcd at "+c.Endpoints()[0]) ||
		strings.Contains(said, "influxd.bolt") {
		t.Errorf("it says of its data: %s", said)
	}
	token, secrets := a.onboard(t)
	if got := b.status(t, "POST", "/api/v2/setup", "",
		`{"username":"eve","password":"correct horse","org":"o","bucket":"b"}`); got != 422 {
		t.Errorf("a second set-up at the other server is answered %d", got)
	}
	b.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	if got := a.keys(t, token, secrets); got != "[foo]" {
		t.Errorf("what was set at the other server: %s", got)
	}
	a.call(t, "PATCH", secrets, token, `{"hello":"world"}`, 204, nil)
	if got := b.keys(t, token, secrets); got != "[foo hello]" {
		t.Errorf("what was set at the other server: %s", got)
	}

	// A token that was used at one is refused there once the other has revoked it.
	org := strings.Split(secrets, "/")[4]
	var made struct{ ID, Token string }
	a.call(t, "POST", "/api/v2/authorizations", token,
		fmt.Sprintf(`{"orgID":%q,"permissions":[{"action":"read","resource":{"type":"secrets","orgID":%[1]q}}]}`,
			org), 201, &made)
	b.call(t, "GET", secrets, made.Token, "", 200, nil)
	a.call(t, "DELETE", "/api/v2/authorizations/"+made.ID, token, "", 204, nil)
	b.eventually(t, 401, "GET", secrets, made.Token, "")

	// Both write while the keys are rotated at one, and a member is killed.
	var writing sync.WaitGroup
	defer writing.Wait()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	acknowledged := map[string]bool{"foo": true, "hello": true}
	for i, server := range []*running{a, b} {
		writing.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("k%d-%d", i, n)
				if server.status(t, "PATCH", secrets, token, fmt.Sprintf(`{%q:"v"}`, key)) == 204 {
					mu.Lock()
					acknowledged[key] = true
					mu.Unlock()
				}
			}
		})
	}
	for range 2 {
		a.eventually(t, 202, "POST", "/api/v2/seal/rotate", token, "")
		for {
			var seal struct{ Rotation struct{ State string } }
			b.call(t, "GET", "/api/v2/seal", token, "", 200, &seal)
			if seal.Rotation.State != "running" {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	c.Members[0].Kill()
	b.eventually(t, 204, "PATCH", secrets, token, `{"after":"loss"}`)
	stop()
	writing.Wait()
	a.end(t)
	var all struct{ Secrets []string }
	b.call(t, "GET", secrets, token, "", 200, &all)
	there := make(map[string]bool)
	for _, k := range all.Secrets {
		there[k] = true
	}
	for key := range acknowledged {
		if !there[key] {
			t.Errorf("%s was acknowledged and is not there", key)
		}
	}
	// Every value opens: a token that may use them all is given them.
	b.call(t, "POST", "/api/v2/authorizations", token,
		fmt.Sprintf(`{"orgID":%q,"permissions":[{"action":"use","resource":{"type":"secrets","orgID":%[1]q}}]}`,
			org), 201, &made)
	var values map[string]string
	b.call(t, "GET", strings.TrimSuffix(secrets, "secrets")+"secret-values", made.Token, "", 200, &values)
	if len(values) != len(all.Secrets) || values["foo"] != "bar" {
		t.Errorf("%d values of %d", len(values), len(all.Secrets))
	}

	// Without a majority nothing is served, and it is told; when it is back, so is the server.
	c.Members[1].Kill()
	b.eventually(t, 503, "GET", "/ready", "", "")
	if got := b.status(t, "GET", secrets, token, ""); got != 503 {
		t.Errorf("without etcd a list is answered %d", got)
	}
	c.Members[1].Restart(t)
	b.eventually(t, 200, "GET", "/ready", "", "")
	b.eventually(t, 200, "GET", secrets, token, "")
}

// TestSealChangeOfSeveral changes the seal at one of two servers, by a key that the other has not: both go on, and the
// other says that it needs the key before its next start.
func TestSealChangeOfSeveral(t *testing.T) {
	c := etcdtest.Shared(t)
	prefix, dirs := etcdtest.Prefix(t), []string{t.TempDir(), t.TempDir()}
	a := start(t, dirs[0], onEtcd(c, dirs[0], prefix, "--server-name=a")...)
	key, err := os.ReadFile(filepath.Join(dirs[0], "seal.key"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dirs[1], "seal.key"), key, 0o600))
	b := start(t, dirs[1], onEtcd(c, dirs[1], prefix, "--server-name=b")...)
	token, secrets := a.onboard(t)
	next := filepath.Join(dirs[0], "next.key")
	a.call(t, "POST", "/api/v2/seal/change", token, fmt.Sprintf(`{"type":"key-file","keyFile":%q}`, next), 200, nil)
	a.call(t, "POST", "/api/v2/seal/rotate", token, "", 202, nil)
	var status struct {
		Seal struct{ KeyID, Restart string }
		Term int
	}
	for status.Term != 2 { // what b does not know yet it is told of
		b.call(t, "GET", "/api/v2/seal", token, "", 200, &status)
	}
	if !strings.Contains(status.Seal.Restart, "--seal-key-file") {
		t.Errorf("the other server says of its next start: %+v", status)
	}
	b.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	if got := a.keys(t, token, secrets); got != "[foo]" {
		t.Errorf("the keys: %s", got)
	}
	b.end(t)
	flags := onEtcd(c, dirs[1], prefix, "--server-name=b")
	if _, err := launch(t, dirs[1], flags...); err == nil || !strings.Contains(err.Error(), "is the wrong one") {
		t.Errorf("it starts without the key: %v", err)
	}
	key, err = os.ReadFile(next)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dirs[1], "seal.key"), key, 0o600))
	b = start(t, dirs[1], flags...)
	if got := b.keys(t, token, secrets); got != "[foo]" {
		t.Errorf("the keys: %s", got)
	}
}

// run runs a command and gives what it wrote.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := Run(t.Context(), command.Process{Args: args, Env: []string{"HOME=/nowhere"}, Stdout: &out, Stderr: &out})
	return out.String(), err
}

// TestStoreCopy takes a single server to etcd and back.
func TestStoreCopy(t *testing.T) {
	c := etcdtest.Shared(t)
	dir := t.TempDir()
	one := start(t, dir)
	token, secrets := one.onboard(t)
	one.call(t, "PATCH", secrets, token, `{"foo":"bar","hello":"world"}`, 204, nil)
	one.end(t)

	prefix := etcdtest.Prefix(t)
	engine := []string{"--etcd-endpoints=" + strings.Join(c.Endpoints(), ","), "--etcd-prefix=" + prefix}
	copyData := func(from, to, bolt string, more ...string) (string, error) {
		args := []string{"store", "copy", "--from", from, "--to", to, "--bolt-path",
			filepath.Join(bolt, "influxd.bolt")}
		return run(t, append(append(args, engine...), more...)...)
	}
	for name, args := range map[string][]string{
		"same engine": {"bolt", "bolt", dir}, "no engine": {"bolt", "disk", dir},
		"no data": {"bolt", "etcd", t.TempDir()}, "nothing in etcd": {"etcd", "bolt", t.TempDir()},
	} {
		if out, err := copyData(args[0], args[1], args[2]); err == nil {
			t.Errorf("%s: %s", name, out)
		}
	}
	if out, err := copyData("bolt", "etcd", dir, "--dry-run"); err != nil || !strings.Contains(out, "would be copied") {
		t.Fatalf("%s%v", out, err)
	}
	if out, err := copyData("bolt", "etcd", dir); err != nil ||
		!strings.Contains(out, "copied and read back, 0 of them") {
		t.Fatalf("%s%v", out, err)
	}
	if out, err := copyData("bolt", "etcd", dir); err == nil {
		t.Errorf("a second copy over data that may have changed: %s", out)
	}
	two := start(t, t.TempDir(), onEtcd(c, dir, prefix)...)
	if got := two.keys(t, token, secrets); got != "[foo hello]" {
		t.Errorf("the keys over etcd: %s", got)
	}
	two.call(t, "DELETE", secrets+"/foo", token, "", 204, nil)
	backup := filepath.Join(t.TempDir(), "backup.bolt")
	two.saveBackup(t, token, backup)
	two.end(t)
	if _, err := run(t, append([]string{"seal", "rotate", "--store=etcd"}, engine...)...); err == nil ||
		!strings.Contains(err.Error(), "influx seal rotate") {
		t.Errorf("a command for files, over etcd: %v", err)
	}
	if out, err := run(t, "check", "--bolt-path", backup, "--seal-key-file",
		filepath.Join(dir, "seal.key")); err != nil {
		t.Errorf("the backup of a server over etcd: %s%v", out, err)
	}

	back := t.TempDir()
	if out, err := copyData("etcd", "bolt", back); err != nil {
		t.Fatalf("%s%v", out, err)
	}
	three := start(t, back, "--seal-key-file="+filepath.Join(dir, "seal.key"))
	if got := three.keys(t, token, secrets); got != "[hello]" {
		t.Errorf("the keys in the file again: %s", got)
	}
}

func (r *running) saveBackup(t *testing.T, token, path string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+"/api/v2/backup/kv", nil)
	must(t, err)
	req.Header.Set("Authorization", "Token "+token)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	must(t, err)
	_, err = f.ReadFrom(res.Body)
	must(t, err)
	must(t, f.Close())
}

// TestAuditOfSeveralServers has each server name itself in its log, and the logs verified together, each against
// what the data know of it.
func TestAuditOfSeveralServers(t *testing.T) {
	c := etcdtest.Shared(t)
	keys, prefix := t.TempDir(), etcdtest.Prefix(t)
	dirs := map[string]string{"a": t.TempDir(), "b": t.TempDir()}
	a := start(t, dirs["a"], onEtcd(c, keys, prefix, "--server-name=a")...)
	b := start(t, dirs["b"], onEtcd(c, keys, prefix, "--server-name=b")...)
	token, secrets := a.onboard(t)
	b.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	// Each shows what was done at both, in one order.
	type page struct {
		Links   struct{ Next string }
		Records []struct {
			Server, Action string
			Time           time.Time
		}
		Missing []struct{ Server, Message string }
	}
	for name, r := range map[string]*running{"a": a, "b": b} {
		by := make(map[string]int)
		for path := "/api/v2/audit?limit=2"; path != ""; {
			var p page
			r.call(t, "GET", path, token, "", 200, &p)
			for i, rec := range p.Records {
				by[rec.Server+" "+rec.Action]++
				if i > 0 && rec.Time.After(p.Records[i-1].Time) {
					t.Errorf("at %s %+v stands after %+v", name, rec, p.Records[i-1])
				}
			}
			if len(p.Missing) > 0 {
				t.Errorf("at %s are missing %+v", name, p.Missing)
			}
			path = p.Links.Next
		}
		if by["a setup"] != 1 || by["b secrets.apply"] != 1 {
			t.Errorf("at %s: %v", name, by)
		}
	}
	b.end(t)
	var p page
	a.call(t, "GET", "/api/v2/audit", token, "", 200, &p)
	if len(p.Missing) != 1 || p.Missing[0].Server != "b" || p.Missing[0].Message != "it does not run" {
		t.Errorf("without one that has ended: %+v", p.Missing)
	}
	a.end(t)
	logs := []string{filepath.Join(dirs["b"], "audit.log"), filepath.Join(dirs["a"], "audit.log")}
	check := func() (string, error) {
		return run(t, append([]string{"audit", "verify", "--files", strings.Join(logs, ",")},
			onEtcd(c, keys, prefix)...)...)
	}
	out, err := check()
	if err != nil || strings.Count(out, "is whole") != 2 || !strings.Contains(out, `server "a"`) ||
		!strings.Contains(out, `server "b"`) ||
		strings.Contains(out, "do not know") {
		t.Errorf("two logs: %s%v", out, err)
	}
	whole, err := os.ReadFile(logs[0])
	must(t, err)
	cut := whole[:bytes.LastIndexByte(whole[:len(whole)-1], '\n')+1]
	must(t, os.WriteFile(logs[0], cut, 0o600))
	if out, err := check(); err == nil || strings.Count(out, "is whole") != 1 {
		t.Errorf("the end of one is cut off: %s%v", out, err)
	}
}

// TestEtcdFull has etcd reach its quota below a server: what writes is answered 507, and it is told; what reads goes
// on, also at a server that starts then.
func TestEtcdFull(t *testing.T) {
	c := etcdtest.Start(t, 1, "-quota", fmt.Sprint(4<<20))
	keys := t.TempDir()
	r := start(t, t.TempDir(), onEtcd(c, keys, "x/", "--server-name=a")...)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"foo":"bar"}`, 204, nil)
	big := strings.Repeat("x", 30<<10)
	full := false
	for n := 0; n < 1000 && !full; n++ {
		switch got := r.status(t, "PATCH", secrets, token, fmt.Sprintf(`{"k":%q}`, big)); got {
		case 204:
		case 507:
			full = true
		default:
			t.Fatalf("a write is answered %d", got)
		}
	}
	if !full {
		t.Fatal("etcd's space is never used up")
	}
	other := start(t, t.TempDir(), onEtcd(c, keys, "x/", "--server-name=b")...)
	for _, r := range []*running{r, other} {
		if got := r.keys(t, token, secrets); got != "[foo k]" {
			t.Errorf("the keys: %s", got)
		}
		r.call(t, "PATCH", secrets, token, `{"foo":"baz"}`, 507, nil)
		r.eventually(t, 200, "GET", "/ready", "", "")
		var health struct {
			Checks []struct{ Name, Status, Message string }
		}
		r.call(t, "GET", "/health", "", "", 200, &health)
		told := false
		for _, check := range health.Checks {
			told = told || check.Name == "data" && check.Status == "fail"
		}
		if !told {
			t.Errorf("its health is %+v", health)
		}
	}
}

// TestStartsBeforeEtcd starts a server whose etcd is not there: it waits, as long as it is told to, and then says so.
func TestStartsBeforeEtcd(t *testing.T) {
	c := etcdtest.Start(t, 1)
	c.Members[0].Kill()
	dir := t.TempDir()
	if _, err := launch(t, dir, onEtcd(c, dir, "x/", "--etcd-wait=0")...); err == nil ||
		!strings.Contains(err.Error(), "etcd takes no connections") ||
		!strings.Contains(err.Error(), "start etcd, or correct --etcd-endpoints") ||
		strings.Contains(err.Error(), "kv:") {
		t.Errorf("without etcd, and without waiting: %v", err)
	}
	flags := onEtcd(c, dir, "x/", "--etcd-wait=5m")
	var etcd sync.WaitGroup
	etcd.Go(func() { c.Members[0].Restart(t) })
	defer etcd.Wait()
	r := start(t, dir, flags...)
	r.onboard(t)
}
