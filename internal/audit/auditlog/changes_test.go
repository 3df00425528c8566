package auditlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/audit"
	"strongroom/internal/audit/chain"
	"strongroom/internal/audit/lines"
)

// plainly is what a query is to give: every line of every file is read and decoded.
func plainly(t testing.TB, path string, f audit.Filter) []uint64 {
	t.Helper()
	f.Key = chain.Stored(f.Key, chain.MaxKey)
	var found []uint64
	seen := ^uint64(0)
	for n := 0; ; n++ {
		name := path
		if n > 0 {
			name = rotated(path, n)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return found
		}
		all := bytes.SplitAfter(text, []byte{'\n'})
		for _, b := range slices.Backward(all[:len(all)-1]) {
			var r audit.Record
			if json.Unmarshal(b, &r) != nil || len(r.Hash) != chain.HashChars || r.Seq >= seen {
				continue
			}
			seen = r.Seq
			_, act, _ := strings.Cut(r.Action, ".")
			look := r.Outcome == audit.Allowed && slices.Contains([]string{"list", "read", "info", "deleted", "members",
				"use"}, act)
			if (look && f.Changes) || f.Key != "" && r.KeysOmitted == 0 && !slices.Contains(r.Keys, f.Key) ||
				f.OrgID != "" && r.OrgID != f.OrgID ||
				f.Outcome != "" && r.Outcome != f.Outcome || f.Action != "" && r.Action != f.Action &&
				!strings.HasPrefix(r.Action, f.Action+".") {
				continue
			}
			found = append(found, r.Seq)
		}
	}
}

