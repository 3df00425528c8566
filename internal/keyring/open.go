package keyring

import (
	"bytes"
	"context"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"strongroom/internal/kv"
	"strongroom/internal/seal"
)

// Config is what a keyring is opened with.
type Config struct {
	// Seal finds the key that wraps the root key.
	Seal seal.Source
	// Now gives the time of records made here; nil is the wall clock.
	Now func() time.Time
	// Shared says that other servers change the same data. Run Follow then.
	Shared bool
}

// attempts is how often OpenOrInit starts again because another server has just made what it was about to make, and
// changes of the keyring because another has just changed it.
const attempts = 3

// ErrNone is data in which there is no keyring: no server has ever started on them.
var ErrNone = errors.New("there are no data of a server here")

// Open opens the keyring of the data in store, and gives ErrNone where there is none. It is for whoever is to find data
// and not to make new ones.
func Open(ctx context.Context, store kv.Store, cfg Config) (*Keyring, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	store = kv.Settled(store)
	rec, err := store.Get(ctx, SealRecord)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	return open(ctx, store, cfg, rec)
}

// OpenOrInit opens the keyring of the data in store. Data without one (a first start) get one, sealed by the key that
// cfg.Seal finds or, where it finds none, makes. Data that have one need the key that sealed it: a missing or a wrong
// key is an error that says which key is wanted, and nothing is made or changed.
func OpenOrInit(ctx context.Context, store kv.Store, cfg Config) (*Keyring, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	store = kv.Settled(store)
	for range attempts {
		rec, err := store.Get(ctx, SealRecord)
		if err == nil {
			return open(ctx, store, cfg, rec)
		}
		if !errors.Is(err, kv.ErrNotFound) {
			return nil, err
		}
		s, err := initialise(ctx, store, cfg)
		if err != nil && !errors.Is(err, kv.ErrConflict) {
			return nil, err
		}
		if s.Type() == seal.TypePassphrase { // a key on disk is read again, as the next start will
			cfg.Seal = loaded{cfg.Seal, s}
		}
	}
	return nil, fmt.Errorf("the data have a record %s and no %s: they are damaged; restore them from a backup",
		KeyringRecord, SealRecord)
}

