package influxd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// TestAttack attacks servers in every way that somebody has, each for a second or two, while a good request is made
// again and again from another address. `make attack` shows the table of what came of it.
func TestAttack(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "attack\tfigures\tgood requests\tslowest")
	for _, a := range []struct {
		name  string
		flags string
		run   func(t *testing.T, v *victim) string
	}{
		{"malformed requests to every route", "", attackMalformed},
		{"slow headers, bodies and readers", "--http-read-header-timeout=1s --http-read-timeout=1s " +
			"--http-write-timeout=2s", attackSlow},
		{"idle connections of one address", "--http-max-connections=256", attackIdle},
		{"refused strangers fill the record", "", attackRecord},
		{"large bodies without permission", "--max-in-flight=32MiB", attackBodies},
		{"all values, not read", "--max-in-flight=32MiB", attackValues},
		{"strangers announce bodies", "--max-in-flight=64MiB", attackStrangers},
		{"bodies of many small things", "--max-in-flight=128MiB", attackSmall},
		{"a thousand connections for each route", "--max-in-flight=32MiB", attackMemory},
		{"refused, and asking again at once", "--max-in-flight=32MiB", attackAgain},
		{"TLS: garbage, old versions, halves", "tls --http-read-header-timeout=1s", attackTLS},
		{"HTTP/2: resets, continuations, pings, settings", "tls", attackHTTP2},
		{"HTTP/2: headers that are too large", "tls", attackHeaders},
		{"hostile files of InfluxDB and backups", "", attackFiles},
	} {
		t.Run(a.name, func(t *testing.T) {
			if raceDetector && measured[a.name] {
				t.Skip("a measure of memory and time, of which the race detector takes many times as much: run without it")
			}
			v := newVictim(t, a.flags)
			stop := v.goodRequests(t)
			figures := a.run(t, v)
			good, bad, slowest := stop()
			if bad > 0 || good == 0 {
				t.Errorf("%d of %d good requests failed meanwhile", bad, good+bad)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%v\n", a.name, figures, good, slowest.Round(time.Millisecond))
		})
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
}

// measured are the attacks that say more of memory and time than of what is done at a time. They take minutes with the
// race detector, and hold then in bounds that say little.
var measured = map[string]bool{
	"all values, not read":                  true,
	"bodies of many small things":           true,
	"a thousand connections for each route": true,
	"refused, and asking again at once":     true,
}

// victim is a server in a process of its own, set up.
type victim struct {
	*running
	dir            string
	pid            int
	addr           string
	client         *http.Client // of the good
	token, secrets string
	agent, values  string
	goodToken      string
}

func newVictim(t *testing.T, flags string) *victim {
	t.Helper()
	v := &victim{dir: t.TempDir(), client: &http.Client{Timeout: 30 * time.Second}}
	rest, secure := strings.CutPrefix(flags, "tls")
	if secure {
		cert, key, transport := certificateFor(t, v.dir)
		v.client.Transport = transport
		flags = rest + " --tls-cert=" + cert + " --tls-key=" + key
	}
	setup := start(t, v.dir) // the helpers speak plain HTTP
	v.token, v.secrets = setup.onboard(t)
	v.agent, v.values = setup.agent(t, v.token, v.secrets)
	setup.call(t, "PATCH", v.secrets, v.token, `{"good":"one"}`, 204, nil)
	// Of a user of their own: those who attack may take all that one user may have.
	var user struct{ ID string }
	setup.call(t, "POST", "/api/v2/users", v.token, `{"name":"good"}`, 201, &user)
	var made struct{ Token string }
	org := strings.Split(v.secrets, "/")[4]
	setup.call(t, "POST", "/api/v2/authorizations", v.token, fmt.Sprintf(`{"orgID":%q,"userID":%q,"permissions":`+
		`[{"action":"read","resource":{"type":"secrets","orgID":%q}}]}`, org, user.ID, org), 201, &made)
	v.goodToken = made.Token
	setup.end(t)
	url, child := startChild(t, v.dir, flags)
	v.running, v.pid = &running{url: url}, child.Process.Pid
	_, v.addr, _ = strings.Cut(url, "://")
	v.addr = strings.Replace(v.addr, "localhost", "127.0.0.1", 1)
	t.Cleanup(func() {
		_ = child.Process.Signal(syscall.SIGTERM)
		_ = child.Wait()
	})
	return v
}

// goodRequests lists the secrets again and again, on a new connection each time. What it returns stops it.
func (v *victim) goodRequests(t *testing.T) (stop func() (good, bad int, slowest time.Duration)) {
	done := make(chan struct{})
	var group sync.WaitGroup
	var good, bad int
	var slowest time.Duration
	group.Go(func() {
		for {
			began := time.Now()
			err := v.good()
			if err != nil && raceDetector { // once more, as clients do: the attack may have taken all of the processor
				time.Sleep(time.Second)
				err = v.good()
			}
			if took := time.Since(began); took > slowest {
				slowest = took
			}
			if good++; err != nil {
				good--
				bad++
				t.Log("a good request: ", err)
			}
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return func() (int, int, time.Duration) {
		close(done)
		group.Wait()
		return good, bad, slowest
	}
}

func (v *victim) good() error {
	req, err := http.NewRequest("GET", v.url+v.secrets, nil)
	if err != nil {
		return err
	}
	req.Close = true
	req.Header.Set("Authorization", "Token "+v.goodToken)
	res, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != 200 || !strings.Contains(string(b), "good")) {
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return err
}

// grown fails the test where the server's memory has grown by more than so many MiB. The race detector
// takes many times that.
func (v *victim) grown(t *testing.T, before, most int) (after int) {
	t.Helper()
	if raceDetector {
		most *= 10
	}
	if after = v.memory(t); after-before > most {
		t.Errorf("memory grew from %d to %d MiB", before, after)
	}
	return after
}

// memory is the most that the server has had, in MiB.
func (v *victim) memory(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.pid))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("there is no /proc here: %v", err)
		}
		t.Skip("there is no /proc here")
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			must(t, err)
			return kb >> 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// dial connects from an address that is not the good client's.
func (v *victim) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := v.dialOther()
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (v *victim) dialOther() (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 10 * time.Second}
	return d.Dial("tcp", v.addr)
}

// attackSlow sends a byte now and then, in headers and in bodies, and reads nothing of an answer:
// all are cut off in time.
func attackSlow(t *testing.T, v *victim) string {
	const each = 100
	began := time.Now()
	var group sync.WaitGroup
	var mu sync.Mutex
	var longest time.Duration
	for i := range 3 * each {
		conn := v.dial(t)
		group.Go(func() {
			head := "GET /ping HTTP/1.1\r\nHost: x\r\nX-A: "
			switch i % 3 {
			case 1:
				head = "PATCH " + v.secrets + " HTTP/1.1\r\nHost: x\r\nAuthorization: Token " + v.token +
					"\r\nContent-Length: 4000000\r\n\r\n{"
			case 2: // requests without end, whose answers are not read
				head = strings.Repeat("GET /api/v2/swagger.json HTTP/1.1\r\nHost: x\r\n\r\n", 50)
			}
			_, err := io.WriteString(conn, head)
			for err == nil && time.Since(began) < 8*time.Second {
				time.Sleep(50 * time.Millisecond)
				_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
				if i%3 == 2 {
					_, err = io.WriteString(conn, head)
				} else {
					_, err = io.WriteString(conn, "x")
				}
				if ne, ok := err.(net.Error); ok && ne.Timeout() { // our own wait
					err = nil
				}
			}
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, time.Since(began))
			if err == nil {
				t.Errorf("kind %d is still connected after %v", i%3, time.Since(began))
			}
		})
	}
	group.Wait()
	return fmt.Sprintf("%d connections, the last cut off after %.1f s", 3*each, longest.Seconds())
}

