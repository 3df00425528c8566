package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

// Source is a file of the log to verify.
type Source struct {
	Name string // for the report
	io.Reader
}

// Expect is what is known of a log beside its files.
type Expect struct {
	Mark *Mark // how far the log went at least; nil: not known
	// OlderRemoved says that the oldest files were put away on purpose: a log that begins later is whole.
	OlderRemoved bool
}

// Verify reads the sources, oldest first, as one log and reports what is wrong with it. The error is for sources that
// cannot be read and for the end of ctx; a log that is not whole is told by the report. Memory is bounded.
func Verify(ctx context.Context, key []byte, x Expect, sources ...Source) (Report, error) {
	c, err := newChain(key)
	if err != nil {
		return Report{}, err
	}
	v := &verifier{chain: c, Expect: x}
	for _, s := range sources {
		if err := v.read(ctx, s); err != nil {
			return Report{}, err
		}
	}
	if v.report.Lines > 0 && v.report.Verified == 0 && v.checked > 0 {
		v.report.Findings = []Finding{{Kind: WrongKey, File: v.file, Line: v.row}}
		v.report.Problems, v.report.Dropped = 1, 0
	}
	v.atMark()
	if v.started {
		v.report.Hash = v.prev.String()
	}
	return v.report, nil
}

// verifier walks along the chain.
type verifier struct {
	*chain
	Expect
	report  Report
	checked int // lines whose hash could be compared

	file string
	row  int // line in the file, from 1

	started bool
	seq     uint64 // of the line before
	prev    sum    // hash of the line before
	// would is the hash that the line before should have had: where that hash itself was altered,
	// the chain goes on here.
	would  sum
	closed bool // the line before ended a run of the server in order

	junk    int64 // bytes since the last whole line
	junkRow int   // and the line they begin in
}

func (v *verifier) read(ctx context.Context, s Source) error {
	v.file, v.row = s.Name, 0
	r := bufio.NewReaderSize(s, 4*maxLine)
	for {
		if v.row%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		b, err := r.ReadSlice('\n')
		v.row++
		for errors.Is(err, bufio.ErrBufferFull) { // longer than any of our lines
			v.addJunk(len(b))
			b, err = r.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return err
		}
		if err == io.EOF {
			v.end(b)
			return nil
		}
		l, parseErr := parseLine(b[:len(b)-1])
		if parseErr != nil || v.junk > 0 && v.junkRow == v.row {
			v.addJunk(len(b))
			continue
		}
		v.line(l)
	}
}

func (v *verifier) addJunk(n int) {
	if v.junk == 0 {
		v.junkRow = v.row
	}
	v.junk += int64(n)
}

// end takes the last bytes of a file. An unfinished line is a torn one, or one that is just being written.
func (v *verifier) end(rest []byte) {
	if l, err := parseLine(rest); err == nil && (v.junk == 0 || v.junkRow != v.row) {
		v.line(l) // nothing but its end is missing
		return
	}
	if len(rest) > 0 {
		v.addJunk(len(rest))
	}
	if v.junk > 0 {
		kind := Foreign
		if v.junkRow == v.row && v.junk < maxLine {
			kind = Torn
		}
		v.find(Finding{Kind: kind, Line: v.junkRow, Bytes: v.junk})
		v.junk = 0
	}
}

// line takes the next whole line.
func (v *verifier) line(l line) {
	head := parseHead(l.body)
	if v.junk > 0 {
		kind := Foreign
		if v.junk <= head.torn {
			kind = Torn
		}
		v.find(Finding{Kind: kind, Line: v.junkRow, Bytes: v.junk})
		v.junk = 0
	}
	v.report.Lines++
	if t := lineTime(l.body); v.report.Lines == 1 {
		v.report.FirstTime, v.report.LastTime = t, t
	} else {
		v.report.LastTime = t
	}
	switch {
	case !v.started:
		v.first(l, head)
	case v.follows(&v.prev, l) || v.follows(&v.would, l):
		v.checked++
		v.report.Verified++
		if head.action == actionOpen && head.stated && !v.closed {
			v.find(Finding{Kind: Unclean, Seq: l.seq, To: l.seq})
		}
	case l.seq == v.seq+1:
		v.checked++
		v.find(Finding{Kind: Altered, Seq: l.seq, To: l.seq})
	case v.renumbered(l):
		v.checked++
		v.find(Finding{Kind: Altered, Seq: v.seq + 1, To: v.seq + 1})
		l.seq = v.seq + 1
	case l.seq == 1 && head.action == actionOpen && v.follows(&sum{}, l):
		v.report.Verified++
		v.find(Finding{Kind: Restarted, Seq: l.seq, To: l.seq})
	case l.seq <= v.seq:
		v.find(Finding{Kind: OutOfOrder, Seq: l.seq, To: l.seq})
		return // the chain goes on from the line before
	default:
		v.find(Finding{Kind: Missing, Seq: v.seq + 1, To: l.seq - 1})
		v.afterGap(l, head)
	}
	v.next(&v.would, &v.prev, l.body)
	v.seq, v.prev, v.closed = l.seq, l.hash, head.action == actionClose
	v.report.Last = l.seq
	if m := v.Mark; m != nil && m.Seq == l.seq && m.Hash != l.hash.String() {
		v.find(Finding{Kind: Altered, Seq: l.seq, To: l.seq})
	}
}

