package auditlog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/audit/chain"
	"strongroom/internal/audit/lines"
	"strongroom/internal/errs"
)

// defaultScanLimit bounds the bytes that one query reads: some tenths of a second.
const defaultScanLimit = 64 << 20

// clockSlack is how far the clock may have been set back without hiding lines from a query that begins at some time: a
// line that is older than Since by more ends the search.
const clockSlack = time.Hour

// Query returns the records that the filter chooses, newest first, from the first file sink and the files rotated from
// it (name.1, name.2, … until one is missing). It gives errs.NotImplemented where no sink is a file.
func (l *Log) Query(ctx context.Context, f audit.Filter) (audit.Page, error) {
	if l.path == "" {
		return audit.Page{}, errs.New(errs.NotImplemented, "the audit log cannot be searched here, as it is not kept "+
			"in a file: start influxd with an audit sink file:/path")
	}
	if f.Limit <= 0 {
		f.Limit = audit.DefaultLimit
	}
	f.Limit = min(f.Limit, audit.MaxLimit)
	q := l.newQuery(f)
	for n := 0; !q.done; n++ {
		name := l.path
		if n > 0 {
			name = rotated(l.path, n)
		}
		err := q.file(ctx, name)
		if n > 0 && errors.Is(err, fs.ErrNotExist) {
			break
		}
		// The file itself is missing between its renaming and the signal that makes a new one.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return audit.Page{}, err
		}
	}
	return q.page, nil
}

// Top is behind the last line that there is: Filter.Before with it chooses from all.
func (l *Log) Top() uint64 { return l.seq.Load() + 1 }

// rotated is the name that logrotate gives to the n-th last file.
func rotated(path string, n int) string { return path + "." + strconv.Itoa(n) }

// query is the work on one page.
type query struct {
	filter  audit.Filter
	needles [][]byte // each of them stands in every line that the filter chooses
	key     []byte   // the key as the line has it
	*Log
	want lines.Sign // of the lines that the filter chooses, where the book is about them; or 0
	left int64      // bytes that may still be read
	seen uint64     // the last line looked at
	done bool
	page audit.Page
	size int // of the page's records, in bytes
	// failed are the acts that failed after they were allowed. Such an act is one record, and not a done one beside it.
	failed map[actID]bool
}

// actID tells an act from the others of its request.
type actID [sha256.Size]byte

func idOf(r *audit.Record) actID {
	h := sha256.New()
	for _, s := range append([]string{r.RequestID, r.Action, r.Target, strconv.Itoa(r.Part)}, r.Keys...) {
		io.WriteString(h, s)
		h.Write([]byte{0})
	}
	var id actID
	h.Sum(id[:0])
	return id
}

func (l *Log) newQuery(f audit.Filter) *query {
	q := &query{filter: f, needles: needles(&f), Log: l, left: l.scanLimit, failed: make(map[actID]bool)}
	if changesOnly(&f) {
		q.want = lines.Kind
	}
	if f.Key != "" {
		q.key = chain.AppendString(nil, f.Key, chain.MaxKey)
	}
	if q.key != nil && q.want != 0 {
		q.want |= lines.Word(q.key)
	}
	if f.Key == "" && f.Prefix != "" {
		q.key = chain.AppendString(nil, f.Prefix, chain.MaxKey)
		q.key = q.key[:len(q.key)-1] // without the quotation mark
	}
	q.filter.Actor, q.filter.Action = chain.Stored(f.Actor, chain.MaxString), chain.Stored(f.Action, chain.MaxString)
	q.filter.Key = chain.Stored(f.Key, chain.MaxKey)
	return q
}

// back is the way through a file towards its beginning, on which end is where it starts.
func (q *query) back(f *os.File, end int64) (line func() ([]byte, error), done func(), err error) {
	if q.want == 0 {
		b, err := lines.NewBackwards(f, end)
		return func() ([]byte, error) { l, _, err := b.Line(); return l, err }, nil, err
	}
	q.asked.Store(time.Now().Unix())
	w, err := q.book.Walk(f, end, q.want)
	if err != nil {
		return nil, nil, err
	}
	return w.Line, w.Close, nil
}

