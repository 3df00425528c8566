// Package notes keeps what clients of the KV v2 HTTP API note of secrets beside them: their custom metadata, and
// whether writes need a version. A secret may have notes before it has a value.
//
// A record is notes/<org>/<mac>, where mac is the HMAC-SHA-256 of the secret's name under one key, and its content is
// sealed with AES-256-GCM under another: whoever has the file learns how many secrets have notes, and no name. An empty
// record notes/<org> is put with each note that takes more room, where that is bounded: so a change that counts what
// the notes take knows whether others have come since.
package notes

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
)

// Prefix is what the keys of the records begin with.
const Prefix = "notes/"

// The labels of the two keys among those derived from the keyring.
const (
	nameLabel    = "strongroom/v1/notes/name"
	contentLabel = "strongroom/v1/notes/content"
)

// Note is what is noted of one secret.
type Note struct {
	Name        string            `json:"name"`
	Custom      map[string]string `json:"custom,omitempty"`
	CASRequired bool              `json:"casRequired,omitempty"`
	Created     time.Time         `json:"created"`
	Updated     time.Time         `json:"updated"`

	// Lost says that there is a note that does not open: nothing of what it says is known.
	Lost bool `json:"-"`
}

// Book is the notes of all secrets. Make it with New; it is safe for use by many goroutines.
type Book struct {
	kv      kv.Store
	nameKey []byte
	content cipher.AEAD
	now     func() time.Time

	// There gives the condition that an organisation is there, or says that it is not. No note is written then: what
	// an organisation leaves is removed once, after its end. Nil where nothing says so.
	There func(ctx context.Context, org id.ID) (kv.Cond, error)
	// Bound has a note written that takes more bytes of an organisation than there were, where it may have them, and
	// gives what must still be so then for it to have them. It says else why not. Nil where nothing bounds them.
	Bound func(ctx context.Context, org id.ID, more int64, write func(context.Context, []kv.Cond) error) error
	// Refused hears of each note that does not open. Nil where nobody is told.
	Refused func(ctx context.Context, err error)
}

// Keys derive keys of 32 bytes: the keyring.
type Keys interface {
	DeriveKey(label string) ([]byte, error)
}

// Derived makes the book over the records in store, with its two keys among those of the keyring.
func Derived(store kv.Store, keys Keys) (*Book, error) {
	name, err := keys.DeriveKey(nameLabel)
	if err != nil {
		return nil, err
	}
	content, err := keys.DeriveKey(contentLabel)
	if err != nil {
		return nil, err
	}
	return New(store, name, content)
}

// New makes the book over the records in store. The keys are of 32 bytes each.
func New(store kv.Store, nameKey, contentKey []byte) (*Book, error) {
	block, err := aes.NewCipher(contentKey)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Book{kv: store, nameKey: nameKey, content: gcm, now: time.Now}, nil
}

func folder(org id.ID) string { return Prefix + org.String() + "/" }

func (b *Book) record(org id.ID, name string) string {
	mac := hmac.New(sha256.New, b.nameKey)
	// The organisation's part has a fixed length: no two secrets give the same text.
	mac.Write([]byte(org.String() + "/" + name))
	return folder(org) + hex.EncodeToString(mac.Sum(nil))
}

// open gives what a record says. Its key is the additional data, so that one that is moved does not open.
func (b *Book) open(r kv.Record) (Note, error) {
	var n Note
	plain, err := b.content.Open(nil, nil, r.Value, []byte(r.Key))
	if err == nil {
		err = json.Unmarshal(plain, &n)
	}
	if err != nil {
		return n, fmt.Errorf("record %s: %w", r.Key, err)
	}
	return n, nil
}

// Of gives the note of a secret; ok is false where there is none. One that does not open is Lost, and no error: what
// does not depend on it goes on.
func (b *Book) Of(ctx context.Context, org id.ID, name string) (n Note, ok bool, err error) {
	n, _, ok, err = b.find(ctx, org, name)
	return n, ok, err
}

func (b *Book) find(ctx context.Context, org id.ID, name string) (Note, kv.Record, bool, error) {
	key := b.record(org, name)
	r, err := b.kv.Get(ctx, key)
	if errors.Is(err, kv.ErrNotFound) {
		return Note{}, kv.Record{Key: key}, false, nil
	}
	if err != nil {
		return Note{}, r, false, kv.Coded(err)
	}
	n, err := b.open(r)
	if b.told(ctx, err); err != nil {
		n = Note{Lost: true}
	}
	return n, r, true, nil
}

func (b *Book) told(ctx context.Context, err error) {
	if err != nil && b.Refused != nil {
		b.Refused(ctx, err)
	}
}

