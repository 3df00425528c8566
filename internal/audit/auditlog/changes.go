package auditlog

import (
	"bytes"
	"strings"
	"time"

	"strongroom/internal/audit"
	"strongroom/internal/audit/lines"
	"strongroom/internal/audit/sink"
)

// Most lines are of acts that changed nothing: a list, a look at a page, a use. Whoever asks for the others would have
// to read through all of them. The log therefore remembers where the others are (package lines), which it learns from
// the file itself when it is asked. As long as somebody asks now and then, it reads on behind the writing, so that a
// query has little left to read; where nobody does, an entry costs nothing more than its line.
const (
	followBytes = 1 << 20
	followTime  = time.Hour // since somebody asked
)

// changes reports whether the line is of a change, or of an act that was refused or failed.
func changes(line []byte) bool {
	_, rest, _ := bytes.Cut(line, []byte(`,"action":"`))
	action, rest, _ := bytes.Cut(rest, []byte{'"'})
	return !audit.Looks(string(action)) || !bytes.Contains(rest, []byte(`,"outcome":"allowed"`))
}

// signOf is what the book remembers of a line: whether it is of a change, and which keys it names.
func signOf(line []byte) lines.Sign {
	if !changes(line) {
		return 0
	}
	if bytes.Contains(line, []byte(`,"keysOmitted":`)) {
		return lines.All
	}
	s := lines.Kind
	_, rest, _ := bytes.Cut(line, []byte(`,"keys":[`))
	for len(rest) > 0 && rest[0] == '"' {
		n := quoted(rest)
		s |= lines.Word(rest[:n])
		rest = bytes.TrimPrefix(rest[n:], []byte{','})
	}
	return s
}

// quoted is the length of the JSON string that b begins with.
func quoted(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// changesOnly reports whether the filter chooses nothing else, whether it says so or not.
func changesOnly(f *audit.Filter) bool {
	return f.Changes || f.Outcome == audit.Denied || f.Outcome == audit.Failed || strings.Contains(f.Action, ".") &&
		!audit.Looks(f.Action)
}

// follow has the book read on, once so much has been written. The lock is held.
func (l *Log) follow(written int) {
	if l.behind += written; l.behind < followBytes {
		return
	}
	l.behind = 0
	if time.Since(time.Unix(l.asked.Load(), 0)) > followTime || !l.following.CompareAndSwap(false, true) {
		return
	}
	l.followers.Go(func() {
		defer l.following.Store(false)
		// A query reads on as well, and says what is wrong.
		_ = sink.Safely(func() error { return l.book.Follow(l.path) })
	})
}
