// Package uses keeps when things were last used: tokens, and secrets.
//
// A use is noted in memory and written now and then, together with all others of that time: a read is never a write.
// Only a crash loses what memory held. A record has the time in Unix seconds, as digits.
package uses

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"strongroom/internal/kv"
)

// maxTime is the end of the year 9999, after which a time has no form in JSON.
const maxTime = 253402300799

// Book is the last uses of things of one kind. Make it with New; it is safe for use by many goroutines.
type Book[T comparable] struct {
	kv     kv.Store
	record func(T) string

	mu    sync.Mutex
	noted map[T]int64 // Unix seconds
}

// New makes the book over the records in store; record gives the key of a thing's.
func New[T comparable](store kv.Store, record func(T) string) *Book[T] {
	return &Book[T]{kv: store, record: record, noted: make(map[T]int64)}
}

// Mark notes that the thing is used. A clock that was set back takes no later use away.
func (b *Book[T]) Mark(at time.Time, thing T) { b.MarkAll(at, 1, func(int) T { return thing }) }

// MarkAll is Mark for n things, given one by one.
func (b *Book[T]) MarkAll(at time.Time, n int, thing func(i int) T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := at.Unix()
	for i := range n {
		if t := thing(i); b.noted[t] < now {
			b.noted[t] = now
		}
	}
}

// Noted gives the uses that are not written yet of the things that are wanted.
func (b *Book[T]) Noted(want func(T) bool) map[T]time.Time {
	got := make(map[T]time.Time)
	b.mu.Lock()
	defer b.mu.Unlock()
	for t, at := range b.noted {
		if want(t) {
			got[t] = time.Unix(at, 0).UTC()
		}
	}
	return got
}

// Forget drops what is noted of the things that are gone.
func (b *Book[T]) Forget(gone func(T) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for t := range b.noted {
		if gone(t) {
			delete(b.noted, t)
		}
	}
}

// Last is when the thing was last used, to the second; zero for never. A record that is no time says as little as none,
// and the next use puts it right: nothing is permitted or refused by it.
func (b *Book[T]) Last(ctx context.Context, thing T) (time.Time, error) {
	b.mu.Lock()
	at, ok := b.noted[thing]
	b.mu.Unlock()
	var noted, written time.Time
	if ok {
		noted = time.Unix(at, 0).UTC()
	}
	r, err := b.kv.Get(ctx, b.record(thing))
	switch {
	case errors.Is(err, kv.ErrNotFound):
		return noted, nil
	case err == nil:
		written, _ = Parse(r)
	}
	return Later(written, noted), err
}

// Later is the later of two times: what is noted since may be of a clock that was set back.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Parse reads the time in a record.
func Parse(r kv.Record) (time.Time, error) {
	at, err := strconv.ParseInt(string(r.Value), 10, 64)
	if err != nil || at <= 0 || at > maxTime {
		return time.Time{}, fmt.Errorf("record %s: it is no time", r.Key)
	}
	return time.Unix(at, 0).UTC(), nil
}

// Write writes what is noted, where it is later than what is written. What cannot be written stays noted. Those that
// there does not know any more are left out; it may be nil.
func (b *Book[T]) Write(ctx context.Context, there func(context.Context, T) (bool, error)) error {
	b.mu.Lock()
	left := b.noted
	b.noted = make(map[T]int64)
	b.mu.Unlock()
	err := b.write(ctx, left, there)
	b.mu.Lock()
	defer b.mu.Unlock()
	for t, at := range left {
		b.noted[t] = max(b.noted[t], at)
	}
	return err
}

// write takes out of left what is written, or is not to be.
func (b *Book[T]) write(ctx context.Context, left map[T]int64, there func(context.Context, T) (bool, error)) error {
	var conds []kv.Cond
	var ops []kv.Op
	var under []T
	flush := func() error {
		if len(ops) == 0 {
			return nil
		}
		_, err := b.kv.Txn(ctx, conds, ops)
		if err != nil && !errors.Is(err, kv.ErrConflict) {
			return err
		}
		if err == nil { // or else another server has noted a use, or they are swept: the next time looks again
			for _, t := range under {
				delete(left, t)
			}
		}
		conds, ops, under = nil, nil, nil
		return nil
	}
	for t, at := range left {
		if there != nil {
			known, err := there(ctx, t)
			if err != nil {
				return err
			}
			if !known {
				delete(left, t)
				continue
			}
		}
		rec, err := b.kv.Get(ctx, b.record(t))
		if errors.Is(err, kv.ErrNotFound) {
			rec, err = kv.Record{Key: b.record(t)}, nil
		}
		if err != nil {
			return err
		}
		if before, err := Parse(rec); err == nil && before.Unix() >= at {
			delete(left, t)
			continue
		}
		conds = append(conds, kv.Unchanged(rec))
		ops = append(ops, kv.Put(rec.Key, strconv.AppendInt(nil, at, 10)))
		if under = append(under, t); len(ops) == kv.MaxOps {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
