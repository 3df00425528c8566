package commitlog

import (
	"encoding/binary"
	"fmt"
	"time"

	"strongroom/internal/kv"
)

// Head is what an organisation's head says. As a record it is
//
//	state (1 byte) | version (uvarint) | time of the change (uvarint, Unix ms)
//
// and the state alone where an older influxd has put it, which is read as version 1.
type Head struct {
	// Pending says that a large change is committed and not yet carried out: nothing may be read before it is. The
	// version and the time are then those of that change.
	Pending bool
	// Version is the organisation's (secret.Store).
	Version int64
	Changed time.Time // when it became that; zero where that is not known
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
	if m <= 0 || n+m != len(b) || ms > 1<<62 {
		return Head{}, malformed(rec.Key)
	}
	h.Version = int64(version)
	if ms > 0 {
		h.Changed = time.UnixMilli(int64(ms)).UTC()
	}
	return h, nil
}

func malformed(key string) error {
	return fmt.Errorf("record %q is malformed, or was written by a newer influxd", key)
}

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
	return binary.AppendUvarint(b, uint64(ms))
}

// Put is the operation that puts the head's record.
func (h Head) Put(key string) kv.Op { return kv.Put(key, h.encode()) }

func (h Head) asPending() Head { h.Pending = true; return h }
func (h Head) asAtRest() Head  { h.Pending = false; return h }
