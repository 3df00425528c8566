// Package lastcopy remembers what two places held alike when they were last copied, in whichever direction. A later
// copy can tell by it who has changed a secret since: the source, whose change goes on to the target, or the target,
// whose own change is nobody's to undo. It holds fingerprints alone, made with a key: neither names nor values, and
// none that somebody without the key could make.
package lastcopy

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/secret"
)

// Place is where an organisation's secrets are kept: a store, named so that no other has the name, and the
// organisation's ID there.
type Place struct {
	Store string
	Org   id.ID
}

// Book has what all places held alike that were copied.
type Book struct {
	kv            kv.Store
	names, values []byte // keys of HMAC-SHA-256
}

// Label is what the key of New is derived for.
const Label = "copied"

// New works on a file of its own, with a secret key of 32 bytes.
func New(data kv.Store, key []byte) (*Book, error) {
	names, err := hkdf.Key(sha256.New, key, nil, "strongroom/v1/copied/names", sha256.Size)
	if err != nil {
		return nil, err
	}
	values, err := hkdf.Key(sha256.New, key, nil, "strongroom/v1/copied/values", sha256.Size)
	return &Book{kv: data, names: names, values: values}, err
}

// The keys of the records: a fingerprint of a value below the two places and the fingerprint of a name; and which
// places there are, since an organisation that has ended is in no list.
const (
	valuePrefix = "value/"
	pairPrefix  = "pair/"
)

// pairRecord tells of two places; their stores stand there as fingerprints.
type pairRecord [2]struct {
	Store string `json:"store"`
	Org   id.ID  `json:"org"`
}

// maxOps bounds one transaction.
const maxOps = 100

// fingerprint is 32 bytes that tell the parts apart from any others.
func fingerprint(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		h.Write(p)
	}
	return h.Sum(nil)
}

func (b *Book) store(name string) string {
	return hex.EncodeToString(fingerprint(b.names, []byte("store"), []byte(name))[:16])
}

// pair names two places, whichever is first.
func (b *Book) pair(one, other Place) (name string, record pairRecord) {
	both := []Place{one, other}
	slices.SortFunc(both, func(a, b Place) int {
		return strings.Compare(a.Store+a.Org.String(), b.Store+b.Org.String())
	})
	parts := [][]byte{[]byte("pair")}
	for i, p := range both {
		record[i].Store, record[i].Org = b.store(p.Store), p.Org
		parts = append(parts, []byte(p.Store), []byte(p.Org.String()))
	}
	return hex.EncodeToString(fingerprint(b.names, parts...)[:16]), record
}

// Common is what two places had in common.
type Common struct {
	of     *Book // nil: nothing is remembered
	pair   string
	record pairRecord
	known  map[string][]byte // by the fingerprint of the name
}

// Between reads what is known of two places. Without a memory, or a place that has no name, nothing is.
func (b *Book) Between(ctx context.Context, one, other Place) (*Common, error) {
	s := &Common{known: make(map[string][]byte)}
	if b == nil || one.Store == "" || other.Store == "" {
		return s, nil
	}
	s.of = b
	s.pair, s.record = b.pair(one, other)
	prefix := valuePrefix + s.pair + "/"
	for r, err := range kv.Each(ctx, b.kv, prefix, 1000) {
		if err != nil {
			return nil, fmt.Errorf("reading what was copied before: %w", err)
		}
		s.known[strings.TrimPrefix(r.Key, prefix)] = r.Value
	}
	return s, nil
}

// Secret is a secret that both places hold.
type Secret struct {
	Key   string
	Value secret.Value
}

// Empty reports whether nothing is known of the two places.
func (c *Common) Empty() bool { return len(c.known) == 0 }

func (c *Common) name(key string) string {
	if c.of == nil {
		return ""
	}
	return hex.EncodeToString(fingerprint(c.of.names, []byte("name"), []byte(c.pair), []byte(key))[:16])
}

func (c *Common) value(key string, v secret.Value) []byte {
	return fingerprint(c.of.values, []byte(c.pair), []byte(key), v.Bytes())
}

// Has reports whether both places once held the same under the key.
func (c *Common) Has(key string) bool {
	_, ok := c.known[c.name(key)]
	return ok
}

// Is reports whether the value is what both places held last.
func (c *Common) Is(key string, v secret.Value) bool {
	known, ok := c.known[c.name(key)]
	return ok && hmac.Equal(known, c.value(key, v))
}

// Note remembers what both places hold now.
func (c *Common) Note(ctx context.Context, all []Secret) error {
	if c.of == nil {
		return nil
	}
	b, err := json.Marshal(c.record)
	if err != nil {
		return err
	}
	ops := []kv.Op{kv.Put(pairPrefix+c.pair, b)}
	for _, o := range all {
		name, value := c.name(o.Key), c.value(o.Key, o.Value)
		if !bytes.Equal(c.known[name], value) {
			c.known[name] = value
			ops = append(ops, kv.Put(valuePrefix+c.pair+"/"+name, value))
		}
	}
	if len(ops) == 1 {
		return nil
	}
	return c.write(ctx, ops)
}

// Forget lets both places differ from now on: what one of them has not is nothing to the other.
func (c *Common) Forget(ctx context.Context, keys ...string) error {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = c.name(key)
	}
	return c.drop(ctx, names)
}

// Keep forgets all keys but these.
func (c *Common) Keep(ctx context.Context, keys map[string]bool) error {
	left := make(map[string]bool, len(keys))
	for key := range keys {
		left[c.name(key)] = true
	}
	var gone []string
	for name := range c.known {
		if !left[name] {
			gone = append(gone, name)
		}
	}
	return c.drop(ctx, gone)
}

func (c *Common) drop(ctx context.Context, names []string) error {
	var ops []kv.Op
	for _, name := range names {
		if _, ok := c.known[name]; ok {
			delete(c.known, name)
			ops = append(ops, kv.Delete(valuePrefix+c.pair+"/"+name))
		}
	}
	if len(ops) > 0 && len(c.known) == 0 {
		ops = append(ops, kv.Delete(pairPrefix+c.pair))
	}
	return c.write(ctx, ops)
}

func (c *Common) write(ctx context.Context, ops []kv.Op) error {
	for part := range slices.Chunk(ops, maxOps) {
		if _, err := c.of.kv.Txn(ctx, nil, part); err != nil {
			return fmt.Errorf("remembering what was copied: %w", err)
		}
	}
	return nil
}

// Pair is an organisation in the source, and which one it was in the target.
type Pair struct{ From, To id.ID }

// Pairs gives, of all places that are remembered, those of which one is at from and the other at to. Those names are
// of stores, for an organisation.
func (b *Book) Pairs(ctx context.Context, from, to func(id.ID) string) ([]Pair, error) {
	var found []Pair
	for after := ""; b != nil; {
		rs, err := b.kv.List(ctx, pairPrefix, after, 1000)
		if err != nil || len(rs) == 0 {
			return found, err
		}
		for _, r := range rs {
			var p pairRecord
			if err := json.Unmarshal(r.Value, &p); err != nil {
				return nil, fmt.Errorf("reading what was copied before: %w", err)
			}
			for i := range p {
				source, target := p[i], p[1-i]
				if b.store(from(source.Org)) == source.Store && b.store(to(target.Org)) == target.Store {
					found = append(found, Pair{From: source.Org, To: target.Org})
					break
				}
			}
		}
		after = rs[len(rs)-1].Key
	}
	return found, nil
}
