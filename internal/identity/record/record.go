// Package record keeps values as JSON in an engine of package kv, under keys that are written like the paths of files,
// and changes them under conditions. Errors of the engine get a code of package errs.
package record

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"strongroom/internal/errs"
	"strongroom/internal/id"
	"strongroom/internal/kv"
)

// Key joins the parts of a key.
func Key(parts ...any) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('/')
		}
		switch p := p.(type) { // the kinds that every request needs, without what fmt costs
		case string:
			b.WriteString(p)
		case id.ID:
			b.WriteString(p.String())
		default:
			fmt.Fprint(&b, p)
		}
	}
	return b.String()
}

// Folder is the key of a folder, its closing slash included.
func Folder(parts ...any) string { return Key(parts...) + "/" }

// Last is what follows the last slash of a key.
func Last(k string) string { return k[strings.LastIndexByte(k, '/')+1:] }

// Load reads one record; notFound is given where there is none.
func Load[T any](ctx context.Context, s kv.Store, k string, notFound error) (T, kv.Record, error) {
	var v T
	r, err := s.Get(ctx, k)
	if errors.Is(err, kv.ErrNotFound) {
		return v, r, notFound
	}
	if err != nil {
		return v, r, kv.Coded(err)
	}
	v, err = Decode[T](r)
	return v, r, err
}

// Proof is Load for what somebody shows to be let in, and for what shows who that is. One that is forged or damaged
// (kv.ErrForged) proves nothing: refused is given, as where there is none. What seals the records tells the log.
func Proof[T any](ctx context.Context, s kv.Store, k string, refused error) (T, kv.Record, error) {
	v, r, err := Load[T](ctx, s, k, refused)
	return v, r, Proven(err, refused)
}

// Proven is err, and refused where it is of a record that is forged or damaged.
func Proven(err, refused error) error {
	if errors.Is(err, kv.ErrForged) {
		return refused
	}
	return err
}

// Find is Load where it is no error that there is no record.
func Find[T any](ctx context.Context, s kv.Store, k string) (T, kv.Record, bool, error) {
	none := errs.New(errs.NotFound, "no record")
	v, r, err := Load[T](ctx, s, k, none)
	if errors.Is(err, none) {
		return v, r, false, nil
	}
	return v, r, err == nil, err
}

// Decode gives what a record says.
func Decode[T any](r kv.Record) (T, error) {
	var v T
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return v, fmt.Errorf("record %s: %w", r.Key, err)
	}
	return v, nil
}

// Put is the operation that stores v as JSON.
func Put(k string, v any) kv.Op {
	b, err := json.Marshal(v)
	if err != nil {
		panic("record: a value that cannot be encoded: " + err.Error()) // all records are our own types
	}
	return kv.Put(k, b)
}

// Scan calls f for every record below a prefix, in order, until f returns false.
func Scan(ctx context.Context, s kv.Store, pre, after string, f func(kv.Record) (bool, error)) error {
	for page := mostRead; ; {
		rs, err := s.List(ctx, pre, after, page)
		if err != nil {
			return kv.Coded(err)
		}
		for _, r := range rs {
			if more, err := f(r); err != nil || !more {
				return err
			}
		}
		if len(rs) < page {
			return nil
		}
		after = rs[len(rs)-1].Key
	}
}

// ScanWhole is Scan for upkeep: a record that is forged or damaged, or whose own records are (kv.ErrForged of f), is
// passed by, so that it does not keep the others from theirs. The first such error is given in the end.
func ScanWhole(ctx context.Context, s kv.Store, pre string, f func(kv.Record) (bool, error)) error {
	return scanWhole(ctx, s, pre, "", false, mostRead, f)
}

// ScanFound is ScanWhole for lists: what is forged or damaged is not on them. What seals the records tells of it.
func ScanFound(ctx context.Context, s kv.Store, pre string, f func(kv.Record) (bool, error)) error {
	return passed(ScanWhole(ctx, s, pre, f))
}

// ScanSome is ScanFound for those who are likely to need the first few alone, and from the end where back says so:
// after is then what the records come before.
func ScanSome(ctx context.Context, s kv.Store, pre, after string, back bool, f func(kv.Record) (bool, error)) error {
	return passed(scanWhole(ctx, s, pre, after, back, firstRead, f))
}

// passed is err, and none where it is of records that were passed by.
func passed(err error) error {
	if errors.Is(err, kv.ErrForged) {
		return nil
	}
	return err
}

// How many records are read at a time: at first, where few are likely to be needed, and at the most.
const (
	firstRead = 32
	mostRead  = 512
)

func scanWhole(ctx context.Context, s kv.Store, pre, after string, back bool, page int,
	f func(kv.Record) (bool, error)) error {
	list := s.List
	if back {
		list = s.ListBack
	}
	var damage error
	note := func(err error) bool {
		if !errors.Is(err, kv.ErrForged) {
			return false
		}
		damage = cmp.Or(damage, err)
		return true
	}
	for ; ; page = min(4*page, mostRead) {
		rs, err := list(ctx, pre, after, page)
		if page > 1 && note(err) {
			page = 1 // and then more of them again, up to the one
			rs, err = list(ctx, pre, after, page)
		}
		switch {
		case note(err):
			next, n, err := kv.Skip(ctx, s, pre, after, back, 1)
			if err != nil || n == 0 {
				return cmp.Or(kv.Coded(err), damage)
			}
			after = next
			continue
		case err != nil:
			return kv.Coded(err)
		}
		for _, r := range rs {
			if more, err := f(r); !note(err) && (err != nil || !more) {
				return cmp.Or(err, damage)
			}
		}
		if len(rs) < page {
			return damage
		}
		after = rs[len(rs)-1].Key
	}
}

// Doomed gives the first records below a prefix, for who removes them all, as many as limit says or fewer. One that is
// forged or damaged is removed like any other: it has its key alone, and comes alone.
func Doomed(ctx context.Context, s kv.Store, pre string, limit int) ([]kv.Record, error) {
	for _, limit := range []int{limit, 1} {
		if rs, err := s.List(ctx, pre, "", limit); !errors.Is(err, kv.ErrForged) {
			return rs, kv.Coded(err)
		}
	}
	key, n, err := kv.Skip(ctx, s, pre, "", false, 1)
	if err != nil || n == 0 {
		return nil, kv.Coded(err)
	}
	return []kv.Record{{Key: key}}, nil
}

// ErrRetry is given by the function of Update to read everything again.
var ErrRetry = errors.New("record: changed meanwhile")

// Update runs f, which reads, decides and writes under conditions, again while others change what it read.
func Update(ctx context.Context, f func() error) error {
	for range 10 {
		err := f()
		if !errors.Is(err, ErrRetry) && !errors.Is(err, kv.ErrConflict) {
			return kv.Coded(err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return errs.New(errs.Conflict, "others are changing the same thing; try again")
}

// Taken tells, after a conflict, whether a unique name is the reason: one that belongs to something else than own. If
// not, the caller tries again.
func Taken(ctx context.Context, s kv.Store, nameKey string, own id.ID, format string, args ...any) error {
	of, _, ok, err := Find[id.ID](ctx, s, nameKey)
	switch {
	case err != nil:
		return err
	case ok && of != own:
		return errs.New(errs.Conflict, format, args...)
	}
	return ErrRetry
}