// Change changes the note of a secret, or makes it; one that is Lost is made anew. An error of change is given, and
// nothing changed then. It goes on while others change the same one, and gives errs.Conflict where that does not end.
func (b *Book) Change(ctx context.Context, org id.ID, name string, change func(*Note) error) error {
	for range 10 {
		var conds []kv.Cond
		if b.There != nil {
			there, err := b.There(ctx, org)
			if err != nil {
				return err
			}
			conds = append(conds, there)
		}
		n, r, ok, err := b.find(ctx, org, name)
		if err != nil {
			return err
		}
		now := b.now().UTC()
		if !ok || n.Lost {
			n = Note{Name: name, Created: now, Lost: n.Lost}
		}
		n.Updated = now
		if err := change(&n); err != nil {
			return err
		}
		plain, err := json.Marshal(n)
		if err != nil {
			return err
		}
		sealed := b.content.Seal(nil, nil, plain, []byte(r.Key))
		conds = append(conds, kv.Cond{Key: r.Key, Rev: r.Rev})
		ops := []kv.Op{kv.Put(r.Key, sealed)}
		if more := int64(len(sealed) - len(r.Value)); b.Bound == nil || more <= 0 {
			_, err = b.kv.Txn(ctx, conds, ops)
		} else {
			ops = append(ops, kv.Put(grown(org), []byte{}))
			err = b.Bound(ctx, org, more, func(ctx context.Context, still []kv.Cond) error {
				_, err := b.kv.Txn(ctx, slices.Concat(conds, still), ops)
				return err
			})
		}
		if !errors.Is(err, kv.ErrConflict) {
			return kv.Coded(err)
		}
	}
	return errs.New(errs.Conflict, "others are changing the same thing; try again")
}

// grown is the key of a record that is put, where something bounds the notes, with each that takes more room.
func grown(org id.ID) string { return Prefix + org.String() }

// Bytes is how much the notes of an organisation take in a store, with their keys, and what must still be so for them
// not to have taken more room since.
func Bytes(ctx context.Context, store kv.Store, org id.ID) (bytes int64, still kv.Cond, err error) {
	still = kv.Missing(grown(org))
	switch r, err := store.Get(ctx, still.Key); {
	case err == nil:
		still = kv.Unchanged(r)
	case !errors.Is(err, kv.ErrNotFound):
		return 0, still, kv.Coded(err)
	}
	for after := ""; ; {
		rs, err := store.List(ctx, folder(org), after, kv.MaxOps)
		if err != nil {
			return 0, still, kv.Coded(err)
		}
		for _, r := range rs {
			bytes += int64(len(r.Key) + len(r.Value))
			after = r.Key
		}
		if len(rs) < kv.MaxOps {
			return bytes, still, nil
		}
	}
}

// Names are the secrets of an organisation that have notes. Of which secret a note is that does not open nobody can
// tell: it keeps nobody from the others, lost is true then, and Refused hears of it.
func (b *Book) Names(ctx context.Context, org id.ID) (names []string, lost bool, err error) {
	for after := ""; ; {
		rs, err := b.kv.List(ctx, folder(org), after, kv.MaxOps)
		if err != nil {
			return nil, false, kv.Coded(err)
		}
		for _, r := range rs {
			after = r.Key
			n, err := b.open(r)
			if b.told(ctx, err); err != nil {
				lost = true
				continue
			}
			names = append(names, n.Name)
		}
		if len(rs) < kv.MaxOps {
			return names, lost, nil
		}
	}
}

// Check opens every note, and reports what does not open, or is not where its secret's is looked for.
func (b *Book) Check(ctx context.Context, report func(key, what string)) error {
	for r, err := range kv.Each(ctx, b.kv, Prefix, kv.MaxOps) {
		if err != nil {
			return kv.Coded(err)
		}
		text, _, note := strings.Cut(strings.TrimPrefix(r.Key, Prefix), "/")
		org, err := id.Parse(text)
		switch {
		case err != nil:
			report(r.Key, "its key is malformed")
		case note:
			if n, err := b.open(r); err != nil {
				report(r.Key, "the note does not open")
			} else if b.record(org, n.Name) != r.Key {
				report(r.Key, "the note is of another secret")
			}
		}
	}
	return nil
}

// Remove removes the note of a secret; where there is none, nothing.
func (b *Book) Remove(ctx context.Context, org id.ID, name string) error {
	_, err := b.kv.Txn(ctx, nil, []kv.Op{kv.Delete(b.record(org, name))})
	return kv.Coded(err)
}

// Purge removes all of an organisation. The record of what has grown stays where a note has come meanwhile: whoever has
// counted none, and goes by that there is no such record, must find it.
func (b *Book) Purge(ctx context.Context, org id.ID) error {
	mark, err := b.kv.Get(ctx, grown(org))
	none := errors.Is(err, kv.ErrNotFound)
	if err != nil && !none {
		return kv.Coded(err)
	}
	if _, err := kv.DeleteSome(ctx, b.kv, nil, folder(org), math.MaxInt); err != nil || none {
		return kv.Coded(err)
	}
	_, err = b.kv.Txn(ctx, kv.Standing(ctx, []kv.Cond{kv.Unchanged(mark)}), []kv.Op{kv.Delete(mark.Key)})
	if err = kv.Over(ctx, b.kv, err); errors.Is(err, kv.ErrConflict) {
		return nil
	}
	return kv.Coded(err)
}