// initialise makes the two records in one transaction that only the first of several servers gets through; the others
// get ErrConflict, and the seal as well. The seal's key is on disk before anything that needs it.
func initialise(ctx context.Context, store kv.Store, cfg Config) (seal.Seal, error) {
	s, err := cfg.Seal.Load(ctx)
	if errors.Is(err, seal.ErrNoKey) {
		s, err = cfg.Seal.Create(ctx)
		if errors.Is(err, seal.ErrKeyExists) { // made by another process since
			s, err = cfg.Seal.Load(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	now := cfg.Now().UTC()
	aead, root, sealValue, err := newRoot(ctx, s, now)
	if err != nil {
		return nil, err
	}
	clear(root)
	c := &content{
		StoreID: hex.EncodeToString(newKey()[:16]),
		Secret:  newKey(),
		Current: 1,
		Terms:   []term{{Term: 1, Key: newKey(), Created: now}},

		Identities: true,
	}
	defer c.wipe()
	contentValue, err := sealContent(aead, c)
	if err != nil {
		return nil, err
	}
	_, err = store.Txn(ctx, []kv.Cond{kv.Missing(SealRecord), kv.Missing(KeyringRecord)},
		[]kv.Op{kv.Put(SealRecord, sealValue), kv.Put(KeyringRecord, contentValue)})
	return s, err
}

// loaded is a source whose seal is there already: nobody is asked a third time for a passphrase that was just made.
type loaded struct {
	seal.Source
	seal seal.Seal
}

func (l loaded) Load(context.Context) (seal.Seal, error) { return l.seal, nil }

// newRoot makes a root key, which the caller clears, its cipher, and the seal's record that holds it.
func newRoot(ctx context.Context, s seal.Seal, now time.Time) (aead cipher.AEAD, root, value []byte, err error) {
	root = newKey()
	defer func() {
		if err != nil {
			clear(root)
		}
	}()
	wrapped, err := s.Wrap(ctx, root, []byte(rootLabel))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", seal.ErrWrap, err)
	}
	if aead, err = newCipher(root); err != nil {
		return nil, nil, nil, err
	}
	value, err = json.Marshal(sealRecord{Format: recordFormat, Seal: s.Type(), KeyID: s.KeyID(), Root: wrapped,
		Created: now})
	return aead, root, value, err
}

// open opens what the seal record's key has sealed.
func open(ctx context.Context, store kv.Store, cfg Config, sealRec kv.Record) (*Keyring, error) {
	rec, err := parseSealRecord(sealRec.Value)
	if err != nil {
		return nil, err
	}
	if rec.Seal != cfg.Seal.Type() {
		return nil, fmt.Errorf("the data are sealed by a %s (%s), and the configuration names the %s: name the one "+
			"that sealed them with --seal",
			rec.Seal, rec.named(), cfg.Seal)
	}
	s, err := cfg.Seal.Load(ctx)
	if errors.Is(err, seal.ErrNoKey) {
		return nil, fmt.Errorf("the %s is missing, and the data are sealed with it (%s): put it back, or name where "+
			"it is with %s; without it nothing can be read: %w", cfg.Seal, rec.named(), cfg.Seal.Setting(),
			seal.ErrNoKey)
	}
	if err != nil {
		return nil, err
	}
	if s.KeyID() != rec.KeyID {
		return nil, fmt.Errorf("the %s is the wrong one: it holds key %s, and the data are sealed with key %s: put "+
			"the right one back, or name it with %s",
			cfg.Seal, s.KeyID(), rec.KeyID, cfg.Seal.Setting())
	}
	root, err := unwrap(ctx, s, rec)
	if errors.Is(err, seal.ErrUnwrap) && rec.KeyID == "" {
		return nil, fmt.Errorf("the %s is wrong, or the record %s is damaged: it does not open: %w", cfg.Seal,
			SealRecord, err)
	}
	if errors.Is(err, seal.ErrUnwrap) && err != seal.ErrUnwrap { // the seal knows more than its key's name
		return nil, fmt.Errorf("the record %s does not open: %w", SealRecord, err)
	}
	if errors.Is(err, seal.ErrUnwrap) {
		return nil, fmt.Errorf("the %s is the right one (%s), and the record %s does not open with it: it is "+
			"damaged; restore the data from a backup: %w",
			cfg.Seal, rec.named(), SealRecord, err)
	}
	if err != nil {
		return nil, err
	}
	k := newKeyring(store, rootKey{aead: root, seal: s, rev: sealRec.Rev, since: rec.Created})
	k.shared, k.configured, k.now = cfg.Shared, cfg.Seal, cfg.Now
	if err := k.Reload(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// unwrap gives the cipher of the root key that the record holds.
func unwrap(ctx context.Context, s seal.Seal, rec sealRecord) (cipher.AEAD, error) {
	root, err := s.Unwrap(ctx, rec.Root, []byte(rootLabel))
	if err != nil {
		return nil, err
	}
	defer clear(root)
	aead, err := newCipher(root)
	if err != nil {
		return nil, fmt.Errorf("the root key in %s: %w", SealRecord, err)
	}
	return aead, nil
}

// Reload reads the keyring's records again: another server may have added a term, or changed the root key under the
// same seal.
func (k *Keyring) Reload(ctx context.Context) error {
	k.records.Lock()
	defer k.records.Unlock()
	c, rev, err := k.read(ctx)
	if err != nil {
		return err
	}
	k.adopt(c, rev)
	return nil
}

// read opens the keyring's record, with the root key of the seal's record where that is another by now. The
// caller holds k.records.
func (k *Keyring) read(ctx context.Context) (*content, int64, error) {
	sealRec, err := k.store.Get(ctx, SealRecord)
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return nil, 0, err
	}
	root := k.rootKey()
	if err == nil && sealRec.Rev != root.rev {
		rec, err := parseSealRecord(sealRec.Value)
		if err != nil {
			return nil, 0, err
		}
		opened, by, err := k.reopen(ctx, rec, root.seal)
		if err != nil && k.shared && k.content != nil {
			there := elsewhere{rec, k.configured}
			handed, handErr := k.takeOver(ctx, sealRec.Value)
			if handErr != nil { // the key may have been put where this server looks
				handed, handErr = unwrap(ctx, there, rec)
			}
			if handErr == nil {
				opened, by, err = handed, there, nil
			}
		}
		if err != nil {
			return nil, 0, err
		}
		root.aead, root.seal = opened, by
		root.rev, root.since = sealRec.Rev, rec.Created
		k.mu.Lock()
		k.root = root
		k.mu.Unlock()
	}
	rec, err := k.store.Get(ctx, KeyringRecord)
	if errors.Is(err, kv.ErrNotFound) {
		return nil, 0, fmt.Errorf("the data have a record %s and no %s: they are damaged; restore them from a backup",
			SealRecord, KeyringRecord)
	}
	if err != nil {
		return nil, 0, err
	}
	c, err := openContent(root.aead, rec.Value)
	return c, rec.Rev, err
}

// reopen opens a seal's record that is new: with the present seal, or with the one that the latest Reseal offered,
// whose outcome it did not learn.
func (k *Keyring) reopen(ctx context.Context, rec sealRecord, present seal.Seal) (cipher.AEAD, seal.Seal, error) {
	err := fmt.Errorf("another server has changed the seal to a %s (%s): start this one with it", rec.Seal, rec.named())
	for _, s := range []seal.Seal{k.offered, present} {
		if s == nil || rec.Seal != s.Type() || rec.KeyID != s.KeyID() {
			continue
		}
		var aead cipher.AEAD
		if aead, err = unwrap(ctx, s, rec); err == nil {
			return aead, s, nil
		}
	}
	return nil, nil, err
}

// adopt takes over what was read, unless something newer has been meanwhile. The keys made from terms
// that have gone go, too.
func (k *Keyring) adopt(c *content, rev int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if rev <= k.rev {
		c.wipe()
		return
	}
	if old := k.content; old != nil {
		for of := range k.ready {
			if !bytes.Equal(old.key(of.term), c.key(of.term)) {
				delete(k.ready, of)
			}
		}
		old.wipe()
	}
	k.content, k.rev = c, rev
}

// key is a term's key, or nil.
func (c *content) key(number uint32) []byte {
	for _, t := range c.Terms {
		if t.Term == number {
			return t.Key
		}
	}
	return nil
}

// Close wipes what keys it can. Nothing seals or opens after it.
func (k *Keyring) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.content.wipe()
	k.content.Terms, k.content.Secret, k.content.Current = nil, nil, 0
	clear(k.ready)
}

func newKey() []byte {
	key := make([]byte, keyLen)
	random(key)
	return key
}
