package auditlog

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/audit"
	"strongroom/internal/audit/chain"
	"strongroom/internal/errs"
)

func seqs(p audit.Page) []uint64 {
	var s []uint64
	for _, r := range p.Records {
		s = append(s, r.Seq)
	}
	return s
}

func TestQueryErrors(t *testing.T) {
	l, err := Open(Config{Sinks: []string{"stdout"}, ChainKey: testKey, Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Query(t.Context(), audit.Filter{}); !errs.Is(err, errs.NotImplemented) ||
		!strings.Contains(errs.Message(err), "file:/path") {
		t.Errorf("without a file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l = start(t, filepath.Join(t.TempDir(), "audit.log"))
	if _, err := l.Query(ctx, audit.Filter{}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

func TestQueryFilter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := start(t, path) // line 1
	at := func(n int) time.Time { return time.Date(2026, 1, 1, 0, n, 0, 0, time.UTC) }
	long := strings.Repeat("k", 5000)
	many := make([]string, 3000)
	for i := range many {
		many[i] = fmt.Sprintf("key-%030d", i)
	}
	record(t, l,
		audit.Entry{Time: at(2), User: "alice", UserID: "0000000000000001", Action: "secrets.apply",
			OrgID: "00000000000000aa", Keys: []string{"a", "b"}, Outcome: audit.Allowed},
		audit.Entry{Time: at(3), User: "bob", AuthorizationID: "0000000000000002", Action: "secrets.list",
			OrgID: "00000000000000aa", Outcome: audit.Denied},
		audit.Entry{Time: at(4), User: "al\"ice\xff", Action: "secrets.delete", OrgID: "00000000000000bb",
			Keys: []string{"b/ü\n"}, Outcome: audit.Allowed},
		audit.Entry{Time: at(5), User: "alice", Action: "users.password", Target: "0000000000000001", Outcome: audit.Failed,
			Code: "internal error"},
		audit.Entry{Time: at(6), Action: "secrets.apply", Keys: []string{long}, Outcome: audit.Allowed},
		audit.Entry{Time: at(7), Action: "secrets.use", Keys: many, Outcome: audit.Allowed},
		audit.Entry{Time: at(8), Action: "secretsother", User: `x","outcome":"denied`, Outcome: audit.Allowed},
	)
	for _, tt := range []struct {
		name string
		f    audit.Filter
		want []uint64
	}{
		{"no such org", audit.Filter{OrgID: "00000000000000cc"}, nil},
		{"no such actor", audit.Filter{Actor: "alic"}, nil},
		{"an action is not an actor", audit.Filter{Actor: "secrets.apply"}, nil},
		{"all", audit.Filter{}, []uint64{8, 7, 6, 5, 4, 3, 2, 1}},
		{"org", audit.Filter{OrgID: "00000000000000aa"}, []uint64{3, 2}},
		{"user", audit.Filter{Actor: "alice"}, []uint64{5, 2}},
		{"user ID, not a target", audit.Filter{Actor: "0000000000000001"}, []uint64{2}},
		{"authorization", audit.Filter{Actor: "0000000000000002"}, []uint64{3}},
		{"user with signs", audit.Filter{Actor: "al\"ice\xff"}, []uint64{4}},
		{"key, or keys left out", audit.Filter{Key: "b"}, []uint64{7, 2}},
		{"key with signs", audit.Filter{Key: "b/ü\n"}, []uint64{7, 4}},
		{"long key", audit.Filter{Key: long}, []uint64{7, 6}},
		{"action", audit.Filter{Action: "secrets.apply"}, []uint64{6, 2}},
		{"actions", audit.Filter{Action: "secrets"}, []uint64{7, 6, 4, 3, 2}},
		{"outcome", audit.Filter{Outcome: audit.Denied}, []uint64{3}},
		{"since", audit.Filter{Since: at(7)}, []uint64{8, 7, 1}}, // line 1 has the time of the test
		{"until", audit.Filter{Until: at(4)}, []uint64{3, 2}},
		{"between", audit.Filter{Since: at(3), Until: at(5)}, []uint64{4, 3}},
		{"before", audit.Filter{Before: 4}, []uint64{3, 2, 1}},
		{"limit", audit.Filter{Limit: 2}, []uint64{8, 7}},
		{"several", audit.Filter{OrgID: "00000000000000aa", Actor: "alice", Outcome: audit.Allowed, Key: "a"}, []uint64{2}},
		{"prefix", audit.Filter{Prefix: "b"}, []uint64{7, 4, 2}},
		{"prefix of a long name", audit.Filter{Prefix: long[:100], Limit: 9}, []uint64{7, 6}},
		{"prefix beside a key", audit.Filter{Prefix: "x", Key: "a"}, []uint64{7, 2}},
		{"prefix within a name", audit.Filter{Prefix: "/ü"}, []uint64{7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := l.Query(t.Context(), tt.f)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, seqs(p)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	if p, err := l.Query(t.Context(), audit.Filter{Key: "b"}); err != nil || !p.Records[0].MayInclude ||
		p.Records[1].MayInclude {
		t.Errorf("which may include it: %+v, %v", p.Records, err)
	}
	p, err := l.Query(t.Context(), audit.Filter{Outcome: audit.Failed})
	want := audit.Record{Seq: 5, Entry: audit.Entry{Time: at(5), User: "alice", Action: "users.password",
		Target: "0000000000000001", Outcome: audit.Failed, Code: "internal error"}}
	if err != nil || len(p.Records) != 1 || len(p.Records[0].Hash) != chain.HashChars {
		t.Fatalf("%+v, %v", p, err)
	}
	want.Hash = p.Records[0].Hash
	if d := cmp.Diff(want, p.Records[0]); d != "" {
		t.Errorf("the whole record (-want +got):\n%s", d)
	}
}

// TestQueryStopsAtSince: what is much older than Since is not read through.
func TestQueryStopsAtSince(t *testing.T) {
	l := start(t, filepath.Join(t.TempDir(), "audit.log"))
	for i := range 100 {
		record(t, l, audit.Entry{Time: time.Unix(int64(i)*600, 0), Action: "a", Outcome: audit.Allowed})
	}
	q := l.newQuery(audit.Filter{Since: time.Unix(95*600, 0), Limit: audit.MaxLimit})
	if err := q.file(t.Context(), l.path); err != nil {
		t.Fatal(err)
	}
	if len(q.page.Records) != 5 || q.seen < 89 {
		t.Errorf("%d records, read back to line %d", len(q.page.Records), q.seen)
	}
}

// TestQueryPages walks over a log of several blocks and files, page by page, with lines that are not ours among them.
func TestQueryPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := start(t, path)
	const n = 3000
	for i := range n {
		record(t, l, audit.Entry{Action: "a", Keys: []string{strings.Repeat("k", i%1500)}, Outcome: audit.Allowed})
		switch i {
		case 500, 1500:
			if err := os.Rename(path, rotated(path, 2-i/1000)); err != nil {
				t.Fatal(err)
			}
			if err := l.Reopen(); err != nil {
				t.Fatal(err)
			}
		case 1000, 2000, 2500:
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(strings.Repeat("x", i*100) + "\n"); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
	last := l.Stats().Seq // n, the line of the start, and two of rotations
	if last != n+3 {
		t.Fatalf("%d lines", last)
	}
	for _, scan := range []int64{defaultScanLimit, 100_000} {
		l.scanLimit = scan
		next, pages := last, 0
		for f := (audit.Filter{Limit: 250}); ; pages++ {
			p, err := l.Query(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				if r.Seq != next {
					t.Fatalf("line %d where %d was to come", r.Seq, next)
				}
				next--
			}
			if f.Before = p.Next; p.Next == 0 {
				break
			}
			if p.Next != next+1 {
				t.Fatalf("the next page begins before %d, after line %d", p.Next, next+1)
			}
		}
		if next != 0 || pages < 12 {
			t.Errorf("ended at line %d after %d pages", next, pages)
		}
	}
}

func BenchmarkQuery(b *testing.B) {
	path := filepath.Join(b.TempDir(), "audit.log")
	l := start(b, path)
	for i := range 100_000 {
		record(b, l, applied(i))
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]audit.Filter{"last page": {}, "key not found": {Key: "none"},
		"first page": {Before: 101}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(info.Size())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Query(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestLargeChangeNamesAllKeys: a change is found by each of its keys and by no other, as one record.
func TestLargeChangeNamesAllKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := start(t, path)
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("key-%030d\u00e9", i)
	}
	e := applied(1)
	e.Keys = many
	record(t, l, applied(0), e, applied(2))
	for _, key := range []string{many[0], many[900], many[2500], many[4999]} {
		for _, changes := range []bool{false, true} {
			p, err := l.Query(t.Context(), audit.Filter{Key: key, Changes: changes})
			if err != nil || len(p.Records) != 1 || p.Records[0].RequestID != "r1" || p.Records[0].MayInclude {
				t.Errorf("%s: %+v, %v", key, seqs(p), err)
			}
		}
	}
	if p, err := l.Query(t.Context(), audit.Filter{Key: "key0"}); err != nil || len(p.Records) != 1 ||
		p.Records[0].RequestID != "r0" {
		t.Errorf("another key: %+v, %v", seqs(p), err)
	}
	for limit := 1; limit < 6; limit++ {
		var all []audit.Record
		for f := (audit.Filter{Action: "secrets.apply", Limit: limit}); ; {
			p, err := l.Query(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p.Records...)
			if f.Before = p.Next; p.Next == 0 {
				break
			}
		}
		if len(all) != 3 || all[1].Part != 0 || len(all[1].Keys)+all[1].KeysOmitted != len(many) ||
			all[1].Keys[0] != many[0] {
			t.Errorf("pages of %d: %d records", limit, len(all))
		}
	}
	whole(t, int(l.Stats().Seq), path)
}

// TestFailedActIsOneRecord: it does not stand as a done one beside its failure, on whatever page either is.
func TestFailedActIsOneRecord(t *testing.T) {
	l := start(t, filepath.Join(t.TempDir(), "audit.log"))
	failed := applied(3)
	failed.Outcome, failed.Code = audit.Failed, "internal error"
	other := applied(3) // of the same request
	other.Keys = []string{"another"}
	record(t, l, applied(1), applied(2), applied(3), other, applied(4), applied(5), failed, applied(6))
	for limit := 1; limit < 9; limit++ {
		var got []string
		for f := (audit.Filter{Action: "secrets", Limit: limit}); ; {
			p, err := l.Query(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				got = append(got, r.Keys[0]+" "+string(r.Outcome))
			}
			if f.Before = p.Next; p.Next == 0 {
				break
			}
		}
		want := []string{"key6 allowed", "key3 failed", "key5 allowed", "key4 allowed", "another allowed",
			"key2 allowed", "key1 allowed"}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, d)
		}
	}
	for _, f := range []audit.Filter{{Outcome: audit.Allowed, Key: "key3"}, {Outcome: audit.Allowed, Key: "key3", Changes: true}} {
		if p, err := l.Query(t.Context(), f); err != nil || len(p.Records) != 0 {
			t.Errorf("done, it is said: %+v, %v", p.Records, err)
		}
	}
}

// TestQueryOfLongRecords has pages end before they are too large, and nothing is left out between them.
func TestQueryOfLongRecords(t *testing.T) {
	l := start(t, filepath.Join(t.TempDir(), "audit.log"))
	const acts = 20
	for i := range acts {
		keys := make([]string, 40)
		for k := range keys {
			keys[k] = fmt.Sprintf("%d-%d-%s", i, k, strings.Repeat("k", 900))
		}
		record(t, l, audit.Entry{Action: "secrets.apply", RequestID: fmt.Sprint(i), Keys: keys, Outcome: audit.Allowed})
	}
	found, pages := 0, 0
	for f := (audit.Filter{Action: "secrets", Limit: 10}); ; pages++ {
		p, err := l.Query(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for i := range p.Records {
			size += p.Records[i].Size()
		}
		if size > 10*audit.RecordSize+64<<10 {
			t.Errorf("a page of %d records has %d bytes", len(p.Records), size)
		}
		found += len(p.Records)
		if f.Before = p.Next; p.Next == 0 {
			break
		}
	}
	if found != acts || pages < acts/4 {
		t.Errorf("%d records on %d pages, of %d", found, pages, acts)
	}
}
