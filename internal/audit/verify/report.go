package verify

import (
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"strongroom/internal/audit/chain"
)

// maxFindings bounds a report.
const maxFindings = 1000

// Kind says what a finding is about.
type Kind string

// The problems, and, after them, what is worth a note.
const (
	Altered    Kind = "altered"      // a line is not what was written
	Missing    Kind = "missing"      // lines are not there
	OutOfOrder Kind = "out of order" // a line stands where another belongs, or stands twice
	Foreign    Kind = "foreign"      // something that is no line of the log, or one altered beyond recognition
	Restarted  Kind = "restarted"    // the chain begins anew in the middle
	WrongKey   Kind = "wrong key"    // no line at all fits the key
	Beginning  Kind = "beginning"    // the oldest files are not there
	CutOff     Kind = "cut off"      // the last lines are not there

	Torn      Kind = "torn"       // a crash cut a line off, as the next one says, or it is at the end
	Unclean   Kind = "unclean"    // the server went on without having ended in order
	OlderData Kind = "older data" // the data that the log is held against are older than it
	Continues Kind = "continues"  // the first line goes on from an older file
)

// Problem reports whether the kind means that the log is not whole.
func (k Kind) Problem() bool { return k != Torn && k != Unclean && k != Continues && k != OlderData }

// Finding is one thing that Sources found.
type Finding struct {
	Kind    Kind
	File    string
	Line    int       // in the file, from 1
	Seq, To uint64    // the lines of the log that it is about, where they are known
	Since   time.Time // of the first line that OlderData know nothing of
	Bytes   int64     // of a Torn line or Foreign text
	Hash    string    // that the first line of a log goes on from, in Continues
}

func (f Finding) String() string {
	lines := fmt.Sprintf("line %d", f.Seq)
	were, are := "was", "is"
	if f.To > f.Seq {
		lines, were, are = fmt.Sprintf("lines %d to %d", f.Seq, f.To), "were", "are"
	}
	switch f.Kind {
	case Altered:
		return lines + " " + were + " altered"
	case Missing:
		return lines + " " + are + " missing before this one; another sink or an older file may have them"
	case OutOfOrder:
		return lines + " stands in the wrong place, or a second time"
	case Foreign:
		return fmt.Sprintf("%d bytes that are no line of the log", f.Bytes)
	case Restarted:
		return "the log begins anew: the server was started without what it had written before; is this another " +
			"log's file?"
	case WrongKey:
		return "no line fits the key: was the log written with another one?"
	case Torn:
		return fmt.Sprintf("%d bytes of a line that was never finished: a crash, a full disk, or a line that is just "+
			"being written", f.Bytes)
	case OlderData:
		return fmt.Sprintf(chain.OlderAdvice, f.Seq, f.Since.UTC().Format(time.DateTime))
	case Unclean:
		return fmt.Sprintf("before %s the server ended without closing the log: a crash, a kill, or the last lines "+
			"were cut off", lines)
	case Beginning:
		return fmt.Sprintf("lines 1 to %d are not there: the log goes on here from an older file, which must end in "+
			"the hash %s; where older files were put away on purpose, say so with --older-removed", f.Seq-1, f.Hash)
	case CutOff:
		return fmt.Sprintf("%s %s missing at the end: the data know of them", lines, are)
	case Continues:
		return fmt.Sprintf("the log goes on here from an older file, which must end in the hash %s", f.Hash)
	}
	return string(f.Kind)
}

// Report is what Sources found.
type Report struct {
	Lines, Verified     uint64 // whole lines, and those among them whose hash is right
	First, Last         uint64 // the first and the last line's number
	FirstTime, LastTime time.Time
	// Hash is the last line's. Kept elsewhere together with Last, it shows later that nothing was cut off up to there.
	Hash     string
	Problems int // how many findings are problems, before ranges were made of them
	Findings []Finding
	Dropped  int // findings beyond those listed
}

