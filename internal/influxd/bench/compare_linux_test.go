package bench

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// roundTime is how long one side works before it is the other's turn: long enough that the change of sides is nothing,
// short enough that what else the machine does meets both. Disks need more of it than processors.
const (
	roundTime     = 150 * time.Millisecond
	diskRoundTime = 400 * time.Millisecond
)

// side is one of the two that are compared: its clients, each of which does one thing after the other, and the server
// that they ask, where there is one.
type side struct {
	server  *server
	clients []func() error
}

// round is what a side did in one round.
type round struct {
	rate float64       // requests a second
	cpu  time.Duration // of the server, for one request
}

// work has all clients go on for the time of one round. A request that is refused ends the benchmark.
func (s side) work(b *testing.B, length time.Duration) round {
	b.Helper()
	var stop atomic.Bool
	var sent atomic.Int64
	var wg sync.WaitGroup
	cpu, start := s.server.cpu(b), time.Now()
	timer := time.AfterFunc(length, func() { stop.Store(true) })
	defer timer.Stop()
	for _, do := range s.clients {
		wg.Go(func() {
			n := int64(0)
			for !stop.Load() {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
				n++
			}
			sent.Add(n)
		})
	}
	wg.Wait()
	took, n := time.Since(start), sent.Load()
	if b.Failed() || n == 0 {
		b.FailNow()
	}
	return round{float64(n) / took.Seconds(), (s.server.cpu(b) - cpu) / time.Duration(n)}
}

// compare gives both sides their turns, ours and theirs first by turns, for as long as the benchmark is to last, and
// reports the medians: of the rates' ratio, ours to theirs (1 is as fast), and, where theirs is a server that does the
// same alone, of the ratio of the CPU time that one request costs the servers, theirs to ours.
func compare(b *testing.B, f figure, length time.Duration, ours, theirs side) {
	b.Helper()
	ours.work(b, length) // caches and connections
	theirs.work(b, length)
	var rates, cpus, our, their, ourCPU, theirCPU []float64
	for n := 0; b.Loop(); n++ {
		var o, t round
		if n%2 == 0 {
			o, t = ours.work(b, length), theirs.work(b, length)
		} else {
			t, o = theirs.work(b, length), ours.work(b, length)
		}
		rates, cpus = append(rates, o.rate/t.rate), append(cpus, float64(t.cpu)/float64(o.cpu))
		our, their = append(our, o.rate), append(their, t.rate)
		ourCPU, theirCPU = append(ourCPU, o.cpu.Seconds()*1e6), append(theirCPU, t.cpu.Seconds()*1e6)
	}
	f.rates(b, median(our), median(their), median(rates))
	b.ReportMetric(median(ourCPU), "cpu-µs/req")
	if f.cpu {
		f.cpuRatio = median(cpus)
		b.ReportMetric(f.cpuRatio, "cpu-ratio")
		b.ReportMetric(median(theirCPU), "beside-cpu-µs/req")
	}
	f.report(b)
}

// compareOne has one client of each side do one thing at a time, by turns, and reports the ratio of the medians of the
// time that they took: what waits for a disk differs more from one time to the next than from one side to the other.
func compareOne(b *testing.B, f figure, ours, theirs side) {
	b.Helper()
	var took [2][]float64
	cpu := ours.server.cpu(b)
	sides := [2]func() error{ours.clients[0], theirs.clients[0]}
	for n := 0; b.Loop(); n++ {
		for i := range sides {
			i = (i + n) % 2
			start := time.Now()
			if err := sides[i](); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], time.Since(start).Seconds())
		}
	}
	b.ReportMetric((ours.server.cpu(b)-cpu).Seconds()*1e6/float64(len(took[0])), "cpu-µs/req")
	our, their := median(took[0]), median(took[1])
	f.rates(b, 1/our, 1/their, their/our)
	f.report(b)
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}