// file looks through one file, until the page is full.
func (q *query) file(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	if q.filter.Before > 0 {
		if end, err = chain.Seek(f, end, q.filter.Before); err != nil {
			return err
		}
		if err := q.ahead(f, end); err != nil {
			return err
		}
	}
	next, done, err := q.back(f, end)
	if done != nil {
		defer done()
	}
	for n := 0; err == nil && !q.done; n++ {
		var b []byte
		if b, err = next(); err == nil {
			q.line(b)
		}
		if q.seen > 0 { // what lies before the page is little, unless it is not ours
			q.left -= int64(len(b)) + 1
		}
		if err == nil && n%1024 == 0 {
			err = ctx.Err()
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// aheadBlock is how far behind the page is looked for acts on it that failed.
const aheadBlock = 256 << 10

// ahead reads what was written next after the page.
func (q *query) ahead(f *os.File, from int64) error {
	buf := make([]byte, aheadBlock)
	n, err := f.ReadAt(buf, from)
	if err != nil && err != io.EOF {
		return err
	}
	for line := range bytes.Lines(buf[:n]) {
		q.noteFailed(line)
	}
	return nil
}

// noteFailed remembers an act that failed.
func (q *query) noteFailed(b []byte) {
	if !bytes.Contains(b, []byte(`,"outcome":"failed"`)) {
		return
	}
	var r audit.Record
	if json.Unmarshal(b, &r) == nil && r.Outcome == audit.Failed && r.RequestID != "" {
		q.failed[idOf(&r)] = true
	}
}

// full reports whether the page has as many records as it may, or as many bytes, the last one whole.
func (q *query) full() bool {
	n := len(q.page.Records)
	if n == 0 || q.page.Records[n-1].Part != 0 {
		return false
	}
	return n == q.filter.Limit || q.size >= q.filter.Limit*audit.RecordSize
}

// maxTogether bounds the keys of one record that are put together of several lines.
const maxTogether = 1000

// add puts a record on the page, or its keys to those of the record that it is the line before of.
func (q *query) add(r *audit.Record) {
	if n := len(q.page.Records); n > 0 {
		last := &q.page.Records[n-1]
		if last.Part == max(r.Part, 1)+1 && last.Seq == r.Seq+1 && last.RequestID == r.RequestID {
			keys := append(r.Keys, last.Keys...)
			r.KeysOmitted = last.KeysOmitted
			if len(keys) > maxTogether {
				r.KeysOmitted += len(keys) - maxTogether
				keys = keys[:maxTogether]
			}
			r.Keys = keys
			r.MayInclude = false
			q.size += r.Size() - last.Size()
			*last = *r
			return
		}
	}
	q.size += r.Size()
	q.page.Records = append(q.page.Records, *r)
}

// line looks at one line.
func (q *query) line(b []byte) {
	l, err := chain.ParseLine(b)
	if err != nil || q.filter.Before > 0 && l.Seq >= q.filter.Before || q.seen > 0 && l.Seq >= q.seen {
		q.noteFailed(b)
		return // not ours, of a page before, or met already in a file that was renamed meanwhile
	}
	if q.seen > 0 && (q.full() || q.left <= 0) {
		q.page.Next, q.done = q.seen, true
		return
	}
	q.seen = l.Seq
	if !q.filter.Since.IsZero() && chain.Time(b).Before(q.filter.Since.Add(-clockSlack)) {
		q.done = true
		return
	}
	if q.want != 0 && !changes(b) {
		return
	}
	q.noteFailed(b)
	for _, n := range q.needles {
		if !bytes.Contains(b, n) {
			return
		}
	}
	if q.key != nil && !bytes.Contains(b, q.key) && !bytes.Contains(b, []byte(`,"keysOmitted":`)) {
		return
	}
	var r audit.Record
	if json.Unmarshal(b, &r) != nil || !q.chooses(&r) || r.Outcome == audit.Allowed && len(q.failed) > 0 &&
		q.failed[idOf(&r)] {
		return
	}
	r.MayInclude = (q.filter.Key != "" || q.filter.Prefix != "") && !names(&q.filter, &r)
	q.add(&r)
}

func (q *query) chooses(r *audit.Record) bool {
	f := &q.filter
	switch {
	case f.OrgID != "" && r.OrgID != f.OrgID,
		f.Actor != "" && r.User != f.Actor && r.UserID != f.Actor && r.AuthorizationID != f.Actor,
		f.Action != "" && r.Action != f.Action && !strings.HasPrefix(r.Action, f.Action+"."),
		f.Outcome != "" && r.Outcome != f.Outcome,
		!f.Since.IsZero() && r.Time.Before(f.Since),
		!f.Until.IsZero() && !r.Time.Before(f.Until):
		return false
	}
	return r.KeysOmitted > 0 || names(f, r)
}

// names reports whether the record has a key that the filter chooses.
func names(f *audit.Filter, r *audit.Record) bool {
	if f.Key != "" {
		return slices.Contains(r.Keys, f.Key)
	}
	return f.Prefix == "" || slices.ContainsFunc(r.Keys, func(k string) bool { return strings.HasPrefix(k, f.Prefix) })
}

// needles are what a line must hold as text to be chosen: most lines are passed over without being decoded.
func needles(f *audit.Filter) [][]byte {
	var n [][]byte
	if f.OrgID != "" {
		n = append(n, chain.AppendField(nil, `"orgID":`, f.OrgID))
	}
	if f.Outcome != "" {
		n = append(n, chain.AppendField(nil, `"outcome":`, string(f.Outcome)))
	}
	if f.Actor != "" {
		n = append(n, chain.AppendField(nil, `:`, f.Actor))
	}
	if f.Action != "" {
		action := chain.AppendField(nil, `"action":`, f.Action)
		n = append(n, action[:len(action)-1])
	}
	return n
}
