package ranges

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"strongroom/internal/kv"
)

// sorted is an etcd of some keys. It notes what it is asked for.
type sorted struct {
	t              *testing.T
	keys           []string
	rev            int64
	pinned         int64 // the revision of the page's first answer
	calls, counted int
	sent           int
}

// in gives the keys of a range.
func (s *sorted) in(from, to string, rev int64) []string {
	s.t.Helper()
	if from >= to {
		return nil
	}
	if s.pinned != 0 && rev != s.pinned {
		s.t.Fatalf("a page has an answer of revision %d, and asks for one of %d", s.pinned, rev)
	}
	s.pinned = s.rev
	first, _ := slices.BinarySearch(s.keys, from)
	end, _ := slices.BinarySearch(s.keys, to)
	return s.keys[first:end]
}

func (s *sorted) Ask(r Span) (Answer, error) {
	s.calls++
	found := s.in(r.From, r.To, r.Rev)
	a := Answer{Count: len(found), Rev: s.rev}
	s.counted += len(found)
	if r.Back {
		found = slices.Clone(found)
		slices.Reverse(found)
	}
	for _, k := range found[:min(len(found), r.Limit)] {
		a.Found = append(a.Found, &mvccpb.KeyValue{Key: []byte(k)})
	}
	s.sent += len(a.Found)
	return a, nil
}

func (s *sorted) Counts(bounds []string, end string, rev int64) (all []int, err error) {
	s.calls++
	if len(bounds) > kv.MaxOps || !slices.IsSorted(append(slices.Clone(bounds), end)) {
		s.t.Fatalf("asks for the counts between %q and %q", bounds, end)
	}
	for i, from := range bounds {
		n := len(s.in(from, append(bounds, end)[i+1], rev))
		all, s.counted = append(all, n), s.counted+n
	}
	return all, nil
}

// want is the page as it should be.
func (s *sorted) want(l List) (page []string) {
	all := l.Whole()
	if all.From >= all.To {
		return nil
	}
	first, _ := slices.BinarySearch(s.keys, all.From)
	end, _ := slices.BinarySearch(s.keys, all.To)
	if !l.Back {
		return s.keys[first:min(end, first+l.Limit)]
	}
	page = slices.Clone(s.keys[max(first, end-l.Limit):end])
	slices.Reverse(page)
	return page
}

func (s *sorted) page(r *Known, l List) []string {
	s.t.Helper()
	s.pinned = l.Rev
	found, rev, err := r.Page(l, s)
	if err != nil || rev != s.rev {
		s.t.Fatalf("revision %d: %v", rev, err)
	}
	var got []string
	for _, f := range found {
		got = append(got, string(f.Key))
	}
	return got
}

// populations are keys of several kinds.
func populations() map[string][]string {
	random := rand.New(rand.NewPCG(1, 2))
	var small, large, tokens, steps []string
	for org := range 2000 {
		for n := range 10 {
			small = append(small, fmt.Sprintf("p/org/%016x/%d", org, n), fmt.Sprintf("p/secret/%016x/%d", org, n))
		}
	}
	for org := range 20 {
		for n := range 1000 {
			large = append(large, fmt.Sprintf("p/%016x/a-secret-%04d", 1<<40+org, n))
		}
	}
	for n := range 20_000 {
		tokens = append(tokens, fmt.Sprintf("p/token/%016x", random.Uint64()))
		steps = append(steps, fmt.Sprintf("p/step/%016x", 0x0c41d9a3<<32+n<<8))
	}
	odd := []string{"p/\xff\xff\xff", "p/\xff", "p/\x00"}
	for range 3000 {
		odd = append(odd, "p/"+oddKey(random))
	}
	all := map[string][]string{"none": nil, "one": {"p/a"}, "a page": large[:128], "many small": small,
		"some large": large, "tokens": tokens, "steps": steps, "odd": odd,
		"all": slices.Concat(small, large, tokens, steps, odd)}
	for name, keys := range all {
		all[name] = slices.Compact(slices.Sorted(slices.Values(keys)))
	}
	return all
}

func oddKey(random *rand.Rand) string {
	key := make([]byte, 1+random.IntN(6))
	for i := range key {
		key[i] = []byte{0, 1, 'a', 0xfe, 0xff}[random.IntN(5)]
	}
	return string(key)
}

// TestScan reads all records, of whatever keys, from both ends, page by page, and counts few more than there are: an
// etcd counts all that a range has.
func TestScan(t *testing.T) {
	for name, keys := range populations() {
		for _, back := range []bool{false, true} {
			for _, limit := range []int{1, 32, 128, 512} {
				if limit == 1 && len(keys) > 25_000 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%t/%d", name, back, limit), func(t *testing.T) {
					s, r := &sorted{t: t, keys: keys, rev: 7}, &Known{}
					l := List{Prefix: "p/", From: "p/", Limit: limit, Back: back}
					if back {
						l.From = ""
					}
					var got []string
					for {
						page := s.page(r, l)
						got = append(got, page...)
						if len(page) < limit {
							break
						}
						l.Rev = s.rev
						if l.From = page[len(page)-1]; !back {
							l.From += "\x00"
						}
					}
					if back {
						slices.Reverse(got)
					}
					if !slices.Equal(got, keys) {
						t.Fatalf("%d of %d keys", len(got), len(keys))
					}
					t.Logf("%d keys: %d calls, %d counted", len(keys), s.calls, s.counted)
					times := 16
					if limit == 1 {
						times = 32
					}
					if most := times*len(keys) + 64*limit + 10_000; s.counted > most {
						t.Errorf("%d records were counted for %d", s.counted, len(keys))
					}
					if most := 3*len(keys)/limit + 100; s.calls > most {
						t.Errorf("%d calls for %d records", s.calls, len(keys))
					}
				})
			}
		}
	}
}

