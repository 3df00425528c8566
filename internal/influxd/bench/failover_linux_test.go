package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/kv/etcd/etcdtest"
)

// How often each fault comes, how long it lasts at least, and how long all is left alone before the next one. A caller
// gives an answer failoverPatience to come before it asks the next server.
const (
	failoverRounds   = 7
	failoverTime     = 4 * time.Second
	failoverRest     = 4 * time.Second
	failoverPause    = 20 * time.Millisecond // between two calls, so that a loss is not measured under full load
	failoverPatience = 30 * time.Second
	failoverWanted   = 3.0 // seconds
)

// failover is three servers over three members of etcd, all of which come and go.
type failover struct {
	cluster *etcdtest.Cluster
	keys    string
	client  *http.Client
	dirs    []string

	mu      sync.Mutex
	servers []*server
}

// start starts one of the servers, for the first time or again.
func (f *failover) start(b *testing.B, i int) {
	b.Helper()
	s := influxd(b, f.dirs[i], nil, "--store=etcd", "--etcd-endpoints="+strings.Join(f.cluster.Endpoints(), ","),
		"--seal-key-file="+f.keys, fmt.Sprintf("--server-name=s%d", i))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.servers[i] = s
}

func (f *failover) url(i int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.servers[i%len(f.servers)].url
}

// ask makes one request of one server. It gives status 0 where no answer comes.
func (f *failover) ask(b *testing.B, i int, method, path, token, body string) (int, string) {
	q, err := http.NewRequestWithContext(b.Context(), method, f.url(i)+path, strings.NewReader(body))
	if err != nil {
		b.Error(err)
		return 0, ""
	}
	q.Header.Set("Authorization", "Token "+token)
	a, err := f.client.Do(q)
	if err != nil {
		return 0, ""
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return 0, ""
	}
	return a.StatusCode, string(text)
}

// errand is one kind of call.
type errand struct {
	what, method, path, body string
	token                    func() string
	status                   int
}

// until asks one server after the other, beginning with at, until one gives the answer that is wanted. It gives that
// server. What is neither that nor an outage ends the benchmark.
func (f *failover) until(b *testing.B, at int, e errand) int {
	for n := 0; b.Context().Err() == nil && !b.Failed(); n++ {
		status, text := f.ask(b, at, e.method, e.path, e.token(), e.body)
		switch {
		case status == e.status:
			return at
		case status != 0 && status < 500 && e.status != http.StatusUnauthorized:
			b.Errorf("%s: answered %d: %s", e.what, status, text)
		}
		at = (at + 1) % len(f.servers)
		if n%len(f.servers) == len(f.servers)-1 {
			time.Sleep(failoverPause) // none of them could
		}
	}
	return at
}

// round has callers of each kind, one for each server, ask while the fault begins and lasts, and gives the longest time
// from a call's first try to its success for each kind. What is gone is a member of etcd that led the others, or nil:
// how long they took to agree on another leader is told, too.
func (f *failover) round(b *testing.B, errands []errand, gone *etcdtest.Member,
	fault func() (heal func())) (longest []float64, election float64) {
	longest = make([]float64, len(errands))
	var mu sync.Mutex
	var stop atomic.Bool
	var calls sync.WaitGroup
	for kind, e := range errands {
		for first := range f.servers {
			calls.Go(func() {
				for at := first; !stop.Load() && !b.Failed(); time.Sleep(failoverPause) {
					start := time.Now()
					at = f.until(b, at, e)
					took := time.Since(start).Seconds()
					mu.Lock()
					longest[kind] = max(longest[kind], took)
					mu.Unlock()
				}
			})
		}
	}
	time.Sleep(5 * failoverPause)
	began := time.Now()
	heal := fault()
	if gone != nil {
		f.cluster.Leader(b, gone)
		election = time.Since(began).Seconds()
	}
	time.Sleep(time.Until(began.Add(failoverTime)))
	stop.Store(true)
	calls.Wait()
	heal()
	return longest, election
}

// rest waits until all servers and members are themselves again.
func (f *failover) rest(b *testing.B, errands []errand) {
	b.Helper()
	f.cluster.Leader(b)
	time.Sleep(failoverRest) // connections that were lost are made again
	for i := range f.servers {
		for _, e := range errands {
			f.until(b, i, e)
		}
	}
}

// newToken makes a token that every server has seen.
func (f *failover) newToken(b *testing.B, t tenant, action string) (made struct{ ID, Token string }) {
	b.Helper()
	answer := do(b, "POST", f.url(0)+"/api/v2/authorizations", "Authorization", "Token "+t.token, map[string]any{
		"orgID": t.org, "permissions": []any{map[string]any{"action": action,
			"resource": map[string]string{"type": "secrets", "orgID": t.org}}}})
	if err := json.Unmarshal(answer, &made); err != nil {
		b.Fatal(err)
	}
	return made
}

