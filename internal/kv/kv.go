// Package kv is the interface of the embedded data: a flat, ordered map of keys to values with revisions and one kind
// of transaction. It is shaped by etcd, the engine that can do least, so that everything above runs on any engine.
package kv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The limits of one transaction, those of an etcd server as it comes: --max-txn-ops (128, of conditions and of
// operations each) and --max-request-bytes (1.5 MiB, of the whole request: what is left of it goes to the framing of
// 256 conditions and operations, and to the prefix of the keys).
const (
	MaxOps      = 128
	MaxTxnBytes = 3<<19 - 64<<10
	// MaxKey is the length of the longest key in bytes (bbolt takes 32,768).
	MaxKey = 32000
)

// The limits of a transaction of an Ample.
const (
	AmpleOps   = 8192
	AmpleBytes = 8 << 20
)

// The errors every engine gives, found with errors.Is. Any other error is a fault of the engine (disk, network), and
// the outcome of a transaction that ended with one is unknown.
var (
	ErrNotFound = errors.New("kv: no such key")
	ErrConflict = errors.New("kv: a condition of the transaction does not hold")
	ErrTooLarge = errors.New("kv: the transaction is over the engine's limits")
	ErrInvalid  = errors.New("kv: the transaction is malformed")
	ErrClosed   = errors.New("kv: closed")
	// ErrUnavailable is an engine that cannot serve now and is expected to again: its server is out of reach, or busy.
	// A transaction that ended with it may have been carried out.
	ErrUnavailable = errors.New("kv: unavailable")
	// ErrAway is an engine that has been out of reach for so long that nobody waits for it: each call is refused at
	// once until it answers again. It is an ErrUnavailable.
	ErrAway = fmt.Errorf("%w, for long", ErrUnavailable)
	// ErrManyBackups is a backup refused because as many as there may be at a time are being read. It is an
	// ErrUnavailable.
	ErrManyBackups = fmt.Errorf("%w: as many backups as there may be at a time are being read", ErrUnavailable)
	// ErrFull is a transaction refused because there is no room left to write it; nothing of it was written.
	ErrFull = errors.New("kv: no space left")
	// ErrDenied is an engine that refuses whoever asks, until somebody grants it again; nothing was done.
	ErrDenied = errors.New("kv: the engine refuses the server")
	// ErrFault is a transaction that the disk failed, or that is refused since it did. Reading may go on.
	ErrFault = errors.New("kv: the disk cannot be written to")
	// ErrForged is a record that this server has not written where it stands: somebody else has, or it is damaged. It
	// comes from what seals records before an engine.
	ErrForged = errors.New("the record was not written by this server, or is damaged; run influxd check, and " +
		"restore a backup")
	// ErrLagging ends a watch that cannot tell of all changes any more: the engine no longer has those that it should
	// begin with, or more have come than wait for a watcher. Whoever watches reads anew, and watches from there.
	ErrLagging = errors.New("kv: the watch has fallen behind")
)

// Record is one key with its value. Rev is the revision of the transaction that last put it, and at least 1.
type Record struct {
	Key   string
	Value []byte
	Rev   int64
}

// Cond is a condition: the key's revision is Rev, or, where Rev is 0, there is no such key.
type Cond struct {
	Key string
	Rev int64
}

// Op is one operation; make it with Put, Delete or DeletePrefix.
type Op struct {
	Kind  OpKind
	Key   string
	Value []byte
}

// OpKind tells the operations apart.
type OpKind int

// The kinds of operation.
const (
	OpPut OpKind = iota + 1
	OpDelete
	OpDeletePrefix
)

// Put sets the key's value.
func Put(key string, value []byte) Op { return Op{Kind: OpPut, Key: key, Value: value} }

// Delete removes the key; a missing key is no error.
func Delete(key string) Op { return Op{Kind: OpDelete, Key: key} }

// DeletePrefix removes every key that begins with the prefix, which must not be empty.
func DeletePrefix(prefix string) Op { return Op{Kind: OpDeletePrefix, Key: prefix} }

// Missing is the condition that there is no such key.
func Missing(key string) Cond { return Cond{Key: key} }

// Unchanged is the condition that the record is still as it was read.
func Unchanged(r Record) Cond { return Cond{Key: r.Key, Rev: r.Rev} }

// Event is one change of a record: what it is now, or, with Deleted, its key and the revision at which it was deleted.
type Event struct {
	Record
	Deleted bool
}

// Update is what a watch tells: the changes of one transaction or of several, in their order, and that all up to Rev
// have been told. One without events says that alone, and that the watch is alive.
type Update struct {
	Events []Event
	Rev    int64
	// Known, where it is not zero, says that whatever had returned by then has been told. It is when the engine was
	// asked, and not when its answer came: that may have waited for long in a process that stood still.
	Known time.Time
}

// HoldTime is how long a name stays held by a server that has died or cannot reach the engine.
const HoldTime = 10 * time.Second

// WatchPulse is how often a watch tells of being alive, at least.
const WatchPulse = time.Second

// Store is an engine. It is safe for use by many goroutines; what it returns is the caller's. Every method gives
// ctx's error as soon as ctx ends, ErrClosed after Close, and nothing but these and the errors named.
type Store interface {
	// Get returns one record, or ErrNotFound. It sees every transaction that has returned.
	Get(ctx context.Context, key string) (Record, error)

	// List returns, in the order of their bytes, at most limit records (limit must be positive) whose keys begin with
	// prefix and come after the key after ("" for the first page). One call is one consistent view; two are not.
	List(ctx context.Context, prefix, after string, limit int) ([]Record, error)

	// ListBack is List from the end: at most limit records whose keys begin with prefix and come before the key before
	// ("" for the last page), the last one first.
	ListBack(ctx context.Context, prefix, before string, limit int) ([]Record, error)

	// Txn carries out all operations if all conditions hold, and otherwise none of them and gives ErrConflict. It
	// returns the revision, which every put record now has and which is then above all earlier ones, once the change is
	// on disk; where nothing was put it may be the last one. Limits and form are those of Validate. When ctx ends
	// during the call, the transaction may have been carried out.
	Txn(ctx context.Context, conds []Cond, ops []Op) (int64, error)

	// Watch tells of every change of records whose keys begin with prefix that came after the revision after, in order,
	// and each once; with after 0, of those from now on. The first update comes at once and, with after 0, has no
	// events: whoever reads after it misses nothing. Further ones come as changes do, and, where there is none, every
	// WatchPulse. tell is called by one goroutine at a time, and should return soon.
	//
	// It ends with ctx's error, ErrClosed, ErrLagging or ErrUnavailable, and never with nil.
	Watch(ctx context.Context, prefix string, after int64, tell func(Update)) error

	// Hold waits until nobody else holds the name, on whichever server, and holds it until release is called. The
	// context it returns is ctx, ended also when the hold is lost, as it is when the server cannot reach the engine for
	// HoldTime. What must not be done by two at a time still has a condition for it in each transaction: a server that
	// stood still may not know yet that it holds nothing any more.
	Hold(ctx context.Context, name string) (held context.Context, release func(), err error)

	// Close waits for the transactions under way and releases the engine. A second call does nothing.
	Close() error
}

// Ample is an engine that also takes transactions above the limits of Validate. One large transaction costs a fraction
// of many small ones that have to be as good as one.
type Ample interface {
	// TxnAmple is Txn with the limits of ValidateAmple.
	TxnAmple(ctx context.Context, conds []Cond, ops []Op) (int64, error)
}

// Validate checks a transaction against the limits (ErrTooLarge) and its form (ErrInvalid): at least one operation, no
// empty key, no two operations that touch one key. Engines call it first.
func Validate(conds []Cond, ops []Op) error { return validate(conds, ops, MaxOps, MaxTxnBytes) }

// ValidateAmple is Validate for TxnAmple: with AmpleOps operations and AmpleBytes.
func ValidateAmple(conds []Cond, ops []Op) error { return validate(conds, ops, AmpleOps, AmpleBytes) }

func validate(conds []Cond, ops []Op, maxOps, maxBytes int) error {
	if len(ops) == 0 {
		return fmt.Errorf("%w: no operation", ErrInvalid)
	}
	if len(conds) > MaxOps || len(ops) > maxOps {
		return fmt.Errorf("%w: %d conditions and %d operations, at most %d and %d", ErrTooLarge, len(conds),
			len(ops), MaxOps, maxOps)
	}
	size := 0
	for _, c := range conds {
		if c.Key == "" {
			return fmt.Errorf("%w: a condition without a key", ErrInvalid)
		}
		size += len(c.Key)
	}
	// Most transactions have their operations in the order of the keys, where two on one key would stand side by side.
	var touched map[string]bool
	if !slices.IsSortedFunc(ops, func(a, b Op) int { return strings.Compare(a.Key, b.Key) }) {
		touched = make(map[string]bool, len(ops))
	}
	var prefixes []string
	for i, op := range ops {
		switch {
		case op.Key == "":
			return fmt.Errorf("%w: an operation without a key", ErrInvalid)
		case len(op.Key) > MaxKey:
			return fmt.Errorf("%w: a key of %d bytes, at most %d", ErrTooLarge, len(op.Key), MaxKey)
		case op.Kind < OpPut || op.Kind > OpDeletePrefix:
			return fmt.Errorf("%w: operation of unknown kind %d", ErrInvalid, op.Kind)
		case touched[op.Key] || i > 0 && ops[i-1].Key == op.Key:
			return fmt.Errorf("%w: two operations on one key", ErrInvalid)
		}
		if touched != nil {
			touched[op.Key] = true
		}
		if op.Kind == OpDeletePrefix {
			prefixes = append(prefixes, op.Key)
		}
		size += len(op.Key) + len(op.Value)
	}
	if size > maxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, maxBytes)
	}
	for _, p := range prefixes {
		for _, op := range ops {
			if op.Key != p && strings.HasPrefix(op.Key, p) {
				return fmt.Errorf("%w: an operation inside a deleted prefix", ErrInvalid)
			}
		}
	}
	return nil
}

// Behind gives the first key behind what ListBack lists, or "" where every key with the prefix and any behind it is
// before that.
func Behind(prefix, before string) string {
	end := []byte(prefix)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	if len(end) > 0 {
		end[len(end)-1]++
	}
	if before != "" && (len(end) == 0 || before < string(end)) {
		return before
	}
	return string(end)
}
