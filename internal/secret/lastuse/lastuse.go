// Package lastuse keeps when each secret was last used, beside the store of the secrets, whichever that is.
//
// A use is noted in memory and written a minute later at most (package uses). Memory is written once more at the end.
//
// A record is used/<org>/<mac> with a time, where mac is the HMAC-SHA-256 of the secret's name under a key of its own:
// the records tell whoever has the file how many of an organisation's secrets were used, and when, and no name.
package lastuse

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
	"strongroom/internal/uses"
)

// Prefix is what the keys of the records begin with.
const Prefix = "used/"

// Label names the key of the records among those derived from the keyring.
const Label = "strongroom/v1/secret/last-use"

// Book is the uses of one store's secrets. Make it with New; it is safe for use by many goroutines.
type Book struct {
	kv   kv.Store
	key  []byte
	now  func() time.Time
	uses *uses.Book[name]

	marked atomic.Pointer[marked]
}

type name struct {
	org id.ID
	key string
}

// New makes the book over the records in store. The key is of 32 bytes and the book's own from then on.
func New(store kv.Store, key []byte) *Book {
	b := &Book{kv: store, key: key, now: time.Now}
	b.uses = uses.New(store, func(n name) string { return b.record(n.org, n.key) })
	return b
}

// Mark notes that the secrets are used now. Nobody may change the list after that.
func (b *Book) Mark(org id.ID, keys ...string) {
	if len(keys) == 0 {
		return
	}
	now := b.now()
	these := marked{org, &keys[0], len(keys), now.Unix()}
	if last := b.marked.Load(); last != nil && *last == these {
		return
	}
	b.uses.MarkAll(now, len(keys), func(i int) name { return name{org, keys[i]} })
	if len(keys) >= manyKeys {
		b.marked.Store(&these)
	}
}

// manyKeys is how many make it worth while to remember that they were marked.
const manyKeys = 64

// marked is the last list of many secrets that was marked: who asks for all of an organisation, again and again, has
// the same list each time, and the time is kept to the second.
type marked struct {
	org   id.ID
	first *string
	n     int
	at    int64
}

// Last is when the secret was last used, to the second; zero for never.
func (b *Book) Last(ctx context.Context, org id.ID, key string) (time.Time, error) {
	return b.uses.Last(ctx, name{org, key})
}

// of chooses an organisation's secrets.
func of(org id.ID) func(name) bool { return func(n name) bool { return n.org == org } }

// All is Last for each secret of the organisation, at one moment. What it gives is for one goroutine.
func (b *Book) All(ctx context.Context, org id.ID) (last func(key string) time.Time, err error) {
	noted := b.uses.Noted(of(org))
	written := make(map[string]time.Time)
	for after := ""; ; {
		rs, err := b.kv.List(ctx, folder(org), after, kv.MaxOps)
		if err != nil {
			return nil, err
		}
		for _, r := range rs {
			after = r.Key
			if at, err := uses.Parse(r); err == nil { // as in Last
				written[r.Key] = at
			}
		}
		if len(rs) < kv.MaxOps {
			break
		}
	}
	mac := hmac.New(sha256.New, b.key)
	return func(key string) time.Time {
		at := noted[name{org, key}]
		if len(written) == 0 { // nothing to look for: the hashes of many names take long
			return at
		}
		mac.Reset()
		return uses.Later(written[recordIn(mac, org, key)], at)
	}, nil
}

func folder(org id.ID) string { return Prefix + org.String() + "/" }

func (b *Book) record(org id.ID, key string) string {
	return recordIn(hmac.New(sha256.New, b.key), org, key)
}

// recordIn is record by a mac in its first state: to make one costs more than to use it again.
func recordIn(mac hash.Hash, org id.ID, key string) string {
	// The organisation's part has a fixed length: no two secrets give the same text.
	mac.Write([]byte(org.String() + "/" + key))
	return folder(org) + hex.EncodeToString(mac.Sum(nil))
}

