package auditlog

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"strongroom/internal/audit/chain"
	"strongroom/internal/audit/lines"
)

// Marks is where the mark is kept, which is not with the log.
type Marks interface {
	// Load gives what Save was given last, nil where there is nothing.
	Load(ctx context.Context) ([]byte, error)
	Save(ctx context.Context, mark []byte) error
}

// compare holds what the files have against the mark, and has the log go on behind the later of both, so that what is
// missing shows as a gap. The lock is held, or nobody else has the log yet.
func (l *Log) compare(ctx context.Context) error {
	if l.marks == nil {
		return nil
	}
	b, err := l.marks.Load(ctx)
	if err != nil {
		return fmt.Errorf("reading what the data know of the audit log: %w", err)
	}
	if b == nil {
		if l.seq.Load() > 0 {
			l.logger.Warn("the data know nothing of the audit log's end: they are from before that was kept, or were " +
				"put back; what was cut off until now does not show")
		}
		return nil
	}
	m, err := chain.ParseMark(b, l.chainKey)
	if err != nil {
		l.lose(err.Error())
		return nil
	}
	l.marked = m.Seq
	h, err := m.Sum()
	if err != nil {
		return err
	}
	if len(l.sinks.Files()) == 0 { // nobody but the receivers of the lines can tell
		l.seq.Store(m.Seq)
		l.chain.Last = h
		return nil
	}
	switch last := l.seq.Load(); {
	case last < m.Seq:
		l.lose(fmt.Sprintf("lines %d to %d of the audit log are gone: its file was removed or cut off while the "+
			"server was not running", last+1, m.Seq))
		l.seq.Store(m.Seq)
		l.chain.Last = h
	case last == m.Seq && l.chain.Last != h:
		l.lose(fmt.Sprintf("line %d of the audit log is not the one that the server wrote", last))
	default:
		l.compareLine(m, h)
		l.compareAge(m)
	}
	return nil
}

// maxBeyond is how much of what stands behind the mark is looked at, in bytes.
const maxBeyond = 4 << 20

// compareAge says once, at a start, that the data were put back from a copy.
func (l *Log) compareAge(m chain.Mark) {
	f, err := os.Open(l.path)
	if err != nil {
		return // as in compareLine
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return
	}
	from, err := chain.Seek(f, info.Size(), m.Seq+1)
	if err != nil {
		return
	}
	var beyond chain.Beyond
	from = max(0, from-lines.Block) // as near as Seek comes
	text := bufio.NewReader(io.NewSectionReader(f, from, maxBeyond))
	for !beyond.Older {
		row, err := text.ReadBytes('\n')
		if err != nil {
			return
		}
		if line, err := chain.ParseLine(bytes.TrimSuffix(row, []byte("\n"))); err == nil && line.Seq > m.Seq {
			beyond.Next(line)
		}
	}
	l.logger.Warn(fmt.Sprintf(chain.OlderAdvice, beyond.From, beyond.Since.UTC().Format(time.DateTime)))
}

// compareLine looks for the mark's line in the file.
func (l *Log) compareLine(m chain.Mark, h chain.Sum) {
	f, err := os.Open(l.path)
	if err != nil {
		return // it was readable a moment ago; the sink says what is wrong
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return
	}
	end, err := chain.Seek(f, info.Size(), m.Seq+1)
	if err != nil {
		return
	}
	buf := make([]byte, min(end, chain.TailBlock))
	if _, err := f.ReadAt(buf, end-int64(len(buf))); err != nil {
		return
	}
	text := strings.TrimSuffix(string(buf), "\n")
	at, err := chain.ParseLine([]byte(text[strings.LastIndexByte(text, '\n')+1:]))
	if err == nil && at.Seq == m.Seq && at.Hash != h {
		l.lose(fmt.Sprintf("line %d of the audit log is not the one that the server wrote", m.Seq))
	}
}

// lose says, once in the server's log and in health until the next start, that a part of the record is lost.
func (l *Log) lose(what string) {
	l.logger.Error("a part of the audit log is lost; see influxd audit verify", "what", what)
	l.lost.Store(&what)
}

// mark saves how far the log goes, when its files have reached the disk.
func (l *Log) mark(ctx context.Context) error {
	if l.marks == nil {
		return nil
	}
	if err := l.acquire(); err != nil {
		return err
	}
	m := chain.Mark{Seq: l.seq.Load(), Hash: l.chain.Last.String()}
	var failed error
	if m.Seq != l.marked {
		failed = l.sinks.Sync()
	}
	l.release()
	if failed != nil || m.Seq == l.marked || m.Seq == 0 {
		return failed
	}
	b, err := m.Encode(l.chainKey)
	if err != nil {
		return err
	}
	if err := l.marks.Save(ctx, b); err != nil {
		return err
	}
	l.marked = m.Seq
	return nil
}
