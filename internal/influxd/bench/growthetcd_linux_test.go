package bench

import (
	"fmt"
	"io"
	"testing"
	"time"

	"strongroom/internal/kv/etcd/etcdtest"
)

// overEtcd is what there is to measure of a population beside the row, where its data are in etcd. Times and calls are
// by the name of what was done.
type overEtcd struct {
	Database       float64                  // MiB, compacted and defragmented
	Copy           use                      // of influxd store copy
	Server, Member float64                  // MiB of their own at the most, while the server was asked
	CPU            map[string]time.Duration // of the member
	Reads, Txns    map[string]float64       // calls that the server made
}

// intoEtcd copies the data into an etcd of one member, and gives the flags of a server over it. Every member of a
// larger etcd does the same work, so that one says what each would use.
func (g *grown) intoEtcd(b *testing.B, offline func(data string, command ...string) use, data string) []string {
	b.Helper()
	g.cluster = etcdtest.Start(b, 1)
	g.Etcd = &overEtcd{CPU: make(map[string]time.Duration), Reads: make(map[string]float64),
		Txns: make(map[string]float64)}
	at := "--etcd-endpoints=" + g.cluster.Endpoints()[0]
	done := g.noting(b, nil)
	g.Etcd.Copy = offline(data, "store", "copy", "--from=bolt", "--to=etcd", at)
	done("copy", 1, nil)
	g.Etcd.Database = float64(g.cluster.Size(b)) / (1 << 20)
	return []string{"--store=etcd", at}
}

// noting looks at what the member has used, and how often the server, where there is one yet, has asked it. What it
// gives notes what has come since, for each of n things that were done.
func (g *grown) noting(b *testing.B, s *server) (done func(what string, n int, s *server)) {
	b.Helper()
	if g.Etcd == nil {
		return func(string, int, *server) {}
	}
	called := func(s *server) (reads, txns float64) {
		if s != nil {
			calls := etcdCalls(b, s)
			reads, txns = readsOf(calls), calls["txn"]
		}
		return reads, txns
	}
	pid := g.cluster.Members[0].PID()
	reads, txns := called(s)
	cpu := cpuOf(b, pid)
	return func(what string, n int, s *server) {
		g.Etcd.CPU[what] = (cpuOf(b, pid) - cpu) / time.Duration(n)
		nowReads, nowTxns := called(s)
		g.Etcd.Reads[what], g.Etcd.Txns[what] = (nowReads-reads)/float64(n), (nowTxns-txns)/float64(n)
	}
}

// memories looks at the memory of the server and the member until what it gives is called.
func (g *grown) memories(s *server) (done func()) {
	if g.Etcd == nil {
		return func() {}
	}
	server, member := watchMemory(s.cmd.Process.Pid), watchMemory(g.cluster.Members[0].PID())
	return func() { g.Etcd.Server, g.Etcd.Member = server(), member() }
}

func writeEtcdTables(w io.Writer, rows []grown) {
	fmt.Fprintf(w, "\nAll data: CPU time of the server, or of the command, + that of etcd, and their own memory at the "+
		"most.\n\n| data | etcd's database | start | server while it is asked | etcd meanwhile | backup "+
		"| end of the largest organisation | `store copy` |\n|---|---|---|---|---|---|---|---|\n")
	for _, g := range rows {
		both := func(what string, u use) string {
			return fmt.Sprintf("%s + %s, %.0f MiB", inSeconds(u.CPU), inSeconds(g.Etcd.CPU[what]), u.Memory)
		}
		fmt.Fprintf(w, "| %s | %.1f MiB | %s | %.0f MiB | %.0f MiB | %s | %s | %s |\n", g, g.Etcd.Database,
			both("start", g.Start), g.Etcd.Server, g.Etcd.Member, both("backup", g.Backup), both("end", g.End),
			both("copy", g.Etcd.Copy))
	}
	fmt.Fprintf(w, "\nOne request: CPU time of the server + that of etcd.\n\n")
	writeRequests(w, rows, func(g grown, r request) string {
		return fmt.Sprintf("%.2f + %s", r.took(g).Seconds()*1e3, inMilliseconds(g.Etcd.CPU[r.name]))
	})
	fmt.Fprintf(w, "\nOne request: reads of etcd + transactions.\n\n")
	writeRequests(w, rows, func(g grown, r request) string {
		return fmt.Sprintf("%.2f + %.2f", g.Etcd.Reads[r.name], g.Etcd.Txns[r.name])
	})
	fmt.Fprintln(w)
}

var etcdPanels = []panel{
	{"CPU time of the server or the command, over etcd", "seconds", []line{
		{"start", func(g grown) float64 { return g.Start.CPU.Seconds() }},
		{"backup", func(g grown) float64 { return g.Backup.CPU.Seconds() }},
		{"end of 1,000 secrets", func(g grown) float64 { return g.End.CPU.Seconds() }},
		{"store copy", func(g grown) float64 { return g.Etcd.Copy.CPU.Seconds() }},
	}},
	{"Memory of its own, at the most", "MiB", []line{
		{"server, after a start", func(g grown) float64 { return g.Start.Memory }},
		{"server, asked", func(g grown) float64 { return g.Etcd.Server }},
		{"etcd", func(g grown) float64 { return g.Etcd.Member }},
		{"store copy", func(g grown) float64 { return g.Etcd.Copy.Memory }},
		{"etcd's database", func(g grown) float64 { return g.Etcd.Database }},
	}},
	{"CPU time for one request, server and etcd", "milliseconds", []line{
		{"change of a secret", func(g grown) float64 { return (g.Change + g.Etcd.CPU["change"]).Seconds() * 1e3 }},
		{"first organisations", func(g grown) float64 { return (g.OrgsFirst + g.Etcd.CPU["orgs"]).Seconds() * 1e3 }},
		{"last organisations", func(g grown) float64 { return (g.OrgsLast + g.Etcd.CPU["last-orgs"]).Seconds() * 1e3 }},
		{"one value", func(g grown) float64 { return (g.Value + g.Etcd.CPU["value"]).Seconds() * 1e3 }},
		{"1,000 values", func(g grown) float64 { return (g.Values + g.Etcd.CPU["values"]).Seconds() * 1e3 }},
	}},
}
