package influxd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"strongroom/internal/kv/etcd/etcdtest"
)

// act is one operation on one thing of the history: a secret, a large change, a token or an organisation's name. What a
// thing is, is told by a text that no two writes have in common; "" is that it is not there.
type act struct {
	thing, kind string // put, create, delete, remove (what delete does to the one that is value), read
	value       string
}

// The outcomes of an act beside what a read gives.
const (
	done    = "done"
	refused = "refused" // it is there already, or not, or another
	unknown = "unknown" // it may have been carried out, or will be
)

// things says what acts do. A history is right if its acts can be put in one order, each somewhere between its call and
// its answer, in which every answer is true.
var things = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		by := make(map[string][]porcupine.Operation)
		for _, op := range history {
			by[op.Input.(act).thing] = append(by[op.Input.(act).thing], op)
		}
		var all [][]porcupine.Operation
		for _, ops := range by {
			all = append(all, ops)
		}
		return all
	},
	Init: func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		is, a, outcome := state.(string), in.(act), out.(string)
		then, may := is, true
		switch a.kind {
		case "read":
			return outcome == is, is
		case "put":
			then = a.value
		case "create":
			if may = is == ""; may {
				then = a.value
			}
		case "delete":
			if may = is != ""; may {
				then = ""
			}
		case "remove":
			if may = is == a.value; may {
				then = ""
			}
		}
		switch outcome {
		case done:
			return may, then
		case refused:
			return !may, is
		}
		return true, then // unknown: a condition that does not hold changes nothing
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprint(in, " ", out) },
}

// history is what was asked and answered.
type history struct {
	mu    sync.Mutex
	began time.Time
	ops   []porcupine.Operation
}

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// add notes an act that was called at the time. What is not known may be carried out at any time from then on.
func (h *history) add(client int, call int64, a act, outcome string) {
	back := h.now()
	if outcome == unknown {
		back = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: a, Call: call, Output: outcome, Return: back})
}

// node is one of the servers under test: a process that can be killed, paused, and cut off from each member of etcd.
type node struct {
	dir, flags string
	proxies    []*etcdtest.Proxy

	mu    sync.Mutex
	url   string
	child *exec.Cmd
	logs  []fmt.Stringer // what each of its processes has said
}

func (n *node) start(t *testing.T) {
	url, child := startChild(t, n.dir, n.flags)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.url, n.child, n.logs = url, child, append(n.logs, child.Stderr.(fmt.Stringer))
}

// failures are the lines of what was answered 500.
func (n *node) failures() (all []string) {
	for _, log := range n.logs {
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "a request failed") {
				all = append(all, line)
			}
		}
	}
	return all
}

func (n *node) kill() {
	_ = n.child.Process.Kill()
	_ = n.child.Wait()
}

func (n *node) at() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.url
}

// ask makes one request, and gives status 0 where there is no answer.
func (n *node) ask(t *testing.T, method, path, token, body string, out any) int {
	req, err := http.NewRequestWithContext(t.Context(), method, n.at()+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return 0
	}
	req.Header.Set("Authorization", "Token "+token)
	res, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || out != nil && res.StatusCode == 200 && json.Unmarshal(b, out) != nil {
		return 0
	}
	return res.StatusCode
}

// fleet is several servers over three members of etcd.
type fleet struct {
	cluster *etcdtest.Cluster
	nodes   []*node
	token   string // may do everything
	reader  string // may use the secrets
	secrets string
	history history
	// stale is for how long the servers read secrets from memory of which etcd has said nothing.
	stale time.Duration
}

