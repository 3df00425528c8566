package influxd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"strongroom/internal/id"
	"strongroom/internal/influxd/command"
	"strongroom/internal/keyring"
	datafile "strongroom/internal/kv/bolt/snapshot"
	"strongroom/internal/kv/etcd/etcdtest"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded"
)

// killEnv makes the test binary a server on the data in the folder it names, with the flag that flagEnv has, or the
// command that commandEnv has, a word a line.
const (
	killEnv    = "STRONGROOM_TEST_SERVER"
	flagEnv    = "STRONGROOM_TEST_SERVER_FLAG"
	commandEnv = "STRONGROOM_TEST_SERVER_COMMAND"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killEnv); dir != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		args := append([]string{"--http-bind-address", "127.0.0.1:0", "--bolt-path",
			filepath.Join(dir, "influxd.bolt")}, strings.Fields(os.Getenv(flagEnv))...)
		if words := os.Getenv(commandEnv); words != "" {
			args = append(strings.Split(words, "\n"), "--bolt-path", filepath.Join(dir, "influxd.bolt"))
		}
		err := Run(ctx, command.Process{
			Args: args,
			Env:  []string{"HOME=/nowhere"}, Stdout: io.Discard, Stderr: os.Stderr,
			Listening: func(url string) { fmt.Println(url) },
		})
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
	code := m.Run()
	etcdtest.StopShared()
	os.Exit(code)
}

// kills is how often the server is killed: as often as asked for, and less where somebody is waiting, or where every
// start takes a second because of the race detector. make test runs it without that as well.
func kills() int {
	if testing.Short() || raceDetector {
		return 20
	}
	return 300
}

// killWriter sets all of its keys to the number of the change, in one request. One has so few that a change is one
// transaction, the other so many that it is several.
type killWriter struct {
	name  string
	keys  int
	vault bool // it writes over the API of Vault's clients
	acked int
}

func (w *killWriter) body(n int) string {
	var b strings.Builder
	for k := range w.keys {
		fmt.Fprintf(&b, `%c"%s-%03d":"%d %s"`, "{,"[min(k, 1)], w.name, k, n, strings.Repeat("x", n*37%200))
	}
	return b.String() + "}"
}

// run writes until the server is gone, and tells each acknowledgement.
func (w *killWriter) run(t *testing.T, url, token string, acks chan<- string) {
	var transport http.Transport
	defer transport.CloseIdleConnections()
	for n := w.acked + 1; ; n++ {
		body, want := w.body(n), http.StatusNoContent
		if w.vault {
			body, want = `{"data":`+body+`}`, http.StatusOK
		}
		req, err := http.NewRequest("PATCH", url, strings.NewReader(body))
		if err != nil {
			return
		}
		if w.vault {
			req.Header.Set("Content-Type", "application/merge-patch+json")
		}
		req.Header.Set("Authorization", "Token "+token)
		res, err := transport.RoundTrip(req)
		if err != nil {
			return
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("the writer %s is answered %d", w.name, res.StatusCode)
			return
		}
		w.acked = n
		acks <- w.name
	}
}

// underLoad waits for n acknowledgements, and for one of each of the names. It reports false if a writer
// was refused: then there are no more.
func underLoad(t *testing.T, acks <-chan string, n int, each []string) bool {
	waiting := make(map[string]bool)
	for _, name := range each {
		waiting[name] = true
	}
	for ; n > 0 || len(waiting) > 0; n-- {
		name, ok := <-acks
		if !ok || t.Failed() {
			return false
		}
		delete(waiting, name)
	}
	return true
}

// eachSecond has every second round killed when each of the names has had an acknowledgement, however slow the machine
// is, so that there was load. The other rounds may be killed before the first.
func eachSecond(round int, names []string) []string {
	if round%2 == 0 {
		return nil
	}
	return names
}