// atMark finds what is missing at the end.
func (v *verifier) atMark() {
	if m := v.Mark; m != nil && v.report.Last < m.Seq && v.report.Verified > 0 {
		v.find(Finding{Kind: CutOff, Seq: v.report.Last + 1, To: m.Seq})
	}
}

// first takes the first line of all: the beginning of the log, or of a file that says where it goes on.
func (v *verifier) first(l line, head head) {
	v.started = true
	v.report.First = l.seq
	switch {
	case l.seq == 1 && !head.stated, head.stated:
		if head.stated {
			kind := Beginning
			if v.OlderRemoved {
				kind = Continues
			}
			v.find(Finding{Kind: kind, Seq: l.seq, To: l.seq, Hash: head.previous.String()})
		}
		v.checked++
		v.prev = head.previous
		if v.follows(&v.prev, l) {
			v.report.Verified++
		} else {
			v.find(Finding{Kind: Altered, Seq: l.seq, To: l.seq})
		}
	default:
		v.find(Finding{Kind: Missing, Seq: 1, To: l.seq - 1})
	}
}

// afterGap checks a line whose predecessor is missing, which only one that names the predecessor's hash allows.
func (v *verifier) afterGap(l line, head head) {
	if !head.stated {
		return
	}
	v.checked++
	if v.follows(&head.previous, l) {
		v.report.Verified++
	} else {
		v.find(Finding{Kind: Altered, Seq: l.seq, To: l.seq})
	}
}

// follows reports whether the line's hash is that of a line after one with the hash previous.
func (v *verifier) follows(previous *sum, l line) bool {
	var h sum
	v.next(&h, previous, l.body)
	return h == l.hash
}

// renumbered reports whether the line is the next one with nothing but its number altered.
func (v *verifier) renumbered(l line) bool {
	_, rest, _ := bytes.Cut(l.body, []byte{','})
	body := strconv.AppendUint([]byte(seqPrefix), v.seq+1, 10)
	body = append(append(body, ','), rest...)
	return v.follows(&v.prev, line{body: body, hash: l.hash})
}

func (v *verifier) find(f Finding) {
	f.File = v.file
	if f.Line == 0 {
		f.Line = v.row
	}
	r := &v.report
	if f.Kind.Problem() {
		r.Problems++
	}
	if n := len(r.Findings); n > 0 && f.Kind == Altered {
		if last := &r.Findings[n-1]; last.Kind == Altered && last.File == f.File && last.To+1 == f.Seq {
			last.To = f.To
			return
		}
	}
	if len(r.Findings) == maxFindings {
		r.Dropped++
		return
	}
	r.Findings = append(r.Findings, f)
}

// head is what a line of the log's own says about the chain.
type head struct {
	action   string
	stated   bool // previous is there
	previous sum
	torn     int64
}

func parseHead(body []byte) head {
	if !bytes.Contains(body, []byte(`,"action":"audit.`)) {
		return head{}
	}
	var r Record
	if err := json.Unmarshal(append(bytes.Clone(body), '}'), &r); err != nil {
		return head{}
	}
	h := head{action: r.Action, torn: r.Torn}
	if n, err := hex.Decode(h.previous[:], []byte(r.Previous[:min(len(r.Previous), hashChars)])); err == nil &&
		n == len(h.previous) {
		h.stated = true
	}
	return h
}
