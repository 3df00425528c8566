package transfer

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

// Common remembers what two places held alike when they were last copied, in whichever direction. A later copy can
// tell by it who has changed a secret since: the source, whose change goes on to the target, or the target, whose own
// change is nobody's to undo. It holds fingerprints alone, made with a key: neither names nor values, and none that
// somebody without the key could make.
type Common struct {
	kv            kv.Store
	names, values []byte // keys of HMAC-SHA-256
}

// CommonLabel is what the key of NewCommon is derived for.
const CommonLabel = "copied"

// NewCommon works on a file of its own, with a secret key of 32 bytes.
func NewCommon(data kv.Store, key []byte) (*Common, error) {
	names, err := hkdf.Key(sha256.New, key, nil, "strongroom/v1/copied/names", sha256.Size)
	if err != nil {
		return nil, err
	}
	values, err := hkdf.Key(sha256.New, key, nil, "strongroom/v1/copied/values", sha256.Size)
	return &Common{kv: data, names: names, values: values}, err
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

func (c *Common) store(name string) string {
	return hex.EncodeToString(fingerprint(c.names, []byte("store"), []byte(name))[:16])
}

// between names two places, whichever is first.
func (c *Common) between(a, b Place) (name string, record pairRecord) {
	both := []Place{a, b}
	slices.SortFunc(both, func(a, b Place) int {
		return strings.Compare(a.Store+a.Org.String(),
			b.Store+b.Org.String())
	})
	parts := [][]byte{[]byte("pair")}
	for i, p := range both {
		record[i].Store, record[i].Org = c.store(p.Store), p.Org
		parts = append(parts, []byte(p.Store), []byte(p.Org.String()))
	}
	return hex.EncodeToString(fingerprint(c.names, parts...)[:16]), record
}

// shared is what two places had in common.
type shared struct {
	of     *Common // nil: nothing is remembered
	pair   string
	record pairRecord
	known  map[string][]byte // by the fingerprint of the name
}

// shared reads what is known of two places. Without a memory, or a place that has no name, nothing is.
func (c *Common) shared(ctx context.Context, a, b Place) (*shared, error) {
	s := &shared{known: make(map[string][]byte)}
	if c == nil || a.Store == "" || b.Store == "" {
		return s, nil
	}
	s.of = c
	s.pair, s.record = c.between(a, b)
	prefix := valuePrefix + s.pair + "/"
	for after := ""; ; {
		rs, err := c.kv.List(ctx, prefix, after, 1000)
		if err != nil {
			return nil, fmt.Errorf("reading what was copied before: %w", err)
		}
		if len(rs) == 0 {
			return s, nil
		}
		for _, r := range rs {
			s.known[strings.TrimPrefix(r.Key, prefix)] = r.Value
		}
		after = rs[len(rs)-1].Key
	}
}

func (s *shared) name(key string) string {
	if s.of == nil {
		return ""
	}
	return hex.EncodeToString(fingerprint(s.of.names, []byte("name"), []byte(s.pair), []byte(key))[:16])
}

func (s *shared) value(key string, v secret.Value) []byte {
	return fingerprint(s.of.values, []byte(s.pair), []byte(key), v.Bytes())
}

// has reports whether both places once held the same under the key.
func (s *shared) has(key string) bool {
	_, ok := s.known[s.name(key)]
	return ok
}

// is reports whether the value is what both places held last.
func (s *shared) is(key string, v secret.Value) bool {
	known, ok := s.known[s.name(key)]
	return ok && hmac.Equal(known, s.value(key, v))
}

// note remembers what both places hold now.
func (s *shared) note(ctx context.Context, all []one) error {
	if s.of == nil {
		return nil
	}
	b, err := json.Marshal(s.record)
	if err != nil {
		return err
	}
	ops := []kv.Op{kv.Put(pairPrefix+s.pair, b)}
	for _, o := range all {
		name, value := s.name(o.key), s.value(o.key, o.value)
		if !bytes.Equal(s.known[name], value) {
			s.known[name] = value
			ops = append(ops, kv.Put(valuePrefix+s.pair+"/"+name, value))
		}
	}
	if len(ops) == 1 {
		return nil
	}
	return s.write(ctx, ops)
}

// forget lets both places differ from now on: what one of them has not is nothing to the other.
func (s *shared) forget(ctx context.Context, keys ...string) error {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = s.name(key)
	}
	return s.drop(ctx, names)
}

// keep forgets all keys but these.
func (s *shared) keep(ctx context.Context, keys map[string]bool) error {
	left := make(map[string]bool, len(keys))
	for key := range keys {
		left[s.name(key)] = true
	}
	var gone []string
	for name := range s.known {
		if !left[name] {
			gone = append(gone, name)
		}
	}
	return s.drop(ctx, gone)
}

func (s *shared) drop(ctx context.Context, names []string) error {
	var ops []kv.Op
	for _, name := range names {
		if _, ok := s.known[name]; ok {
			delete(s.known, name)
			ops = append(ops, kv.Delete(valuePrefix+s.pair+"/"+name))
		}
	}
	if len(ops) > 0 && len(s.known) == 0 {
		ops = append(ops, kv.Delete(pairPrefix+s.pair))
	}
	return s.write(ctx, ops)
}

func (s *shared) write(ctx context.Context, ops []kv.Op) error {
	for part := range slices.Chunk(ops, maxOps) {
		if _, err := s.of.kv.Txn(ctx, nil, part); err != nil {
			return fmt.Errorf("remembering what was copied: %w", err)
		}
	}
	return nil
}

// pairs gives, of all places that are remembered, those of which one is at from and the other at to. Those names are
// of stores, for an organisation.
func (c *Common) pairs(ctx context.Context, from, to func(id.ID) string) ([]Pair, error) {
	var found []Pair
	for after := ""; c != nil; {
		rs, err := c.kv.List(ctx, pairPrefix, after, 1000)
		if err != nil || len(rs) == 0 {
			return found, err
		}
		for _, r := range rs {
			var p pairRecord
			if err := json.Unmarshal(r.Value, &p); err != nil {
				return nil, fmt.Errorf("reading what was copied before: %w", err)
			}
			for i := range p {
				a, b := p[i], p[1-i]
				if c.store(from(a.Org)) == a.Store && c.store(to(b.Org)) == b.Store {
					found = append(found, Pair{From: a.Org, To: b.Org})
					break
				}
			}
		}
		after = rs[len(rs)-1].Key
	}
	return found, nil
}