// TestKill kills the server 300 times at random moments under load of both APIs. What it had acknowledged is there,
// every change is there whole or not at all, and the next start is clean. Every second start has the names of secrets
// sealed, or unsealed, which the next go on with.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir)
	token, secrets := s.onboard(t)
	s.end(t)
	org, err := id.Parse(strings.Split(secrets, "/")[4])
	must(t, err)
	writers := []*killWriter{{name: "small", keys: 3}, {name: "other", keys: 2}, {name: "large", keys: 80},
		{name: "vault", keys: 3, vault: true}}
	var names []string
	for _, w := range writers {
		names = append(names, w.name)
	}
	rounds := kills()
	for round := range rounds {
		url, child := startChild(t, dir, []string{"--seal-keys", "", "--seal-keys=false", ""}[round%4])
		acks := make(chan string, 1000)
		var wg sync.WaitGroup
		for _, w := range writers {
			path := secrets
			if w.vault {
				path = "/v1/secret/data/" + org.String()
			}
			wg.Go(func() { w.run(t, url+path, token, acks) })
		}
		go func() { wg.Wait(); close(acks) }()
		if !underLoad(t, acks, rand.IntN(12), eachSecond(round, names)) {
			t.Fatalf("round %d: a writer was refused", round)
		}
		must(t, child.Process.Kill()) // SIGKILL
		child.Wait()
		for range acks { // what was acknowledged on the way
		}
		verifyKilled(t, dir, org, round, writers)
		if t.Failed() {
			return
		}
	}
	if out, _, err := influxdOn(t, dir, "check"); err != nil {
		t.Errorf("after %d kills: %v\n%s", rounds, err, out)
	}
	if out, _, err := influxdOn(t, dir, "audit", "verify"); err != nil {
		t.Errorf("the audit log after %d kills: %v\n%s", rounds, err, out)
	}
}

// startChild starts the server in a process of its own, with the flag if it is not empty, and waits until it listens.
func startChild(t *testing.T, dir, flag string) (url string, child *exec.Cmd) {
	t.Helper()
	return startCommand(t, dir, flag, exec.CommandContext(t.Context(), os.Args[0]))
}

// startCommand does so with a command that ends in the test binary.
func startCommand(t *testing.T, dir, flag string, child *exec.Cmd) (string, *exec.Cmd) {
	t.Helper()
	child.Env = append(os.Environ(), killEnv+"="+dir, flagEnv+"="+flag)
	var problems output
	child.Stderr = &problems
	out, err := child.StdoutPipe()
	must(t, err)
	must(t, child.Start())
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		child.Wait()
		t.Fatalf("the server did not start: %s", problems.String())
	}
	return lines.Text(), child
}

// verifyKilled reads through the store what the killed server has left.
func verifyKilled(t *testing.T, dir string, org id.ID, round int, writers []*killWriter) {
	t.Helper()
	data, problems, err := datafile.Read(t.Context(), filepath.Join(dir, "influxd.bolt"))
	must(t, err)
	if len(problems) > 0 {
		t.Fatalf("round %d: the file is damaged: %q", round, problems)
	}
	defer func() { must(t, data.Close()) }()
	keys, err := keyring.OpenOrInit(t.Context(), data,
		keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	must(t, err)
	defer keys.Close()
	store := embedded.New(embedded.Config{KV: data, Keyring: keys})
	for _, w := range writers {
		found, n := 0, 0
		for k := range w.keys {
			v, err := secret.Get(t.Context(), store, org, fmt.Sprintf("%s-%03d", w.name, k))
			if err != nil {
				if w.acked > 0 {
					t.Errorf("round %d: change %d of %s was acknowledged, and key %d is gone: %v", round, w.acked,
						w.name, k, err)
					return
				}
				continue
			}
			text, _, _ := strings.Cut(string(v.Bytes()), " ")
			this, err := strconv.Atoi(text)
			if err != nil || found > 0 && this != n {
				t.Errorf("round %d: a change of %s is there in part: %d and %s", round, w.name, n, text)
				return
			}
			found, n = found+1, this
		}
		if found != 0 && found != w.keys || n < w.acked || n > w.acked+1 {
			t.Errorf("round %d: of %s %d was acknowledged last, and %d is there in %d of %d keys", round, w.name,
				w.acked, n, found, w.keys)
			return
		}
		w.acked = n
	}
}
