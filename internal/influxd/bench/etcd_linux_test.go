package bench

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/kv"
	"strongroom/internal/kv/etcd"
	"strongroom/internal/kv/etcd/etcdtest"
)

// etcdOps is how many records a change of one secret puts: its value, its history, its name and the organisation's
// head.
const etcdOps = 4

// transactions is a side whose clients do transactions of etcd, of as many operations as a change of one secret has,
// each of records of its own.
func transactions(b *testing.B, c *etcdtest.Cluster, clients int) side {
	b.Helper()
	s, err := etcd.Open(b.Context(), etcd.Config{Endpoints: c.Endpoints(), Prefix: etcdtest.Prefix(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	var all side
	for n := range clients {
		rev := int64(0)
		all.clients = append(all.clients, func() error {
			head := fmt.Sprintf("%d/head", n)
			ops := []kv.Op{kv.Put(head, []byte("a head"))}
			for i := range etcdOps - 1 {
				ops = append(ops, kv.Put(fmt.Sprintf("%d/%d", n, i), make([]byte, 100)))
			}
			next, err := s.Txn(b.Context(), []kv.Cond{{Key: head, Rev: rev}}, ops)
			rev = next
			return err
		})
	}
	return all
}

// BenchmarkEtcd measures a server over three members of etcd beside the same over a bbolt file, and its changes beside
// direct transactions of etcd. All are on one machine: a network would be one more time for each round trip.
func BenchmarkEtcd(b *testing.B) {
	c := etcdtest.Start(b, 3)
	keys := b.TempDir()
	over := influxd(b, b.TempDir(), nil, "--store=etcd", "--etcd-endpoints="+strings.Join(c.Endpoints(), ","),
		"--seal-key-file="+filepath.Join(keys, "seal.key"))
	t := fill(b, over, 100)
	file := influxd(b, b.TempDir(), nil)
	own := fill(b, file, 100)

	for _, clients := range []int{1, 32} {
		b.Run(fmt.Sprintf("list/clients=%d", clients), func(b *testing.B) {
			f := figure{what: "list of 100 secrets, " + plural(clients, "client") + ", over etcd", beside: "over a file"}
			if clients > 1 {
				f.wanted = 0.8
			}
			compare(b, f, roundTime, asks(b, over, clients, all(t.list())), asks(b, file, clients, all(own.list())))
		})
		b.Run(fmt.Sprintf("change/clients=%d", clients), func(b *testing.B) {
			change := func(client int) []call { return []call{t.change(keyName(client))} }
			f := figure{what: "change by " + plural(clients, "client") + ", over etcd", beside: "direct transactions by 1"}
			if clients == 1 {
				f.wanted = 0.77 // of the rate: at most 1.3 times the time
				compareOne(b, f, asks(b, over, 1, change), transactions(b, c, 1))
			} else {
				f.wanted = 5
				compare(b, f, diskRoundTime, asks(b, over, clients, change), transactions(b, c, 1))
			}
		})
		b.Run(fmt.Sprintf("change/clients=%d/file", clients), func(b *testing.B) {
			change := func(client int) []call { return []call{t.change(keyName(client))} }
			mine := func(client int) []call { return []call{own.change(keyName(client))} }
			f := figure{what: "change by " + plural(clients, "client") + ", over etcd", beside: "over a file"}
			compare(b, f, diskRoundTime, asks(b, over, clients, change), asks(b, file, clients, mine))
		})
	}
}