// TestFirstPages asks for the first and the last page of large lists again and again, as others add to them: what is
// known of a list has etcd count no more than a few pages.
func TestFirstPages(t *testing.T) {
	for _, name := range []string{"tokens", "steps", "some large"} {
		for _, back := range []bool{false, true} {
			s, r := &sorted{t: t, keys: populations()[name], rev: 7}, &Known{}
			l := List{Prefix: "p/", From: "p/", Limit: 32, Back: back}
			if back {
				l.From = ""
			}
			s.page(r, l)
			t.Logf("%s, %t: at first %d calls, %d counted", name, back, s.calls, s.counted)
			if s.calls > 12 || s.counted > 12*len(s.keys) {
				t.Errorf("%s, %t: %d calls at first, %d counted", name, back, s.calls, s.counted)
			}
			for n := range 200 {
				s.keys = append([]string{fmt.Sprintf("p/!%04d", 200-n)}, append(s.keys, fmt.Sprintf("p/~%04d", n))...)
				s.calls, s.counted = 0, 0
				if got, want := s.page(r, l), s.want(l); !slices.Equal(got, want) {
					t.Fatalf("%q, want %q", got, want)
				}
				if s.calls > 1 || s.counted > 2*l.Limit {
					t.Fatalf("%s, %t: %d calls, %d counted", name, back, s.calls, s.counted)
				}
			}
		}
	}
}

// TestPagesOfAnyLength asks for pages of whatever length a caller may choose: a list is known by a few of them.
func TestPagesOfAnyLength(t *testing.T) {
	for _, back := range []bool{false, true} {
		s, r := &sorted{t: t, keys: populations()["tokens"], rev: 7}, &Known{}
		for limit := 33; limit < 128; limit++ {
			l := List{Prefix: "p/", From: "p/", Limit: limit, Back: back}
			if back {
				l.From = ""
			}
			if got, want := s.page(r, l), s.want(l); !slices.Equal(got, want) {
				t.Fatalf("a page of %d is not as it should be", limit)
			}
		}
		t.Logf("%t: %d calls, %d counted, %d lists known", back, s.calls, s.counted, len(r.shapes))
		if s.counted > 1_000_000 || len(r.shapes) > 2 {
			t.Errorf("%d records were counted, %d lists are known", s.counted, len(r.shapes))
		}
	}
}

// TestSmallListFromItsEnd asks for the last of a few pages: once that is known, no more is sent. What is said of it
// holds until it has grown.
func TestSmallListFromItsEnd(t *testing.T) {
	s, r := &sorted{t: t, rev: 7}, &Known{}
	for n := range 100 {
		s.keys = append(s.keys, fmt.Sprintf("p/%04d", n))
	}
	l := List{Prefix: "p/", Limit: 32, Back: true}
	for n := range 20_000 {
		s.sent = 0
		if got, want := s.page(r, l), s.want(l); !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
		if n > 0 && n < 500 && s.sent != l.Limit {
			t.Fatalf("%d of %d records are sent for a page of %d", s.sent, len(s.keys), l.Limit)
		}
		if s.keys = append(s.keys, fmt.Sprintf("p/1%08d", n)); n == 2000 {
			s.counted = 0
		}
	}
	if s.counted > 18_000*40*l.Limit {
		t.Errorf("%d records were counted of a list that has grown", s.counted)
	}
}

// TestPagesOfWhatever asks for pages of all kinds while what is there changes, with keys of bytes at the edges, and
// compares them with what they should be.
func TestPagesOfWhatever(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 10 {
		s, r := &sorted{t: t, rev: 1}, &Known{}
		there := make(map[string]bool)
		prefixes := []string{"p/", "p/a", "p/\xff", "p/a\x00"}
		for step := range 300 {
			s.rev++
			switch random.IntN(30) {
			case 0:
				for range random.IntN(3000) {
					there["p/"+oddKey(random)+oddKey(random)] = true
				}
			case 1:
				for k := range there {
					if len(there) > 100 && random.IntN(4) > 0 {
						delete(there, k)
					}
				}
			case 2:
				there = make(map[string]bool)
			}
			s.keys = s.keys[:0]
			for k := range there {
				s.keys = append(s.keys, k)
			}
			slices.Sort(s.keys)
			l := List{Prefix: prefixes[random.IntN(len(prefixes))], Limit: 1 + random.IntN(40), Back: random.IntN(2) == 0}
			if random.IntN(3) > 0 {
				l.From = l.Prefix + oddKey(random)
			} else if !l.Back {
				l.From = l.Prefix
			}
			if random.IntN(10) == 0 {
				l.Rev = s.rev
			}
			if got, want := s.page(r, l), s.want(l); !slices.Equal(got, want) {
				t.Fatalf("round %d, step %d, %d keys, %+v:\n%q, want\n%q", round, step, len(s.keys), l, got, want)
			}
		}
	}
}

// TestSplit divides ranges of whatever bounds: the parts are in order, within the range, and some unless it holds one
// key alone.
func TestSplit(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 100_000 {
		from, to := "p/"+oddKey(random), "p/"+oddKey(random)
		if random.IntN(4) == 0 {
			to = clientv3.GetPrefixRangeEnd(from)
		}
		if from >= to {
			continue
		}
		bounds := split(from, to)
		if bounds[0] != from || !slices.IsSorted(append(bounds, to)) || len(bounds) > kv.MaxOps ||
			len(slices.Compact(append(slices.Clone(bounds), to))) != len(bounds)+1 {
			t.Fatalf("%q to %q: %q", from, to, bounds)
		}
		if len(bounds) == 1 && to != from+"\x00" {
			t.Fatalf("%q to %q is one", from, to)
		}
	}
}
