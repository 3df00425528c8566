package bench

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd"
	"strongroom/internal/kv/etcd/etcdtest"
)

// operations are those of one change of a secret, as etcd counts them, and its conditions: that the organisation's head,
// the organisation, the keyring and the turn are what they were.
type operations struct{ puts, deletes, conds int }

// operationsOf has a secret changed so often that its history is full, and then counts what each change more costs.
func operationsOf(b *testing.B, c *etcdtest.Cluster, change func() error) operations {
	b.Helper()
	const changes = 40
	do := func() {
		for range changes {
			if err := change(); err != nil {
				b.Fatal(err)
			}
		}
	}
	do()
	before := etcdWrites(b, c)
	do()
	after := etcdWrites(b, c)
	each := func(name string) int { return int(math.Round((after[name] - before[name]) / changes)) }
	return operations{puts: each("put"), deletes: each("delete"), conds: 4}
}

// etcdWrites are the operations that a member has carried out so far.
func etcdWrites(b *testing.B, c *etcdtest.Cluster) map[string]float64 {
	b.Helper()
	all := make(map[string]float64)
	for line := range strings.Lines(string(do(b, "GET", c.Endpoints()[0]+"/metrics", "Accept", "*/*", nil))) {
		for _, name := range []string{"put", "delete"} {
			text, ok := strings.CutPrefix(line, "etcd_mvcc_"+name+"_total ")
			if !ok {
				continue
			}
			n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				b.Fatal(err)
			}
			all[name] = n
		}
	}
	return all
}

// transactions is a side whose clients do transactions of etcd, of as many operations and conditions as are given, each
// of records of its own.
func transactions(b *testing.B, c *etcdtest.Cluster, clients int, of operations) side {
	b.Helper()
	s, err := etcd.Open(b.Context(), etcd.Config{Endpoints: c.Endpoints(), Prefix: etcdtest.Prefix(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	var all side
	for n := range clients {
		rev, made := int64(0), 0
		all.clients = append(all.clients, func() error {
			head := fmt.Sprintf("%d/head", n)
			conds := []kv.Cond{{Key: head, Rev: rev}}
			for i := range of.conds - 1 {
				conds = append(conds, kv.Cond{Key: fmt.Sprintf("%d/none/%d", n, i)})
			}
			ops := []kv.Op{kv.Put(head, []byte("a head"))}
			for i := range of.puts - 1 {
				ops = append(ops, kv.Put(fmt.Sprintf("%d/%d/%d", n, made, i), make([]byte, 100)))
			}
			for i := range of.deletes {
				ops = append(ops, kv.Delete(fmt.Sprintf("%d/%d/%d", n, made-1, i)))
			}
			next, err := s.Txn(b.Context(), conds, ops)
			rev, made = next, made+1
			return err
		})
	}
	return all
}

// etcdCalls is how many calls of etcd the server has made so far.
func etcdCalls(b *testing.B, s *server) map[string]float64 {
	b.Helper()
	all := make(map[string]float64)
	for line := range strings.Lines(string(do(b, "GET", s.url+"/metrics", "Accept", "*/*", nil))) {
		labels, ok := strings.CutPrefix(line, "strongroom_etcd_calls_total{op=\"")
		if !ok {
			continue
		}
		op, rest, _ := strings.Cut(labels, `"`)
		n, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(rest, ' ')+1:]), 64)
		if err != nil {
			b.Fatal(err)
		}
		all[op] += n
	}
	return all
}

func readsOf(calls map[string]float64) float64 {
	return calls["get"] + calls["list"] + calls["revision"]
}

// costs is what one thing that a side does costs a process and all members of etcd, in µs of CPU time.
func costs(b *testing.B, c *etcdtest.Cluster, s side, pid int) (process, members float64) {
	b.Helper()
	const length = time.Second
	used := func() (cpu time.Duration) {
		for _, m := range c.Members {
			cpu += cpuOf(b, m.PID())
		}
		return cpu
	}
	own, etcds := cpuOf(b, pid), used()
	n := s.work(b, length).rate * length.Seconds()
	return (cpuOf(b, pid) - own).Seconds() * 1e6 / n, (used() - etcds).Seconds() * 1e6 / n
}

