package walkthrough

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/test/daemon"
)

// newerInfluxd builds an influxd that knows the next format of the data, and says which that is.
func newerInfluxd(t *testing.T) (bin string, format int) {
	t.Helper()
	root, err := filepath.Abs("../..")
	must(t, err)
	path := filepath.Join(root, "internal/servers/servers.go")
	source, err := os.ReadFile(path)
	must(t, err)
	line := source[bytes.Index(source, []byte("\nconst Format = "))+1:]
	line = line[:bytes.IndexByte(line, '\n')]
	if _, err := fmt.Sscanf(string(line), "const Format = %d", &format); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	format++
	bin = t.TempDir()
	newer := filepath.Join(bin, "servers.go")
	must(t, os.WriteFile(newer, bytes.Replace(source, line, fmt.Appendf(nil, "const Format = %d", format), 1), 0o600))
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: newer}})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(bin, "overlay.json"), overlay, 0o600))
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(bin, "overlay.json"), "-ldflags",
		"-s -w", "-o", filepath.Join(bin, "influxd"), "./cmd/influxd")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin, format
}

// refuses starts the influxd of today, which has to end with one line that names the newer format.
func refuses(t *testing.T, home string, format int, flags ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(daemon.Bin(t), "influxd"), append([]string{
		"--http-bind-address", "127.0.0.1:0"}, flags...)...)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	last := out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]
	want := fmt.Sprintf("the data are of a newer format (%d; this influxd knows %d)", format, format-1)
	if err == nil || !strings.Contains(string(last), want) {
		t.Errorf("an older influxd ends with %v and %q, want %q", err, last, want)
	}
}

// rolling are the servers that clients reach through a balancer, which knows of a start and an end.
type rolling struct {
	mu      sync.Mutex
	servers map[string]*daemon.Daemon
	stops   map[string]func()
}

func (r *rolling) starts(name string, d *daemon.Daemon, stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers[name], r.stops[name] = d, stop
}

// ends takes the server out of the balancer, and stops it.
func (r *rolling) ends(name string) {
	r.mu.Lock()
	stop := r.stops[name]
	delete(r.servers, name)
	r.mu.Unlock()
	stop()
}

func (r *rolling) any() *daemon.Daemon {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.servers {
		return d
	}
	return nil
}

// TestRollingUpgrade replaces three servers over etcd one after the other by a program that knows a newer format of the
// data, while a client writes. Until the last is replaced an older one may come back; then none starts any more. What
// was acknowledged is there.
func TestRollingUpgrade(t *testing.T) {
	newer, format := newerInfluxd(t)
	cluster := etcdtest.Start(t, 1)
	key, homes, prefix := filepath.Join(t.TempDir(), "seal.key"), t.TempDir(), etcdtest.Prefix(t)
	all := &rolling{servers: make(map[string]*daemon.Daemon), stops: make(map[string]func())}
	flags := func(name string) []string {
		return []string{"--store=etcd", "--etcd-endpoints=" + strings.Join(cluster.Endpoints(), ","),
			"--etcd-prefix=" + prefix, "--seal-key-file=" + key, "--server-name=" + name}
	}
	start := func(bin, name string) *daemon.Daemon {
		t.Helper()
		home := filepath.Join(homes, name)
		must(t, os.MkdirAll(home, 0o700))
		d, stop := daemon.StartFrom(t, bin, home, flags(name)...)
		all.starts(name, d, stop)
		return d
	}

	first := start(daemon.Bin(t), "a")
	var made struct {
		Org  struct{ ID string }
		Auth struct{ Token string }
	}
	first.Call(t, "", "POST", "/api/v2/setup", `{"username":"admin","password":"correct horse","org":"acme","bucket":"m"}`,
		&made)
	start(daemon.Bin(t), "b")
	start(daemon.Bin(t), "c")

	acknowledged, stopWriter, done := 0, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stopWriter:
				return
			default:
			}
			n := acknowledged + 1
			req, err := http.NewRequestWithContext(t.Context(), "PATCH", all.any().URL+"/api/v2/orgs/"+made.Org.ID+
				"/secrets", strings.NewReader(fmt.Sprintf(`{"counted":"%d"}`, n)))
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Token "+made.Auth.Token)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				continue // its server ended: the same once more, at another
			}
			res.Body.Close()
			switch res.StatusCode {
			case http.StatusNoContent:
				acknowledged = n
			case http.StatusServiceUnavailable:
			default:
				t.Errorf("a write during the upgrade is answered %d", res.StatusCode)
				return
			}
		}
	}()

	for _, name := range []string{"a", "b"} {
		all.ends(name)
		start(newer, name)
	}
	all.ends("c")
	start(daemon.Bin(t), "c") // an older one comes back meanwhile
	all.ends("c")
	last := start(newer, "c")

	// The format is raised when the newer servers next look at who is there.
	raised := func() bool {
		b, err := exec.CommandContext(t.Context(), filepath.Join(daemon.Bin(t), "influxd"), append([]string{"recovery",
			"user", "list"}, flags("d")...)...).CombinedOutput()
		var exit *exec.ExitError
		return errors.As(err, &exit) && strings.Contains(string(b), "newer format")
	}
	for began := time.Now(); !raised(); time.Sleep(time.Second) {
		if time.Since(began) > 2*time.Minute {
			t.Fatal("the newer servers do not raise the format in two minutes")
		}
	}
	close(stopWriter)
	<-done
	refuses(t, t.TempDir(), format, flags("d")...)

	var user struct{ Token string }
	last.Call(t, made.Auth.Token, "POST", "/api/v2/authorizations", `{"orgID":"`+made.Org.ID+`","permissions":[{"action":`+
		`"use","resource":{"type":"secrets","orgID":"`+made.Org.ID+`"}}]}`, &user)
	var values map[string]string
	last.Call(t, user.Token, "GET", "/api/v2/orgs/"+made.Org.ID+"/secret-values", "", &values)
	if got := values["counted"]; acknowledged == 0 || got != fmt.Sprint(acknowledged) && got !=
		fmt.Sprint(acknowledged+1) {
		t.Errorf("%d writes were acknowledged, and the last one there is %s", acknowledged, got)
	}
}

// TestUpgradeOfOne starts a newer program on the data of a single server: it raises their format at once, and the older
// one refuses them.
func TestUpgradeOfOne(t *testing.T) {
	newer, format := newerInfluxd(t)
	home := t.TempDir()
	d, stop := daemon.StartAt(t, home)
	d.Call(t, "", "POST", "/api/v2/setup", `{"username":"admin","password":"correct horse","org":"acme","bucket":"m"}`, nil)
	stop()
	for range 2 {
		_, stop = daemon.StartFrom(t, newer, home)
		stop()
	}
	refuses(t, home, format)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
