// Package etcdtest gives tests a real etcd: it runs the members of test/etcdserver in processes of their own.
//
//	c := etcdtest.Shared(t)       // one member, one for a test binary
//	prefix := etcdtest.Prefix(t)  // keys of the test's own, so that tests do not meet
//
// A test that kills or pauses members takes a cluster of its own with Start.
package etcdtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"strongroom/internal/porttest"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Cluster is a running etcd.
type Cluster struct {
	Members []*Member
	// Peers are the members as etcd's --initial-cluster names them.
	peers []string
}

// Member is one of its servers.
type Member struct {
	Endpoint string // its URL for clients, the same over a restart

	name, dir, client, peer string
	args                    []string
	cluster                 *Cluster
	cmd                     *exec.Cmd
	stdin                   io.Closer
	stderr                  *bytes.Buffer
}

// Endpoints are all members' URLs.
func (c *Cluster) Endpoints() (all []string) {
	for _, m := range c.Members {
		all = append(all, m.Endpoint)
	}
	return all
}

var shared struct {
	sync.Mutex
	cluster *Cluster
	prefix  int
}

// Shared returns the one-member cluster of this test binary, which ends with it.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		dir, err := os.MkdirTemp("", "etcd")
		if err != nil {
			t.Fatal(err)
		}
		shared.cluster = start(t, dir, 1, func() string {
			address, _, err := porttest.Hold() // for longer than this test
			if err != nil {
				t.Fatal(err)
			}
			return address
		})
	}
	return shared.cluster
}

// StopShared ends the shared cluster, for a TestMain.
func StopShared() {
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster != nil {
		for _, m := range shared.cluster.Members {
			m.Kill()
			_ = os.RemoveAll(m.dir)
		}
		shared.cluster = nil
	}
}

// Prefix is one that no other test of this binary has.
func Prefix(testing.TB) string {
	shared.Lock()
	defer shared.Unlock()
	shared.prefix++
	return fmt.Sprintf("test-%d/", shared.prefix)
}

// Start runs a cluster of n members for this test alone. The arguments go to each member's command line.
func Start(t testing.TB, n int, args ...string) *Cluster {
	t.Helper()
	c := start(t, t.TempDir(), n, func() string { return porttest.Address(t) }, args...)
	t.Cleanup(func() {
		for _, m := range c.Members {
			m.Kill()
		}
	})
	return c
}

// start runs a cluster whose members know each other's addresses before any of them listens.
func start(t testing.TB, dir string, n int, address func() string, args ...string) *Cluster {
	t.Helper()
	path := binary(t)
	c := &Cluster{}
	for i := range n {
		name := fmt.Sprintf("m%d", i)
		m := &Member{name: name, dir: filepath.Join(dir, name), client: "http://" + address(),
			peer: "http://" + address(), args: args, cluster: c}
		if strings.Contains(strings.Join(args, " "), "-cert") {
			m.client = "https" + strings.TrimPrefix(m.client, "http")
		}
		c.Members = append(c.Members, m)
		c.peers = append(c.peers, name+"="+m.peer)
	}
	errs := make(chan error, n)
	for _, m := range c.Members {
		go func() { errs <- m.run(path) }()
	}
	var err error
	for range n {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		for _, m := range c.Members {
			m.Kill()
			_ = os.RemoveAll(m.dir)
		}
		t.Fatal(err)
	}
	return c
}

func (m *Member) run(path string) error {
	m.cmd = exec.Command(path, append([]string{"-name", m.name, "-dir", m.dir, "-client", m.client, "-peer", m.peer,
		"-cluster", strings.Join(m.cluster.peers, ",")}, m.args...)...)
	m.stderr = new(bytes.Buffer)
	m.cmd.Stderr = m.stderr
	stdin, err := m.cmd.StdinPipe() // closed by the kernel when this process ends, however it ends
	if err != nil {
		return err
	}
	m.stdin = stdin
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := m.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		_ = m.cmd.Wait()
		return fmt.Errorf("a member of etcd did not start: %s", m.stderr)
	}
	var told struct{ Client string }
	if err := json.Unmarshal(line, &told); err != nil {
		return fmt.Errorf("a member of etcd said %q: %w", line, err)
	}
	m.Endpoint = told.Client
	return nil
}

