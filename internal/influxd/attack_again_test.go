package influxd

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// againConns is how many connections of one address ask again at once.
const againConns = 256

// attackAgain has callers who are refused ask again at once, on many connections, whatever Retry-After says: for each
// kind of refusal it tells what a well-behaved caller then waits, and what of a processor the server takes for it.
func attackAgain(t *testing.T, v *victim) string {
	body := func(n int) string { return strings.Repeat("x", n) }
	request := func(head, body string) string {
		return head + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	post := func(head, header, body string) string { return request(head, body) + header + "\r\n" + body }
	bearer := func(token string) string { return "Authorization: Token " + token + "\r\n" }
	kinds := []struct{ name, request string }{
		{"nobody", ""},
		{"served", post("GET /ping", "", "")},
		{"sign-in", post("POST /api/v2/signin", "Authorization: Basic YWRtaW46bm90IGl0IGF0IGFsbA==\r\n", "")},
		{"set-up", post("POST /api/v2/setup", "", `{"username":"u","password":"pppppppp","org":"o","bucket":"b"}`)},
		{"tokens", post("GET "+v.secrets, bearer("guess-me-as-often-as-you-can"), "")},
		{"as Vault", post("GET /v1/secret/data/acme", "X-Vault-Token: guess-me-as-often-as-you-can\r\n", "")},
		{"bodies", post("PATCH "+v.secrets, bearer(v.agent), body(60<<10))},
		{"no room", post("GET "+strings.TrimSuffix(v.secrets, "s")+"-values", bearer(v.agent), "")},
	}
	for i := range 8 { // of which few fit into what all may hold
		v.set(t, fmt.Sprintf(`{"large%d":%q}`, i, strings.Repeat("v", 1_000_000)))
	}
	var figures []string
	for _, k := range kinds {
		figures = append(figures, k.name+" "+v.again(t, k.request))
	}
	return strings.Join(figures, "; ")
}

// again has a request made again and again for a while, and tells how the good fare.
func (v *victim) again(t *testing.T, request string) string {
	t.Helper()
	end := time.Now().Add(2 * time.Second)
	var group sync.WaitGroup
	var answers atomic.Int64
	var codes sync.Map
	for range againConns {
		if request == "" {
			break
		}
		group.Go(func() {
			for time.Now().Before(end) {
				conn, err := v.dialOther()
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				_ = conn.SetDeadline(end.Add(5 * time.Second))
				r := bufio.NewReader(conn)
				for time.Now().Before(end) {
					if _, err := io.WriteString(conn, request); err != nil {
						break
					}
					res, err := http.ReadResponse(r, nil)
					if err != nil {
						break
					}
					_, _ = io.Copy(io.Discard, res.Body)
					answers.Add(1)
					n, _ := codes.LoadOrStore(res.StatusCode, new(atomic.Int64))
					n.(*atomic.Int64).Add(1)
				}
				conn.Close()
			}
		})
	}
	began, used := time.Now(), v.processor(t)
	var took []time.Duration
	for time.Now().Before(end) {
		start := time.Now()
		if err := v.good(); err != nil {
			t.Errorf("a good request: %v", err)
		}
		took = append(took, time.Since(start))
		time.Sleep(5 * time.Millisecond)
	}
	share := (v.processor(t) - used).Seconds() / time.Since(began).Seconds()
	group.Wait()
	slices.Sort(took)
	all := ""
	codes.Range(func(code, n any) bool { all += fmt.Sprintf(" %d×%d", code, n.(*atomic.Int64).Load()); return true })
	return fmt.Sprintf("%d/s, %.1f/%.1f ms, %.0f %% (%s)", answers.Load()/2, ms(took[len(took)/2]),
		ms(took[len(took)*99/100]), 100*share, strings.TrimSpace(all))
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }

// processor is the time that the server has had a processor for.
func (v *victim) processor(t *testing.T) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.pid))
	must(t, err)
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	ticks := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		must(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
