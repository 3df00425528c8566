// Package bench measures the server beside the least that could do the same, on the same machine at the same time: lists
// beside a bare net/http handler that writes the same bytes, changes beside a bare bbolt update, and either beside direct
// requests to Vault. It has no code of its own; `make bench` runs it, and docs/performance.md has what came out.
//
// Only the ratio of the two says something: what a machine gives alone does not carry over. Each side is a process of its
// own, the two take turns of a fraction of a second, and what is reported is the median of the turns' ratios, so that what
// else the machine does falls on both.
package bench

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	"strongroom/internal/secret/vault/vaulttest"
)

func TestMain(m *testing.M) {
	if size, err := strconv.Atoi(os.Getenv(bareEnv)); err == nil {
		fmt.Fprintln(os.Stderr, serveBare(size))
		os.Exit(1)
	}
	code := m.Run()
	vaulttest.StopShared()
	table(os.Stdout)
	os.Exit(code)
}

// figure is one line of the table in docs/performance.md.
type figure struct {
	what, beside string
	wanted       float64 // the least ratio; 0 where there is no such wish
	cpu          bool    // theirs is a server that needs no other, so that the servers' CPU time compares

	ours, theirs    float64 // requests a second
	ratio, cpuRatio float64
}

var figures []figure

// report gives the figure as the benchmark's metrics, and to the table.
func (f figure) report(b *testing.B) {
	b.ReportMetric(0, "ns/op") // an operation here is a turn of each side: its time says nothing
	b.ReportMetric(f.ours, "req/s")
	b.ReportMetric(f.theirs, "beside-req/s")
	b.ReportMetric(f.ratio, "ratio")
	if f.wanted > 0 {
		b.ReportMetric(f.wanted, "wanted")
	}
	figures = append(figures, f)
}

// table writes the figures as they stand in docs/performance.md.
func table(w io.Writer) {
	if len(figures) == 0 {
		return
	}
	fmt.Fprintf(w, "\n| | beside | a second | beside it | ratio | of CPU time | wanted | |\n|---|---|---|---|---|---|---|---|\n")
	for _, f := range figures {
		cpu, wanted, verdict := "", "", ""
		if f.cpu {
			cpu = fmt.Sprintf("%.2f", f.cpuRatio)
		}
		if f.wanted > 0 {
			wanted, verdict = fmt.Sprint(f.wanted), "reached"
			if f.ratio < f.wanted {
				verdict = "**not reached**"
			}
		}
		fmt.Fprintf(w, "| %s | %s | %.0f | %.0f | %.2f | %s | %s | %s |\n", f.what, f.beside, f.ours, f.theirs, f.ratio, cpu, wanted, verdict)
	}
	fmt.Fprintln(w)
}