// attackIdle opens ten times as many connections as one may have.
func attackIdle(t *testing.T, v *victim) string {
	const n = 1280
	for i := range n {
		conn := v.dial(t)
		if i%2 == 0 {
			_, _ = io.WriteString(conn, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
		}
	}
	time.Sleep(300 * time.Millisecond)
	return fmt.Sprintf("%d connections", n)
}

// attackRecord has strangers refused as often as they can be.
func attackRecord(t *testing.T, v *victim) string {
	log := filepath.Join(v.dir, "audit.log")
	before, err := os.Stat(log)
	must(t, err)
	requests := []string{
		"POST /api/v2/setup HTTP/1.1\r\nHost: x\r\nContent-Length: 61\r\n\r\n" +
			`{"username":"u","password":"pppppppp","org":"o","bucket":"b"} `,
		"GET " + v.secrets + " HTTP/1.1\r\nHost: x\r\nAuthorization: Token none-such\r\n\r\n",
		"POST /api/v2/signin HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " +
			"bm9ib2R5Om5vdGhpbmc=\r\nContent-Length: 0\r\n\r\n",
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	total := 0
	end := time.Now().Add(2 * time.Second)
	for i := range 9 {
		conn := v.dial(t)
		group.Go(func() {
			r, n := bufio.NewReader(conn), 0
			for ; time.Now().Before(end); n++ {
				if _, err := io.WriteString(conn, requests[i%3]); err != nil {
					break
				}
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					break
				}
				_, _ = io.Copy(io.Discard, res.Body)
				if res.StatusCode < 400 || res.StatusCode >= 500 {
					t.Errorf("a stranger gets %s", res.Status)
				}
			}
			mu.Lock()
			total += n
			mu.Unlock()
		})
	}
	group.Wait()
	after, err := os.Stat(log)
	must(t, err)
	grew := after.Size() - before.Size()
	// The good requests are written too, some 300 bytes each.
	if good := int64(150 * 400); grew > 100<<10+good {
		t.Errorf("%d refusals take %d bytes of the record", total, grew)
	}
	return fmt.Sprintf("%d refusals, %d KiB of record", total, grew>>10)
}

// attackBodies sends large bodies with a token that may change nothing.
func attackBodies(t *testing.T, v *victim) string {
	before := v.memory(t)
	body := make([]byte, 4<<20)
	for i := range body {
		body[i] = 'x'
	}
	codes := make(map[int]int)
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 100 {
		conn := v.dial(t)
		token := v.agent
		if i%2 == 1 {
			token = v.token // who may, and sends what is no JSON
		}
		group.Go(func() {
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: Token %s\r\nContent-Length: %d\r\n\r\n",
				v.secrets, token, len(body))
			go func() { _, _ = conn.Write(body) }()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				codes[0]++
				return
			}
			codes[res.StatusCode]++
		})
	}
	group.Wait()
	after := v.grown(t, before, 250)
	if codes[204] > 0 || codes[500] > 0 {
		t.Errorf("answers %v", codes)
	}
	return fmt.Sprintf("100 × 4 MiB: answers %v, memory %d to %d MiB", codes, before, after)
}

