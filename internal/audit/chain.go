package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
)

// The chain: hash(n) = HMAC-SHA-256(key, hash(n-1) ‖ body(n)), where body(n) is the bytes of line n up to
// `,"hash":`, and hash(0) is 32 zero bytes. It is the hash chain of Schneier and Kelsey, "Secure Audit Logs to
// Support Computer Forensics" (ACM TISSEC 2(2), 1999, section 3), with the keyed hash of RFC 2104 in the place of
// their plain one, and without their evolving key: whoever reads the key from the server can build a chain of lies,
// and the last lines of a log can be cut off without a trace in the file itself. Sending the lines to a second sink,
// on another machine, is the answer to both.

const (
	seqPrefix  = `{"seq":`
	hashPrefix = `,"hash":"`
	lineEnd    = `"}`
	hashChars  = 2 * sha256.Size
	tailLen    = len(hashPrefix) + hashChars + len(lineEnd)
)

// minKey is the size in bytes below which RFC 2104, section 3, advises against a key.
const minKey = sha256.Size

type sum [sha256.Size]byte

func (s sum) String() string { return hex.EncodeToString(s[:]) }

// chain makes the hashes. It is not safe for concurrent use.
type chain struct {
	mac  hash.Hash
	last sum // of the line before
}

func newChain(key []byte) (*chain, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("the audit log's chain key has %d bytes, it needs at least %d", len(key), minKey)
	}
	return &chain{mac: hmac.New(sha256.New, key)}, nil
}

// next is the hash of a line after one with the hash previous. previous and the result may be the same.
func (c *chain) next(result, previous *sum, body []byte) {
	c.mac.Reset()
	c.mac.Write(previous[:])
	c.mac.Write(body)
	c.mac.Sum(result[:0])
}

// appendEnd closes a line: it appends the hash and what follows.
func appendEnd(b []byte, h *sum) []byte {
	b = append(b, hashPrefix...)
	b = hex.AppendEncode(b, h[:])
	b = append(b, lineEnd...)
	return append(b, '\n')
}

// line is a line taken apart as far as the chain needs it.
type line struct {
	seq  uint64
	body []byte
	hash sum
}

var errForeign = errors.New("not a line of the audit log")

// parseLine takes apart a line, given without its end. It takes only the form that appendBody and appendEnd write, to
// the byte, since another spelling of the same JSON is an altered line.
func parseLine(b []byte) (line, error) {
	rest, ok := bytes.CutPrefix(b, []byte(seqPrefix))
	if !ok || len(b) < len(seqPrefix)+tailLen {
		return line{}, errForeign
	}
	digits := bytes.IndexByte(rest, ',')
	if digits < 1 || rest[0] == '0' {
		return line{}, errForeign
	}
	seq, err := strconv.ParseUint(string(rest[:digits]), 10, 64)
	if err != nil || rest[0] == '+' {
		return line{}, errForeign
	}
	cut := len(b) - tailLen
	end := b[cut:]
	if !bytes.HasPrefix(end, []byte(hashPrefix)) || !bytes.HasSuffix(end, []byte(lineEnd)) {
		return line{}, errForeign
	}
	l := line{seq: seq, body: b[:cut]}
	text := end[len(hashPrefix) : len(hashPrefix)+hashChars]
	if _, err := hex.Decode(l.hash[:], text); err != nil || bytes.ContainsAny(text, "ABCDEF") {
		return line{}, errForeign
	}
	return l, nil
}
