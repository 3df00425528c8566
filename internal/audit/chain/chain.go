// Package chain is the form of a line of the audit log: how it is written, by which hash it is chained to the one
// before, and how it is read and found again.
package chain

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

// What a line begins with, and ends in.
const (
	SeqPrefix  = `{"seq":`
	hashPrefix = `,"hash":"`
	lineEnd    = `"}`
	HashChars  = 2 * sha256.Size
	tailLen    = len(hashPrefix) + HashChars + len(lineEnd)
)

// minKey is the size in bytes below which RFC 2104, section 3, advises against a key.
const minKey = sha256.Size

type Sum [sha256.Size]byte

func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// Chain makes the hashes. It is not safe for concurrent use.
type Chain struct {
	mac  hash.Hash
	Last Sum // of the line before
}

// New returns a chain with the key at its beginning.
func New(key []byte) (*Chain, error) {
	if len(key) < minKey {
		return nil, fmt.Errorf("the audit log's chain key has %d bytes, it needs at least %d", len(key), minKey)
	}
	return &Chain{mac: hmac.New(sha256.New, key)}, nil
}

// Next is the hash of a line after one with the hash previous. previous and the result may be the same.
func (c *Chain) Next(result, previous *Sum, body []byte) {
	c.mac.Reset()
	c.mac.Write(previous[:])
	c.mac.Write(body)
	c.mac.Sum(result[:0])
}

// AppendEnd closes a line: it appends the hash and what follows.
func AppendEnd(b []byte, h *Sum) []byte {
	b = append(b, hashPrefix...)
	b = hex.AppendEncode(b, h[:])
	b = append(b, lineEnd...)
	return append(b, '\n')
}

// Line is a line taken apart as far as the chain needs it.
type Line struct {
	Seq  uint64
	Body []byte
	Hash Sum
}

var errForeign = errors.New("not a line of the audit log")

// ParseLine takes apart a line, given without its end. It takes only the form that AppendBody and AppendEnd write, to
// the byte, since another spelling of the same JSON is an altered line.
func ParseLine(b []byte) (Line, error) {
	rest, ok := bytes.CutPrefix(b, []byte(SeqPrefix))
	if !ok || len(b) < len(SeqPrefix)+tailLen {
		return Line{}, errForeign
	}
	digits := bytes.IndexByte(rest, ',')
	if digits < 1 || rest[0] == '0' {
		return Line{}, errForeign
	}
	seq, err := strconv.ParseUint(string(rest[:digits]), 10, 64)
	if err != nil || rest[0] == '+' {
		return Line{}, errForeign
	}
	cut := len(b) - tailLen
	end := b[cut:]
	if !bytes.HasPrefix(end, []byte(hashPrefix)) || !bytes.HasSuffix(end, []byte(lineEnd)) {
		return Line{}, errForeign
	}
	l := Line{Seq: seq, Body: b[:cut]}
	text := end[len(hashPrefix) : len(hashPrefix)+HashChars]
	if _, err := hex.Decode(l.Hash[:], text); err != nil || bytes.ContainsAny(text, "ABCDEF") {
		return Line{}, errForeign
	}
	return l, nil
}
