// Package keyring holds the keys of the embedded data, and seals and opens with them.
//
// The hierarchy is that of OpenBao's barrier. A seal (package seal) wraps a random root key: record core/seal. The root
// key seals the keyring: record core/keyring, which has a random key a term, a random secret of its own, and the
// store's ID. From a term's key and an organisation's ID comes the key that seals the organisation's data. So the seal
// can be changed by rewriting one record, and the data keys rotated by adding a term, while what older terms sealed
// still opens.
//
// A sealed value is
//
//	format (1 byte, 1) | term (uint32, big-endian) | nonce (12 random bytes) | AES-256-GCM ciphertext and tag (16)
//
// and its additional data are the format and term bytes with what the value belongs to (Belongs): moved to another
// organisation or name it does not open. With random nonces, AES-GCM is safe for 2^32 values a key (NIST SP 800-38D,
// 8.3), that is for each organisation in each term. All values of a term are counted together, which is more than any
// one key seals, and the count is kept with the term: a rotation has to begin long before (package rotation).
//
// Keys are wiped from memory where that is cheap. Go cannot promise more: the runtime may have copied them, expanded
// key schedules stay as long as their cipher, memory may be swapped or dumped. Who can read the process's memory has
// the keys.
package keyring

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/seal"
)

// The form of a sealed value.
const (
	valueFormat = 1
	headerLen   = 1 + 4
	nonceLen    = 12
	tagLen      = 16

	// Overhead is how much longer a sealed value is than what was sealed.
	Overhead = headerLen + nonceLen + tagLen
)

// keyLen is the length of every key here.
const keyLen = 32

// maxCached bounds the keys kept ready. Those of one organisation take about 1 KiB, and making them about 4 µs.
const maxCached = 4096

// ErrOpen is a sealed value that does not open: it is damaged, or was sealed for something else or by other keys.
var ErrOpen = errors.New("the sealed value does not open: it is damaged, or belongs elsewhere")

// ErrTerm is a sealed value of a term the keyring does not have. Reload may bring it, where another server has rotated.
var ErrTerm = errors.New("the sealed value is of a term this keyring does not have")

var errClosed = errors.New("the keyring is closed")

// Belongs says what a sealed value belongs to, apart from the organisation: a kind of record, and its key.
type Belongs struct {
	Kind string
	Key  string
}

// Keyring seals and opens. It is safe for use by many goroutines.
type Keyring struct {
	shared     bool        // other servers change the same data
	configured seal.Source // where this server has the seal's key from
	now        func() time.Time

	store kv.Store
	nonce func([]byte) // fills with random bytes; a test puts in others

	unsaved atomic.Uint64 // values sealed since the latest SaveCount

	records sync.Mutex // held while the two records are read or changed
	offered seal.Seal  // the latest that Reseal was to change to, which may have happened where it gave an error
	mu      sync.RWMutex
	root    rootKey
	content *content
	rev     int64 // of the record that content is from
	ready   map[keysOf]orgKeys
}

// keysOf says whose keys they are; orgKeys are an organisation's in a term: what seals, and what makes the indexes of
// names.
type (
	keysOf struct {
		term uint32
		org  id.ID
	}
	orgKeys struct {
		aead  cipher.AEAD
		index *sync.Pool // of hash.Hash, the HMAC under the key
	}
)

// rootKey opens and seals the keyring's own record.
type rootKey struct {
	aead  cipher.AEAD
	seal  seal.Seal // who wraps it
	rev   int64     // of the seal's record
	since time.Time // when that record was made
}

func newKeyring(store kv.Store, root rootKey) *Keyring {
	return &Keyring{store: kv.Settled(store), root: root, nonce: random, now: time.Now, ready: map[keysOf]orgKeys{}}
}

// random fills b; crypto/rand.Read never fails since Go 1.24.
func random(b []byte) { rand.Read(b) }

// StoreID is the random ID the data were given when they were made: 32 hexadecimal characters. It is no secret.
func (k *Keyring) StoreID() string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.content.StoreID
}

// Term is the term that seals now; 0 after Close.
func (k *Keyring) Term() uint32 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.content.Current
}

// SealedBy tells which seal, and which of its keys, wraps the root key.
func (k *Keyring) SealedBy() (sealType, keyID string) {
	s := k.rootKey().seal
	return s.Type(), s.KeyID()
}

func (k *Keyring) rootKey() rootKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.root
}