// attackStrangers announces bodies for forms and for the API, sends none of the one and most of the other, from ten
// addresses. Those who are known find room for large bodies all the same.
func attackStrangers(t *testing.T, v *victim) string {
	const n = 800
	for i := range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%10))}, Timeout: 10 * time.Second}
		conn, err := d.Dial("tcp", v.addr)
		must(t, err)
		defer conn.Close()
		request := "POST /signin HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
			"Content-Length: 65536\r\n\r\n"
		if i%2 == 1 {
			request = "PUT /api/v2/me/password HTTP/1.1\r\nHost: x\r\nAuthorization: Basic bm9ib2R5Om5vdGhpbmc=\r\n" +
				"Content-Length: 65536\r\n\r\n" + strings.Repeat(" ", 60<<10)
		}
		_, err = io.WriteString(conn, request)
		if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) { // it was refused
			t.Fatal(err)
		}
	}
	held := v.held()
	if held > 16<<20 {
		t.Errorf("strangers hold %d MiB of 64", held>>20)
	}
	v.set(t, fmt.Sprintf(`{"known":%q}`, strings.Repeat("v", 1<<19)))
	return fmt.Sprintf("%d connections hold %d MiB of 64", n, held>>20)
}

// attackSmall sends what is short as text and long in memory: secrets without a value, permissions without a word.
func attackSmall(t *testing.T, v *victim) string {
	var secrets strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&secrets, `,"%x":""`, i)
	}
	org := strings.Split(v.secrets, "/")[4]
	before := v.memory(t)
	codes := make(map[int]int)
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 36 {
		method, path, body := "PATCH", v.secrets, "{"+secrets.String()[1:]+"}"
		switch i % 3 {
		case 1:
			method, path = "POST", "/api/v2/authorizations"
			body = `{"orgID":"` + org + `","permissions":[{}` + strings.Repeat(",{}", 340_000) + `]}`
		case 2:
			method, path = "POST", v.secrets+"/delete"
			body = `{"secrets":[""` + strings.Repeat(`,""`, 1_300_000) + `]}`
		}
		group.Go(func() {
			req, err := http.NewRequest(method, v.url+path, strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Token "+v.token)
			code := 0 // the server may close the connection before it has all
			if res, err := v.client.Do(req); err == nil {
				res.Body.Close()
				code = res.StatusCode
			}
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	group.Wait()
	v.set(t, "{"+secrets.String()[1:]+"}") // one such change alone is made
	after := v.grown(t, before, 250)
	if codes[500] > 0 {
		t.Errorf("answers %v", codes)
	}
	return fmt.Sprintf("36 bodies: answers %v, memory %d to %d MiB", codes, before, after)
}

// attackValues asks for all values, 20 MiB of them, and does not read.
func attackValues(t *testing.T, v *victim) string {
	value := strings.Repeat("v", 1_000_000)
	for i := range 20 {
		v.set(t, fmt.Sprintf(`{"large%d":%q}`, i, value))
	}
	before := v.memory(t)
	codes := make(map[int]int)
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 60 {
		conn := v.dial(t)
		group.Go(func() {
			_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Token %s\r\n\r\n", v.values, v.agent)
			res, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil)
			mu.Lock()
			if err != nil {
				codes[0]++
			} else {
				codes[res.StatusCode]++
			}
			mu.Unlock()
			time.Sleep(time.Second) // and reads nothing
		})
	}
	group.Wait()
	after := v.grown(t, before, 300)
	if codes[200] == 0 || codes[503] == 0 {
		t.Errorf("answers %v", codes)
	}
	return fmt.Sprintf("60 × 20 MB: answers %v, memory %d to %d MiB", codes, before, after)
}
