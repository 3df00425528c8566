// Package id holds the identifiers of organisations, users, authorizations and buckets: non-zero 64-bit numbers
// written as 16 lower-case hexadecimal characters, as InfluxDB writes them (for example 031c8cbefe101000).
package id

import (
	"encoding/binary"
	"encoding/hex"

	"strongroom/internal/errs"
)

// Length is the number of characters of a written ID.
const Length = 16

// ID identifies one resource. The zero ID is not valid and marks "none".
type ID uint64

// The two ways in which a written ID can be wrong, in InfluxDB's own words.
var (
	ErrLength  = errs.New(errs.Invalid, "id must have a length of 16 bytes")
	ErrInvalid = errs.New(errs.Invalid, "invalid ID")
)

// Parse reads a written ID. Upper-case hexadecimal is taken, as InfluxDB takes it.
func Parse(s string) (ID, error) {
	if len(s) != Length {
		return 0, ErrLength
	}
	var b [8]byte
	if _, err := hex.Decode(b[:], []byte(s)); err != nil {
		return 0, ErrInvalid
	}
	v := ID(binary.BigEndian.Uint64(b[:]))
	if v == 0 {
		return 0, ErrInvalid
	}
	return v, nil
}

// Valid reports whether the ID names something.
func (i ID) Valid() bool { return i != 0 }

func (i ID) String() string { return string(i.Append(make([]byte, 0, Length))) }

// Append appends the 16 characters.
func (i ID) Append(b []byte) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], uint64(i))
	return hex.AppendEncode(b, raw[:])
}

// MarshalText writes the 16 characters. An invalid ID cannot be written, so that none leaves the server.
func (i ID) MarshalText() ([]byte, error) {
	if !i.Valid() {
		return nil, ErrInvalid
	}
	return []byte(i.String()), nil
}

// UnmarshalText reads the 16 characters.
func (i *ID) UnmarshalText(b []byte) error {
	v, err := Parse(string(b))
	if err != nil {
		return err
	}
	*i = v
	return nil
}
