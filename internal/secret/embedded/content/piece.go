package content

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// MaxPiece bounds how many bytes of values are sealed as one piece.
const MaxPiece = 1 << 20

// PieceOf is what a piece is bound to: the state of an organisation, and the keyring's term that it was read under.
type PieceOf struct {
	Org  id.ID
	Rev  int64
	Term uint32
}

func (o PieceOf) additional() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(o.Org))
	b = binary.BigEndian.AppendUint64(b, uint64(o.Rev))
	return binary.BigEndian.AppendUint32(b, o.Term)
}

// Box seals many values as one piece, under a key that lives in this process's memory alone. Make it with NewBox.
type Box struct{ aead cipher.AEAD }

// NewBox makes the cipher of a process's pieces, of which it makes far fewer than a random nonce allows.
func NewBox() Box {
	key := make([]byte, 32)
	rand.Read(key) // never fails since Go 1.24
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err == nil {
		var box Box
		if box.aead, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return box
		}
	}
	panic(err) // a key of 32 bytes is one
}

// Seal makes a piece of the keys' values, in the order of the keys. It is nil where a value is missing, or all together
// are too long.
func (b Box) Seal(of PieceOf, keys []string, all map[string]secret.Secret) []byte {
	size := 0
	for _, got := range all {
		size += got.Value.Len() + 2*binary.MaxVarintLen64
	}
	if size > MaxPiece {
		return nil
	}
	plain := make([]byte, 0, size)
	defer func() { clear(plain) }()
	for _, key := range keys {
		got, ok := all[key]
		if !ok {
			return nil
		}
		plain = binary.AppendVarint(plain, ToMs(got.Updated))
		plain = binary.AppendUvarint(plain, uint64(got.Value.Len()))
		plain = append(plain, got.Value.Bytes()...)
	}
	return b.aead.Seal(make([]byte, 0, len(plain)+b.aead.Overhead()), nil, plain, of.additional())
}

// Open gives the values of the piece to take, which reports whether it keeps the value; what it does not keep is wiped.
// The keys are those that it was sealed with. It is false where the piece is bound to something else.
func (b Box) Open(of PieceOf, sealed []byte, keys []string,
	take func(i int, v secret.Value, at time.Time) bool) bool {
	plain, err := b.aead.Open(make([]byte, 0, len(sealed)), nil, sealed, of.additional())
	if err != nil {
		return false
	}
	for i := range keys {
		at, n := binary.Varint(plain)
		long, m := binary.Uvarint(plain[n:])
		end := n + m + int(long)
		value := plain[n+m : end : end]
		plain = plain[end:]
		if !take(i, secret.NewValue(value), Time(at)) {
			clear(value)
		}
	}
	return true
}
