package barrier

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"strongroom/internal/kv"
)

// Tokens are found by their hash, and the keys of records are in clear. A token that somebody has chosen can be
// guessed: with its plain hash in the file, whoever has the file could try guesses without end. So the engine has
// HMAC-SHA-256 of the hash in its place, under a key that comes from the keyring and stays the same over rotations. It
// is made of the hash, not of the token: an InfluxDB gives hashes alone. Callers of Store have the hash in their keys
// as ever.
const (
	indexFolder = "authhash/"
	indexLabel  = "token-index"
	// indexByte begins what is keyed. It stands behind all hexadecimal digits, so that plain hashes come first in a
	// list.
	indexByte = "k"
)

// plainIndex gives the hash in a key that has one.
func plainIndex(key string) ([]byte, bool) {
	rest, ok := strings.CutPrefix(key, indexFolder)
	if !ok || len(rest) != 2*sha256.Size {
		return nil, false
	}
	h, err := hex.DecodeString(rest)
	return h, err == nil
}

func isPlainIndex(key string) bool {
	_, ok := plainIndex(key)
	return ok
}

// KeyOf is the key in the engine of what callers know by key.
func (s *Store) KeyOf(key string) (string, error) {
	h, ok := plainIndex(key)
	if !ok {
		return key, nil
	}
	secret, err := s.index()
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(h)
	return indexFolder + indexByte + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}

// find is the engine's Get, by the caller's key. Data that KeyIndexes has not seen yet, in a check of a backup for
// one, have the plain hash.
func (s *Store) find(ctx context.Context, key string) (kv.Record, error) {
	at, err := s.KeyOf(key)
	if err != nil {
		return kv.Record{}, err
	}
	r, err := s.Store.Get(ctx, at)
	if at != key && errors.Is(err, kv.ErrNotFound) {
		return s.Store.Get(ctx, key)
	}
	return r, err
}

// keyed gives the conditions and operations with the keys that the engine has.
func (s *Store) keyed(conds []kv.Cond, ops []kv.Op) ([]kv.Cond, []kv.Op, error) {
	conds, ops = slices.Clone(conds), slices.Clone(ops)
	var err error
	for i := range conds {
		if conds[i].Key, err = s.KeyOf(conds[i].Key); err != nil {
			return nil, nil, err
		}
	}
	for i := range ops {
		if ops[i].Key, err = s.KeyOf(ops[i].Key); err != nil {
			return nil, nil, err
		}
	}
	return conds, ops, nil
}

// KeyIndexes puts keyed hashes in the place of plain ones, in data that an older influxd has made. It gives how many
// they were. Each start calls it before anybody is served; where there are none it reads one record. Cut short, it goes
// on when it is called again, and several servers may do it at once. One that does not open is left for check to tell.
func (s *Store) KeyIndexes(ctx context.Context) (int, error) {
	n := 0
	for after, page := "", 1; ; page = rewritePage {
		raw, err := s.Store.List(ctx, indexFolder, after, page)
		if err != nil {
			return n, err
		}
		if end := slices.IndexFunc(raw, func(r kv.Record) bool { return !isPlainIndex(r.Key) }); end >= 0 {
			raw = raw[:end]
		}
		if len(raw) == 0 {
			return n, nil
		}
		after = raw[len(raw)-1].Key
		var moved atomic.Int64
		g, each := errgroup.WithContext(ctx)
		g.SetLimit(rewriteAtOnce)
		for batch := range slices.Chunk(raw, rewriteBatch) {
			g.Go(func() error {
				did, err := s.keyBatch(each, batch)
				moved.Add(int64(did))
				if errors.Is(err, kv.ErrConflict) { // another server has done it
					return nil
				}
				return err
			})
		}
		err = g.Wait()
		if n += int(moved.Load()); err != nil {
			return n, err
		}
	}
}

// keyBatch moves as many plain indexes as fit in a transaction.
func (s *Store) keyBatch(ctx context.Context, batch []kv.Record) (int, error) {
	var conds []kv.Cond
	var ops []kv.Op
	for _, r := range batch {
		at, err := s.KeyOf(r.Key)
		if err != nil {
			return 0, err
		}
		open, err := s.Open(ctx, r)
		switch {
		case errors.Is(err, kv.ErrForged):
			continue
		case err != nil:
			return 0, err
		}
		conds, ops = append(conds, kv.Unchanged(r)), append(ops, kv.Delete(r.Key), kv.Put(at, open.Value))
	}
	if len(ops) == 0 {
		return 0, nil
	}
	if _, err := s.write(ctx, conds, ops); err != nil {
		return 0, err
	}
	return len(conds), nil
}
