package influxd

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/kv/bolt"
	"strongroom/internal/seal"
	"strongroom/internal/secret"
	"strongroom/internal/secret/sealed"
)

// The benchmarks put the server beside the least that could do the same, in one run on one machine: a bare handler that
// writes the same bytes, and a bare update of a bbolt file. docs/performance.md has the ratios. The client of all of
// them writes and reads bytes on a connection of its own, so that it is the server that is measured.

// wire is a connection that sends one request over and over.
type wire struct {
	conn    net.Conn
	r       *bufio.Reader
	request []byte
}

func dial(b *testing.B, url, method, path, token, body string) *wire {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token %s\r\nContent-Length: %d\r\n\r\n", method, path, token, len(body))
	return &wire{conn, bufio.NewReaderSize(conn, 64<<10), []byte(head + body)}
}

// send sends the request and reads the whole answer.
func (w *wire) send(status string) error {
	if _, err := w.conn.Write(w.request); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := w.r.ReadString('\n')
		if err != nil {
			return err
		}
		if first && !strings.HasPrefix(line, "HTTP/1.1 "+status) {
			return fmt.Errorf("answered %q", line)
		}
		if line == "\r\n" {
			_, err := w.r.Discard(length)
			return err
		}
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return err
			}
		}
	}
}

// load has the given number of clients send their requests until the benchmark is over.
func load(b *testing.B, clients int, status string, connect func(n int) *wire) {
	if clients == 1 { // RunParallel has one for each processor at least
		w := connect(0)
		for b.Loop() {
			if err := w.send(status); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
		return
	}
	wires := make(chan *wire, 2*clients)
	for n := range 2 * clients {
		wires <- connect(n)
	}
	b.SetParallelism((clients + 1) / 2) // times GOMAXPROCS; 2 on a small machine
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		w := <-wires
		for pb.Next() {
			if err := w.send(status); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// filledServer starts a server whose organisation has n secrets.
func filledServer(b *testing.B, n int) (r *running, token, path, list string) {
	dir := b.TempDir()
	ctx, cancel := context.WithCancel(b.Context())
	r = &running{}
	listening, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Process{Args: []string{"--http-bind-address=127.0.0.1:0", "--bolt-path=" + filepath.Join(dir, "influxd.bolt")},
			Env: []string{"HOME=/nowhere"}, Stdout: io.Discard, Stderr: &r.stderr, Listening: func(url string) { listening <- url }})
	}()
	select {
	case r.url = <-listening:
	case err := <-ended:
		b.Fatal(err)
	}
	b.Cleanup(func() { cancel(); <-ended })
	var made struct {
		Org  struct{ ID string }
		Auth struct{ Token string }
	}
	answer := func(method, path, token, body string, out any) string {
		q, err := http.NewRequestWithContext(b.Context(), method, r.url+path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		q.Header.Set("Authorization", "Token "+token)
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			b.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil || a.StatusCode >= 300 {
			b.Fatal(a.Status, err)
		}
		if out != nil {
			if err := json.Unmarshal(text, out); err != nil {
				b.Fatal(err)
			}
		}
		return string(text)
	}
	answer("POST", "/api/v2/setup", "", `{"username":"ann","password":"long enough","org":"o","bucket":"b"}`, &made)
	path = "/api/v2/orgs/" + made.Org.ID + "/secrets"
	values := make(map[string]string)
	for i := range n {
		values[fmt.Sprintf("key-%05d", i)] = "a value of the usual size, a token or a password"
	}
	body, err := json.Marshal(values)
	if err != nil {
		b.Fatal(err)
	}
	answer("PATCH", path, made.Auth.Token, string(body), nil)
	return r, made.Auth.Token, path, answer("GET", path, made.Auth.Token, "", nil)
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		r, token, path, list := filledServer(b, n)
		bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Header().Set("Content-Length", strconv.Itoa(len(list)))
			io.WriteString(w, list)
		}))
		defer bare.Close()
		for _, server := range []struct{ name, url string }{{"bare", bare.URL}, {"strongroom", r.url}} {
			b.Run(fmt.Sprintf("secrets=%d/%s", n, server.name), func(b *testing.B) {
				load(b, 8, "200", func(int) *wire { return dial(b, server.url, "GET", path, token, "") })
			})
		}
	}
}

func BenchmarkPatch(b *testing.B) {
	b.Run("clients=1/bbolt", func(b *testing.B) { updates(b, 1) })
	b.Run("clients=32/bbolt", func(b *testing.B) { updates(b, 32) })
	for _, clients := range []int{1, 32} {
		for name, key := range map[string]string{"same-key": "key", "own-keys": "key-%d"} {
			b.Run(fmt.Sprintf("clients=%d/strongroom/%s", clients, name), func(b *testing.B) {
				r, token, path, _ := filledServer(b, 100)
				load(b, clients, "204", func(n int) *wire {
					if strings.Contains(key, "%d") {
						return dial(b, r.url, "PATCH", path, token, fmt.Sprintf(`{"`+key+`":"a value of the usual size"}`, n))
					}
					return dial(b, r.url, "PATCH", path, token, `{"`+key+`":"a value of the usual size"}`)
				})
			})
		}
	}
}

// updates is one sync a write: an update of a bbolt file for each.
func updates(b *testing.B, clients int) {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.bolt"), 0o600, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var n atomic.Int64
	b.SetParallelism((clients + 1) / 2)
	b.ResetTimer()
	write := func() error {
		key := []byte(fmt.Sprintf("key-%d", n.Add(1)%int64(clients)))
		return db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("secrets"))
			if err != nil {
				return err
			}
			return bucket.Put(key, []byte("a value of the usual size"))
		})
	}
	if clients == 1 {
		for b.Loop() {
			if err := write(); err != nil {
				b.Fatal(err)
			}
		}
	} else {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := write(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// BenchmarkStart starts the server over 100,000 secrets of 100 organisations, until it takes connections.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	data, err := bolt.Open(filepath.Join(dir, "influxd.bolt"), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	keys, err := keyring.OpenOrInit(b.Context(), data, keyring.Config{Seal: seal.KeyFile(filepath.Join(dir, "seal.key"))})
	if err != nil {
		b.Fatal(err)
	}
	store := sealed.New(sealed.Config{KV: data, Keyring: keys, History: 10})
	for o := range 100 {
		c := secret.Change{Set: make(map[string]secret.Value)}
		for i := range 1000 {
			c.Set[fmt.Sprintf("key-%05d", i)] = secret.NewValue([]byte("a value of the usual size, a token or a password"))
		}
		if err := store.Apply(b.Context(), id.ID(o+1), c); err != nil {
			b.Fatal(err)
		}
	}
	keys.Close()
	if err := data.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		err := Run(ctx, Process{Args: []string{"--http-bind-address=127.0.0.1:0", "--bolt-path=" + filepath.Join(dir, "influxd.bolt")},
			Env: []string{"HOME=/nowhere"}, Stdout: io.Discard, Stderr: io.Discard, Listening: func(string) { cancel() }})
		cancel()
		if err != nil {
			b.Fatal(err)
		}
	}
}
