package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"strongroom/internal/influxd"
	"strongroom/internal/influxd/command"
)

// TestScripts runs testdata/*.txtar, each against a real server of its own with its own file. INFLUX_HOST names the
// server. Beside testscript's commands there are
//
//	getid VAR      put the first ID in the last standard output into a variable
//	getenv VAR RE  put what the group of the expression finds in the last standard output into a variable
//	exits CODE CMD run a command that ends with this exit code
//	sent KEY FILE  compare the value last sent for a secret's key with a file, byte for byte
//
// The server is started with the flags in the script's file server.flags, where it has one.
//
// The program is built, rather than run inside the test's own binary: that one has the whole server in it, and takes a
// second to start where it detects races.
func TestScripts(t *testing.T) {
	bin := programDir(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			flags, err := os.ReadFile(filepath.Join(env.WorkDir, "server.flags"))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			wire := &wiretap{target: startServer(t, filepath.Join(env.WorkDir, "server"), env.Defer,
				strings.Fields(string(flags))...)}
			front := newLoopbackServer(env, wire)
			env.Values["wire"] = wire
			env.Setenv("PATH", bin+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("INFLUX_HOST", front)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"getid": func(ts *testscript.TestScript, neg bool, args []string) {
				getenv(ts, neg, append(args, "([0-9a-f]{16})"))
			},
			"getenv": getenv,
			"exits":  exits,
			"sent": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: sent KEY FILE")
				}
				got, ok := ts.Value("wire").(*wiretap).value(args[0])
				if want := ts.ReadFile(args[1]); !ok || got != want {
					ts.Fatalf("the value sent for %s is %q (sent at all: %v), want %q", args[0], got, ok, want)
				}
			},
		},
	})
}

func getenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: getenv VAR RE")
	}
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("the last output has nothing like %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND")
	}
	code := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s\n%s%s", code, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// programDir is the folder of the program, built once for all tests.
func programDir(t *testing.T) string {
	t.Helper()
	buildOnce.Do(func() {
		build := exec.Command("go", "build", "-o", filepath.Join(buildDir, "influx"), ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make builds it
		if out, err := build.CombinedOutput(); err != nil {
			errBuild = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if errBuild != nil {
		t.Fatal(errBuild)
	}
	return buildDir
}

var (
	buildOnce sync.Once
	buildDir  string
	errBuild  error
)

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "influx"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}

// startServer runs influxd in this process until the test or the script ends, and returns its URL.
func startServer(t *testing.T, dir string, atEnd func(func()), flags ...string) *url.URL {
	ctx, stop := context.WithCancel(context.Background())
	listening := make(chan string, 1)
	done := make(chan error, 1)
	var log bytes.Buffer // read after the server has ended
	go func() {
		done <- influxd.Run(ctx, command.Process{
			Args: append([]string{"--http-bind-address", "127.0.0.1:0", "--bolt-path",
				filepath.Join(dir, "strongroom.bolt")}, flags...),
			Env:       []string{"HOME=" + dir},
			Stdout:    io.Discard,
			Stderr:    &log,
			Listening: func(url string) { listening <- url },
		})
	}()
	var address string
	select {
	case address = <-listening:
	case err := <-done:
		stop()
		t.Fatalf("influxd ended: %v\n%s", err, log.String())
	}
	atEnd(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("influxd: %v\n%s", err, log.String())
		}
	})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// wiretap passes requests on to the server and keeps the secrets that were set: no answer of the server shows a value.
type wiretap struct {
	target *url.URL
	mu     sync.Mutex
	values map[string]string
}

func (w *wiretap) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPatch {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var values map[string]string
		if json.Unmarshal(body, &values) == nil {
			w.mu.Lock()
			w.values = values
			w.mu.Unlock()
		}
	}
	proxy := httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(w.target) }}
	proxy.ServeHTTP(rw, r)
}

func (w *wiretap) value(key string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.values[key]
	return v, ok
}

func newLoopbackServer(env *testscript.Env, h http.Handler) string {
	srv := httptest.NewServer(h)
	env.Defer(srv.Close)
	return srv.URL
}

// TestScriptsAreThere fails where the folder is empty, which testscript alone would pass.
func TestScriptsAreThere(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) < 8 {
		t.Errorf("%d scripts, %v", len(scripts), err)
	}
	for _, s := range scripts {
		if info, err := os.Stat(s); err != nil || info.Size() == 0 {
			t.Errorf("%s is empty (%v)", s, err)
		}
	}
}