// OK reports whether the log is whole.
func (r Report) OK() bool { return r.Problems == 0 }

// Files verifies the files as one log, in the order of their lines whatever the order of their names, and prints
// what it found. Files whose names end in .gz are unpacked. The error says that a file cannot be read or
// that the log is not whole.
func Files(ctx context.Context, paths []string, key []byte, x Expect, out io.Writer) error {
	if len(paths) == 0 {
		return errors.New("name the files of the audit log to verify")
	}
	files, err := inOrder(paths)
	if err != nil {
		return err
	}
	var sources []Source
	for _, path := range files {
		f, err := openLog(path)
		if err != nil {
			return err
		}
		defer f.Close()
		sources = append(sources, Source{path, f})
	}
	report, err := Sources(ctx, key, x, sources...)
	if err != nil {
		return err
	}
	return report.print(files, out)
}

func (r Report) print(files []string, out io.Writer) error {
	var b strings.Builder
	for _, f := range r.Findings {
		word := "note"
		if f.Kind.Problem() {
			word = "PROBLEM"
		}
		fmt.Fprintf(&b, "%s: %s:%d: %s\n", word, f.File, f.Line, f)
	}
	if r.Dropped > 0 {
		fmt.Fprintf(&b, "%d more findings are not listed\n", r.Dropped)
	}
	if r.Lines > 0 {
		fmt.Fprintf(&b, "lines %d to %d, %s to %s: %d of %d verified\n", r.First, r.Last,
			r.FirstTime.Format(time.RFC3339), r.LastTime.Format(time.RFC3339), r.Verified, r.Lines)
		fmt.Fprintf(&b, "last line %d has the hash %s\n", r.Last, r.Hash)
	}
	if r.OK() && r.Lines > 0 {
		b.WriteString("the audit log is whole\n")
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return err
	}
	if r.Lines == 0 {
		return fmt.Errorf("there is no line of an audit log in %s", strings.Join(files, ", "))
	}
	if !r.OK() {
		return errors.New("the audit log is not whole")
	}
	return nil
}

// inOrder sorts the files by their first line's number. Those that begin with something else come last.
func inOrder(paths []string) ([]string, error) {
	first := make(map[string]uint64)
	for _, path := range paths {
		l, ok, err := beginning(path)
		if err != nil {
			return nil, err
		}
		first[path] = math.MaxUint64
		if ok {
			first[path] = l.Seq
		}
	}
	sorted := slices.Clone(paths)
	slices.SortStableFunc(sorted, func(a, b string) int { return cmp.Compare(first[a], first[b]) })
	return sorted, nil
}

// beginning is the first line of a file that has one.
func beginning(path string) (l chain.Line, ok bool, err error) {
	f, err := openLog(path)
	if err != nil {
		return l, false, err
	}
	defer f.Close()
	buf := make([]byte, 2*chain.MaxLine)
	n, err := io.ReadFull(f, buf)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return l, false, fmt.Errorf("reading %s: %w", path, err)
	}
	// chain.FirstLine passes over a piece: an empty one is put before.
	_, l, ok = chain.FirstLine(slices.Concat([]byte{'\n'}, buf[:n]))
	return l, ok, nil
}

// OfServers tells which server's each of the files is, by the line that it begins with: "" where there is only one
// server, and where the file has no line.
func OfServers(paths []string) (map[string][]string, error) {
	of := make(map[string][]string)
	for _, path := range paths {
		l, ok, err := beginning(path)
		if err != nil {
			return nil, err
		}
		var r struct{ Server string }
		if ok {
			// The body is the line up to its hash, and ends as no JSON does.
			if err := json.Unmarshal(append(slices.Clone(l.Body), '}'), &r); err != nil {
				r.Server = "" // its chain will not hold either
			}
		}
		of[r.Server] = append(of[r.Server], path)
	}
	return of, nil
}

func openLog(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	if !strings.HasSuffix(path, ".gz") {
		return f, nil
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("unpacking %s: %w", path, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}