// Kill ends the member at once, as a crash does.
func (m *Member) Kill() {
	if m.cmd == nil || m.cmd.Process == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
	_ = m.stdin.Close()
	m.cmd = nil
}

// Restart starts a killed member again, with its data and at its addresses.
func (m *Member) Restart(t testing.TB) {
	t.Helper()
	m.Kill()
	if err := m.run(binary(t)); err != nil {
		t.Fatal(err)
	}
}

// Save keeps a copy of the data of a member that was killed. What it gives puts the copy in their place.
func (m *Member) Save(t testing.TB) (back func()) {
	t.Helper()
	saved := filepath.Join(t.TempDir(), "saved")
	if err := os.CopyFS(saved, os.DirFS(m.dir)); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := errors.Join(os.RemoveAll(m.dir), os.CopyFS(m.dir, os.DirFS(saved))); err != nil {
			t.Fatal(err)
		}
	}
}

// Pause stops the member's process, which neither answers nor closes a connection from then on.
func (m *Member) Pause() { _ = m.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume has it go on.
func (m *Member) Resume() { _ = m.cmd.Process.Signal(syscall.SIGCONT) }

// Slow has the member stand still for most of the time, in short turns, until it is healed: it does all that it is
// asked, late, as one does whose disk is slow.
func (m *Member) Slow() (heal func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			m.Pause()
			time.Sleep(40 * time.Millisecond)
			m.Resume()
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// PID is the number of the member's process.
func (m *Member) PID() int { return m.cmd.Process.Pid }

// Leader waits until the members that answer agree on a leader, and gives it. Those that are gone are not asked.
func (c *Cluster) Leader(t testing.TB, gone ...*Member) *Member {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for t.Context().Err() == nil {
		var leader *Member
		agreed := make(map[uint64]bool)
		for _, m := range c.Members {
			if slices.Contains(gone, m) {
				continue
			}
			asked, cancel := context.WithTimeout(t.Context(), time.Second)
			told, err := client.Status(asked, m.Endpoint)
			cancel()
			if err != nil {
				continue
			}
			agreed[told.Leader] = true
			if told.Leader == told.Header.MemberId {
				leader = m
			}
		}
		if leader != nil && len(agreed) == 1 {
			return leader
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("etcd has no leader")
	return nil
}

// Compact has etcd forget all but the newest revision, as --auto-compaction-retention does in time.
func (c *Cluster) Compact(t testing.TB) {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), DialTimeout: time.Minute})
	if err != nil {
		t.Error(err)
		return
	}
	defer client.Close()
	if err := compact(t.Context(), client); err != nil {
		t.Error(err)
	}
}

func compact(ctx context.Context, client *clientv3.Client) error {
	now, err := client.Get(ctx, "x", clientv3.WithCountOnly())
	if err == nil {
		_, err = client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	}
	return err
}

// Size compacts and defragments the first member, and gives the bytes that its data take then.
func (c *Cluster) Size(t testing.TB) int64 {
	t.Helper()
	at := c.Members[0].Endpoint
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{at}, DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err = compact(ctx, client)
	if err == nil {
		_, err = client.Defragment(ctx, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	status, err := client.Status(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	return status.DbSizeInUse
}

// binary finds the server. A test that cannot run for lack of it fails: a skipped one would not be missed.
func binary(t testing.TB) string {
	t.Helper()
	if testing.Short() && os.Getenv("CI") == "" {
		t.Skip("needs a real etcd; left out by -short")
	}
	path := os.Getenv("STRONGROOM_TEST_ETCD")
	if path == "" {
		path = filepath.Join(root(t), ".cache", "bin", "etcdserver")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no etcd to test against: %v; run make test-tools", err)
	}
	return path
}

// root is the folder of the product's go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && bytes.HasPrefix(b,
			[]byte("module strongroom\n")) {
			return dir
		}
	}
	t.Fatal("no go.mod of the module strongroom above the working folder; set STRONGROOM_TEST_ETCD to the " +
		"server's binary")
	return ""
}
