package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// How many programs wait for changes, by how many tokens (one has 1,000 watchers at most), for how long the server is
// watched while nothing changes, and how long a change may take until it is known to have been lost.
const (
	watchers       = 10_000
	watchersTokens = 20
	watchersRest   = 40 * time.Second // more than two pulses
	watchersWait   = time.Minute
)

// BenchmarkWatchers has programs wait for events of one secret each, and measures the server's memory, while they come,
// while they wait and while they are told, its CPU time while nothing changes, and how long a change takes until all have heard of it.
func BenchmarkWatchers(b *testing.B) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil || files.Cur < watchers+500 {
		b.Fatalf("this process may open %d files, and needs %d (ulimit -n): %v", files.Cur, watchers+500, err)
	}
	s := influxd(b, b.TempDir(), nil, fmt.Sprint("--http-max-connections=", watchers+100),
		"--http-max-client-connections=0", "--max-in-flight=512MiB")
	t := fill(b, s, 100)
	tokens := make([]string, watchersTokens)
	for i := range tokens {
		var made struct{ Token string }
		answer := do(b, "POST", s.url+"/api/v2/authorizations", "Authorization", "Token "+t.token, map[string]any{
			"orgID": t.org, "permissions": []any{map[string]any{"action": "use",
				"resource": map[string]string{"type": "secrets", "orgID": t.org}}}})
		if err := json.Unmarshal(answer, &made); err != nil {
			b.Fatal(err)
		}
		tokens[i] = made.Token
	}
	before := s.memory(b)["VmRSS"]

	// Each watcher tells of the version that it has heard of.
	heard := make(chan error, watchers)
	all := func(why string) {
		b.Helper()
		late := time.After(watchersWait)
		for n := range watchers {
			select {
			case err := <-heard:
				if err != nil {
					b.Fatalf("%s: %v", why, err)
				}
			case <-late:
				b.Fatalf("%s: %d of %d have not heard of it", why, watchers-n, watchers)
			}
		}
	}
	const ask = "GET /api/v2/orgs/%s/secret-values?watch=10m&key=%s HTTP/1.1\r\nHost: bench\r\n" +
		"Accept: text/event-stream\r\nAuthorization: Token %s\r\n\r\n"
	var conns []net.Conn
	var gone sync.WaitGroup
	b.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
		gone.Wait()
	})
	for i := range watchers {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, c)
		if _, err := fmt.Fprintf(c, ask, t.org, keyName(0), tokens[i%watchersTokens]); err != nil {
			b.Fatal(err)
		}
		gone.Go(func() { hear(c, heard) })
	}
	all("the first event")
	time.Sleep(time.Second)

	idle, begun := s.cpu(b), time.Now()
	time.Sleep(watchersRest)
	share := 100 * (s.cpu(b) - idle).Seconds() / time.Since(begun).Seconds()
	resting, rush := s.memory(b)["VmRSS"], s.memory(b)["VmHWM"]
	s.forgetMost(b)

	var took, cpu []float64
	for n := 0; b.Loop(); n++ {
		used, start := s.cpu(b), time.Now()
		do(b, "PATCH", s.url+t.path, "Authorization", "Token "+t.token, map[string]string{keyName(0): fmt.Sprint(n)})
		all("a change")
		took, cpu = append(took, time.Since(start).Seconds()), append(cpu, (s.cpu(b)-used).Seconds())
	}
	most := s.memory(b)["VmHWM"]
	b.ReportMetric(resting, "MiB")
	b.ReportMetric(share, "%-of-a-core")
	b.ReportMetric(median(took), "s/change")
	what := fmt.Sprintf("%d programs that wait for a change: ", watchers)
	figure{what: what + "the server's memory", got: fmt.Sprintf("%.0f MiB (%.0f without them; at most %.0f while "+
		"changes are told, %.0f while all of them came at once)", resting, before, most, rush), wanted: 200, wantedSays: "under 200 MiB", reached: most < 200}.report(b)
	figure{what: what + "of one processor while nothing changes", got: fmt.Sprintf("%.1f %%", share), wanted: 10,
		wantedSays: "under 10 %", reached: share < 10}.report(b)
	figure{what: what + "all know of one", got: fmt.Sprintf("%.2f s (%.2f s of CPU time)", median(took), median(cpu)),
		wanted: 1, wantedSays: "under 1 s", reached: median(took) < 1}.report(b)
}

// hear tells of each event, and of what ends the stream before its client does.
func hear(c net.Conn, heard chan<- error) {
	lines := bufio.NewReaderSize(c, 512)
	for first := true; ; first = false {
		line, err := lines.ReadString('\n')
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err == nil && first && !strings.Contains(line, " 200 "):
			err = errors.New(strings.TrimSpace(line))
		}
		if err != nil {
			heard <- err
			return
		}
		if strings.HasPrefix(line, "data: ") {
			heard <- nil
		}
	}
}