// Names lists the names that an organisation's secrets have, the deleted ones that can be brought back included, or
// gives errs.NotFound where there is no such organisation.
type Names func(ctx context.Context, org id.ID) ([]string, error)

// Maintain writes what is noted every minute until ctx ends, and at the end once more. An hour after the start, and
// then every day, it removes the records of secrets that are no more. What fails is told to report, and tried again.
func (b *Book) Maintain(ctx context.Context, names Names, report func(error)) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	swept := b.now().Add(-23 * time.Hour)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := b.Write(last); err != nil {
				report(err)
			}
			return
		case <-tick.C:
		}
		err := b.Write(ctx)
		if b.now().Sub(swept) >= 24*time.Hour {
			swept = b.now()
			err = errors.Join(err, b.Sweep(ctx, names))
		}
		if err != nil && ctx.Err() == nil {
			report(err)
		}
	}
}

// Write writes what is noted. What cannot be written stays noted.
func (b *Book) Write(ctx context.Context) error { return b.uses.Write(ctx, nil) }

// Purge removes all of an organisation. What is noted behind it is removed by the next Sweep.
func (b *Book) Purge(ctx context.Context, org id.ID) error {
	b.marked.Store(nil)
	b.uses.Forget(of(org))
	_, err := kv.DeleteSome(ctx, b.kv, nil, folder(org), math.MaxInt)
	return err
}

// Sweep removes the records of secrets, and of organisations, that are no more: what names does not name. An
// organisation whose names cannot be had is left alone.
func (b *Book) Sweep(ctx context.Context, names Names) error {
	var all []error
	for after := ""; ; {
		first, err := b.kv.List(ctx, Prefix, after, 1)
		if err != nil || len(first) == 0 {
			return errors.Join(append(all, err)...)
		}
		org, err := orgOf(first[0].Key)
		if err != nil {
			after, all = first[0].Key, append(all, err)
			continue
		}
		after = folder(org) + "~" // behind every hexadecimal digit
		all = append(all, b.sweep(ctx, org, names))
	}
}

func (b *Book) sweep(ctx context.Context, org id.ID, names Names) error {
	known, err := names(ctx, org)
	if errs.Is(err, errs.NotFound) {
		return b.Purge(ctx, org)
	}
	if err != nil {
		return err
	}
	keep := make(map[string]bool, len(known))
	for _, k := range known {
		keep[b.record(org, k)] = true
	}
	for after := ""; ; {
		rs, err := b.kv.List(ctx, folder(org), after, kv.MaxOps)
		if err != nil || len(rs) == 0 {
			return err
		}
		var ops []kv.Op
		var conds []kv.Cond
		for _, r := range rs {
			if after = r.Key; !keep[r.Key] {
				ops, conds = append(ops, kv.Delete(r.Key)), append(conds, kv.Unchanged(r))
			}
		}
		if len(ops) == 0 {
			continue
		}
		// One that is written anew at this moment belongs to a secret that is new: it stays, for
		// the next time to judge.
		if _, err := b.kv.Txn(ctx, conds, ops); err != nil && !errors.Is(err, kv.ErrConflict) {
			return err
		}
	}
}

func orgOf(recordKey string) (id.ID, error) {
	org, mac, ok := strings.Cut(strings.TrimPrefix(recordKey, Prefix), "/")
	if raw, err := hex.DecodeString(mac); !ok || err != nil || len(raw) != sha256.Size {
		return 0, fmt.Errorf("record %s: its key is malformed", recordKey)
	}
	return id.Parse(org)
}

// Check looks at every record in store, and reports those that are malformed by their keys.
func Check(ctx context.Context, store kv.Store, report func(key, what string)) error {
	for r, err := range kv.Each(ctx, store, Prefix, 512) {
		if err != nil {
			return err
		}
		if _, err := orgOf(r.Key); err != nil {
			report(r.Key, "its key is malformed")
		} else if _, err := uses.Parse(r); err != nil {
			report(r.Key, "it is no time")
		}
	}
	return nil
}
