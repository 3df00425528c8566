// Package verify looks whether an audit log is whole.
package verify

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"strongroom/internal/audit"
	"strongroom/internal/audit/chain"
)

// Source is a file of the log to verify.
type Source struct {
	Name string // for the report
	io.Reader
}

// Expect is what is known of a log beside its files.
type Expect struct {
	Mark *chain.Mark // how far the log went at least; nil: not known
	// OlderRemoved says that the oldest files were put away on purpose: a log that begins later is whole.
	OlderRemoved bool
}

// Sources reads the sources, oldest first, as one log and reports what is wrong with it. The error is for sources that
// cannot be read and for the end of ctx; a log that is not whole is told by the report. Memory is bounded.
func Sources(ctx context.Context, key []byte, x Expect, sources ...Source) (Report, error) {
	c, err := chain.New(key)
	if err != nil {
		return Report{}, err
	}
	v := &verifier{Chain: c, Expect: x}
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
	if v.beyond.Older {
		v.report.Findings = append(v.report.Findings, Finding{Kind: OlderData, File: v.file, Line: v.row,
			Seq: v.beyond.From, To: v.report.Last, Since: v.beyond.Since})
	}
	if v.started {
		v.report.Hash = v.prev.String()
	}
	return v.report, nil
}

// verifier walks along the chain.
type verifier struct {
	*chain.Chain
	Expect
	report  Report
	beyond  chain.Beyond
	checked int // lines whose hash could be compared

	file string
	row  int // line in the file, from 1

	started bool
	seq     uint64    // of the line before
	prev    chain.Sum // hash of the line before
	// would is the hash that the line before should have had: where that hash itself was altered,
	// the chain goes on here.
	would  chain.Sum
	closed bool // the line before ended a run of the server in order

	junk    int64 // bytes since the last whole line
	junkRow int   // and the line they begin in
}

func (v *verifier) read(ctx context.Context, s Source) error {
	v.file, v.row = s.Name, 0
	r := bufio.NewReaderSize(s, 4*chain.MaxLine)
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
		l, parseErr := chain.ParseLine(b[:len(b)-1])
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
	if l, err := chain.ParseLine(rest); err == nil && (v.junk == 0 || v.junkRow != v.row) {
		v.line(l) // nothing but its end is missing
		return
	}
	if len(rest) > 0 {
		v.addJunk(len(rest))
	}
	if v.junk > 0 {
		kind := Foreign
		if v.junkRow == v.row && v.junk < chain.MaxLine {
			kind = Torn
		}
		v.find(Finding{Kind: kind, Line: v.junkRow, Bytes: v.junk})
		v.junk = 0
	}
}

// line takes the next whole line.
func (v *verifier) line(l chain.Line) {
	head := parseHead(l.Body)
	if v.junk > 0 {
		kind := Foreign
		if v.junk <= head.torn {
			kind = Torn
		}
		v.find(Finding{Kind: kind, Line: v.junkRow, Bytes: v.junk})
		v.junk = 0
	}
	v.report.Lines++
	if t := chain.Time(l.Body); v.report.Lines == 1 {
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
		if head.action == audit.ActionOpen && head.stated && !v.closed {
			v.find(Finding{Kind: Unclean, Seq: l.Seq, To: l.Seq})
		}
	case l.Seq == v.seq+1:
		v.checked++
		v.find(Finding{Kind: Altered, Seq: l.Seq, To: l.Seq})
	case v.renumbered(l):
		v.checked++
		v.find(Finding{Kind: Altered, Seq: v.seq + 1, To: v.seq + 1})
		l.Seq = v.seq + 1
	case l.Seq == 1 && head.action == audit.ActionOpen && v.follows(&chain.Sum{}, l):
		v.report.Verified++
		v.find(Finding{Kind: Restarted, Seq: l.Seq, To: l.Seq})
	case l.Seq <= v.seq:
		v.find(Finding{Kind: OutOfOrder, Seq: l.Seq, To: l.Seq})
		return // the chain goes on from the line before
	default:
		v.find(Finding{Kind: Missing, Seq: v.seq + 1, To: l.Seq - 1})
		v.afterGap(l, head)
	}
	v.Next(&v.would, &v.prev, l.Body)
	v.seq, v.prev, v.closed = l.Seq, l.Hash, head.action == audit.ActionClose
	v.report.Last = l.Seq
	if v.Mark != nil && l.Seq > v.Mark.Seq {
		v.beyond.Next(l)
	}
	if m := v.Mark; m != nil && m.Seq == l.Seq && m.Hash != l.Hash.String() {
		v.find(Finding{Kind: Altered, Seq: l.Seq, To: l.Seq})
	}
}

// atMark finds what is missing at the end.
func (v *verifier) atMark() {
	if m := v.Mark; m != nil && v.report.Last < m.Seq && v.report.Verified > 0 {
		v.find(Finding{Kind: CutOff, Seq: v.report.Last + 1, To: m.Seq})
	}
}

// first takes the first line of all: the beginning of the log, or of a file that says where it goes on.
func (v *verifier) first(l chain.Line, head head) {
	v.started = true
	v.report.First = l.Seq
	switch {
	case l.Seq == 1 && !head.stated, head.stated:
		if head.stated {
			kind := Beginning
			if v.OlderRemoved {
				kind = Continues
			}
			v.find(Finding{Kind: kind, Seq: l.Seq, To: l.Seq, Hash: head.previous.String()})
		}
		v.checked++
		v.prev = head.previous
		if v.follows(&v.prev, l) {
			v.report.Verified++
		} else {
			v.find(Finding{Kind: Altered, Seq: l.Seq, To: l.Seq})
		}
	default:
		v.find(Finding{Kind: Missing, Seq: 1, To: l.Seq - 1})
	}
}

// afterGap checks a line whose predecessor is missing, which only one that names the predecessor's hash allows.
func (v *verifier) afterGap(l chain.Line, head head) {
	if !head.stated {
		return
	}
	v.checked++
	if v.follows(&head.previous, l) {
		v.report.Verified++
	} else {
		v.find(Finding{Kind: Altered, Seq: l.Seq, To: l.Seq})
	}
}

// follows reports whether the line's hash is that of a line after one with the hash previous.
func (v *verifier) follows(previous *chain.Sum, l chain.Line) bool {
	var h chain.Sum
	v.Next(&h, previous, l.Body)
	return h == l.Hash
}

// renumbered reports whether the line is the next one with nothing but its number altered.
func (v *verifier) renumbered(l chain.Line) bool {
	_, rest, _ := bytes.Cut(l.Body, []byte{','})
	body := strconv.AppendUint([]byte(chain.SeqPrefix), v.seq+1, 10)
	body = append(append(body, ','), rest...)
	return v.follows(&v.prev, chain.Line{Body: body, Hash: l.Hash})
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
	previous chain.Sum
	torn     int64
}

func parseHead(body []byte) head {
	if !bytes.Contains(body, []byte(`,"action":"audit.`)) {
		return head{}
	}
	var r audit.Record
	if err := json.Unmarshal(append(bytes.Clone(body), '}'), &r); err != nil {
		return head{}
	}
	h := head{action: r.Action, torn: r.Torn}
	if n, err := hex.Decode(h.previous[:], []byte(r.Previous[:min(len(r.Previous), chain.HashChars)])); err == nil &&
		n == len(h.previous) {
		h.stated = true
	}
	return h
}
