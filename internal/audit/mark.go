package audit

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Mark is what the data know of the log: how far it went. What is cut off the log's end, or the whole file, is missed
// by it. It is kept under a keyed hash, so that nobody can make one; one that was written earlier can be put back by
// whoever can write the data, and then shows less.
type Mark struct {
	Seq  uint64 // a line that was written, and has reached the disk
	Hash string // and its hash
}

// Marks is where the mark is kept, which is not with the log.
type Marks interface {
	// Load gives what Save was given last, nil where there is nothing.
	Load(ctx context.Context) ([]byte, error)
	Save(ctx context.Context, mark []byte) error
}

// markLabel names the use of the key that marks are kept under, which is derived from the chain's.
const markLabel = "strongroom/v1/audit/mark"

// kept is a mark as it is kept.
type keptMark struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
	MAC  string `json:"mac"` // HMAC-SHA-256 of seq (8 bytes, big-endian) and hash (32 bytes)
}

var errMark = errors.New("what the data know of the audit log is not what the server wrote: it was altered")

func (m Mark) mac(chainKey []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, chainKey, nil, markLabel, sha256.Size)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	h, err := m.sum()
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, m.Seq))
	mac.Write(h[:])
	return mac.Sum(nil), nil
}

func (m Mark) sum() (h sum, err error) {
	if n, err := hex.Decode(h[:], []byte(m.Hash[:min(len(m.Hash), hashChars)])); err != nil || n != len(h) {
		return h, errMark
	}
	return h, nil
}

func (m Mark) encode(chainKey []byte) ([]byte, error) {
	mac, err := m.mac(chainKey)
	if err != nil {
		return nil, err
	}
	return json.Marshal(keptMark{m.Seq, m.Hash, hex.EncodeToString(mac)})
}

// ParseMark reads a mark as Marks has it.
func ParseMark(b, chainKey []byte) (Mark, error) {
	var k keptMark
	if err := json.Unmarshal(b, &k); err != nil {
		return Mark{}, errMark
	}
	m := Mark{k.Seq, k.Hash}
	want, err := m.mac(chainKey)
	if err != nil {
		return Mark{}, err
	}
	got, err := hex.DecodeString(k.MAC)
	if err != nil || !hmac.Equal(got, want) {
		return Mark{}, errMark
	}
	return m, nil
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
	m, err := ParseMark(b, l.chainKey)
	if err != nil {
		l.lose(err.Error())
		return nil
	}
	l.marked = m.Seq
	h, err := m.sum()
	if err != nil {
		return err
	}
	if len(l.files()) == 0 { // nobody but the receivers of the lines can tell
		l.seq.Store(m.Seq)
		l.chain.last = h
		return nil
	}
	switch last := l.seq.Load(); {
	case last < m.Seq:
		l.lose(fmt.Sprintf("lines %d to %d of the audit log are gone: its file was removed or cut off while the "+
			"server was not running", last+1, m.Seq))
		l.seq.Store(m.Seq)
		l.chain.last = h
	case last == m.Seq && l.chain.last != h:
		l.lose(fmt.Sprintf("line %d of the audit log is not the one that the server wrote", last))
	default:
		l.compareLine(m, h)
	}
	return nil
}

// compareLine looks for the mark's line in the file.
func (l *Log) compareLine(m Mark, h sum) {
	f, err := os.Open(l.path)
	if err != nil {
		return // it was readable a moment ago; the sink says what is wrong
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return
	}
	end, err := seek(f, info.Size(), m.Seq+1)
	if err != nil {
		return
	}
	buf := make([]byte, min(end, tailBlock))
	if _, err := f.ReadAt(buf, end-int64(len(buf))); err != nil {
		return
	}
	text := strings.TrimSuffix(string(buf), "\n")
	at, err := parseLine([]byte(text[strings.LastIndexByte(text, '\n')+1:]))
	if err == nil && at.seq == m.Seq && at.hash != h {
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
	m := Mark{l.seq.Load(), l.chain.last.String()}
	var failed error
	for _, f := range l.files() {
		if m.Seq != l.marked && !f.of.failing.Load() {
			failed = errors.Join(failed, f.of.do(f.sync))
		}
	}
	l.release()
	if failed != nil || m.Seq == l.marked || m.Seq == 0 {
		return failed
	}
	b, err := m.encode(l.chainKey)
	if err != nil {
		return err
	}
	if err := l.marks.Save(ctx, b); err != nil {
		return err
	}
	l.marked = m.Seq
	return nil
}