func newFleet(t *testing.T, n int, stale time.Duration) *fleet {
	t.Helper()
	f := &fleet{cluster: etcdtest.Start(t, 3), stale: stale}
	keys := t.TempDir()
	for i := range n {
		one := &node{dir: t.TempDir()}
		var endpoints []string
		for _, m := range f.cluster.Members {
			p := etcdtest.NewProxy(t, m)
			one.proxies, endpoints = append(one.proxies, p), append(endpoints, p.Endpoint)
		}
		one.flags = strings.Join([]string{"--store=etcd", "--etcd-endpoints=" + strings.Join(endpoints, ","),
			"--seal-key-file=" + keys + "/seal.key", fmt.Sprintf("--server-name=s%d", i), "--store-stale=0",
			"--store-stale-secrets=" + stale.String()}, " ")
		one.start(t)
		f.nodes = append(f.nodes, one)
	}
	first := running{url: f.nodes[0].url}
	f.token, f.secrets = first.onboard(t)
	f.reader = f.newToken(t, &first, "use").Token
	return f
}

type madeToken struct{ ID, Token string }

func (f *fleet) newToken(t *testing.T, r *running, action string) (made madeToken) {
	org := strings.Split(f.secrets, "/")[4]
	r.call(t, "POST", "/api/v2/authorizations", f.token,
		fmt.Sprintf(`{"orgID":%q,"permissions":[{"action":%q,"resource":{"type":"secrets","orgID":%[1]q}}]}`, org,
			action), 201, &made)
	return made
}

// change makes a change, and notes it. The statuses are those of what was carried out, and of what was refused.
func (f *fleet) change(t *testing.T, client int, n *node, a act, method, path, body string, carriedOut, not int) {
	call := f.history.now()
	outcome := unknown
	switch got := n.ask(t, method, path, f.token, body, nil); got {
	case carriedOut, http.StatusAccepted: // 202: what is left of an organisation is still to be removed
		outcome = done
	case not:
		outcome = refused
	case 409: // others were faster, too often
		return
	case 0, 503, 504:
	default:
		t.Errorf("%s of %s is answered %d", a.kind, a.thing, got)
	}
	f.history.add(client, call, a, outcome)
}

const (
	smallKeys = 4
	largeKeys = 150 // more than one transaction takes
	orgNames  = 2
)

// readSecrets reads all values in one request, and notes what each secret is, and the large change.
func (f *fleet) readSecrets(t *testing.T, client int, n *node) (ok bool) {
	var values map[string]string
	// What is read from memory is true of some moment since it was stale.
	call := f.history.now() - int64(f.stale)
	got := n.ask(t, "GET", strings.TrimSuffix(f.secrets, "secrets")+"secret-values", f.reader, "", &values)
	if got != 200 {
		if got == 401 || got == 403 || got == 404 {
			t.Errorf("values are answered %d", got)
		}
		return false
	}
	for i := range smallKeys {
		key := fmt.Sprintf("k%d", i)
		f.history.add(client, call, act{thing: key, kind: "read"}, values[key])
	}
	for i := range largeKeys {
		if key := fmt.Sprintf("l%03d", i); values[key] != values["l000"] {
			t.Errorf("half a change is seen: %s is %q, and l000 is %q", key, values[key], values["l000"])
		}
	}
	f.history.add(client, call, act{thing: "large", kind: "read"}, values["l000"])
	return true
}

// readOrg reads which organisation has the name, by its description, and notes it.
func (f *fleet) readOrg(t *testing.T, client int, n *node, name string) (id, description string, ok bool) {
	var all struct {
		Orgs []struct{ ID, Description string }
	}
	call := f.history.now()
	switch got := n.ask(t, "GET", "/api/v2/orgs?org="+name, f.token, "", &all); {
	case got == 404 || got == 200 && len(all.Orgs) == 0:
	case got == 200:
		id, description = all.Orgs[0].ID, all.Orgs[0].Description
	default:
		return "", "", false
	}
	f.history.add(client, call, act{thing: name, kind: "read"}, description)
	return id, description, true
}

// readToken asks a server whether it takes the token, and notes it.
func (f *fleet) readToken(t *testing.T, client int, n *node, token madeToken) {
	call := f.history.now()
	switch got := n.ask(t, "GET", f.secrets, token.Token, "", nil); got {
	case 200:
		f.history.add(client, call, act{thing: "token " + token.ID, kind: "read"}, "good")
	case 401, 403:
		f.history.add(client, call, act{thing: "token " + token.ID, kind: "read"}, "")
	}
}

