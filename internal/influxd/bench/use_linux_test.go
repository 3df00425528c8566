package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkUse gives out one value over HTTP, with the identity, the decryption and the record of it, beside a handler
// that writes as many bytes; and says that nothing has changed, beside a handler that says just that.
func BenchmarkUse(b *testing.B) {
	s := influxd(b, b.TempDir(), nil)
	t := fill(b, s, 100)
	var made struct{ Token string }
	answer := do(b, "POST", s.url+"/api/v2/authorizations", "Authorization", "Token "+t.token, map[string]any{
		"orgID": t.org, "permissions": []any{map[string]any{"action": "use",
			"resource": map[string]string{"type": "secrets", "orgID": t.org}}}})
	if err := json.Unmarshal(answer, &made); err != nil {
		b.Fatal(err)
	}
	t.token = made.Token
	path := "/api/v2/orgs/" + t.org + "/secret-values/" + keyName(0)
	value := call{method: "GET", path: path, header: t.header(), status: http.StatusOK}
	q, err := http.NewRequestWithContext(b.Context(), "GET", s.url+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	q.Header.Set("Authorization", "Token "+t.token)
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		b.Fatal(err)
	}
	if err := a.Body.Close(); err != nil || a.Header.Get("ETag") == "" {
		b.Fatalf("%s: no tag, %v", a.Status, err)
	}
	same := value
	same.header, same.status = value.header+"\r\nIf-None-Match: "+a.Header.Get("ETag"), http.StatusNotModified
	bytes := bareList(b, len(do(b, "GET", s.url+path, "Authorization", "Token "+t.token, nil)))
	unchanged := bare(b, bareUnchanged)
	for _, clients := range []int{1, 8, 32} {
		for _, bm := range []struct {
			name, what string
			call       call
			beside     *server
			wanted     float64
		}{
			{"value", "one value", value, bytes, 0.6},
			{"unchanged", "304 for one value", same, unchanged, 0.8},
		} {
			b.Run(fmt.Sprintf("%s/clients=%d", bm.name, clients), func(b *testing.B) {
				compare(b, figure{what: bm.what + ", " + plural(clients, "client"), beside: "bare handler",
					wanted: bm.wanted, cpu: true}, roundTime,
					asks(b, s, clients, all(bm.call)), asks(b, bm.beside, clients, all(bm.call)))
			})
		}
	}
	b.Run("exec", func(b *testing.B) { execCost(b, s, t) })
}

// execCost is what influx secret exec adds to the start of a program.
func execCost(b *testing.B, s *server, t tenant) {
	influx := filepath.Join(filepath.Dir(influxdPath(b)), "influx")
	if _, err := os.Stat(influx); err != nil {
		b.Fatalf("there is no program to measure: %v; run make build", err)
	}
	timed := func(args ...string) float64 {
		cmd := exec.CommandContext(b.Context(), args[0], args[1:]...)
		cmd.Env = []string{"HOME=" + b.TempDir(), "PATH=" + os.Getenv("PATH"), "INFLUX_HOST=" + s.url,
			"INFLUX_TOKEN=" + t.token, "INFLUX_ORG_ID=" + t.org}
		start := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		return time.Since(start).Seconds() * 1e3
	}
	var added []float64
	for b.Loop() {
		alone := timed("true")
		added = append(added, timed(influx, "secret", "exec", "--env", keyName(0), "--", "true")-alone)
	}
	b.ReportMetric(median(added), "ms-added")
	figure{what: "what influx secret exec adds to a program's start", got: fmt.Sprintf("%.0f ms", median(added)),
		wanted: 30, wantedSays: "under 30 ms", reached: median(added) < 30}.report(b)
}
