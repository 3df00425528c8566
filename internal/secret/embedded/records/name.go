package records

import (
	"encoding/binary"
	"errors"
)

// A name before it is sealed is
//
//	format (1 byte, 1) | length of the name (uvarint) | name | zeros up to a multiple of 32 bytes
//
// so that how long it is can be told only as far as that.
const (
	nameFormat = 1
	nameBlock  = 32
)

// EncodeName gives what is sealed of a name.
func EncodeName(name string) []byte {
	b := append(binary.AppendUvarint([]byte{nameFormat}, uint64(len(name))), name...)
	return append(b, make([]byte, -len(b)&(nameBlock-1))...)
}

var errName = errors.New("the opened name is malformed, or was written by a newer influxd")

// DecodeName gives the name of what EncodeName has made.
func DecodeName(b []byte) (string, error) {
	if len(b) == 0 || b[0] != nameFormat {
		return "", errName
	}
	length, n := binary.Uvarint(b[1:])
	if n <= 0 || length > uint64(len(b)-1-n) {
		return "", errName
	}
	return string(b[1+n:][:length]), nil
}