// work is one client, which speaks to all servers in turn until it is stopped.
func (f *fleet) work(t *testing.T, client int, tokens []madeToken, stop <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rand.IntN(20)) * time.Millisecond):
		}
		node := f.nodes[rand.IntN(len(f.nodes))]
		value := fmt.Sprintf("%d-%d", client, n)
		switch key := fmt.Sprintf("k%d", rand.IntN(smallKeys)); rand.IntN(12) {
		case 0, 1, 2:
			f.change(t, client, node, act{key, "put", value}, "PATCH", f.secrets,
				fmt.Sprintf(`{%q:%q}`, key, value), 204, -1)
		case 3:
			// also where there is none
			f.change(t, client, node, act{key, "put", ""}, "DELETE", f.secrets+"/"+key, "", 204, -1)
		case 4:
			var all []string
			for i := range largeKeys {
				all = append(all, fmt.Sprintf(`"l%03d":%q`, i, value))
			}
			f.change(t, client, node, act{"large", "put", value}, "PATCH", f.secrets,
				"{"+strings.Join(all, ",")+"}", 204, -1)
		case 5, 6, 7:
			f.readSecrets(t, client, node)
		case 8:
			name := fmt.Sprintf("org-%d", rand.IntN(orgNames))
			f.change(t, client, node, act{name, "create", value}, "POST", "/api/v2/orgs",
				fmt.Sprintf(`{"name":%q,"description":%q}`, name, value), 201, 422)
		case 9:
			name := fmt.Sprintf("org-%d", rand.IntN(orgNames))
			if id, description, ok := f.readOrg(t, client, node, name); ok && id != "" {
				f.change(t, client, node, act{name, "remove", description}, "DELETE", "/api/v2/orgs/"+id, "", 204, 404)
			}
		default:
			token := tokens[rand.IntN(len(tokens))]
			if rand.IntN(6) == 0 {
				f.change(t, client, node, act{"token " + token.ID, "delete", ""}, "DELETE",
					"/api/v2/authorizations/"+token.ID, "", 204, 404)
			} else {
				f.readToken(t, client, node, token)
			}
		}
	}
}

// faults are what befalls the servers and etcd, each with its end. They are worse than one another in no order.
func (f *fleet) faults(t *testing.T) map[string]func() (heal func()) {
	pass := func(n *node, there, back bool, members ...int) func() {
		for _, m := range members {
			n.proxies[m].Pass(there, back)
		}
		return func() {
			for _, m := range members {
				n.proxies[m].Pass(true, true)
			}
		}
	}
	at := func() *node { return f.nodes[rand.IntN(len(f.nodes))] }
	some := func() int { return rand.IntN(len(f.cluster.Members)) }
	return map[string]func() func(){
		"a member is killed": func() func() {
			m := f.cluster.Members[some()]
			m.Kill()
			return func() { m.Restart(t) }
		},
		"a member stands still": func() func() {
			m := f.cluster.Members[some()]
			m.Pause()
			return m.Resume
		},
		"two members stand still": func() func() {
			a := some()
			b := (a + 1) % len(f.cluster.Members)
			f.cluster.Members[a].Pause()
			f.cluster.Members[b].Pause()
			return func() { f.cluster.Members[a].Resume(); f.cluster.Members[b].Resume() }
		},
		"a member is slow":                     func() func() { return f.cluster.Members[some()].Slow() },
		"etcd forgets what was":                func() func() { f.cluster.Compact(t); return func() {} },
		"a server is cut off from two members": func() func() { return pass(at(), false, false, 0, 1) },
		"a server is cut off from all":         func() func() { return pass(at(), false, false, 0, 1, 2) },
		"a server hears nothing":               func() func() { return pass(at(), true, false, 0, 1, 2) },
		"a server is not heard":                func() func() { return pass(at(), false, true, 0, 1, 2) },
		"a server's connections are reset": func() func() {
			for _, p := range at().proxies {
				p.Reset()
			}
			return func() {}
		},
		"a server stands still": func() func() {
			n := at()
			_ = n.child.Process.Signal(syscall.SIGSTOP)
			return func() { _ = n.child.Process.Signal(syscall.SIGCONT) }
		},
		"a server is killed": func() func() {
			n := at()
			n.kill()
			return func() { n.start(t) }
		},
	}
}

