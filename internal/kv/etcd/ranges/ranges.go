// Package ranges has lists of an etcd ask for narrow ranges. An etcd counts all records of a range, whether or not they
// are of the page, and for a page from the end it reads and sorts them all: pages that ask up to the end of everything
// take it time by the square of how many records there are.
//
// Whether a list is large is known from its first answer. For a large one it is noted how long a beginning the keys of
// a page have in common, and how far they go in the byte after that. The next page asks for keys that go as far from
// the one that it comes after. Where that is less than a page, the rest is asked for at the same revision, from wider
// and wider ranges.
package ranges

import (
	"math/bits"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"strongroom/internal/kv"
)

// Known is what is known of lists. Its zero value knows of none.
type Known struct {
	mu     sync.Mutex
	shapes map[shapeOf]shape
}

// maxShapes is how many lists something is known of, at the most.
const maxShapes = 1024

type shapeOf struct {
	prefix string
	limit  int // how many binary digits it has: a caller may choose any, and pages of some length are alike
	back   bool
}

// shape is what is known of a list.
type shape struct {
	depth int    // how many bytes the keys of a page have in common
	step  int    // how far they go in the next byte
	edge  string // the last key of the list's first page
	small bool   // nothing else is known: from the end, all of it is asked for
}

// List is a page that is wanted: at most limit records whose keys begin with prefix. It begins with the key from; where
// it is back, with the last one before that, or, for "", with the very last. Rev is a revision, or 0 for the present.
type List struct {
	Prefix, From string
	Limit        int
	Back         bool
	Rev          int64
}

func (l List) end() string { return clientv3.GetPrefixRangeEnd(l.Prefix) }

// opens reports whether it is the list's first page.
func (l List) opens() bool { return l.From == "" || !l.Back && l.From == l.Prefix }

// Whole is the range of the page and all that comes after it.
func (l List) Whole() Span {
	switch {
	case !l.Back:
		return Span{l.From, l.end(), l.Limit, l.Rev, false}
	case l.From == "":
		return Span{l.Prefix, l.end(), l.Limit, l.Rev, true}
	}
	return Span{l.Prefix, l.From, l.Limit, l.Rev, true}
}

// Span is one request: for at most limit records from the one key up to, and without, the other, the last ones first
// where it is back.
type Span struct {
	From, To string
	Limit    int
	Rev      int64
	Back     bool
}

// Answer is what etcd gives for a Span. Count is of all that is in it.
type Answer struct {
	Found []*mvccpb.KeyValue
	Count int
	Rev   int64
}

// Asker asks etcd.
type Asker interface {
	Ask(Span) (Answer, error)
	// Counts tells how many records there are from each bound to the next, and from the last one to the end.
	Counts(bounds []string, end string, rev int64) ([]int, error)
}

// much is how many records a range may have before a narrower one is worth while.
func (l List) much() int { return 16*min(l.Limit, 1<<20) + 512 }

// Page gives a page of a list, and the revision that it is of.
func (r *Known) Page(l List, etcd Asker) ([]*mvccpb.KeyValue, int64, error) {
	of, all := shapeOf{l.Prefix, bits.Len(uint(l.Limit)), l.Back}, l.Whole()
	known, is := r.known(of)
	if is && known.small {
		a, err := etcd.Ask(all)
		if err == nil && a.Count > l.much() {
			r.forget(of)
		}
		return a.Found, l.at(a.Rev), err
	}
	is = is && (known.edge != "" || !l.opens())
	switch {
	case all.From >= all.To, !is && !l.Back:
		a, err := etcd.Ask(all)
		if err == nil && a.Count > l.much() {
			r.note(of, l, a.Found)
		}
		return a.Found, l.at(a.Rev), err
	case !is:
		return r.lastPage(of, l, etcd)
	}
	depth, less, carried := known.depth, 1, false
	var edge string
	switch {
	case !l.opens():
		edge = l.near(l.From, depth, known.step)
	case l.Back:
		edge = known.edge
	default:
		edge = known.edge + "\x00"
	}
	var found []*mvccpb.KeyValue
	for left, counted := all, 0; ; {
		next := left.narrowed(edge)
		if next.From < next.To {
			a, err := etcd.Ask(next)
			if err != nil {
				return nil, 0, err
			}
			l.Rev = l.at(a.Rev)
			found, counted = append(found, a.Found...), counted+a.Count
			if len(found) == l.Limit {
				r.note(of, l, found)
				return found, l.Rev, nil
			}
			if next.From == left.From && next.To == left.To {
				if l.opens() && counted <= l.much()/4 {
					r.forget(of)
				}
				return found, l.Rev, nil
			}
			if left.Rev, left.Limit = l.Rev, l.Limit-len(found); l.Back {
				left.To = next.From
			} else {
				left.From = next.To
			}
		}
		at := left.From
		if l.Back {
			at = left.To
		}
		switch {
		case !carried:
			carried, edge = true, l.near(l.carry(at, depth), depth, known.step)
		case depth > len(l.Prefix):
			depth, less = max(len(l.Prefix), depth-max(1, less/2)), 2*less
			edge = l.near(at, depth, 1)
		default:
			edge = l.edge(l.Prefix)
		}
	}
}