// counted is a side whose requests are counted.
func counted(s side) (side, *atomic.Int64) {
	var n atomic.Int64
	for i, do := range s.clients {
		s.clients[i] = func() error { n.Add(1); return do() }
	}
	return s, &n
}

// BenchmarkEtcd measures a server over three members of etcd beside the same over a bbolt file, and its changes beside
// direct transactions of etcd. All are on one machine: a network would be one more time for each round trip. How many
// calls of etcd a request takes does not hang on that, nor on what else the machine does.
func BenchmarkEtcd(b *testing.B) {
	c := etcdtest.Start(b, 3)
	keys := b.TempDir()
	on := func(prefix string, flags ...string) *server {
		return influxd(b, b.TempDir(), nil, append([]string{"--store=etcd", "--etcd-prefix=" + prefix,
			"--etcd-endpoints=" + strings.Join(c.Endpoints(), ","),
			"--seal-key-file=" + filepath.Join(keys, "seal.key")}, flags...)...)
	}
	over := on("asks/")
	t := fill(b, over, 100)
	remembers := on("remembers/", "--store-stale-secrets=10s")
	known := fill(b, remembers, 100)
	file := influxd(b, b.TempDir(), nil)
	own := fill(b, file, 100)

	of := operationsOf(b, c, asks(b, over, 1, all(t.change(keyName(0)))).clients[0])
	for _, clients := range []int{1, 32} {
		b.Run(fmt.Sprintf("list/clients=%d", clients), func(b *testing.B) {
			f := figure{what: "list of 100 secrets, " + plural(clients, "client") + ", over etcd", beside: "over a file"}
			lists, made := counted(asks(b, over, clients, all(t.list())))
			before, cpu := etcdCalls(b, over), over.cpu(b)
			compare(b, f, roundTime, lists, asks(b, file, clients, all(own.list())))
			after, n := etcdCalls(b, over), float64(made.Load())
			b.ReportMetric((readsOf(after)-readsOf(before))/n, "reads/req")
			b.ReportMetric((over.cpu(b)-cpu).Seconds()*1e6/n, "server-cpu-µs/req")
		})
		b.Run(fmt.Sprintf("list/clients=%d/memory", clients), func(b *testing.B) {
			f := figure{what: "the same from memory, " + plural(clients, "client"), beside: "over a file"}
			if clients > 1 {
				f.wanted = 0.8
			}
			compare(b, f, roundTime, asks(b, remembers, clients, all(known.list())),
				asks(b, file, clients, all(own.list())))
		})
		b.Run(fmt.Sprintf("change/clients=%d", clients), func(b *testing.B) {
			change := func(client int) []call { return []call{t.change(keyName(client))} }
			f := figure{what: "change by " + plural(clients, "client") + ", over etcd", beside: "direct transactions by 1"}
			changes, made := counted(asks(b, over, clients, change))
			before := etcdCalls(b, over)
			direct := transactions(b, c, 1, of)
			if clients == 1 {
				f.wanted = 0.77 // of the rate: at most 1.3 times the time
				compareOne(b, f, changes, direct)
			} else {
				f.wanted = 5
				compare(b, f, diskRoundTime, changes, direct)
			}
			after, n := etcdCalls(b, over), float64(made.Load())
			b.ReportMetric(float64(of.puts+of.deletes), "operations/txn")
			server, etcds := costs(b, c, changes, over.cmd.Process.Pid)
			b.ReportMetric(server, "server-cpu-µs/req")
			b.ReportMetric(etcds, "etcd-cpu-µs/req")
			client, etcds := costs(b, c, direct, os.Getpid())
			b.ReportMetric(client, "direct-client-cpu-µs/txn")
			b.ReportMetric(etcds, "direct-etcd-cpu-µs/txn")
			b.ReportMetric((after["txn"]-before["txn"])/n, "txns/req")
			b.ReportMetric((readsOf(after)-readsOf(before))/n, "reads/req")
		})
		b.Run(fmt.Sprintf("change/clients=%d/file", clients), func(b *testing.B) {
			change := func(client int) []call { return []call{t.change(keyName(client))} }
			mine := func(client int) []call { return []call{own.change(keyName(client))} }
			f := figure{what: "change by " + plural(clients, "client") + ", over etcd", beside: "over a file"}
			compare(b, f, diskRoundTime, asks(b, over, clients, change), asks(b, file, clients, mine))
		})
	}
}
