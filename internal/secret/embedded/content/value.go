package content

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"strongroom/internal/id"
	"strongroom/internal/secret"
)

// ValueFormat is the format that is written. It begins a value before it is sealed, which is
//
//	format (1 byte, 1) | time of the change (int64, Unix ms, big-endian) |
//	length of metadata (uvarint) | metadata | value
//
// What there is to know of a secret has a record of its own (meta.go). The metadata here are one byte, withMeta, which
// says that there is such a record, so that its loss is seen; the first versions wrote none. A reader that does not
// know what is in it skips it.
const ValueFormat = 1

const (
	valueHeader = 1 + 8
	withMeta    = 1
)

// EncodeValue gives what is sealed of a value.
func EncodeValue(value secret.Value, at time.Time) []byte {
	plain := make([]byte, valueHeader, valueHeader+2+value.Len())
	plain[0] = ValueFormat
	binary.BigEndian.PutUint64(plain[1:], uint64(at.UnixMilli()))
	plain = append(plain, 1, withMeta)
	return append(plain, value.Bytes()...)
}

// OpenValue opens the record of a value, and tells when it was set.
func (r Reader) OpenValue(ctx context.Context, org id.ID, record Found) (secret.Value, time.Time, error) {
	plain, err := r.Ring.OpenFresh(ctx, org, record.As, record.Sealed)
	if err != nil {
		return secret.Value{}, time.Time{}, err
	}
	value, err := ParseValue(plain)
	if err != nil {
		return secret.Value{}, time.Time{}, err
	}
	return secret.NewValue(value), Time(int64(binary.BigEndian.Uint64(plain[1:]))), nil
}

// ParseValue gives the value of a record that was opened.
func ParseValue(plain []byte) ([]byte, error) {
	if len(plain) < valueHeader+1 {
		return nil, errors.New("the opened value is too short")
	}
	if plain[0] != ValueFormat {
		return nil, fmt.Errorf("the value was written by a newer influxd (format %d; this one knows %d)", plain[0],
			ValueFormat)
	}
	rest := plain[valueHeader:]
	meta, n := binary.Uvarint(rest)
	if n <= 0 || meta > uint64(len(rest)-n) {
		return nil, errors.New("the opened value is malformed")
	}
	return rest[n+int(meta):], nil
}

// HasMeta reports whether a value that was opened says that its secret has a record of metadata.
func HasMeta(plain []byte) bool {
	return len(plain) > valueHeader+1 && plain[valueHeader] == 1 && plain[valueHeader+1] == withMeta
}