// at is the revision of a page that etcd has answered at rev.
func (l List) at(rev int64) int64 {
	if l.Rev != 0 {
		return l.Rev
	}
	return rev
}

// edge is where the range ends, on the way of the list, of all that begins with like.
func (l List) edge(like string) string {
	if l.Back {
		return like
	}
	return clientv3.GetPrefixRangeEnd(like)
}

// near is where the range ends of what begins as at does for depth bytes, and has the next one, or one that is further
// away by step at most.
func (l List) near(at string, depth, step int) string {
	like := at[:max(len(l.Prefix), min(depth, len(at)))]
	if len(like) < len(at) {
		b := place(at[len(like)]) + step + 1
		if l.Back {
			b = place(at[len(like)]) - step
		}
		if 0 < b && b <= place(0xff) {
			return like + string([]byte{atPlace(b)})
		}
	}
	return l.edge(like)
}

// carry gives the first ID, or, back, the last, behind all that begin as at does for depth bytes.
func (l List) carry(at string, depth int) string {
	depth = max(len(l.Prefix), min(depth, len(at)))
	digits, last, fill := []byte(at[:depth]), byte('f'), byte('0')
	if l.Back {
		last, fill = fill, last
	}
	n := depth - 1
	for n > len(l.Prefix) && (digits[n] == last || place(digits[n]) > place('f')) {
		n--
	}
	if n < len(l.Prefix) || digits[n] == 0xff || digits[n] == 0 {
		return at
	}
	switch d := digits[n]; {
	case l.Back && d == 'a':
		digits[n] = '9'
	case l.Back:
		digits[n] = atPlace(place(d) - 1)
	case d == '9':
		digits[n] = 'a'
	default:
		digits[n] = atPlace(place(d) + 1)
	}
	for n++; n < depth; n++ {
		digits[n] = fill
	}
	return string(append(digits, fill))
}

// place numbers the bytes so that an ID's digits, 0 to 9 and a to f, are one beside the other. Those between are one.
func place(b byte) int {
	switch {
	case b <= '9':
		return int(b)
	case b < 'a':
		return '9' + 1
	}
	return int(b) - 'a' + '9' + 2
}

func atPlace(n int) byte {
	if n <= '9'+1 {
		return byte(n)
	}
	return byte(n - '9' - 2 + 'a')
}

// narrowed is the range up to the edge.
func (s Span) narrowed(edge string) Span {
	if s.Back {
		s.From = max(s.From, edge)
	} else {
		s.To = min(s.To, edge)
	}
	return s
}

