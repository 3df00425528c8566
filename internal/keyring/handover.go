package keyring

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/seal"
)

// HandoverRecord has the root key after a change of the seal, sealed under the current term, for the servers that run:
// they know the term, and may not have the new seal's key. It goes after handoverTime: whoever has a copy of the data
// from before and the former seal's key could else open the root key of today with it, for as long as the term is used.
const HandoverRecord = "core/handover"

const (
	handoverTime   = 10 * time.Minute
	handoverLook   = time.Minute
	handoverFormat = 1
	handoverLabel  = "strongroom/v1/core/handover/"
)

// handover is what the record holds.
type handover struct {
	Format  int       `json:"format"`
	Term    uint32    `json:"term"`
	Created time.Time `json:"created"`
	Root    []byte    `json:"root"` // nonce | AES-256-GCM, for the very record of the seal that it was put with
}

func handoverCipher(termKey []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, termKey, nil, handoverLabel, keyLen)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return newCipher(key)
}

func handoverData(sealValue []byte) []byte {
	of := sha256.Sum256(sealValue)
	return append([]byte(handoverLabel), of[:]...)
}

// handOver is the operation that puts the record.
func (c *content) handOver(root, sealValue []byte, now time.Time) (kv.Op, error) {
	aead, err := handoverCipher(c.key(c.Current))
	if err != nil {
		return kv.Op{}, err
	}
	nonce := make([]byte, nonceLen)
	random(nonce)
	value, err := json.Marshal(handover{Format: handoverFormat, Term: c.Current, Created: now,
		Root: aead.Seal(nonce, nonce, root, handoverData(sealValue))})
	return kv.Put(HandoverRecord, value), err
}

var errNoHandover = errors.New("no root key is handed over")

// takeOver gives the cipher of the root key that is handed over with the record of the seal.
func (k *Keyring) takeOver(ctx context.Context, sealValue []byte) (cipher.AEAD, error) {
	rec, err := k.store.Get(ctx, HandoverRecord)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, errNoHandover
	}
	if err != nil {
		return nil, err
	}
	var h handover
	if err := json.Unmarshal(rec.Value, &h); err != nil || h.Format != handoverFormat || len(h.Root) < nonceLen {
		return nil, fmt.Errorf("the record %s is damaged, or was written by a newer influxd", HandoverRecord)
	}
	k.mu.RLock()
	termKey := k.content.key(h.Term)
	var aead cipher.AEAD
	if termKey != nil {
		aead, err = handoverCipher(termKey)
	}
	k.mu.RUnlock()
	if termKey == nil || err != nil {
		return nil, errors.Join(errNoHandover, err)
	}
	root, err := aead.Open(nil, h.Root[:nonceLen], h.Root[nonceLen:], handoverData(sealValue))
	if err != nil {
		return nil, errNoHandover
	}
	defer clear(root)
	return newCipher(root)
}

// EndHandover removes the record when its time is over, which it is at once where no other server can need it.
func (k *Keyring) EndHandover(ctx context.Context) error {
	rec, err := k.store.Get(ctx, HandoverRecord)
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var h handover
	if k.shared && json.Unmarshal(rec.Value, &h) == nil && k.now().Sub(h.Created).Abs() < handoverTime {
		return nil
	}
	_, err = k.store.Txn(ctx, []kv.Cond{kv.Unchanged(rec)}, []kv.Op{kv.Delete(HandoverRecord)})
	if errors.Is(err, kv.ErrConflict) { // another server has, or the seal was changed once more
		return nil
	}
	return err
}

// elsewhere is the seal of data whose seal another server has changed: this server has the root key and, unless it is
// where its configuration says, not the key that wraps it.
type elsewhere struct {
	rec        sealRecord
	configured seal.Source
}

func (e elsewhere) Type() string  { return e.rec.Seal }
func (e elsewhere) KeyID() string { return e.rec.KeyID }

// load gives the seal where the configured key file has its key by now. Nobody is asked for a passphrase.
func (e elsewhere) load(ctx context.Context) (seal.Seal, error) {
	missing := fmt.Errorf("%w: another server has changed the seal to a %s (%s); set this one up with it before its "+
		"next start", seal.ErrNoKey, e.rec.Seal, e.rec.named())
	if e.rec.Seal != seal.TypeKeyFile || e.configured == nil || e.configured.Type() != e.rec.Seal {
		return nil, missing
	}
	s, err := e.configured.Load(ctx)
	if err != nil || s.KeyID() != e.rec.KeyID {
		return nil, missing
	}
	return s, nil
}

// Kept tells whether the next start will find the key.
func (e elsewhere) Kept(ctx context.Context) error {
	_, err := e.load(ctx)
	return err
}

func (e elsewhere) Wrap(ctx context.Context, plaintext, aad []byte) ([]byte, error) {
	s, err := e.load(ctx)
	if err != nil {
		return nil, err
	}
	return s.Wrap(ctx, plaintext, aad)
}

func (e elsewhere) Unwrap(ctx context.Context, blob, aad []byte) ([]byte, error) {
	s, err := e.load(ctx)
	if err != nil {
		return nil, err
	}
	return s.Unwrap(ctx, blob, aad)
}

// Elsewhere reports whether another server has changed the seal, so that this one has the root key from there.
func (k *Keyring) Elsewhere() bool {
	_, is := k.rootKey().seal.(elsewhere)
	return is
}