// TestFaults has three servers over three members of etcd, a proxy between each two, and clients that change and
// read the same secrets, organisations and tokens through all of them, while keys are rotated and one fault comes
// after the other. Whatever was answered is true in one order of all that was done: nothing that was acknowledged
// is lost, nothing that was deleted comes back, and a token that was revoked is good nowhere. Where secrets are read
// from memory, each read is true of a moment that is no older than the setting says.
// STRONGROOM_FAULTS=10m goes on for so long.
func TestFaults(t *testing.T) {
	long, err := time.ParseDuration(os.Getenv("STRONGROOM_FAULTS"))
	if os.Getenv("STRONGROOM_FAULTS") != "" {
		must(t, err)
	}
	for began := time.Now(); ; {
		t.Run("etcd is asked", func(t *testing.T) { faultsOnce(t, 0) })
		t.Run("from memory", func(t *testing.T) { faultsOnce(t, time.Second) })
		if t.Failed() || time.Since(began) > long {
			return
		}
	}
}

func faultsOnce(t *testing.T, stale time.Duration) {
	f := newFleet(t, 3, stale)
	f.history.began = time.Now()
	var tokens []madeToken
	for range 8 {
		made := f.newToken(t, &running{url: f.nodes[0].url}, "read")
		f.history.add(-1, f.history.now(), act{"token " + made.ID, "create", "good"}, done)
		tokens = append(tokens, made)
	}
	stop := make(chan struct{})
	var working sync.WaitGroup
	for client := range 6 {
		working.Go(func() { f.work(t, client, tokens, stop) })
	}
	working.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(700 * time.Millisecond):
				f.nodes[rand.IntN(len(f.nodes))].ask(t, "POST", "/api/v2/seal/rotate", f.token, "", nil)
			}
		}
	})
	for what, begin := range f.faults(t) { // a map's order is another each time
		heal := begin()
		time.Sleep(time.Duration(300+rand.IntN(700)) * time.Millisecond)
		heal()
		t.Logf("%v: %s", time.Since(f.history.began).Round(time.Millisecond), what)
		time.Sleep(200 * time.Millisecond)
	}
	close(stop)
	working.Wait()

	// When all is well again, every server tells the same.
	for i, n := range f.nodes {
		for !f.readSecrets(t, 100+i, n) && t.Context().Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		for org := range orgNames {
			f.readOrg(t, 100+i, n, fmt.Sprintf("org-%d", org))
		}
		for _, token := range tokens {
			f.readToken(t, 100+i, n, token)
		}
	}
	counts := make(map[string]int)
	for _, op := range f.history.ops {
		if outcome := op.Output.(string); op.Input.(act).kind != "read" {
			counts[op.Input.(act).kind+" "+outcome]++
		} else {
			counts["read"]++
		}
	}
	t.Logf("in %v: %v", time.Since(f.history.began).Round(time.Second), counts)
	if counts["put done"] == 0 || counts["read"] == 0 || counts["create done"] == 0 {
		t.Error("hardly anything was done")
	}
	for _, ops := range things.Partition(f.history.ops) {
		if result := porcupine.CheckOperationsTimeout(things, ops, time.Minute); result != porcupine.Ok {
			slices.SortFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
			var b strings.Builder
			for _, op := range ops {
				fmt.Fprintf(&b, "%9.3f to %9.3f ms: %s %q: %q\n", float64(op.Call)/1e6, float64(op.Return)/1e6,
					op.Input.(act).kind, op.Input.(act).value, op.Output)
			}
			t.Errorf("what was done to %s is in no order true (%s):\n%s", ops[0].Input.(act).thing, result, b.String())
		}
	}
	for i, n := range f.nodes {
		n.kill()
		if t.Failed() {
			t.Logf("server s%d: %s", i, strings.Join(n.failures(), ""))
		}
	}
}