// lastPage gives a page from the end of a list of which nothing is known yet. Where the list is small, its beginning is
// all of it. Where it is not, it is counted where its last records begin.
func (r *Known) lastPage(of shapeOf, l List, etcd Asker) ([]*mvccpb.KeyValue, int64, error) {
	all := l.Whole()
	begins, err := etcd.Ask(Span{all.From, all.To, 4 * min(l.Limit, 1<<20), l.Rev, false})
	if err != nil {
		return nil, 0, err
	}
	l.Rev = l.at(begins.Rev)
	if begins.Count == len(begins.Found) {
		r.set(of, shape{small: true})
		slices.Reverse(begins.Found)
		return begins.Found[:min(l.Limit, len(begins.Found))], l.Rev, nil
	}
	first := string(begins.Found[len(begins.Found)-1].Key)
	// What is behind end holds less than a page, and with what is between from and end, a page or more.
	from, end, behind := first, all.To, 0
	for by := false; ; by = !by {
		// A key tells up to where all keys are alike; after that, they are divided by their next byte.
		bounds := l.beginnings(first, end)
		if by {
			bounds = split(from, end)
		}
		counts, err := etcd.Counts(bounds, end, l.Rev)
		if err != nil {
			return nil, 0, err
		}
		n := len(counts) - 1
		for ; n > 0 && behind+counts[n] < l.Limit; n-- {
			behind, end = behind+counts[n], bounds[n]
		}
		from = bounds[n]
		if behind+counts[n] <= l.much() || by && len(bounds) == 1 {
			if all.Rev = l.Rev; behind+counts[n] >= l.Limit {
				all.From = from
			}
			break
		}
		if by {
			a, err := etcd.Ask(Span{from, end, 1, l.Rev, false})
			if err != nil {
				return nil, 0, err
			}
			first = string(a.Found[0].Key)
		}
	}
	a, err := etcd.Ask(all)
	if err == nil && len(a.Found) == l.Limit {
		r.note(of, l, a.Found)
	}
	return a.Found, l.Rev, err
}

// beginnings gives where the keys from one on end that have as much in common with it, and as much less.
func (l List) beginnings(key, end string) []string {
	bounds := []string{key}
	for n := min(len(key), len(l.Prefix)+maxCounts-1); n > len(l.Prefix); n-- {
		if b := clientv3.GetPrefixRangeEnd(key[:n]); b > bounds[len(bounds)-1] && b < end {
			bounds = append(bounds, b)
		}
	}
	return bounds
}

// maxCounts is how many ranges are counted in one call: an etcd takes 128 operations.
const maxCounts = kv.MaxOps

// split divides a range into some: it gives where they begin.
func split(from, to string) []string {
	bounds := []string{from}
	same := shared(from, to)
	end := int(to[len(same)])
	if b := to[:len(same)+1]; b > from && b < to { // what begins as from does, and some that begins as to does
		bounds, to = append(bounds, b), b
	}
	var first int
	for ; ; end = 256 {
		if first = 0; len(same) < len(from) {
			first = int(from[len(same)])
		}
		if end-first > 1 || len(same) > len(from) {
			break
		}
		same += string([]byte{byte(first)})
	}
	step := max(1, (end-first+maxCounts-3)/(maxCounts-2))
	for b := first + step; b < end; b += step {
		if next := same + string([]byte{byte(b)}); next > from && next < to {
			bounds = append(bounds, next)
		}
	}
	slices.Sort(bounds)
	return bounds
}

func (r *Known) known(of shapeOf) (shape, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, is := r.shapes[of]
	return s, is
}

// note has known the shape of a list by a page of it.
func (r *Known) note(of shapeOf, l List, page []*mvccpb.KeyValue) {
	from, last := string(page[0].Key), string(page[len(page)-1].Key)
	if len(page) == 1 && l.From != "" { // how far away it was
		from = l.From
	}
	// Where one half of the page goes from one place to the next in a byte before, the other does not.
	mid := string(page[len(page)/2].Key)
	depth, step := apart(mid, last)
	if d, s := apart(from, mid); len(page) == 1 || len(page) > 2 && d > depth {
		depth, step = d, s
	}
	s, _ := r.known(of)
	if s.depth, s.step = depth, 2*step+1; s.step > 16 && depth > len(l.Prefix) { // more than an ID's digits
		s.depth, s.step = depth-1, 2
	}
	if l.opens() {
		s.edge = last
	}
	s.small = false
	r.set(of, s)
}

func (r *Known) set(of shapeOf, s shape) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, is := r.shapes[of]; !is && len(r.shapes) >= maxShapes {
		for one := range r.shapes { // any one
			delete(r.shapes, one)
			break
		}
	}
	if r.shapes == nil {
		r.shapes = make(map[shapeOf]shape)
	}
	r.shapes[of] = s
}

// apart tells how long a beginning two keys have in common, and how far they are apart after it.
func apart(a, b string) (depth, step int) {
	depth = len(shared(a, b))
	if depth < min(len(a), len(b)) {
		step = place(a[depth]) - place(b[depth])
	}
	return depth, max(step, -step)
}

func (r *Known) forget(of shapeOf) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.shapes, of)
}

// shared is what both keys begin with.
func shared(a, b string) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return a[:n]
}