// paged asks for all pages.
func paged(t testing.TB, l *Log, f audit.Filter) []uint64 {
	t.Helper()
	var found []uint64
	for {
		p, err := l.Query(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if found = append(found, seqs(p)...); p.Next == 0 {
			return found
		}
		if f.Before > 0 && p.Next >= f.Before {
			t.Fatalf("the page before %d goes on before %d", f.Before, p.Next)
		}
		f.Before = p.Next
	}
}

// TestChangesAsPlainly compares queries about changes with reading everything, over logs that grow, are rotated in both
// ways of logrotate, are damaged, and whose server starts again.
func TestChangesAsPlainly(t *testing.T) {
	for n := range 4 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, uint64(n)))
			path := filepath.Join(t.TempDir(), "audit.log")
			l := start(t, path)
			many := make([]string, 1500)
			for i := range many {
				many[i] = fmt.Sprintf("many-%030d", i)
			}
			keys := []string{"a", "b", `with "signs" \`, "ü\n", strings.Repeat("long", 600),
				"many-" + strings.Repeat("0", 30)}
			actions := []string{"secrets.list", "secrets.info", "secrets.use", "orgs.members", "orgs.members.add",
				"secrets.apply", "secrets.delete", "signin", "secrets"}
			for range 20 {
				switch rnd.IntN(12) {
				case 0: // rename, and a new file
					if err := os.Rename(path, path+".next"); err != nil {
						t.Fatal(err)
					}
					if err := l.Reopen(); err != nil {
						t.Fatal(err)
					}
					shift(t, path)
				case 1: // copytruncate
					write(t, path+".next", read(t, path))
					if err := os.Truncate(path, 0); err != nil {
						t.Fatal(err)
					}
					shift(t, path)
				case 2: // a start after a crash
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					l = start(t, path)
				case 3: // somebody writes into it
					f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := f.WriteString(strings.Repeat("x", rnd.IntN(1<<10)<<rnd.IntN(11)) + "\n"); err != nil {
						t.Fatal(err)
					}
					f.Close()
				case 4:
					record(t, l, audit.Entry{Action: "secrets.use", Keys: many, Outcome: audit.Denied})
				}
				for range rnd.IntN(50) {
					e := audit.Entry{Action: actions[rnd.IntN(min(len(actions), 3+rnd.IntN(10)))], Outcome: audit.Allowed,
						User: `x","action":"secrets.list`, OrgID: fmt.Sprintf("%016x", 1+rnd.IntN(2))}
					if rnd.IntN(20) == 0 {
						e.Outcome = []audit.Outcome{audit.Denied, audit.Failed}[rnd.IntN(2)]
					}
					for range rnd.IntN(3) {
						e.Keys = append(e.Keys, keys[rnd.IntN(len(keys))])
					}
					record(t, l, e)
				}
				l.scanLimit = []int64{5000, 100_000, defaultScanLimit}[rnd.IntN(3)]
				f := audit.Filter{Changes: rnd.IntN(4) > 0, Limit: 1 + rnd.IntN(100)}
				switch rnd.IntN(5) {
				case 0:
					f.Outcome = audit.Denied
				case 1:
					f.Action = actions[rnd.IntN(len(actions))]
				case 2, 3:
					f.Key = keys[rnd.IntN(len(keys))]
				}
				if rnd.IntN(3) == 0 {
					f.OrgID = fmt.Sprintf("%016x", 1+rnd.IntN(3))
				}
				if d := cmp.Diff(plainly(t, path, f), paged(t, l, f)); d != "" {
					t.Fatalf("%.200v (-plainly +queried):\n%s", f, d)
				}
			}
		})
	}
}

// shift puts the file that is to be rotated beside the others, of which it keeps three.
func shift(t *testing.T, path string) {
	t.Helper()
	for n := 3; n > 0; n-- {
		from := path + ".next"
		if n > 1 {
			from = rotated(path, n-1)
		}
		if err := os.Rename(from, rotated(path, n)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// TestChangesWhileWriting has queries and writers at once: whatever was on record when a query began is in its answer.
func TestChangesWhileWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := start(t, path)
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := range 2000 {
				e := applied(i)
				if e.Action = "secrets.list"; i%100 == 0 {
					e.Action, e.OrgID = "secrets.apply", fmt.Sprintf("%016x", w+1)
				}
				record(t, l, e)
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	for before := 0; ; {
		select {
		case <-ended:
			if got := len(paged(t, l, audit.Filter{Action: "secrets.apply"})); got != 40 {
				t.Errorf("%d changes in the end, of 40", got)
			}
			return
		default:
		}
		now := len(paged(t, l, audit.Filter{Action: "secrets.apply"}))
		if now < before {
			t.Fatalf("%d changes, after %d", now, before)
		}
		before = now
	}
}

// TestChangesAreNotSoughtTwice: the second query reads none of the many lines between.
func TestChangesAreNotSoughtTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := start(t, path)
	record(t, l, applied(1))
	for i := range 5000 {
		e := applied(i)
		e.Action = "secrets.list"
		record(t, l, e)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = start(t, path) // which knows nothing of the file
	for try, atLeast := range []int64{1_000_000, 0} {
		q := l.newQuery(audit.Filter{Changes: true, Limit: audit.MaxLimit})
		if err := q.file(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		got := l.scanLimit - q.left
		if len(q.page.Records) != 4 || got < atLeast || atLeast == 0 && got > 2000 {
			t.Errorf("try %d: %d records, for which %d bytes were read", try, len(q.page.Records), got)
		}
	}
}

func BenchmarkChanges(b *testing.B) {
	path := filepath.Join(b.TempDir(), "audit.log")
	l := start(b, path)
	for i := range 200_000 {
		e := applied(i)
		if e.Action = "secrets.list"; i%20 == 0 {
			e.Action = "secrets.apply"
		}
		record(b, l, e)
	}
	for name, f := range map[string]audit.Filter{"newest": {Changes: true, Limit: 50}, "key": {Changes: true, Key: "key20",
		Limit: 8}, "no such key": {Changes: true, Key: "none"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Query(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+", first time", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
				l = start(b, path)
				b.StartTimer()
				if _, err := l.Query(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFollow is what a line costs beside its writing.
func BenchmarkFollow(b *testing.B) {
	path := filepath.Join(b.TempDir(), "audit.log")
	l := start(b, path)
	const n = 50_000
	for i := range n {
		e := applied(i)
		e.Action = "secrets.list"
		record(b, l, e)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	text := read(b, path)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		write(b, path, "")
		book := lines.NewBook(signOf)
		if err := book.Follow(path); err != nil {
			b.Fatal(err)
		}
		write(b, path, text)
		b.StartTimer()
		if err := book.Follow(path); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/line")
}
