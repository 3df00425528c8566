package embedded

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"

	"strongroom/internal/id"
	"strongroom/internal/keyring"
	"strongroom/internal/secret"
	"strongroom/internal/secret/embedded/content"
)

// All values of an organisation, when they were read, are kept beside the list of their names: as one piece, sealed
// under a key that lives in memory alone, and good for one revision of the head under one term of the keyring. To open
// one piece of a thousand values takes a tenth of what it takes to find and open each. It gives no more than the
// records do: who may not read one of the values is given it from neither.

// maxPiece bounds how many bytes of values of an organisation are kept.
const maxPiece = 1 << 20

// sealedOf is what the values were read under: when another term or another form of the names comes, or the keys are
// gone, the records count.
type sealedOf struct {
	term  uint32
	names keyring.Names
}

func (s *Store) sealedOf(names keyring.Names) sealedOf { return sealedOf{s.ring.Term(), names} }

// newBox makes the cipher of a process's pieces, of which it makes far fewer than a random nonce allows.
func newBox() cipher.AEAD {
	key := make([]byte, 32)
	rand.Read(key) // never fails since Go 1.24
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err == nil {
		var box cipher.AEAD
		if box, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return box
		}
	}
	panic(err) // a key of 32 bytes is one
}

// belongs is what a piece is bound to.
func (o sealedOf) belongs(org id.ID, rev int64) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(org))
	b = binary.BigEndian.AppendUint64(b, uint64(rev))
	return binary.BigEndian.AppendUint32(b, o.term)
}

// keep puts the values of all the names beside the list of that very revision.
func (c *cache) keep(org id.ID, rev int64, of sealedOf, all map[string]secret.Secret) {
	keys, ok := c.get(org, rev)
	if !ok || len(keys) != len(all) {
		return
	}
	size := 0
	for _, got := range all {
		size += got.Value.Len() + 2*binary.MaxVarintLen64
	}
	if size > maxPiece {
		return
	}
	plain := make([]byte, 0, size)
	defer func() { clear(plain) }()
	for _, key := range keys {
		got, ok := all[key]
		if !ok {
			return
		}
		plain = binary.AppendVarint(plain, content.ToMs(got.Updated))
		plain = binary.AppendUvarint(plain, uint64(got.Value.Len()))
		plain = append(plain, got.Value.Bytes()...)
	}
	sealed := c.box.Seal(make([]byte, 0, len(plain)+c.box.Overhead()), nil, plain, of.belongs(org, rev))
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.lists.Get(org); ok && l.rev == rev && len(l.keys) == len(keys) {
		l.sealed, l.of = sealed, of
		c.lists.Put(org, l, l.size())
	}
}

// values gives what is kept of that very revision: the names and their secrets, with what is known of the versions,
// those that are wanted. ok is false where there is nothing.
func (c *cache) values(org id.ID, rev int64, of sealedOf, q secret.Query) (keys []string,
	all map[string]secret.Secret, ok bool) {
	c.mu.RLock()
	l, ok := c.lists.Get(org)
	c.mu.RUnlock()
	if !ok || l.rev != rev || l.sealed == nil || l.of != of || of.term == 0 || q.Versions && l.known == nil {
		return nil, nil, false
	}
	plain, err := c.box.Open(make([]byte, 0, len(l.sealed)), nil, l.sealed, of.belongs(org, rev))
	if err != nil {
		return nil, nil, false // the records tell
	}
	keys = l.keys
	if q.Want != nil {
		keys = make([]string, 0, len(l.keys))
	}
	all = make(map[string]secret.Secret, len(l.keys))
	for i, key := range l.keys {
		at, n := binary.Varint(plain)
		long, m := binary.Uvarint(plain[n:])
		value := plain[n+m : n+m+int(long) : n+m+int(long)]
		plain = plain[n+m+int(long):]
		if q.Want != nil {
			if !q.Want(key) {
				clear(value)
				continue
			}
			keys = append(keys, key)
		}
		got := secret.Secret{Value: secret.NewValue(value), Updated: content.Time(at)}
		if q.Versions {
			v := l.known[i]
			got.Version, got.Created, got.Updated = v.n, content.Time(v.created), content.Time(v.updated)
		}
		all[key] = got
	}
	return keys, all, true
}
