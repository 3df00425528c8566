package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// server is one in a process of its own, so that its CPU time and its memory are its own.
type server struct {
	url string
	cmd *exec.Cmd
}

// run starts the command and waits until a line on its standard error names the URL that it listens on.
func run(b *testing.B, cmd *exec.Cmd, urlOf func(line []byte) string) *server {
	b.Helper()
	out, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	s := &server{cmd: cmd}
	b.Cleanup(s.stop)
	lines := bufio.NewScanner(out)
	var said strings.Builder
	for lines.Scan() {
		if s.url = urlOf(lines.Bytes()); s.url != "" {
			go io.Copy(io.Discard, out)
			return s
		}
		fmt.Fprintln(&said, lines.Text())
	}
	b.Fatalf("%s ended before it listened:\n%s", cmd, said.String())
	return nil
}

// stop ends the process in order. A second call does nothing.
func (s *server) stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	}
}

// influxd starts the real program with its data in dir.
func influxd(b *testing.B, dir string, env []string, flags ...string) *server {
	b.Helper()
	cmd := exec.Command(influxdPath(b), append([]string{"--http-bind-address=127.0.0.1:0",
		"--bolt-path=" + filepath.Join(dir, "influxd.bolt"), "--log-format=json"}, flags...)...)
	cmd.Env = append(env, "HOME="+dir)
	return run(b, cmd, func(line []byte) string {
		var said struct{ Msg, URL string }
		if json.Unmarshal(line, &said) != nil || said.Msg != "listening" {
			return ""
		}
		return said.URL
	})
}

// influxdPath is where the program is.
func influxdPath(b *testing.B) string {
	b.Helper()
	bin := os.Getenv("STRONGROOM_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "..", "bin")
	}
	path, err := filepath.Abs(filepath.Join(bin, "influxd"))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		b.Fatalf("there is no server to measure: %v; run make build", err)
	}
	return path
}

// bareEnv makes this test binary a bare handler. It names the size of the answers, the file to
// update, or the server to ask.
const bareEnv = "STRONGROOM_BENCH_BARE"

// bareUnchanged makes it one that says that nothing has changed, and nothing else.
const bareUnchanged = "unchanged"

// bareList starts a handler that does nothing but write a list of so many bytes, on the same net/http.
func bareList(b *testing.B, size int) *server { return bare(b, strconv.Itoa(size)) }

// bareUpdates starts a handler that does nothing but update a bbolt file for each request.
func bareUpdates(b *testing.B) *server { return bare(b, filepath.Join(b.TempDir(), "bare.bolt")) }

// bareBetween starts a handler that does nothing but ask the server what it is asked.
func bareBetween(b *testing.B, s *server) *server { return bare(b, s.url) }

func bare(b *testing.B, what string) *server {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = []string{bareEnv + "=" + what}
	return run(b, cmd, func(line []byte) string {
		url, _ := strings.CutPrefix(string(line), "listening on ")
		return url
	})
}

func serveBare(what string) error {
	handler, err := bareHandler(what)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "listening on http://%s\n", l.Addr())
	return http.Serve(l, handler)
}

func bareHandler(what string) (http.HandlerFunc, error) {
	if strings.HasPrefix(what, "http://") {
		return func(w http.ResponseWriter, r *http.Request) { pass(w, r, what) }, nil
	}
	if what == bareUnchanged {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"a tag of the usual"`)
			w.WriteHeader(http.StatusNotModified)
		}, nil
	}
	size, err := strconv.Atoi(what)
	if err != nil {
		update, _, err := updater(what)
		return func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil || update() != nil {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		}, err
	}
	list := []byte(`{"secrets":["` + strings.Repeat("k", max(0, size-len(`{"secrets":[""]}`))) + `"]}`)
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(list)))
		_, _ = w.Write(list)
	}, nil
}

// pass asks the server at to for what was asked for, and answers what it answers.
func pass(w http.ResponseWriter, r *http.Request, to string) {
	q, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.Path, nil)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	q.Header = r.Header
	a, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer a.Body.Close()
	w.WriteHeader(a.StatusCode)
	_, _ = io.Copy(w, a.Body)
}

// updater gives what updates a bbolt file, each time with its sync: the least that keeps a change.
func updater(path string) (update, end func() error, err error) {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return nil, nil, err
	}
	n := 0
	return func() error {
		n++
		return db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("secrets"))
			if err != nil {
				return err
			}
			return bucket.Put([]byte("key"), fmt.Append(nil, "a value of the usual size, number ", n))
		})
	}, db.Close, nil
}

// cpu is the CPU time that the process has used so far, on all its threads; of no server, none.
func (s *server) cpu(b *testing.B) time.Duration {
	b.Helper()
	if s == nil {
		return 0
	}
	return cpuOf(b, s.cmd.Process.Pid)
}

func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	// The clock of another process, as clock_getcpuclockid(3) makes it: the complement of the process's number, and in
	// the lowest bits CPUCLOCK_SCHED.
	var at unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &at); err != nil {
		b.Fatal(err)
	}
	return time.Duration(at.Nano())
}

// memory gives what the kernel says of the process's memory in MiB: VmRSS, VmHWM (the most it ever was), and of what is
// there now RssAnon (its own) and RssFile (pages of files, the mapped data file's among them, which the kernel takes
// back when it needs them).
func (s *server) memory(b *testing.B) map[string]float64 {
	b.Helper()
	sizes, err := memoryOf(s.cmd.Process.Pid)
	if err != nil {
		b.Fatal(err)
	}
	return sizes
}

// forgetMost has the most memory that the process has had counted from now on.
func (s *server) forgetMost(b *testing.B) {
	b.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

func memoryOf(pid int) (map[string]float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "VmRSS", "VmHWM", "RssAnon", "RssFile":
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err != nil {
				return nil, err
			}
			sizes[name] = kib / 1024
		}
	}
	if len(sizes) != 4 {
		return nil, fmt.Errorf("the kernel says only %v of the process's memory", sizes)
	}
	return sizes, nil
}