// Seal encrypts plaintext for the organisation and what it belongs to there, under the current term.
func (k *Keyring) Seal(org id.ID, to Belongs, plaintext []byte) ([]byte, error) {
	term := k.Term()
	keys, err := k.keysOf(term, org)
	if err != nil {
		return nil, err
	}
	out := make([]byte, headerLen+nonceLen, Overhead+len(plaintext))
	out[0] = valueFormat
	binary.BigEndian.PutUint32(out[1:], term)
	k.nonce(out[headerLen:])
	k.unsaved.Add(1)
	return keys.aead.Seal(out, out[headerLen:], plaintext, additional(out[:headerLen], org, to)), nil
}

// Open decrypts what Seal has made for the same organisation and belonging. The plaintext is the caller's.
func (k *Keyring) Open(org id.ID, to Belongs, sealed []byte) ([]byte, error) {
	term, err := TermOf(sealed)
	if err != nil {
		return nil, err
	}
	keys, err := k.keysOf(term, org)
	if err != nil {
		return nil, err
	}
	nonce, ciphertext := sealed[headerLen:headerLen+nonceLen], sealed[headerLen+nonceLen:]
	plaintext, err := keys.aead.Open(nil, nonce, ciphertext, additional(sealed[:headerLen], org, to))
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// OpenFresh opens as Open does. A term that the keyring does not know may have come from another server since: then it
// reads its records again first.
func (k *Keyring) OpenFresh(ctx context.Context, org id.ID, to Belongs, sealed []byte) ([]byte, error) {
	plain, err := k.Open(org, to, sealed)
	if errors.Is(err, ErrTerm) {
		if err := k.Reload(ctx); err != nil {
			return nil, err
		}
		plain, err = k.Open(org, to, sealed)
	}
	return plain, err
}

// TermOf reads the term of a sealed value without opening it.
func TermOf(sealed []byte) (uint32, error) {
	if len(sealed) < Overhead {
		return 0, fmt.Errorf("%w (%d bytes, at least %d)", ErrOpen, len(sealed), Overhead)
	}
	if sealed[0] != valueFormat {
		return 0, fmt.Errorf("%w (format %d, this influxd knows %d)", ErrOpen, sealed[0], valueFormat)
	}
	return binary.BigEndian.Uint32(sealed[1:]), nil
}

// additional is the additional data of a sealed value: every part has a fixed length or its length in front, so that
// no two belongings give the same bytes.
func additional(header []byte, org id.ID, to Belongs) []byte {
	b := make([]byte, 0, len(header)+8+4+len(to.Kind)+4+len(to.Key))
	b = append(b, header...)
	b = binary.BigEndian.AppendUint64(b, uint64(org))
	b = binary.BigEndian.AppendUint32(b, uint32(len(to.Kind)))
	b = append(b, to.Kind...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(to.Key)))
	return append(b, to.Key...)
}

// DeriveKey gives 32 bytes for another use, told apart by its label (an audit record's chain, say). They stay the same
// over rotations and changes of the seal, and are the caller's.
func (k *Keyring) DeriveKey(label string) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if len(k.content.Secret) == 0 {
		return nil, errClosed
	}
	return hkdf.Key(sha256.New, k.content.Secret, nil, "strongroom/v1/derive/"+label, keyLen)
}

// keysOf gives the keys of an organisation in a term.
func (k *Keyring) keysOf(term uint32, org id.ID) (orgKeys, error) {
	of := keysOf{term, org}
	k.mu.RLock()
	keys, ok := k.ready[of]
	k.mu.RUnlock()
	if ok {
		return keys, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	termKey := k.content.key(term)
	if termKey == nil {
		return orgKeys{}, fmt.Errorf("%w (%d; the current one is %d)", ErrTerm, term, k.content.Current)
	}
	keys, err := deriveKeys(termKey, org)
	if err != nil {
		return orgKeys{}, err
	}
	if len(k.ready) >= maxCached {
		for victim := range k.ready { // any: map order is as good as random
			delete(k.ready, victim)
			break
		}
	}
	k.ready[of] = keys
	return keys, nil
}

func deriveKeys(termKey []byte, org id.ID) (orgKeys, error) {
	key, err := hkdf.Key(sha256.New, termKey, nil, "strongroom/v1/org/"+org.String(), keyLen)
	if err != nil {
		return orgKeys{}, err
	}
	defer clear(key)
	aead, err := newCipher(key)
	if err != nil {
		return orgKeys{}, err
	}
	index, err := indexKey(termKey, org)
	if err != nil {
		return orgKeys{}, err
	}
	return orgKeys{aead, &sync.Pool{New: func() any { return hmac.New(sha256.New, index) }}}, nil
}

func newCipher(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