// BenchmarkFailover measures what a caller that tries again at the next server waits at most when a server is killed,
// or the leader of etcd is killed or stands still. The members of etcd have the times that an etcd comes with.
func BenchmarkFailover(b *testing.B) {
	all := b
	f := &failover{cluster: etcdtest.Start(b, 3, "-election=1s"), keys: filepath.Join(b.TempDir(), "seal.key"),
		client: &http.Client{Timeout: failoverPatience, Transport: &http.Transport{MaxIdleConnsPerHost: 32}},
		dirs:   []string{b.TempDir(), b.TempDir(), b.TempDir()}, servers: make([]*server, 3)}
	for i := range f.servers {
		f.start(b, i)
	}
	t := fill(b, f.servers[0], 100)
	user := f.newToken(b, t, "use").Token
	var revoked atomic.Value // the token that the next fault comes right after the end of
	revoked.Store("")
	values := "/api/v2/orgs/" + t.org + "/secret-values/" + keyName(0)
	owner := func() string { return t.token }
	errands := []errand{
		{"a value", "GET", values, "", func() string { return user }, http.StatusOK},
		{"a list", "GET", t.path, "", owner, http.StatusOK},
		{"a change", "PATCH", t.path, t.change(keyName(0)).body, owner, http.StatusNoContent},
		{"a revoked token is refused", "GET", values, "", func() string { return revoked.Load().(string) },
			http.StatusUnauthorized},
	}
	revoke := func(b *testing.B) {
		token := f.newToken(b, t, "use")
		for i := range f.servers {
			known := errands[0]
			known.token = func() string { return token.Token }
			f.until(b, i, known)
		}
		do(b, "DELETE", f.url(0)+"/api/v2/authorizations/"+token.ID, "Authorization", "Token "+t.token, nil)
		revoked.Store(token.Token)
	}
	f.rest(b, errands)
	next := 0
	leader := func(b *testing.B) *etcdtest.Member { return f.cluster.Leader(b) }
	for _, fault := range []struct {
		name, what string
		leader     func(b *testing.B) *etcdtest.Member // who is concerned, where it is the leader
		begin      func(b *testing.B, leader *etcdtest.Member) (heal func())
	}{
		{"server-killed", "a server is killed", func(*testing.B) *etcdtest.Member { return nil },
			func(*testing.B, *etcdtest.Member) func() {
				i := next % len(f.servers)
				next++
				f.mu.Lock()
				s := f.servers[i]
				f.mu.Unlock()
				_ = s.cmd.Process.Kill()
				_ = s.cmd.Wait()
				return func() { f.start(all, i) } // it outlives this fault's part of the benchmark
			}},
		{"leader-killed", "etcd's leader is killed", leader, func(b *testing.B, m *etcdtest.Member) func() {
			m.Kill()
			return func() { m.Restart(b) }
		}},
		{"leader-paused", "etcd's leader stands still", leader, func(_ *testing.B, m *etcdtest.Member) func() {
			m.Pause()
			return m.Resume
		}},
	} {
		b.Run(fault.name, func(b *testing.B) {
			rounds := make([][]float64, len(errands))
			var elections []float64
			for b.Loop() {
				for range failoverRounds {
					revoke(b)
					gone := fault.leader(b)
					longest, election := f.round(b, errands, gone, func() func() { return fault.begin(b, gone) })
					if b.Failed() {
						b.FailNow()
					}
					f.rest(b, errands)
					for kind, took := range longest {
						rounds[kind] = append(rounds[kind], took)
					}
					elections = append(elections, election)
				}
			}
			b.Logf("%s, etcd had no leader for %.2f", fault.what, elections)
			for kind, e := range errands {
				b.Logf("%s, %s: %.2f", fault.what, e.what, rounds[kind])
				var beyond []float64 // what was not the election
				for n, took := range rounds[kind] {
					beyond = append(beyond, took-elections[n])
				}
				most := slices.Max(rounds[kind])
				name := strings.ReplaceAll(e.what, " ", "-")
				b.ReportMetric(most, "s-most/"+name)
				b.ReportMetric(slices.Max(beyond), "s-most-beyond-election/"+name)
				figure{what: fault.what + ": " + e.what, got: fmt.Sprintf("%.2f s (at most %.2f s, of %d rounds; beyond "+
					"etcd's election %.2f s, at most %.2f s)", median(rounds[kind]), most, len(rounds[kind]),
					median(beyond), slices.Max(beyond)), wanted: failoverWanted, wantedSays: "at most 3 s",
					reached: most <= failoverWanted}.report(b)
			}
		})
	}
}
