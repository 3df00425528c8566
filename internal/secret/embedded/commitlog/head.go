package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"strongroom/internal/kv"
)

// Head is what an organisation's head says. As a record it is
//
//	state (1 byte) | version (uvarint) | time of the change (uvarint, Unix ms)
//	[| form of the names (uvarint) | secrets (uvarint) | bytes (uvarint)]
//
// with the last three where the store has a quota, and the state alone where an older influxd has put it, which is read
// as version 1.
type Head struct {
	// Pending says that a large change is committed and not yet carried out: nothing may be read before it is. The
	// version and the time are then those of that change.
	Pending bool
	// Version is the organisation's (secret.Store).
	Version int64
	Changed time.Time // when it became that; zero where that is not known
	// Count is how much there is; nil where that was not counted.
	Count *Count
}

// Count is how much an organisation has.
type Count struct {
	Form    uint32 // of the names, in which it was counted
	Secrets int64  // that are not deleted
	Bytes   int64  // of all records with their keys, earlier versions and deleted secrets included
}

// The states.
const (
	atRest  = 0
	pending = 1
)

// ParseHead reads the head's record.
func ParseHead(rec kv.Record) (Head, error) {
	b := rec.Value
	if len(b) == 0 || b[0] > pending {
		return Head{}, malformed(rec.Key)
	}
	h := Head{Pending: b[0] == pending, Version: 1}
	if b = b[1:]; len(b) == 0 {
		return h, nil
	}
	version, n := binary.Uvarint(b)
	if n <= 0 || version == 0 || version > 1<<62 {
		return Head{}, malformed(rec.Key)
	}
	ms, m := binary.Uvarint(b[n:])
	if m <= 0 || ms > 1<<62 {
		return Head{}, malformed(rec.Key)
	}
	var ok bool
	if h.Count, ok = parseCount(b[n+m:]); !ok {
		return Head{}, malformed(rec.Key)
	}
	h.Version = int64(version)
	if ms > 0 {
		h.Changed = time.UnixMilli(int64(ms)).UTC()
	}
	return h, nil
}

// parseCount reads what stands at the head's end, where anything does.
func parseCount(b []byte) (c *Count, ok bool) {
	if len(b) == 0 {
		return nil, true
	}
	var numbers [3]uint64
	for i := range numbers {
		var n int
		if numbers[i], n = binary.Uvarint(b); n <= 0 || numbers[i] > 1<<62 {
			return nil, false
		}
		b = b[n:]
	}
	return &Count{uint32(numbers[0]), int64(numbers[1]), int64(numbers[2])}, len(b) == 0 && numbers[0] < 1<<32
}

// ErrMalformed is of a record that is not sealed and cannot be understood.
var ErrMalformed = errors.New("malformed, or was written by a newer influxd")

func malformed(key string) error { return fmt.Errorf("record %q is %w", key, ErrMalformed) }

func (h Head) encode() []byte {
	b := make([]byte, 1, 16)
	if h.Pending {
		b[0] = pending
	}
	b = binary.AppendUvarint(b, uint64(max(h.Version, 1)))
	var ms int64
	if !h.Changed.IsZero() {
		ms = max(h.Changed.UnixMilli(), 0)
	}
	b = binary.AppendUvarint(b, uint64(ms))
	if c := h.Count; c != nil {
		b = binary.AppendUvarint(b, uint64(c.Form))
		b = binary.AppendUvarint(b, uint64(max(c.Secrets, 0)))
		b = binary.AppendUvarint(b, uint64(max(c.Bytes, 0)))
	}
	return b
}

// Put is the operation that puts the head's record.
func (h Head) Put(key string) kv.Op { return kv.Put(key, h.encode()) }

func (h Head) asPending() Head { h.Pending = true; return h }
func (h Head) asAtRest() Head  { h.Pending = false; return h }
