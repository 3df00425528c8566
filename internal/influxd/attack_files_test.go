package influxd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/internal/influxd/command"
)

// attackFiles gives the commands crafted files of InfluxDB and crafted backups: pages that lead in circles, lengths
// without end, records of another kind, files that are cut off. Each is refused or taken whole, nothing panics, no value
// is told, and what was there stays. The fuzz targets go on where this ends.
func attackFiles(t *testing.T, v *victim) string {
	dir := t.TempDir()
	theirs, _ := sampleDB(t)
	r := start(t, dir)
	token, secrets := r.onboard(t)
	r.call(t, "PATCH", secrets, token, `{"a":"sesame"}`, 204, nil)
	backup := readFile(t, backupOf(t, r, token))
	r.end(t)
	data := filepath.Join(dir, "influxd.bolt")
	taken, refused := 0, 0
	try := func(what string, whole []byte, n int, args func(file string) []string) {
		file := filepath.Join(t.TempDir(), "crafted")
		random := rand.New(rand.NewPCG(1, uint64(n)))
		for i := range n {
			crafted := craft(random, i, whole)
			must(t, os.WriteFile(file, crafted, 0o600))
			inTime(t, what, func(ctx context.Context) {
				var out output
				err := Run(ctx, command.Process{Args: args(file), Env: []string{"HOME=/nowhere"}, Stdout: &out,
					Stderr: &out})
				told := fmt.Sprint(out.String(), err)
				if strings.Contains(told, "sesame") || strings.Contains(told, "goroutine ") {
					t.Errorf("%s, file %d: %s", what, i, told)
				}
				if taken++; err != nil {
					taken--
					refused++
				}
			})
		}
	}
	try("importing", readFile(t, theirs), 64, func(file string) []string {
		return []string{"import", "--influxdb", file, "--bolt-path", data, "--dry-run"}
	})
	before := string(readFile(t, data))
	try("restoring", backup, 64, func(file string) []string {
		return []string{"restore", "--from", file, "--bolt-path", data, "--dry-run"}
	})
	if string(readFile(t, data)) != before {
		t.Error("a dry run has changed the data")
	}
	r = start(t, dir)
	if keys := r.keys(t, token, secrets); keys != "[a]" {
		t.Errorf("what was there is %q now", keys)
	}
	r.end(t)
	if refused == 0 {
		t.Error("nothing was refused")
	}
	return fmt.Sprintf("%d files: %d taken, %d refused", taken+refused, taken, refused)
}

// craft gives the i-th crafted form of a file that is made of pages of 4 KiB.
func craft(random *rand.Rand, i int, whole []byte) []byte {
	b := []byte(string(whole))
	page := random.IntN(max(len(b)/4096, 1)) * 4096
	put := func(at int, bytes ...byte) {
		for j, c := range bytes {
			if page+at+j < len(b) {
				b[page+at+j] = c
			}
		}
	}
	switch i % 8 {
	case 0: // cut off anywhere
		b = b[:random.IntN(len(b))]
	case 1: // a page of another number
		put(0, byte(random.IntN(256)), byte(random.IntN(4)))
	case 2: // of another kind
		put(8, []byte{1, 2, 4, 16, 0xff}[random.IntN(5)])
	case 3: // with more elements than fit
		put(10, 0xff, byte(random.IntN(256)))
	case 4: // going on over pages that are not there
		put(12, 0xff, 0xff, byte(random.IntN(256)), 0x7f)
	case 5: // an element that lies, or leads, elsewhere
		put(16+16*random.IntN(4), byte(random.IntN(8)), 0, 0, 0, byte(random.IntN(256)), byte(random.IntN(256)), 0xff, 0xff)
	case 6: // a root that is itself or another
		put(32, byte(random.IntN(8)), 0, 0, 0, 0, 0, 0, 0)
	case 7: // anything
		for range 50 {
			b[random.IntN(len(b))] = byte(random.IntN(256))
		}
	}
	return b
}
