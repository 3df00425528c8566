package chain

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// Mark is what the data know of the log: how far it went. What is cut off the log's end, or the whole file, is missed
// by it. It is kept under a keyed hash, so that nobody can make one; one that was written earlier can be put back by
// whoever can write the data, and then shows less.
type Mark struct {
	Seq  uint64 // a line that was written, and has reached the disk
	Hash string // and its hash
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
	h, err := m.Sum()
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, m.Seq))
	mac.Write(h[:])
	return mac.Sum(nil), nil
}

// Sum is the line's hash.
func (m Mark) Sum() (h Sum, err error) {
	if n, err := hex.Decode(h[:], []byte(m.Hash[:min(len(m.Hash), HashChars)])); err != nil || n != len(h) {
		return h, errMark
	}
	return h, nil
}

// Encode gives the mark as it is kept, which ParseMark reads.
func (m Mark) Encode(chainKey []byte) ([]byte, error) {
	mac, err := m.mac(chainKey)
	if err != nil {
		return nil, err
	}
	return json.Marshal(keptMark{m.Seq, m.Hash, hex.EncodeToString(mac)})
}

// ParseMark reads a mark that Encode gave.
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
